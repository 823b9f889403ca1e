#!/usr/bin/env bash
# Real Discord libraries, unmodified but for the base URL, against the simulated Discord.
# `run.sh` runs them all, `run.sh NAME…` some: discordjs ws oceanic discordpy hikari serenity.
set -euo pipefail
cd "$(dirname "$0")"
target=${CARGO_TARGET_DIR:-../../target}
sim=${SHARDFLEET:-$target/debug/shardfleet}
clients=("$@")
[ ${#clients[@]} -gt 0 ] || clients=(discordjs ws oceanic discordpy hikari serenity)
# hikari reads the bot's id out of the token, so it has to look like one.
export SIM_TOKEN=NzAwMDAwMDAwMDAwMDAwMDAx.simulated.token
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT

if [ -z "${SHARDFLEET:-}" ]; then
    (cd ../.. && cargo build --locked --quiet)
fi
for client in "${clients[@]}"; do
    case $client in
    discordjs | ws | oceanic)
        # No optional native parts, no scripts: what is in the lock file and nothing else.
        [ -e js/node_modules/.done ] || { (cd js && npm ci --omit=optional --ignore-scripts --no-audit --no-fund --silent) && touch js/node_modules/.done; }
        ;;
    discordpy | hikari)
        [ -e ../../.tools/sim-python/.done ] || {
            python3 -m venv ../../.tools/sim-python
            ../../.tools/sim-python/bin/pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement python/requirements.txt
            touch ../../.tools/sim-python/.done
        }
        ;;
    serenity) (cd serenity && CARGO_TARGET_DIR=$(realpath -m "${SERENITY_TARGET:-$target/sim-serenity}") cargo build --locked --quiet) ;;
    *) echo "run.sh: no client is called $client" >&2 && exit 64 ;;
    esac
done

# Sets `url` to a new simulator's; $1 names it, the rest are its options.
start() {
    local log=$work/$1
    shift
    : >"$log"
    "$sim" sim --listen 127.0.0.1:0 --token "${token:-$SIM_TOKEN}" --shards 2 --guilds-per-shard 3 --seed 7 "$@" >"$log" 2>"$log.err" &
    pids+=($!)
    for _ in $(seq 100); do
        url=$(sed -n 's/^simulated Discord at //p' "$log")
        [ -z "$url" ] || return 0
        sleep 0.1
    done
    cat "$log.err" >&2
    return 1
}

failed=0
passed=0
for client in "${clients[@]}"; do
    # Strict: the verdict judges the library too.
    start "$client" --events-per-second 40 --heartbeat-interval-ms 5000
    export SIM_URL=$url
    # For the refusals: each needs a client of its own, and these know nothing of each other's identifies.
    start "$client-refusals" --events-per-second 5 --identify-window 0ms
    export SIM_REFUSALS_URL=$url
    # These refuse what every library says of itself: its token, its shards, its intents.
    token=another start "$client-401"
    export SIM_401_URL=$url
    start "$client-4010" --shard-multiple 3
    export SIM_4010_URL=$url
    start "$client-4011" --min-shards 4
    export SIM_4011_URL=$url
    start "$client-4014" --disallow-intents 2
    export SIM_4014_URL=$url
    case $client in
    discordjs | ws | oceanic) run=(node "js/$client.mjs") ;;
    discordpy | hikari) run=(../../.tools/sim-python/bin/python "python/${client}_client.py") ;;
    serenity) run=("$(realpath -m "${SERENITY_TARGET:-$target/sim-serenity}")/debug/sim-client-serenity") ;;
    esac
    echo "== $client"
    if timeout 240 "${run[@]}"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$client FAILED" >&2
        tail -n 20 "$work/$client.err" >&2
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
