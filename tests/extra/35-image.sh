#!/usr/bin/env bash
# The Dockerfile, built by buildah and run: both stages on bases made by debootstrap, since no image
# registry is asked. The build stage is given this machine's toolchain and sources of crates, and does not
# optimise. Then: as whom it runs, its labels, its health command, its end on SIGTERM.
# The build stage takes long, and so the debug binary takes its place unless WHOLE=1; SHARDFLEET names
# another.
# Installs Debian's buildah and debootstrap where they are missing; needs root.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
[ -n "${WHOLE:-}" ] || SHARDFLEET=${SHARDFLEET:-$target/debug/shardfleet}
fail() { echo "FAILED: $*" >&2; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
[ "$(uname -s)" = Linux ] || skip "images are built on Linux"
[ "$(id -u)" = 0 ] || skip "debootstrap and buildah's chroot need root"
if ! command -v buildah >/dev/null || ! command -v debootstrap >/dev/null; then
  apt-get -qq update
  DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends buildah debootstrap
fi
unshare --net true 2>/dev/null || skip "no network namespace is allowed here"

work=$(mktemp -d)
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
buildah() { command buildah --root "$work/storage" --runroot "$work/run" "$@"; }
finish() {
  buildah rm --all >/dev/null 2>&1 || true
  # Storage of the overlay kind is mounted on itself.
  umount "$work/storage/overlay" 2>/dev/null || true
  rm -rf "$work" || true
}
trap finish EXIT

# The bases, under the names that the Dockerfile calls them by.
mapfile -t from < <(sed -nE 's/^FROM ([^ ]+).*/\1/p' "$root/Dockerfile")
[ "${#from[@]}" = 2 ] || fail "the Dockerfile has ${#from[@]} stages: ${from[*]}"
release=${from[1]#debian:}; release=${release%-slim}
debootstrap --variant=minbase "$release" "$work/base" >"$work/log" 2>&1 || { tail -n 5 "$work/log"; fail "debootstrap"; }
container=$(buildah from scratch)
buildah add -q "$container" "$work/base" / >/dev/null
buildah commit -q "$container" "docker.io/library/${from[1]}" >/dev/null
# rust:…-slim is the same with gcc and certificates; its toolchain is mounted below.
chroot "$work/base" apt-get -qq install -y --no-install-recommends ca-certificates gcc libc6-dev >"$work/log" 2>&1 ||
  { tail -n 5 "$work/log"; fail "gcc for the build stage"; }
buildah add -q "$container" "$work/base" / >/dev/null
for setting in PATH=/toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin CARGO_HOME=/cargo CARGO_NET_OFFLINE=true \
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64 \
  CARGO_PROFILE_RELEASE_DEBUG=0 CARGO_PROFILE_RELEASE_INCREMENTAL=false; do
  buildah config --env "$setting" "$container"
done
buildah commit -q --rm "$container" "docker.io/library/${from[0]}" >/dev/null

file=$root/Dockerfile
if [ -n "${SHARDFLEET:-}" ]; then
  container=$(buildah from --pull-never "docker.io/library/${from[0]}")
  buildah copy -q "$container" "$SHARDFLEET" /src/target/release/shardfleet >/dev/null
  buildah commit -q --rm "$container" docker.io/library/built >/dev/null
  { echo "FROM built AS build"; sed -n "/^FROM ${from[1]}/,\$p" "$root/Dockerfile"; } >"$work/Dockerfile"
  file=$work/Dockerfile
fi
cargo fetch --quiet --locked --manifest-path "$root/Cargo.toml"
home=${CARGO_HOME:-$HOME/.cargo}
started=$SECONDS
buildah bud --pull-never --format docker -t shardfleet -f "$file" \
  -v "$(cd "$root" && rustc --print sysroot):/toolchain:ro" -v "$home/registry:/cargo/registry" "$root" >"$work/log" 2>&1 ||
  { tail -n 30 "$work/log"; fail "the image does not build"; }
echo "built in $((SECONDS - started)) s"

# What it says of itself.
buildah inspect --type image shardfleet >"$work/image.json"
python3 - "$work/image.json" "$work/health" <<'PY'
import json, sys
config = json.load(open(sys.argv[1]))["Docker"]["config"]
labels = {key.rsplit(".", 1)[1] for key in config["Labels"] if key.startswith("org.opencontainers.image.")}
assert labels >= {"title", "description", "licenses"}, labels
assert config["User"] == "65532:65532", config["User"]
assert config["Entrypoint"] == ["shardfleet"] and config["Cmd"] == ["gateway"], config
assert "9600/tcp" in config["ExposedPorts"] and config["StopSignal"] in ("SIGTERM", "15"), config
assert not [one for one in config["Env"] if "TOKEN" in one or "PASSWORD" in one], config["Env"]
kind, *health = config["Healthcheck"]["Test"]
assert kind == "CMD", kind
open(sys.argv[2], "w").write("\0".join(health))
PY

container=$(buildah from --pull-never shardfleet)
# It would read the rest of a script that comes by stdin.
inside() { buildah run "$container" -- "$@" </dev/null; }
[ "$(inside id -u):$(inside id -g)" = 65532:65532 ] || fail "it runs as $(inside id)"
inside sh -c 'echo x > /usr/local/bin/shardfleet' 2>/dev/null && fail "it may change its own binary"
inside test -s /etc/ssl/certs/ca-certificates.crt || fail "there are no certificates to check Discord's with"
inside sh -c '! command -v gcc && ! command -v cargo' || fail "the build's tools are in the image"
said=$(inside shardfleet --version)
[ "$said" = "shardfleet $(sed -nE 's/^version = "(.*)"/\1/p' "$root/Cargo.toml" | head -n 1)" ] || fail "it says $said"

# A network of its own, so that port 9600 is free. NATS is away: a live process is healthy all the same.
export -f buildah inside fail
export work container
unshare --net bash -euo pipefail /dev/fd/3 3<<'SH'
python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x41))'
mapfile -t -d '' health <"$work/health"
inside "${health[@]}" 2>/dev/null && fail "healthy before it runs"
buildah run --env DISCORD_TOKEN=simulated "$container" -- shardfleet gateway </dev/null >"$work/gateway.log" 2>&1 &
gateway=$!
for _ in $(seq 1 150); do
  inside "${health[@]}" 2>/dev/null && break
  kill -0 "$gateway" 2>/dev/null || { cat "$work/gateway.log"; fail "the gateway ended"; }
  sleep 0.2
done
inside "${health[@]}" || { cat "$work/gateway.log"; fail "not healthy within 30 s"; }
for process in /proc/[0-9]*; do
  [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$(readlink /proc/self/ns/net)" ] || continue
  [ "$(cat "$process/comm" 2>/dev/null)" = shardfleet ] && pid=${process#/proc/}
done
[ -n "${pid:-}" ] || fail "no shardfleet runs"
[ "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" = 65532 ] || fail "it runs as another user"
kill -TERM "$pid"
code=0; wait "$gateway" || code=$?
[ "$code" = 0 ] || { cat "$work/gateway.log"; fail "it ended with $code on SIGTERM"; }
inside "${health[@]}" 2>/dev/null && fail "healthy after its end"
echo healthy >"$work/told"
SH
[ -s "$work/told" ] || fail "its life was not looked at to the end"
echo "ok: the image builds, runs as nobody in particular, tells its health, and ends when asked"
