#!/usr/bin/env bash
# Questions over UDP, rollcall beside Knot on the same zone: the server on core 0, the generator on core 1, one UDP
# thread each, the same questions, in turn (A B A B …). Prints medians, ranges and ratios; without Knot rollcall alone.
# Usage: [ROUNDS=5] [DURATION=3] [ENDPOINTS=100000] [WINDOW=128] bench/udp.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:-target/release/rollcall}
rounds=${ROUNDS:-5} duration=${DURATION:-3} endpoints=${ENDPOINTS:-100000} window=${WINDOW:-128}
[ -x "$rollcall" ] || { echo "$rollcall is not there: cargo build --release" >&2; exit 1; }
bin=${CARGO_TARGET_DIR:-bench/target}/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release
cargo build --release --locked --quiet --manifest-path bench/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-bench/target}"

work=$(mktemp -d)
declare -A pids=() addresses=()
finish() {
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap finish EXIT

cores=$(nproc)
[ "$cores" -gt 1 ] || echo "one core only: server and generator share it, the figures say little"
load_core=$((cores > 1 ? 1 : 0))

# A folder for the dump alone: the server follows the folder of its file.
mkdir "$work/dump"
"$bin/generate" --endpoints "$endpoints" >"$work/dump/dump.json"
"$rollcall" records --manifests "$work/dump/dump.json" >"$work/zone" 2>"$work/records.log"
"$bin/load" --records "$work/zone" --write-questions "$work/questions"

# wait_until SERVER COMMAND…: up to 60 s, while the server runs.
wait_until() {
  local server=$1 latest=$((SECONDS + 60))
  shift
  while [ "$SECONDS" -lt "$latest" ] && kill -0 "${pids[$server]}" 2>/dev/null; do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "$server did not start:" >&2
  cat "$work/$server.log" >&2
  return 1
}

cat >"$work/rollcall.toml" <<EOF
listen = ["127.0.0.1:0"]
admin = "off"
[limits]
udp_threads = 1
EOF
taskset -c 0 "$rollcall" serve --config "$work/rollcall.toml" --manifests "$work/dump/dump.json" 2>"$work/rollcall.log" &
pids[rollcall]=$!
wait_until rollcall grep -qx ready "$work/rollcall.log"
addresses[rollcall]=$(sed -n 's/^listening udp+tcp //p' "$work/rollcall.log")
servers=(rollcall)

knotd=$(command -v knotd || true)
[ -n "$knotd" ] || { [ ! -x /usr/sbin/knotd ] || knotd=/usr/sbin/knotd; }
# asks ADDRESS: whether it answers the first questions.
asks() {
  "$bin/load" --server "$1" --questions "$work/questions" --warm-up 0 --count 100 | grep -q ' lost=0 wrong=0 .* other=0.0000 '
}
if [ -n "$knotd" ]; then
  # Knot binds no port 0: one that was free a moment ago.
  for _ in 1 2 3; do
    port=$((20000 + RANDOM % 10000))
    mkdir -p "$work/knot"
    cat >"$work/knot.conf" <<EOF
server:
  rundir: $work/knot
  listen: 127.0.0.1@$port
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
  # As rollcall does by default.
  answer-rotation: on
  udp-max-payload: 1232
log:
  - target: stderr
    any: warning
database:
  storage: $work/knot
zone:
  - domain: cluster.local
    file: $work/zone
    zonefile-sync: -1
    journal-content: none
EOF
    taskset -c 0 "$knotd" -c "$work/knot.conf" 2>"$work/knot.log" &
    pids[knot]=$!
    if wait_until knot asks "127.0.0.1:$port"; then
      addresses[knot]=127.0.0.1:$port
      servers+=(knot)
      break
    fi
    kill "${pids[knot]}" 2>/dev/null || true
    wait "${pids[knot]}" 2>/dev/null || true
    unset 'pids[knot]'
  done
  [ ${#servers[@]} -eq 2 ] || exit 1
else
  echo "knotd is not installed (Debian: knot): rollcall alone"
fi

echo "$(wc -l <"$work/zone") records of $endpoints endpoints; $rounds rounds of $duration s, $window questions under way"
[ ${#servers[@]} -eq 1 ] || echo "beside $("$knotd" --version)"
for round in $(seq "$rounds"); do
  for server in "${servers[@]}"; do
    line=$(timeout $((duration + 30)) "$bin/load" --server "${addresses[$server]}" --questions "$work/questions" \
      --cpu "$load_core" --pid "${pids[$server]}" --seconds "$duration" --window "$window")
    printf '%s %s %s\n' "$round" "$server" "$line" >>"$work/runs"
  done
done

# Ratios are of one round, where the machine was as busy for both.
awk '
function field(key, i, pair) { for (i = 3; i <= NF; i++) { split($i, pair, "="); if (pair[1] == key) return pair[2] } }
function sorted(list, n, i, j, v) { for (i = 2; i <= n; i++) { v = list[i]; for (j = i - 1; j > 0 && list[j] > v; j--) list[j + 1] = list[j]; list[j + 1] = v } }
function said(name, key, form, list, i) {
  for (i = 1; i <= rounds[name]; i++) list[i] = value[name, key, i]
  sorted(list, rounds[name])
  return sprintf(form " (" form "–" form ")", list[int((rounds[name] + 1) / 2)], list[1], list[rounds[name]])
}
{
  name = $2; n = ++rounds[name]; if (n == 1) names[++count] = name
  for (i = split("qps server_us p50_us p99_us lost wrong busy_percent answers octets noerror nxdomain truncated", keys, " "); i > 0; i--) value[name, keys[i], n] = field(keys[i]) + 0
}
END {
  print "\n| | queries/s | server CPU a query, µs | p50, µs | p99, µs | lost | generator busy, % |\n|---|---|---|---|---|---|---|"
  for (c = 1; c <= count; c++) {
    name = names[c]; lost = wrong = 0
    for (i = 1; i <= rounds[name]; i++) { lost += value[name, "lost", i]; wrong += value[name, "wrong", i] }
    printf "| %s | %s | %s | %s | %s | %d | %s |\n", name, said(name, "qps", "%.0f"), said(name, "server_us", "%.2f"), said(name, "p50_us", "%.0f"), said(name, "p99_us", "%.0f"), lost, said(name, "busy_percent", "%.0f")
    for (i = 1; i <= rounds[name]; i++) if (value[name, "busy_percent", i] > 95) saturated = 1
    if (wrong > 0) { printf "%s: %d wrong replies\n", name, wrong; bad = 1 }
  }
  if (count == 2) {
    a = names[1]; b = names[2]
    for (i = 1; i <= rounds[a]; i++) {
      value["ratio", "qps", i] = value[a, "qps", i] / value[b, "qps", i]
      value["ratio", "cpu", i] = value[a, "server_us", i] > 0 ? value[b, "server_us", i] / value[a, "server_us", i] : 0
    }
    rounds["ratio"] = rounds[a]
    printf "| ratio, round by round | %s | %s | | | | |\n", said("ratio", "qps", "%.2f"), said("ratio", "cpu", "%.2f")
  }
  print ""
  for (c = 1; c <= count; c++) {
    name = names[c]
    printf "%s answers: %.1f %% NOERROR, %.1f %% NXDOMAIN, %.1f %% truncated, %.2f answer records and %.0f octets a reply\n", name, 100 * value[name, "noerror", 1], 100 * value[name, "nxdomain", 1], 100 * value[name, "truncated", 1], value[name, "answers", 1], value[name, "octets", 1]
  }
  if (saturated) print "the generator used its whole core: the rates are its own, only the CPU a query is the server\047s"
  exit bad
}' "$work/runs"
