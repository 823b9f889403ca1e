#!/usr/bin/env bash
# The examples are programs that work: workers in three languages and two bridges, each against a fleet
# on the simulator, also where something befalls them. Needs python3 with pip, and node with npm.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# Each folder of examples/ can be copied by itself: what two of them share is in both.
cmp "$root/examples/python/pull.py" "$root/examples/discord.py/pull.py"
cmp "$root/examples/javascript/pull.js" "$root/examples/discord.js/pull.js"
cargo build --quiet --locked --manifest-path "$root/Cargo.toml" --bins --examples
target=${CARGO_TARGET_DIR:-$root/target}/debug
nats=${NATS_SERVER:-$root/.tools/bin/nats-server}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
for example in python discord.py; do
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps \
    --only-binary :all: -r "$root/examples/$example/requirements.txt"
done
for example in javascript discord.js; do
  cp -r "$root/examples/$example" "$work/$example"
  rm -rf "$work/$example/node_modules"
  (cd "$work/$example" && npm ci --silent --no-fund --no-audit)
done
cp "$here"/workers/*.js "$work/discord.js/"
"$work/venv/bin/python" "$here/workers/prove.py" "$target/shardfleet" "$nats" "$target/examples" "$work"
