#!/usr/bin/env bash
# The demo's verdict, recomputed by a program that shares nothing with it: both must agree on a clean
# run, from the files and from the running server, and both must refuse a doctored record.
# Needs python3 and pip. SHARDFLEET names the binary; without it the tests' own build is used.
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

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps \
  -r "$here/requirements.txt"
python=$work/venv/bin/python

"$binary" demo --json --seconds 10 --keep --evidence "$work/evidence" \
  >"$work/stdout" 2>"$work/stderr" &
demo=$!
for _ in $(seq 1 2400); do
  grep -q 'staying up' "$work/stderr" && break
  kill -0 "$demo" 2>/dev/null || { cat "$work/stderr"; fail "the demo ended early"; }
  sleep 0.1
done
login=$(sed -n "s/^ *nats login .*'\(.*\)'.*/\1/p" "$work/stderr")
nats=$([ -z "$login" ] || cat "$login")
[ -n "$nats" ] || { cat "$work/stderr"; fail "the demo did not come to its verdict in time"; }

same() { # the counts of one JSON object
  "$python" - "$1" <<'PY'
import json, sys
verdict = json.loads(open(sys.argv[1]).read().splitlines()[-1])
verdict.setdefault("told", verdict.get("undelivered"))
keys = ("sent stored lost duplicated out_of_order altered gaps missing_gaps unexpected told").split()
print(json.dumps({key: verdict[key] for key in keys}))
PY
}

same "$work/stdout" >"$work/said"
"$python" "$here/verdict.py" "$work/evidence" >"$work/recomputed" || fail "verdict.py refuses a clean record"
"$python" "$here/verdict.py" "$work/evidence" --nats "$nats" >"$work/live" || fail "verdict.py refuses the stream itself"
"$binary" audit "$work/evidence" >"$work/audited" || fail "audit refuses a clean record"
for other in recomputed live audited; do
  same "$work/$other" | diff "$work/said" - || fail "the demo and the $other verdict differ"
done
echo "agreed: $(cat "$work/said")"

kill -INT "$demo"
code=0; wait "$demo" || code=$?
demo=
[ "$code" = 0 ] || { cat "$work/stderr"; fail "the demo ended with $code"; }

for how in drop swap repeat alter; do
  "$python" "$here/doctor.py" "$work/evidence" "$how" "$work/$how"
  for judge in "$python $here/verdict.py" "$binary audit"; do
    if $judge "$work/$how" >"$work/out" 2>"$work/why"; then
      fail "$judge passes a record doctored by: $how"
    fi
    [ -s "$work/why" ] || fail "$judge failed without a reason"
    head -1 "$work/why"
  done
done
echo "ok: both judges agree, and both refuse what was doctored"
