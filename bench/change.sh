#!/usr/bin/env bash
# From a change to the first right answer: rollcall beside CoreDNS (kubeadm's `kubernetes` plugin), on the same changes;
# idle, and while other changes go on. Twice: on an API server of its own (the first time its building takes some 20
# minutes: tests/cluster/build.sh), from its acknowledgement; and on one that is played from memory, from the moment
# that the change was written to the watches, where other changes come at a rate that no small API server reaches.
# Usage: [ROUNDS=3] [CHANGES=200] [RATES=0,100,1000] [SERVICES=100] [REPLAYED_RATES=0,100,1000,5000]
#        [REPLAYED_SERVICES=1000] [LARGE_RATES=0,1000,2000] bench/change.sh [path of rollcall]
# RATES=, REPLAYED_RATES= or LARGE_RATES= (services of a hundred endpoints, played) leaves its part out.
# ROLLCALL_SMOKE=1: one round of 50 changes each.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. bench/lib.sh
require_rollcall "${1:-target/release/rollcall}"
if [ -n "${ROLLCALL_SMOKE:-}" ]; then : "${ROUNDS:=1}" "${CHANGES:=50}" "${RATES=0,100}" "${REPLAYED_RATES=0,1000}" "${LARGE_RATES=1000}"; fi
rounds=${ROUNDS:-3} changes=${CHANGES:-200} rates=${RATES-0,100,1000} services=${SERVICES:-100}
replayed_rates=${REPLAYED_RATES-0,100,1000,5000} replayed_services=${REPLAYED_SERVICES:-1000}
large_rates=${LARGE_RATES-0,1000,2000}
build_bench
find_programs

echo "$("$rollcall" --version) beside $("$programs/coredns" -version | head -n 1), $("$programs/kube-apiserver" --version)"
echo "$rounds rounds of $changes changes; nothing is pinned: API server, both servers and the clients share $(nproc) cores"
if [ -n "$rates" ]; then
  start_control_plane
  start_rollcall rollcall --kubeconfig "$kubeconfig"
  start_coredns coredns
  echo
  "$bin/change" --kubeconfig "$kubeconfig" --rounds "$rounds" --changes "$changes" --rates "$rates" --services "$services" \
    --server "rollcall=${addresses[rollcall]}" --server "CoreDNS=${addresses[coredns]}"
  for name in rollcall coredns kube-apiserver etcd; do stop "$name"; done
fi

# replayed SERVICES ENDPOINTS RATES: the part that is played, with changes of services of so many endpoints.
replayed() {
  local services=$1 each=$2 rates=$3 played
  played=127.0.0.1:$(free_port)
  ports[rollcall]=$(free_port) ports[coredns]=$(free_port)
  write_kubeconfig "$work/replayed" "$played"
  start change "$bin/change" --replay "$played" --floor --rounds "$rounds" --changes "$changes" --rates "$rates" \
    --services "$services" --per-service "$each" --server "rollcall=127.0.0.1:${ports[rollcall]}" \
    --server "CoreDNS=127.0.0.1:${ports[coredns]}"
  start_rollcall rollcall --kubeconfig "$work/replayed"
  start_coredns coredns "$work/replayed"
  printf '\nAn API server played from memory; the other changes are of one of %s endpoints each of %s services in turn.\n\n' "$each" "$services"
  wait "${pids[change]}" || { cat "$work/change.log" >&2; exit 1; }
  cat "$work/change.log"
  # Where it went: what each server took of the processor in all, for the same changes and questions.
  for name in rollcall coredns; do
    awk -v name="$name" '{ sub(/.*\) /, ""); printf "%s: %.1f s of processor time in this part\n", name, ($12 + $13) / 100 }' \
      "/proc/${pids[$name]}/stat"
    stop "$name"
  done
}

[ -z "$replayed_rates" ] || replayed "$replayed_services" 10 "$replayed_rates"
# Where services are large an event is, too: what changed of it is as little as before.
[ -z "$large_rates" ] || replayed 100 100 "$large_rates"
