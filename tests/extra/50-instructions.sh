#!/usr/bin/env bash
# The gate on instructions: what every event and every round of grants passes may not have become dearer
# than benches/gate/expected.txt says. With UPDATE=1 the counts become what is expected.
# Installs Debian's valgrind where it is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ "$(uname -m)" = x86_64 ] || { echo "skipped: what is expected was counted on x86_64"; exit 77; }

if ! command -v valgrind >/dev/null; then
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get -qq update
  DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq install -y --no-install-recommends valgrind
fi

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/gate
# Whatever is measured elsewhere: here always as the manifest says.
unset RUSTFLAGS "${!CARGO_PROFILE_@}"
started=$SECONDS
cargo build --quiet --locked --release --manifest-path benches/gate/Cargo.toml
echo "built in $((SECONDS - started)) s"
"$CARGO_TARGET_DIR/release/gate"
