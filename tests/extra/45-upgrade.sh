#!/usr/bin/env bash
# An upgrade and its way back, between two real builds: this one, and a copy of the tree whose messages
# carry the next version and a field that this build has never heard of.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$root/$target ;; esac
export CARGO_TARGET_DIR=$target
export NATS_SERVER=${NATS_SERVER:-$root/.tools/bin/nats-server}
fail() { echo "FAILED: $*" >&2; exit 1; }
binary=$target/debug/shardfleet
next=$target/upgrade
mkdir -p "$next"

# The copy has the same name in the same folder, so that dependencies need not be built anew: what it
# leaves there is replaced by this tree's own build whatever happens.
rm -rf "$next/tree"
mkdir "$next/tree"
tar -c Cargo.toml Cargo.lock src benches tests | tar -x -C "$next/tree"
python3 - "$next/tree/src/wire.rs" <<'PY'
import pathlib, re, sys
path = pathlib.Path(sys.argv[1])
code, versions = re.subn(r"(pub const VERSION: u32 = )(\d+);", lambda it: f"{it[1]}{int(it[2]) + 1};", path.read_text())
line = "    serde_json::to_vec(value).unwrap_or_default().into()\n"
later = """    let mut value = serde_json::to_value(value).unwrap_or_default();
    value["unheard_of"] = serde_json::json!({ "since": VERSION });
    serde_json::to_vec(&value).unwrap_or_default().into()
"""
assert versions == 1 and code.count(line) == 1, "wire.rs is another: adapt this script"
path.write_text(code.replace(line, later))
PY
trap 'cargo build --quiet --locked --bin shardfleet' EXIT
(cd "$next/tree" && cargo build --quiet --locked --bin shardfleet)
cp "$binary" "$next/shardfleet"
rm -rf "$next/tree"
trap - EXIT
cargo build --quiet --locked --bin shardfleet
cmp -s "$binary" "$next/shardfleet" && fail "both builds are the same"

NEXT_RELEASE=$next/shardfleet cargo test --quiet --locked --test it upgrade -- --ignored --nocapture
echo "ok: an upgrade and its way back"
