#!/usr/bin/env bash
# The fleet page in a real Chromium, over a demo fleet that loses one more gateway while it is watched.
# Installs Debian's chromium package where it is missing; takes axe-core by npm. SHARDFLEET names the
# binary; without it the tests' own build is used. SHOTS names a folder that keeps the screenshots.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
if [ -z "${SHARDFLEET:-}" ]; then
  cargo build --quiet --locked --manifest-path "$here/../../Cargo.toml"
fi
binary=${SHARDFLEET:-${CARGO_TARGET_DIR:-$here/../../target}/debug/shardfleet}
work=$(mktemp -d)
demo=
finish() {
  if [ -n "$demo" ]; then kill "$demo" 2>/dev/null || true; wait "$demo" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

if ! command -v chromium >/dev/null; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get -qq update
  DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq install -y --no-install-recommends chromium
fi

"$binary" demo --json --seconds 10 --keep --events-per-second 600 >"$work/stdout" 2>"$work/stderr" &
demo=$!
for _ in $(seq 1 3000); do
  grep -q 'staying up' "$work/stderr" && break
  kill -0 "$demo" 2>/dev/null || { cat "$work/stderr"; fail "the demo ended early"; }
  sleep 0.1
done
# A gateway may be the one that is killed; a coordinator that leads stays.
pages=$(awk '/staying up/ { on = 1 } on && $2 ~ /^http/ && $1 != "simulator" { print $2 }' "$work/stderr")
for page in $pages; do
  python3 - "$page" <<'PY' && break
import json, sys, urllib.request
get = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
try:
    fleet = json.load(get(sys.argv[1] + "api/fleet", timeout=5))
except OSError:
    sys.exit(1)
sys.exit(not any(p.get("page") == sys.argv[1] and "coordinator" in p for p in fleet["processes"]))
PY
  page=
done
[ -n "${page:-}" ] || { cat "$work/stderr"; fail "no coordinator of the demo serves its page"; }
mkdir -p "${SHOTS:=$work}"
(cd "$work" && npm pack --silent axe-core@4.11.0 >/dev/null && tar -xzf axe-core-*.tgz package/axe.min.js)
python3 "$here/page.py" "$page" "$SHOTS" "$work/package/axe.min.js"
