#!/usr/bin/env bash
# Readers beside a writer: latencies of rollcall's UDP answers while so many services a second change, against those
# without changes, in turn (quiet, changing, quiet, …). Questions come at a moderate rate and count from the moment
# that they are due. The API server is played from memory (`replay`).
#
# Of two cores the generator has core 1, which it looks on without a pause, with the replay beside it (some percent). The server is
#   core0: whole on core 0, so that what takes in the changes and what answers share one core;
#   free:  its UDP thread on core 0, its other threads where the kernel puts them, beside the generator.
#
# Usage: [CHANGES=1000] [RATE=20000] [ROUNDS=5] [DURATION=10] [ENDPOINTS=10000] [PLACEMENTS="core0 free"]
#        [OUT=bench/results] bench/writer.sh [path of rollcall]; ROLLCALL_SMOKE=1: two rounds of 5 s, core0 only.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. bench/lib.sh
require_rollcall "${1:-target/release/rollcall}"
if [ -n "${ROLLCALL_SMOKE:-}" ]; then : "${ROUNDS:=2}" "${DURATION:=5}" "${PLACEMENTS:=core0}" "${OUT:=$work/results}"; fi
changes=${CHANGES:-1000} rate=${RATE:-20000} rounds=${ROUNDS:-5} duration=${DURATION:-10} endpoints=${ENDPOINTS:-10000}
out=${OUT:-bench/results}
read -ra placements <<<"${PLACEMENTS:-core0 free}"
[ "$(nproc)" -gt 1 ] || { say "two cores are needed: one for the server, one for the generator"; exit 1; }
build_bench

"$bin/generate" --endpoints "$endpoints" --shape headless --questions 200000 >"$work/questions"
mkfifo "$work/control"
# Both ends: neither waits for the other to be opened.
exec {control}<>"$work/control"
cores[replay]=1
start replay "$bin/replay" --endpoints "$endpoints" --shape headless --control "$work/control"
wait_until replay grep -q '^listening ' "$work/replay.log"
write_kubeconfig "$work/kubeconfig" "$(sed -n 's/^listening //p' "$work/replay.log")"
cat >"$work/rollcall.toml" <<'END'
admin = "off"
[limits]
udp_threads = 1
lameduck = 0
END

# change_at RATE: from now on; says what was reached before.
change_at() {
  local before
  before=$(grep -c '^rate=' "$work/replay.log" || true)
  echo "rate $1" >&"$control"
  until [ "$(grep -c '^rate=' "$work/replay.log" || true)" -gt "$before" ]; do sleep 0.02; done
  tail -n 1 "$work/replay.log"
}

# Ticks that all cores were busy since the machine started, and what a second has of them for each core.
busy_ticks() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8 + $9 }' /proc/stat; }
ticks_a_second=$(getconf CLK_TCK)

for placement in "${placements[@]}"; do
  case $placement in core0) cores[rollcall]=0 ;; free) cores[rollcall]=0-1 ;; *) say "no such placement: $placement"; exit 1 ;; esac
  start_rollcall rollcall --kubeconfig "$work/kubeconfig"
  if [ "$placement" = free ]; then
    for task in "/proc/${pids[rollcall]}/task"/*; do
      case $(cat "$task/comm") in udp-*) taskset -cp 0 "${task##*/}" >/dev/null ;; esac
    done
  fi
  for round in $(seq "$rounds"); do
    for phase in quiet changing; do
      [ "$phase" = quiet ] || change_at "$changes" >/dev/null
      busy=$(busy_ticks) begin=$EPOCHREALTIME
      line=$(timeout $((duration + 30)) "$bin/load" --server "${addresses[rollcall]}" --questions "$work/questions" \
        --rate "$rate" --seconds "$duration" --warm-up 1 --window 4096 --cpu 1 --pid "${pids[rollcall]}")
      busy=$(awk -v ticks="$(($(busy_ticks) - busy))" -v each="$ticks_a_second" -v begin="$begin" -v end="$EPOCHREALTIME" \
        'BEGIN { printf "%.0f", 100 * ticks / each / (end - begin) }')
      reached=0
      [ "$phase" = quiet ] || reached=$(change_at 0 | sed 's/.*reached=\([0-9]*\).*/\1/')
      echo "writer placement=$placement round=$round phase=$phase reached=$reached machine_percent=$busy $line" | tee -a "$work/figures"
    done
  done
  stop rollcall
done

mkdir -p "$out"
cp "$work/figures" "$out/writer.txt"
echo "# Readers beside a writer

$(date -u +%F). $("$rollcall" --version), $(nproc) cores, Linux $(uname -r | cut -d. -f1,2). Made by \`bench/writer.sh\`: $endpoints \
endpoints in services of 10, $rate questions a second, phases of $duration s in turn; median (least–most)." >"$work/heading"
awk '
function field(key, i, pair) { for (i = 2; i <= NF; i++) { split($i, pair, "="); if (pair[1] == key) return pair[2] } }
function middle(n, i, j, v) { for (i = 2; i <= n; i++) { v = list[i]; for (j = i - 1; j > 0 && list[j] > v; j--) list[j + 1] = list[j]; list[j + 1] = v } return list[int((n + 1) / 2)] }
function said(place, phase, key, form, n, i) { n = rounds[place]; for (i = 1; i <= n; i++) list[i] = value[place, phase, key, i]; v = middle(n); return sprintf(form " (" form "–" form ")", v, list[1], list[n]) }
{
  place = field("placement"); phase = field("phase"); round = field("round"); if (!(place in rounds)) places[++count] = place
  rounds[place] = round
  for (i = split("p50_us p90_us p99_us p99.9_us p99.99_us most_us lost wrong reached server_percent busy_percent machine_percent qps", keys, " "); i > 0; i--) value[place, phase, keys[i], round] = field(keys[i]) + 0
  others = value[place, phase, "machine_percent", round] - value[place, phase, "server_percent", round] - value[place, phase, "busy_percent", round]
  value[place, phase, "others", round] = others > 0 ? others : 0; if (others > 20) disturbed++
  turns++
  if (field("wrong") + 0 > 0 || field("noerror") + 0 < 0.9999) bad = 1
}
END {
  print "\n| server | | changes/s | queries/s | p50, µs | p99, µs | p99.9, µs | p99.99, µs | most, µs | lost | server, % of a core | others, % |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
  for (c = 1; c <= count; c++) {
    place = places[c]
    for (p = 1; p <= 2; p++) {
      phase = p == 1 ? "quiet" : "changing"; lost = 0
      for (i = 1; i <= rounds[place]; i++) lost += value[place, phase, "lost", i]
      printf "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %d | %s | %s |\n", place, phase, said(place, phase, "reached", "%.0f"), said(place, phase, "qps", "%.0f"), said(place, phase, "p50_us", "%.0f"), said(place, phase, "p99_us", "%.0f"), said(place, phase, "p99.9_us", "%.0f"), said(place, phase, "p99.99_us", "%.0f"), said(place, phase, "most_us", "%.0f"), lost, said(place, phase, "server_percent", "%.0f"), said(place, phase, "others", "%.0f")
    }
    for (k = split("p50_us p99_us p99.9_us p99.99_us most_us", ratios, " "); k > 0; k--) for (i = 1; i <= rounds[place]; i++) value[place, "ratio", ratios[k], i] = value[place, "changing", ratios[k], i] / value[place, "quiet", ratios[k], i]
    printf "| %s | **changing / quiet**, round by round | | | %s | %s | %s | %s | %s | | | |\n", place, said(place, "ratio", "p50_us", "%.2f"), said(place, "ratio", "p99_us", "%.2f"), said(place, "ratio", "p99.9_us", "%.2f"), said(place, "ratio", "p99.99_us", "%.2f"), said(place, "ratio", "most_us", "%.2f")
  }
  if (disturbed) printf "\nIn %d of %d phases others took more than a fifth of a core (the replay takes some percent): the tail is theirs.\n", disturbed, turns
  if (bad) print "\nnot every reply was right"
  if (count) print "\ngoal: p99.99 while services change at most twice that of quiet phases"
  exit bad
}' "$work/figures" >"$work/table" || result=$?
cat "$work/heading" "$work/table" | tee "$out/writer.md"
exit "${result:-0}"
