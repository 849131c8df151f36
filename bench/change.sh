#!/usr/bin/env bash
# From the API server's acknowledgement of a change to the first right answer: rollcall beside CoreDNS (kubeadm's
# `kubernetes` plugin), on one API server, on the same changes; idle, and while other changes go on. Starts etcd and
# an API server of its own; the first time their building takes some 20 minutes (tests/cluster/build.sh).
# Usage: [ROUNDS=3] [CHANGES=200] [RATES=0,100,1000] [SERVICES=100] bench/change.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. bench/lib.sh
require_rollcall "${1:-target/release/rollcall}"
rounds=${ROUNDS:-3} changes=${CHANGES:-200} rates=${RATES:-0,100,1000} services=${SERVICES:-100}
build_bench
start_control_plane
start_rollcall rollcall --kubeconfig "$kubeconfig"
start_coredns coredns

echo "$("$rollcall" --version) beside $("$programs/coredns" -version | head -n 1), $("$programs/kube-apiserver" --version)"
echo "$rounds rounds of $changes changes; nothing is pinned: etcd, API server, both servers and the clients share $(nproc) cores"
echo
"$bin/change" --kubeconfig "$kubeconfig" --rounds "$rounds" --changes "$changes" --rates "$rates" --services "$services" \
  --server "rollcall=${addresses[rollcall]}" --server "CoreDNS=${addresses[coredns]}"
