#!/usr/bin/env bash
# Builds a real Kubernetes control plane, kwok and CoreDNS with the Go toolchain, once: about 20 minutes on two
# cores. Prints the folder that holds the programs.
#   tests/cluster/build.sh [CACHE]    CACHE: where builds are kept (default ~/.cache/rollcall-ci)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${1:-${ROLLCALL_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rollcall-ci}}

kwok=v0.7.0 coredns=v1.14.7
kubernetes=$(sed -n 's#^require k8s.io/kubernetes v##p' "$here/control-plane/go.mod")

# Another toolchain, another version, another build.
key=$({ go version; cat "$here/control-plane/go.sum"; echo "$kwok $coredns"; } | sha256sum | cut -c1-16)
bin=$cache/cluster-$key/bin
mkdir -p "$bin"
export GOMODCACHE=${GOMODCACHE:-$cache/go/mod} GOCACHE=${GOCACHE:-$cache/go/build} GOFLAGS=-modcacherw

# Built beside, then renamed: what is there is whole.
program() {
  local name=$1
  shift
  [ ! -x "$bin/$name" ] || return 0
  echo "building $name" >&2
  "$@" >&2
  mv "$bin/.new/$name" "$bin/$name"
}
control_plane() {
  local stamp=k8s.io/component-base/version
  (cd "$here/control-plane" && go build -mod=readonly -trimpath -o "$bin/.new/$1" \
    -ldflags "-s -w -X $stamp.gitVersion=v$kubernetes -X $stamp.gitMajor=1 -X $stamp.gitMinor=34" "$2")
}
installed() { GOBIN=$bin/.new go install "$1"; }
rm -rf "$bin/.new" && mkdir "$bin/.new"
program coredns installed "github.com/coredns/coredns@$coredns"
program kwok installed "sigs.k8s.io/kwok/cmd/kwok@$kwok"
program etcd control_plane etcd go.etcd.io/etcd/server/v3
for name in kube-apiserver kube-controller-manager kube-scheduler kubectl; do
  program "$name" control_plane "$name" "k8s.io/kubernetes/cmd/$name"
done
rm -rf "$bin/.new"
echo "$bin"
