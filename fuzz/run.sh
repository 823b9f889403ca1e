#!/usr/bin/env bash
# Fuzzes every reader of what comes from outside (fuzz/fuzz_targets), a minute each beside the build:
# `SECONDS_EACH=10 fuzz/run.sh` for less. Needs a nightly toolchain, and says so where there is
# none; installs cargo-fuzz where it is missing.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
each=${SECONDS_EACH:-60}
target=${CARGO_TARGET_DIR:-$root/target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
tools=$target/fuzz-tools

if ! cargo +nightly --version >/dev/null 2>&1; then
  echo "skipped: fuzzing needs a nightly toolchain, and there is none: rustup toolchain install nightly"
  exit 77
fi
if ! command -v cargo-fuzz >/dev/null; then
  export PATH=$tools/bin:$PATH
  command -v cargo-fuzz >/dev/null || cargo install --quiet --locked --root "$tools" cargo-fuzz
fi

cd "$root"
export CARGO_TARGET_DIR=$target/fuzz
# No sanitizer: what one finds takes unsafe code, which this crate forbids itself. Panics, overflows,
# endless loops and memory without bound show without one. And not optimised: the build is what takes
# long.
how=(--dev --sanitizer none)
cargo +nightly fuzz build "${how[@]}"
for path in fuzz/fuzz_targets/*.rs; do
  name=$(basename "$path" .rs)
  # What is found new stays with the build; the seeds are only read.
  corpus=$target/fuzz/corpus/$name
  mkdir -p "$corpus"
  log=$target/fuzz/$name.log
  if ! cargo +nightly fuzz run "${how[@]}" "$name" "$corpus" "fuzz/seeds/$name" -- \
    -max_total_time="$each" -timeout=10 -rss_limit_mb=4096 -max_len=4096 -print_final_stats=1 >"$log" 2>&1; then
    tail -n 60 "$log"
    echo "FAILED: $name; what it broke on is in fuzz/artifacts/$name" >&2
    exit 1
  fi
  executed=$(grep -oE 'number_of_executed_units: *[0-9]+' "$log" | grep -oE '[0-9]+$')
  # The slowest, a whole configuration each time, does fifty a second on a busy machine.
  [ "${executed:-0}" -gt $((each * 10)) ] || { tail -n 20 "$log"; echo "FAILED: $name ran ${executed:-0} times" >&2; exit 1; }
  echo "$name: $executed executions, nothing found"
done
