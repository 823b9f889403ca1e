#!/usr/bin/env bash
# The board and its provisioning, read by Grafana's own typed models: a field that Grafana does not know,
# or of another type, is found. Every panel's query is tried by 20-prometheus.sh. Needs python3 and pip.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'grafana-foundation-sdk==1769699998!10.1.0' pyyaml
"$work/venv/bin/python" "$root/tests/extra/grafana.py" "$root"
echo "ok: Grafana's models take the board and its provisioning"
