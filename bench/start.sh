#!/usr/bin/env bash
# 100,000 endpoints from one dump, as JSON and as YAML, and from a snapshot without an API server: seconds to `ready` and
# to the first right answer, and memory. Then the memory that a relist of them takes for as long as it lasts; exit 1 where
# that is more than 1.3 times what there was.
# Usage: [ENDPOINTS=100000] [RUNS=3] [SNAPSHOT_RUNS=11] [RELISTS=RUNS] bench/start.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. bench/lib.sh
require_rollcall "${1:-target/release/rollcall}"
# As the image and the systemd unit set it.
export MALLOC_ARENA_MAX=2
endpoints=${ENDPOINTS:-100000} runs=${RUNS:-3} snapshot_runs=${SNAPSHOT_RUNS:-11} relists=${RELISTS:-$runs}
build_bench

# A folder of its own: the server follows the folder of its file.
mkdir "$work/dumps"
"$bin/generate" --endpoints 0 >"$work/dumps/empty.json"
baseline=$("$bin/start" --server "$rollcall" --label empty --runs 1 --memory-only -- --manifests "$work/dumps/empty.json")

echo "$endpoints endpoints, $runs starts from each dump and $snapshot_runs from a snapshot; median (least–most)"
echo "an endpoint's octets are VmRSS without the $((baseline / 1024)) MiB of a server that has none"
echo
echo "| from | seconds to \`ready\` | to the first right answer | VmHWM, MiB | VmRSS, MiB | octets an endpoint |"
echo "|---|---|---|---|---|---|"

# starts LABEL PER_SERVICE RUNS ARGUMENT…: a row.
starts() {
  local label=$1 per_service=$2 runs=$3 name address
  shift 3
  read -r name address <<<"$("$bin/generate" --endpoints "$endpoints" --per-service "$per_service" --question)"
  "$bin/start" --server "$rollcall" --label "$label, services of $per_service" --question "$name" "$address" \
    --endpoints "$endpoints" --baseline "$baseline" --runs "$runs" -- "$@"
}

for shape in "10 json" "10 yaml" "1000 json"; do
  read -r per_service format <<<"$shape"
  dump=$work/dumps/dump.$format
  "$bin/generate" --endpoints "$endpoints" --per-service "$per_service" --format "$format" >"$dump"
  starts "$format, $(($(stat -c %s "$dump") >> 20)) MiB" "$per_service" "$runs" --manifests "$dump"
  rm -f "$dump"
done

# The same cluster from an API server that is played, for only a server that follows one keeps a snapshot.
start replay "$bin/replay" --endpoints "$endpoints" --per-service 10
wait_until replay grep -q '^listening ' "$work/replay.log"
write_kubeconfig "$work/kubeconfig" "$(sed -n 's/^listening //p' "$work/replay.log")"
snapshot=$work/snapshot
cat >"$work/rollcall.toml" <<'END'
[limits]
lameduck = 0
relist = 10
[snapshot]
interval = 1
END
start_rollcall rollcall --kubeconfig "$work/kubeconfig" --snapshot "$snapshot"
wait_until rollcall [ -e "$snapshot" ]

# compared: lists of EndpointSlices that were made beside their watch so far.
compared() {
  curl -sf "http://$admin/metrics" | awk '/^rollcall_relists_total.*EndpointSlice/ { n += $2 } END { print n + 0 }'
}
is_compared_again() { [ "$(compared)" -gt "$before" ]; }
kib() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/${pids[rollcall]}/status"; }
admin=$(sed -n 's/^listening admin //p' "$work/rollcall.log")
measured='' is_doubled=
for _ in $(seq "$relists"); do
  before=$(compared) least=$(kib VmRSS)
  # The peak from here on.
  echo 5 >"/proc/${pids[rollcall]}/clear_refs"
  patience=200 wait_until rollcall is_compared_again
  most=$(kib VmHWM)
  measured+=$(awk -v before="$least" -v most="$most" -v after="$(kib VmRSS)" \
    'BEGIN { printf "| %.1f | %.1f | %.1f | %.2f |", before / 1024, most / 1024, after / 1024, most / before }')$'\n'
  [ $((most * 10)) -lt $((least * 13)) ] || is_doubled=1
done

stop rollcall
stop replay
starts "snapshot, $(awk -v n="$(stat -c %s "$snapshot")" 'BEGIN { printf "%.1f", n / 1048576 }') MiB" 10 "$snapshot_runs" \
  --kubeconfig "$work/kubeconfig" --snapshot "$snapshot"

echo
echo "Everything listed anew beside the watches, $endpoints endpoints in services of 10:"
echo
echo "| VmRSS before, MiB | most | after | most by before |"
echo "|---|---|---|---|"
echo -n "$measured"
if [ -n "$is_doubled" ]; then
  say "a relist took more than 1.3 times the memory"
  exit 1
fi
