#!/usr/bin/env bash
# Writes what is in the binary, as CycloneDX 1.5: each crate with its version, licence and checksum, from Cargo.lock.
#   deploy/sbom.sh FILE
# Needs cargo-cyclonedx (cargo install cargo-cyclonedx --locked): OWASP's own for Cargo, which reads what cargo resolved
# for one target. A scanner of files would find no crate in a stripped binary.
set -euo pipefail
out=$(realpath -m "$1")
cd "$(dirname "$0")/.."
command -v cargo-cyclonedx >/dev/null || { echo "cargo-cyclonedx is missing: cargo install cargo-cyclonedx --locked" >&2; exit 1; }
target=$(rustc --version --verbose | sed -n 's/^host: //p')
# The tool writes beside Cargo.toml, and nowhere else.
made=rollcall_bin.cdx.json
trap 'rm -f "$made"' EXIT
# The same sources make the same file: no time, no folder of whoever built it.
SOURCE_DATE_EPOCH=0 cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps \
  --target "$target"
here="path+file://$PWD"
jq --compact-output --arg here "$here" 'del(.serialNumber)
  | .metadata.component |= del(.components)
  | (.. | strings | select(startswith($here))) |= "pkg:cargo/" + (split("#")[1] | split(" ")[0])
  | .metadata.component.purl |= split("?")[0]' "$made" >"$out"
