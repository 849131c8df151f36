#!/usr/bin/env bash
# Memory and start by the size of the cluster, rollcall beside CoreDNS on one API server that grows from size to size;
# then rollcall's lookups in a large cluster beside those in a small one.
# Usage: [SIZES=10000,100000,1000000] [ROUNDS=3] [LARGE_ROUNDS=2] [SETTLE=10] [LATER=0] [BOUND=300]
#        [LOOKUPS=1000,1000000] [LOOKUP_ROUNDS=5] [DURATION=3] [OUT=bench/results] bench/scale.sh [path of rollcall]
# ROLLCALL_SMOKE=1: 10,000 and 100,000 endpoints once, lookups among 100,000, in two or three minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. bench/lib.sh
require_rollcall "${1:-target/release/rollcall}"
if [ -n "${ROLLCALL_SMOKE:-}" ]; then
  : "${SIZES:=10000,100000}" "${ROUNDS:=1}" "${SETTLE:=3}" "${LOOKUPS:=1000,100000}" "${LOOKUP_ROUNDS:=2}" "${DURATION:=2}"
  : "${OUT:=$work/results}"
fi
# Nothing at all is measured of an empty list.
IFS=, read -ra sizes <<<"${SIZES-10000,100000,1000000}"
IFS=, read -ra lookups <<<"${LOOKUPS-1000,1000000}"
rounds=${ROUNDS:-3} large_rounds=${LARGE_ROUNDS:-2} settle=${SETTLE:-10} later=${LATER:-0} bound=${BOUND:-300}
lookup_rounds=${LOOKUP_ROUNDS:-5} duration=${DURATION:-3} out=${OUT:-bench/results}
build_bench
figures=$work/figures

# figure LINE: on standard output as it comes, and into the tables.
figure() { echo "$1" | tee -a "$figures"; }

# measure SIZE SERVER ADDRESS COMMAND…: one start of it.
measure() {
  local size=$1 server=$2 address=$3 line name right
  shift 3
  read -r name right <<<"$("$bin/generate" --endpoints "$size" --question)"
  line=$("$bin/scale" run --name "$server" --size "$size" --server "$address" --question "$name" "$right" \
    --settle "$settle" --later "$later" --bound "$bound" --log "$work/$server.log" -- "$@") || {
    tail -n 5 "$work/$server.log" >&2
    return 1
  }
  figure "$line"
}

# is_told NAME: whether the API server's cache has the slices behind a pod's name.
is_told() {
  local service namespace
  IFS=. read -r _ service namespace _ <<<"$1"
  "$programs/kubectl" --kubeconfig "$kubeconfig" get --raw \
    "/apis/discovery.k8s.io/v1/namespaces/$namespace/endpointslices?resourceVersion=0" | grep -q "\"$service-"
}

# CoreDNS took 2.4 KiB an endpoint beside 20 MiB, at its start half as much again; the API server needs its own.
is_room_for_coredns() { [ $(($(awk '/^MemAvailable/ {print $2}' /proc/meminfo))) -gt $(($1 * 4 + (1 << 20))) ]; }

if [ ${#sizes[@]} -gt 0 ]; then
  start_control_plane
  cat >"$work/rollcall.toml" <<'END'
pods = "insecure"
admin = "off"
[limits]
lameduck = 0
END
  populated=0 coredns_left_out=
  for size in "${sizes[@]}"; do
    say "$size endpoints: $("$bin/populate" --etcd "$etcd" --endpoints "$size" --from "$populated")"
    populated=$size
    read -r name _ <<<"$("$bin/generate" --endpoints "$size" --question)"
    patience=$bound wait_until kube-apiserver is_told "$name"
    # What it has yet to tidy up is not to slow the first start.
    sleep "$settle"
    runs=$rounds
    [ "$size" -le 500000 ] || runs=$large_rounds
    for _ in $(seq "$runs"); do
      address=127.0.0.1:$(free_port)
      # As in its image (deploy/Dockerfile).
      measure "$size" rollcall "$address" env MALLOC_ARENA_MAX=2 "$rollcall" serve --config "$work/rollcall.toml" \
        --kubeconfig "$kubeconfig" --listen "$address"
      [ -z "$coredns_left_out" ] || continue
      if ! is_room_for_coredns "$size"; then
        coredns_left_out="CoreDNS from $size endpoints on, for want of memory"
      else
        port=$(free_port)
        write_corefile "$work/Corefile" "$port" "$kubeconfig"
        measure "$size" CoreDNS "127.0.0.1:$port" "$programs/coredns" -conf "$work/Corefile" ||
          coredns_left_out="CoreDNS from $size endpoints on: no right answer within $bound s"
      fi
      [ -z "$coredns_left_out" ] || figure "left-out $coredns_left_out"
    done
  done
  about="$("$rollcall" --version) beside $("$programs/coredns" -version | head -n 1), $("$programs/kube-apiserver" --version)."
  stop kube-apiserver
  stop etcd
  rm -rf "$work/etcd"
fi

# Two servers that know all of their names at once, each on core 0 in its turn, and the generator on core 1. Each has
# its cluster from an API server that is played from memory, and idle from then on. All services are headless there, so
# that an endpoint is a name; both are asked as many questions of packets of their own, so that the generator's memory
# is as large for both.
if [ ${#lookups[@]} -gt 0 ]; then
  cores_there=$(nproc)
  load_core=$((cores_there > 1 ? 1 : 0))
  [ "$load_core" -gt 0 ] || say "one core only: server and generator share it, the figures say little"
  for size in "${lookups[@]}"; do
    name=rollcall-$size
    cat >"$work/$name.toml" <<'END'
admin = "off"
[limits]
udp_threads = 1
END
    cores[replay-$size]=$load_core
    start "replay-$size" "$bin/replay" --endpoints "$size" --shape headless
    patience=$bound wait_until "replay-$size" grep -q '^listening ' "$work/replay-$size.log"
    write_kubeconfig "$work/kubeconfig-$size" "$(sed -n 's/^listening //p' "$work/replay-$size.log")"
    "$bin/generate" --endpoints "$size" --shape headless --questions 500000 >"$work/$name.questions"
    cores[$name]=0
    patience=$bound start_rollcall "$name" --kubeconfig "$work/kubeconfig-$size"
  done
  for _ in $(seq "$lookup_rounds"); do
    for size in "${lookups[@]}"; do
      name=rollcall-$size
      line=$(timeout $((duration + 60)) "$bin/load" --server "${addresses[$name]}" --questions "$work/$name.questions" \
        --warm-up 2 --cpu "$load_core" --pid "${pids[$name]}" --seconds "$duration")
      figure "lookups size=$size $line"
    done
  done
fi

mkdir -p "$out"
cp "$figures" "$out/scale.txt"
heading="# Scale

$(date -u +%F). ${about:-$("$rollcall" --version).} $(nproc) cores, $(awk '/^MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo), \
Linux $(uname -r | cut -d. -f1,2). Made by \`bench/scale.sh\`: services of 10 endpoints, VmRSS ${settle} s after the first right answer."
echo
"$bin/scale" report --figures "$figures" --heading "$heading" --markdown "$out/scale.md" --svg "$out/scale.svg"
