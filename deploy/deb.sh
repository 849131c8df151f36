#!/usr/bin/env bash
# Makes the Debian package of a release binary that is built already: the binary, the systemd unit, the configuration,
# manual pages, completions, the pages of docs/, and what is in the binary (deploy/sbom.sh).
#   deploy/deb.sh [ROLLCALL] [FOLDER]     default target/release/rollcall, target/debian
# Needs cargo-deb and cargo-cyclonedx (cargo install … --locked). The last line of its output is the package's path.
set -euo pipefail
rollcall=$(realpath "${1:-$(dirname "$0")/../target/release/rollcall}")
folder=$(realpath -m "${2:-$(dirname "$0")/../target/debian}")
cd "$(dirname "$0")/.."
command -v cargo-deb >/dev/null || { echo "cargo-deb is missing: cargo install cargo-deb --locked" >&2; exit 1; }

# cargo-deb takes what is not in the repository from here ([package.metadata.deb] in Cargo.toml).
made=deploy/debian/made
work=$(mktemp -d)
trap 'rm -rf "$work" "$made"' EXIT
mkdir -p "$made/man" "$made/completions" "$work/release" "$work/made" "$folder"
deploy/sbom.sh "$made/rollcall.cdx.json"
"$rollcall" man --dir "$made/man" >/dev/null
"$rollcall" completions bash >"$made/completions/rollcall"
"$rollcall" completions zsh >"$made/completions/_rollcall"
"$rollcall" completions fish >"$made/completions/rollcall.fish"
# Symbols and line tables stay with whoever built it, as in the image.
objcopy --strip-all "$rollcall" "$work/release/rollcall"
env -u CARGO_BUILD_TARGET -u RUSTFLAGS CARGO_TARGET_DIR="$work" \
  cargo deb --quiet --no-build --no-strip --output "$work/made/" >&2
for package in "$work"/made/*.deb; do
  mv "$package" "$folder/"
  echo "$folder/$(basename "$package")"
done
