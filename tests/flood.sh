#!/usr/bin/env bash
# Good clients beside strangers: one question at a time over UDP, then over TCP, while the server is flooded, against the
# same a moment before (quiet, flood, quiet, flood, …). What is compared is the p99 of the good clients, round by round,
# and what the server's memory came to. All of it on loopback, by processes of at most 20,000 files each.
#
#   held        10,000 connections that asked a question each, were answered, and stay
#   silent      as many without an octet, opened anew whenever the server closes them
#   datagrams   garbage over UDP
#   garbage     garbage over TCP, opened anew whenever the server closes it
#   passing     a piece of garbage a connection, cut by its client, who opens the next one without a pause
#   slow        clients that ask for large answers without a pause and never read
#   handshakes  TLS handshakes that are never finished
#
# Beside it, for strangers that come and go (silent, garbage): the least server there could be, `echo --tcp` of
# bench/, flooded alike on the same core. What a flood takes from its good clients is the kernel's, which runs its threads
# in turn.
#
# The server has core 0; what floods and what asks share core 1, where the good client comes first (SCHED_FIFO, as root):
# it asks in turn and mostly waits, so that its time is the server's and not the scheduler's.
#
# Usage: [ROUNDS=5] [DURATION=4] [CONNECTIONS=10000] [KINDS="held silent datagrams garbage slow handshakes passing"] tests/flood.sh [path of rollcall]
#        ROLLCALL_SMOKE=1: two rounds of 1 s without `passing`, and a bound that a busy machine holds
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR/../bench source=lib.sh
. bench/lib.sh
require_rollcall "${1:-target/release/rollcall}"
most=2 floor=0
beside_least=(silent garbage)
# What a client may cost: 164 KiB of the server's own (a question that is not whole, answers that are not read), and the
# kernel's buffers of it (both ends are on this machine).
most_own=164 most_kernel=640
all="held silent datagrams garbage slow handshakes passing"
# Milliseconds that a scheduler may take anyway: below them a ratio says nothing.
if [ -n "${ROLLCALL_SMOKE:-}" ]; then : "${ROUNDS:=2}" "${DURATION:=1}"; all=${all% passing} most=3 floor=2000; fi
rounds=${ROUNDS:-5} duration=${DURATION:-4} connections=${CONNECTIONS:-10000}
read -ra kinds <<<"${KINDS:-$all}"
[ "$(nproc)" -gt 1 ] || { say "two cores are needed: one for the server, one for the rest"; exit 1; }
build_bench

# What is asked for in vain is large: 400 endpoints a service.
shape=(--endpoints 8000 --per-service 400 --shape headless)
"$bin/generate" "${shape[@]}" >"$work/dump.json"
"$bin/generate" "${shape[@]}" --questions 20000 >"$work/questions"
large=$("$bin/generate" "${shape[@]}" --question | sed 's/ .*//; s/^[^.]*\.//')
cat >"$work/rollcall.toml" <<END
admin = "off"
[limits]
tcp_connections = 16384
lameduck = 0
END
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=flood -keyout "$work/tls.key" \
  -out "$work/tls.crt" 2>/dev/null
cores[rollcall]=0
start_rollcall rollcall --manifests "$work/dump.json" --listen tls://127.0.0.1:0 --tls-certificate "$work/tls.crt" \
  --tls-key "$work/tls.key"
server=${addresses[rollcall]} pid=${pids[rollcall]}
tls=$(sed -n 's/^listening tls //p' "$work/rollcall.log")

cores[echo]=0
start echo "$bin/echo" --tcp --length 400
wait_until echo grep -q '^listening ' "$work/echo.log"
echo=$(sed -n 's/^listening //p' "$work/echo.log")

first=()
chrt -f 10 true 2>/dev/null && first=(chrt -f 10)
[ ${#first[@]} -gt 0 ] || say "no real-time priority here: what asks waits for what floods"

# ask udp|tcp SERVER PID: one question at a time.
ask() {
  local how=()
  [ "$1" = udp ] || how=(--tcp)
  timeout $((${duration%.*} + 60)) "${first[@]}" "$bin/load" --server "$2" --questions "$work/questions" \
    --window 1 "${how[@]}" --warm-up 0.3 --seconds "$duration" --cpu 1 --pid "$3"
}
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"; }
# What the kernel holds for TCP connections of this machine, KiB.
kernel() { awk '/^TCP:/ { print $NF * 4 }' /proc/net/sockstat; }
note() { echo "flood round=$round kind=$kind phase=$1 over=$2 rss=$(rss) kernel=$(kernel) $3" | tee -a "$work/figures" >&2; }

declare -A many=([held]=$connections [silent]=$connections [garbage]=200 [passing]=200 [slow]=1000 [datagrams]=1 [handshakes]=1000)
# flooded KIND SERVER TARGET PID PREFIX: asked in quiet, then beside the flood of TARGET; PREFIX is of the phases' names.
flooded() {
  for over in udp tcp; do note "${5}quiet" "$over" "$(ask "$over" "$2" "$4")"; done
  cores[flood]=1
  start flood nice -n 10 "$bin/flood" "$1" --server "$3" --connections "${many[$1]}" --large "$large" \
    --seconds 600 --seed "$round"
  patience=90 wait_until flood grep -q '^flooding' "$work/flood.log"
  for over in udp tcp; do note "${5}flood" "$over" "$(ask "$over" "$2" "$4")"; done
  # Connections that the server let in, of those that were wanted.
  [ "$1" != held ] || grep -q "open=$connections\$" "$work/flood.log" || { say "held: $(cat "$work/flood.log")"; exit 1; }
  stop flood
}
for round in $(seq "$rounds"); do
  for kind in "${kinds[@]}"; do
    target=$server
    [ "$kind" != handshakes ] || target=$tls
    flooded "$kind" "$server" "$target" "$pid" ""
    [[ " ${beside_least[*]} " != *" $kind "* ]] || flooded "$kind" "$echo" "$echo" "${pids[echo]}" least-
  done
done
kill -0 "$pid"

awk -v most="$most" -v floor="$floor" -v own="$((most_own * many[slow] / 1024 + 64))" -v kernel="$((most_kernel * many[slow] / 1024))" '
function field(key, i, pair) { for (i = 2; i <= NF; i++) { split($i, pair, "="); if (pair[1] == key) return pair[2] } }
function middle(n, i, j, v) { for (i = 2; i <= n; i++) { v = list[i]; for (j = i - 1; j > 0 && list[j] > v; j--) list[j + 1] = list[j]; list[j + 1] = v } return list[int((n + 1) / 2)] }
function said(kind, phase, over, key, form, i, v) { for (i = 1; i <= rounds; i++) list[i] = value[kind, phase, over, key, i] + 0; v = middle(rounds); return sprintf(form " (" form "–" form ")", v, list[1], list[rounds]) }
{
  kind = field("kind"); round = field("round"); rounds = round > rounds ? round : rounds
  if (!(kind in seen)) { seen[kind] = 1; kinds[++count] = kind }
  for (i = split("p50_us p99_us qps lost wrong closed noerror rss kernel", keys, " "); i > 0; i--) value[kind, field("phase"), field("over"), keys[i], round] = field(keys[i])
  if (field("phase") ~ /^least-/) { has_least[kind] = 1; next }
  if (field("wrong") + 0 > 0 || field("noerror") + 0 < 0.9999) { wrong = 1; print "not every answer was right: " $0 }
  lost += field("lost")
}
END {
  print "| strangers | good clients | quiet p99, µs | flooded p99, µs | ratio, round by round | the least server, quiet | flooded | server, MiB | kernel TCP, MiB |\n|---|---|---|---|---|---|---|---|---|"
  for (c = 1; c <= count; c++) for (o = 1; o <= 2; o++) {
    kind = kinds[c]; over = o == 1 ? "udp" : "tcp"
    for (i = 1; i <= rounds; i++) {
      value[kind, "ratio", over, "p99", i] = value[kind, "flood", over, "p99_us", i] / value[kind, "quiet", over, "p99_us", i]
      value[kind, "flood", over, "rss_mib", i] = value[kind, "flood", over, "rss", i] / 1024
      value[kind, "flood", over, "kernel_mib", i] = value[kind, "flood", over, "kernel", i] / 1024
    }
    least = has_least[kind] ? said(kind, "least-quiet", over, "p99_us", "%.0f") " | " said(kind, "least-flood", over, "p99_us", "%.0f") : "|"
    printf "| %s | %s | %s | %s | %s | %s | %s | %s |\n", kind, over, said(kind, "quiet", over, "p99_us", "%.0f"), said(kind, "flood", over, "p99_us", "%.0f"), said(kind, "ratio", over, "p99", "%.2f"), least, said(kind, "flood", over, "rss_mib", "%.0f"), said(kind, "flood", over, "kernel_mib", "%.0f")
    for (i = 1; i <= rounds; i++) list[i] = value[kind, "ratio", over, "p99", i]
    ratio = middle(rounds)
    for (i = 1; i <= rounds; i++) {
      if (value[kind, "flood", over, "rss_mib", i] > own) { bad = 1; late = late sprintf("\n%s: the server has %d MiB, more than %d", kind, value[kind, "flood", over, "rss_mib", i], own) }
      if (value[kind, "flood", over, "kernel_mib", i] > kernel) { bad = 1; late = late sprintf("\n%s: the kernel has %d MiB of TCP, more than %d", kind, value[kind, "flood", over, "kernel_mib", i], kernel) }
    }
    for (i = 1; i <= rounds; i++) list[i] = value[kind, "flood", over, "p99_us", i]
    if (ratio > most && middle(rounds) > floor) { bad = 1; late = late sprintf("\n%s over %s: %.1f times as long, more than %g", kind, over, ratio, most) }
  }
  printf "%d questions lost\n%s", lost, late ? late "\n" : ""
  exit wrong || bad || lost > 0
}' "$work/figures"
