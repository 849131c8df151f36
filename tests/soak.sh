#!/usr/bin/env bash
# Load held: rollcall behind an API server that is played from memory and changes services all the while, at 80 % of the
# rate that it is measured to reach first. Its memory does not grow, and no answer is lost.
#
# Memory: VmRSS every half second; the median of the last quarter of the time may be above that of the second quarter
# (the first is for warming up) by $growth percent and 1 MiB, no more. An octet kept for each question would be 4 MiB in
# a minute at 70,000 a second, 64 octets kept for each change 2 MiB in a minute at 500 a second: both are seen.
# Answers: a question without an answer for a second is lost, unless the answer comes all the same: that is `late`, and the
# machine's doing when it has no time for the server. What the kernel dropped is lost (/proc/net/udp).
#
# Usage: [SECONDS_IN_ALL=1800] [CHANGES=500] [ENDPOINTS=10000] [SHARE=0.8] tests/soak.sh [path of rollcall]
#        ROLLCALL_SMOKE=1: 90 s, of which the first half is for warming up: the third quarter is compared with the last
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR/../bench source=lib.sh
. bench/lib.sh
require_rollcall "${1:-target/release/rollcall}"
warming=1
if [ -n "${ROLLCALL_SMOKE:-}" ]; then : "${SECONDS_IN_ALL:=90}"; warming=2; fi
time=${SECONDS_IN_ALL:-1800} changes=${CHANGES:-500} endpoints=${ENDPOINTS:-10000} share=${SHARE:-0.8} growth=2
[ "$(nproc)" -gt 1 ] || { say "two cores are needed: one for the server, one for the rest"; exit 1; }
build_bench

"$bin/generate" --endpoints "$endpoints" --shape headless --questions 100000 >"$work/questions"
cores[replay]=1
start replay "$bin/replay" --endpoints "$endpoints" --shape headless --rate "$changes"
wait_until replay grep -q '^listening ' "$work/replay.log"
write_kubeconfig "$work/kubeconfig" "$(sed -n 's/^listening //p' "$work/replay.log")"
cat >"$work/rollcall.toml" <<'END'
[limits]
udp_threads = 1
lameduck = 0
END
flags=()
# A snapshot is written while it serves.
! "$rollcall" serve --help | grep -q -e --snapshot || flags=(--snapshot "$work/snapshot")
cores[rollcall]=0
start_rollcall rollcall --kubeconfig "$work/kubeconfig" "${flags[@]}"
server=${addresses[rollcall]} pid=${pids[rollcall]} port=${addresses[rollcall]##*:}

# ask SECONDS WINDOW ARGUMENT…
ask() {
  local seconds=$1 window=$2
  shift 2
  timeout $((seconds + 60)) "$bin/load" --server "$server" --questions "$work/questions" --window "$window" \
    --warm-up 0.5 --seconds "$seconds" --cpu 1 --pid "$pid" "$@"
}
# field KEY LINE: the value of `KEY=`.
field() { local rest=" $2"; rest=${rest#* "$1"=}; echo "${rest%% *}"; }
# Packets that found the buffer full, of all sockets of the port.
drops() { awk -v port="$(printf '%04X' "$port")" '{ split($2, local, ":") } local[2] == port { sum += $NF } END { print sum + 0 }' /proc/net/udp /proc/net/udp6; }

line=$(ask 5 128)
rate=$(awk -v most="$(field qps "$line")" -v share="$share" 'BEGIN { printf "%.0f", most * share }')
say "most: $(field qps "$line") queries/s beside $changes changes a second; held: $rate"

lost_before=$(drops) began=$SECONDS
while kill -0 "$pid" 2>/dev/null; do
  awk -v at="$EPOCHREALTIME" '/^VmRSS/ { print at, $2 }' "/proc/$pid/status" >>"$work/rss" || break
  sleep 0.5
done &
pids[watch]=$!
slice=$((time / 6 < 30 ? time / 6 : 30))
while [ $((SECONDS - began)) -lt "$time" ]; do
  # What is under way fits the socket's buffer: on a busy machine questions come late, and that is in p99, but none is
  # lost by anyone but the server.
  line=$(ask "$slice" 256 --rate "$rate")
  echo "soak at=$((SECONDS - began)) rss=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status") $line" | tee -a "$work/figures" >&2
  # TCP comes and goes beside it.
  tcp=$(ask 1 64 --tcp --sockets 16)
  [ "$(field lost "$tcp") $(field wrong "$tcp") $(field closed "$tcp")" = "0 0 0" ] || { say "TCP: $tcp"; exit 1; }
done
stop watch
kill -0 "$pid"
dropped=$(($(drops) - lost_before))

awk -v growth="$growth" -v warming="$warming" -v dropped="$dropped" -v rate="$rate" '
function field(key, i, pair) { for (i = 2; i <= NF; i++) { split($i, pair, "="); if (pair[1] == key) return pair[2] } }
function middle(from, to, n, i, j, v, list) { for (i = from; i < to; i++) { v = rss[i]; for (j = n; j > 0 && list[j] > v; j--) list[j + 1] = list[j]; list[j + 1] = v; n++ } return list[int((n + 1) / 2)] }
FILENAME ~ /rss$/ { rss[count++] = $2; at[count - 1] = $1; next }
{
  # What is given up when a run ends may be answered behind it: a window at the most, and only where some came late.
  late = field("late"); missing = field("lost") - late; if (late > 0) missing -= 256
  runs++; replies += field("replies"); lost += missing > 0 ? missing : 0; behind += late; wrong += field("wrong"); seconds += field("seconds")
  if (field("noerror") + 0 < 0.9999) wrong++
  p50 = p50 " " field("p50_us"); p99 = p99 " " field("p99_us")
}
END {
  quarter = int(count / 4)
  before = middle(warming * quarter, (warming + 1) * quarter); after = middle(count - quarter, count)
  most = before * (1 + growth / 100) + 1024
  printf "%d questions in %.0f s (%.0f a second), %d lost, %d later than a second, %d dropped by the kernel, %d wrong\n", replies + behind + lost, seconds, replies / seconds, lost, behind, dropped, wrong
  if (replies / seconds < 0.95 * rate) printf "the machine was too busy for %d a second: what was asked less is no proof for that rate\n", rate
  printf "p50, µs:%s\np99, µs:%s\n", p50, p99
  printf "VmRSS over %.0f s: %.1f MiB in the %s quarter, %.1f MiB in the last (at most %.1f)\n", at[count - 1] - at[0], before / 1024, warming == 1 ? "second" : "third", after / 1024, most / 1024
  exit !(runs > 0 && quarter > 4 && lost == 0 && dropped == 0 && wrong == 0 && after <= most)
}' "$work/rss" "$work/figures"
