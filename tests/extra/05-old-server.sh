#!/usr/bin/env bash
# A real nats-server of Debian stable, older than 2.11: every role refuses it, says why and what to do.
# Unpacks Debian's package without installing it. SHARDFLEET names the binary; without it the tests'
# own build is used.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${SHARDFLEET:-}" ]; then
  cargo build --quiet --locked --manifest-path "$root/Cargo.toml"
fi
binary=$(realpath "${SHARDFLEET:-${CARGO_TARGET_DIR:-$root/target}/debug/shardfleet}")
work=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$work"
}
trap finish EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

cd "$work"
apt-get -qq download nats-server 2>/dev/null || {
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get -qq update
  apt-get -qq download nats-server 2>/dev/null
}
dpkg-deb -x nats-server_*.deb package
old=$(find package -type f -name nats-server | head -n 1)
version=$("$old" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+')
case $version in 2.[0-9].*|2.10.*) ;; *) fail "Debian's nats-server is $version: no old one to refuse" ;; esac

mkdir ports
"$old" --addr 127.0.0.1 --port -1 --jetstream --store_dir "$work/store" --ports_file_dir "$work/ports" \
  >server.log 2>&1 &
server=$!
for _ in $(seq 1 200); do
  url=$(grep -ohE 'nats://127[^"]*' ports/*.ports 2>/dev/null | head -n 1 || true)
  [ -n "$url" ] && break
  kill -0 "$server" 2>/dev/null || fail "the old server ended: $(tail -n 3 server.log)"
  sleep 0.05
done
[ -n "$url" ] || fail "the old server opened no port"

for role in gateway coordinator up; do
  code=0
  NATS_URL=$url DISCORD_TOKEN=simulated SHARDFLEET_WEB__LISTEN=127.0.0.1:0 RUST_LOG=info \
    timeout 60 "$binary" "$role" >"$role.log" 2>&1 || code=$?
  [ "$code" = 1 ] || fail "$role ended with $code, not 1: $(tail -n 3 "$role.log")"
  grep -q "version $version" "$role.log" || fail "$role names no version: $(tail -n 3 "$role.log")"
  grep -q '2.11 or later' "$role.log" || fail "$role does not say what it needs"
  echo "$role refuses nats-server $version"
done
echo "1 passed, 0 failed"
