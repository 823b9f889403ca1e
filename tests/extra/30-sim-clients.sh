#!/usr/bin/env bash
# The cut of `make sim-clients` that ordinary runs make: one library in JavaScript, one in Python.
# What cannot be installed is a failure, not a skip.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec tests/sim_clients/run.sh discordjs discordpy
