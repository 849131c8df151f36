#!/usr/bin/env bash
# What deploy/sbom.sh lists, held to Cargo.lock, to what cargo would build, and to the binary itself.
#   tests/sbom.sh LIST [ROLLCALL]     ROLLCALL: with its line tables, which name the crates that it is made of
set -euo pipefail
list=$(realpath "$1")
binary=$([ -z "${2:-}" ] || realpath "$2")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
# none WHAT FILE: nothing is in it.
none() {
  [ ! -s "$2" ] || { echo "FAIL $1: $(head -5 "$2" | tr '\n' ';')" && failed=1; }
}

jq -r '.components[] | "\(.name) \(.version)"' "$list" | sort -u >"$work/listed"
[ "$(jq -r '[.bomFormat, .specVersion, .metadata.component.name] | join(" ")' "$list")" = "CycloneDX 1.5 rollcall" ] ||
  { echo "FAIL it is not of rollcall, in CycloneDX 1.5" && failed=1; }
# A folder of whoever built it would make two builds differ, and tell of them.
grep -e "file://" -e "$PWD" "$list" >"$work/folders" || true
none "it names folders" "$work/folders"
jq -r '.components[] | select((.licenses | length) == 0) | .name' "$list" >"$work/unlicensed"
none "without a licence" "$work/unlicensed"

# Each listed crate is the one that Cargo.lock pins, octet for octet.
awk '/^name = /{n=$3} /^version = /{v=$3} /^checksum = /{print n, v, $3}' Cargo.lock | tr -d '"' | sort >"$work/locked"
jq -r '.components[] | "\(.name) \(.version) \(.hashes[]? | select(.alg == "SHA-256") | .content)"' "$list" | sort >"$work/hashes"
[ "$(wc -l <"$work/hashes")" = "$(wc -l <"$work/listed")" ] || { echo "FAIL not every crate has a checksum" && failed=1; }
comm -23 "$work/hashes" "$work/locked" >"$work/foreign"
none "not in Cargo.lock" "$work/foreign"

# Everything that cargo links for this machine is listed.
target=$(rustc --version --verbose | sed -n 's/^host: //p')
cargo tree --locked --edges normal --target "$target" --prefix none --format '{p}' |
  sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/p' | grep -v '^rollcall ' | sort -u >"$work/built"
[ "$(wc -l <"$work/built")" -gt 50 ] || { echo "FAIL cargo tree says little" && failed=1; }
comm -23 "$work/built" "$work/listed" >"$work/missing"
none "built, and not listed" "$work/missing"

# And so is everything whose sources the binary names.
if [ -n "$binary" ]; then
  grep -aoE 'registry/src/[A-Za-z0-9._-]+/[A-Za-z0-9_-]+-[0-9]+\.[A-Za-z0-9.+-]+/' "$binary" |
    sed -E 's|.*/([A-Za-z0-9_-]+)-([0-9]+\..*)/$|\1 \2|' | sort -u >"$work/linked"
  [ "$(wc -l <"$work/linked")" -gt 50 ] || { echo "FAIL the binary names few crates: are its line tables there?" && failed=1; }
  comm -23 "$work/linked" "$work/listed" >"$work/missing"
  none "in the binary, and not listed" "$work/missing"
  echo "$(wc -l <"$work/linked") crates are named in the binary"
fi
echo "$(wc -l <"$work/listed") are listed, $(wc -l <"$work/built") built"
[ "$failed" = 0 ] && echo agrees
