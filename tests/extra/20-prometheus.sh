#!/usr/bin/env bash
# A real Prometheus: the rules load and fire as they should; it scrapes a demo fleet that loses a leader
# and a gateway; every metric of docs/METRICS.md is there, and every panel of the board has data.
# Installs Debian's prometheus package where it is missing. SHARDFLEET names the binary; without it the
# tests' own build is used.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${SHARDFLEET:-}" ]; then
  cargo build --quiet --locked --manifest-path "$root/Cargo.toml"
fi
binary=${SHARDFLEET:-${CARGO_TARGET_DIR:-$root/target}/debug/shardfleet}
work=$(mktemp -d)
demo='' prometheus=''
finish() {
  for process in $prometheus $demo; do
    kill "$process" 2>/dev/null || true
    wait "$process" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get -qq update
  # Its own service must not start here.
  DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq install -y --no-install-recommends prometheus
fi

cd "$root/deploy"
promtool check rules alerts.yml
promtool test rules alerts_test.yml
promtool check config prometheus.yml

"$binary" demo --json --seconds 10 --keep >"$work/stdout" 2>"$work/stderr" &
demo=$!
for _ in $(seq 1 3000); do
  grep -q 'staying up' "$work/stderr" && break
  kill -0 "$demo" 2>/dev/null || { cat "$work/stderr"; fail "the demo ended early"; }
  sleep 0.1
done
pages=$(awk '/staying up/ { on = 1 } on && $2 ~ /^http/ && $1 != "simulator" { print $2 }' "$work/stderr")
[ -n "$pages" ] || { cat "$work/stderr"; fail "the demo did not come to its verdict in time"; }

{
  printf 'global: { scrape_interval: 1s, evaluation_interval: 1s }\n'
  printf 'rule_files: [%s]\n' "$root/deploy/alerts.yml"
  printf 'scrape_configs:\n  - job_name: shardfleet\n    static_configs:\n      - targets:\n'
  for page in $pages; do
    page=${page#http://}
    printf '          - %s\n' "${page%%/*}"
  done
} >"$work/prometheus.yml"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/store" \
  --web.listen-address="127.0.0.1:$port" --log.level=warn >"$work/prometheus.log" 2>&1 &
prometheus=$!

python3 "$here/board.py" "http://127.0.0.1:$port" "$root" || {
  cat "$work/prometheus.log" >&2
  fail "Prometheus lacks something"
}
echo "ok: rules, metrics and board hold against a real Prometheus"
