#!/usr/bin/env bash
# Builds the static binary, and the image from it with buildah, podman or docker, whichever is there first.
#   deploy/image.sh [NAME:TAG]     default rollcall:VERSION, the version of Cargo.toml
# ROLLCALL_STATIC=FILE     a static binary that is built already
# ROLLCALL_SBOM=FILE       what is in it, made already by deploy/sbom.sh (which needs cargo-cyclonedx)
# BUILDER="podman --storage-driver vfs"     the builder, and options of its own
# The last line of its output is the image's name. To push it: buildah push NAME:TAG docker://registry/NAME:TAG
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
name=${1:-rollcall:$version}
target=$(uname -m)-unknown-linux-gnu

binary=${ROLLCALL_STATIC:-}
if [ -z "$binary" ]; then
  # The target is named though it is this machine's: without it the flag would hold for procedural macros too, which
  # cannot be static. A folder of its own, for the flags are not those of other builds. Relative relocations are packed:
  # a static program that may lie anywhere has 900 KB of them, and glibc applies packed ones since 2.36.
  folder=${CARGO_TARGET_DIR:-target}/static
  # Optimized as a whole: a fifteenth smaller than crate by crate, and twice as long in the making.
  CARGO_PROFILE_RELEASE_LTO=fat CARGO_TARGET_DIR=$folder RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs" \
    cargo build --release --locked --bin rollcall --target "$target" >&2
  binary=$folder/$target/release/rollcall
fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp deploy/Dockerfile "$context/Dockerfile"
# Symbols and line tables stay with whoever built it: a fifth of the size, and the image has no debugger. `addr2line` with
# the binary that was kept tells the lines of a backtrace.
objcopy --strip-all "$binary" "$context/rollcall"
# One that asks for a loader would not start in an empty image.
if readelf --program-headers "$context/rollcall" | grep -q INTERP; then
  echo "$binary is not static" >&2
  exit 1
fi
chmod 0555 "$context/rollcall"
if [ -n "${ROLLCALL_SBOM:-}" ]; then
  cp "$ROLLCALL_SBOM" "$context/rollcall.cdx.json"
else
  deploy/sbom.sh "$context/rollcall.cdx.json"
fi
chmod 0444 "$context/rollcall.cdx.json"

builder=()
if [ -n "${BUILDER:-}" ]; then
  read -ra builder <<<"$BUILDER"
else
  for candidate in buildah podman docker; do
    if command -v "$candidate" >/dev/null; then builder=("$candidate") && break; fi
  done
fi
[ ${#builder[@]} -gt 0 ] || { echo "one of buildah, podman and docker is needed" >&2; exit 1; }
label=(--label "org.opencontainers.image.version=$version" --label org.opencontainers.image.licenses=Apache-2.0)
"${builder[@]}" build "${label[@]}" --file "$context/Dockerfile" --tag "$name" "$context" >&2
echo "$name"
