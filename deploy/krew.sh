#!/usr/bin/env bash
# Makes a manifest for krew, kubectl's plugin manager, and the archives that it names, from built binaries.
#
#   deploy/krew.sh VERSION URL OUT ARCH=BINARY...     deploy/krew.sh v0.1.0 https://downloads.example.com/v0.1.0 out amd64=target/release/rollcall
#
# Puts OUT/rollcall-VERSION-linux-ARCH.tar.gz and OUT/rollcall.yaml. Where the archives lie at URL:
#   kubectl krew install --manifest-url=URL/rollcall.yaml
# or, before they do:
#   kubectl krew install --manifest=OUT/rollcall.yaml --archive=OUT/rollcall-VERSION-linux-amd64.tar.gz
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

(($# >= 4)) || { sed -n '2,10p' "${BASH_SOURCE[0]}" >&2; exit 2; }
version=$1 url=${2%/} out=$3
[[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+ ]] || { echo "krew wants a version such as v0.1.0, not $version" >&2; exit 2; }
mkdir -p "$out"

platforms=
for pair in "${@:4}"; do
  arch=${pair%%=*} binary=${pair#*=}
  [[ $pair == *=* && -x $binary ]] || { echo "ARCH=BINARY, of a program: $pair" >&2; exit 2; }
  archive=rollcall-$version-linux-$arch.tar.gz
  work=$(mktemp -d)
  cp "$binary" "$work/rollcall"
  cp "$root/LICENSE" "$work/"
  # The same octets from the same binary: the manifest holds their sum.
  tar --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -c LICENSE rollcall | gzip -n >"$out/$archive"
  rm -r "$work"
  sum=$(sha256sum "$out/$archive")
  platforms+="
  - selector:
      matchLabels:
        os: linux
        arch: $arch
    uri: $url/$archive
    sha256: ${sum%% *}
    bin: rollcall
    files:
    - from: rollcall
      to: .
    - from: LICENSE
      to: ."
done

cat >"$out/rollcall.yaml" <<YAML
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: rollcall
spec:
  version: $version
  homepage: $url
  shortDescription: Say why a headless service's names are not there
  description: |
    Finds what is wrong with headless services and StatefulSets, in manifests
    and in a live cluster: kubectl rollcall check. Prints every name of a
    cluster: kubectl rollcall records.
  platforms:$platforms
YAML
echo "$out/rollcall.yaml"
