#!/usr/bin/env bash
# Questions by mix, rollcall beside an echo server (the floor of kernel sockets), Knot, NSD, hickory-server and CoreDNS
# on the same records: every server on core 0, the generator on core 1, in turn. Over UDP as fast as each answers, over
# UDP at half of that for latency, and over TCP. README.md says what is what.
# Usage: [ROUNDS=5] [DURATION=2] [ENDPOINTS=100000] [WINDOW=128] [CONNECTIONS=8] [MIXES="ordinals cluster nxdomain resolver large"]
#        [LATENCY_MIXES=cluster] [TCP_MIXES=cluster] [SERVERS="rollcall echo knot nsd hickory coredns"]
#        [PARTS="udp latency tcp"] [OUT=bench/results] [NOTE=…] [OTHER=…] bench/queries.sh [path of rollcall]
# OTHER is another build of rollcall, to be measured beside.
# ROLLCALL_SMOKE=1: 4,000 endpoints, one round of half a second, in two minutes; what is not there is left out.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. bench/lib.sh

smoke=${ROLLCALL_SMOKE:-}
if [ -n "$smoke" ]; then
  rounds=${ROUNDS:-1} duration=${DURATION:-0.5} endpoints=${ENDPOINTS:-4000} out=${OUT:-$work/results}
else
  rounds=${ROUNDS:-5} duration=${DURATION:-2} endpoints=${ENDPOINTS:-100000} out=${OUT:-bench/results}
fi
window=${WINDOW:-128} connections=${CONNECTIONS:-8}
read -ra mixes <<<"${MIXES:-ordinals cluster nxdomain resolver large}"
read -ra servers <<<"${SERVERS:-rollcall echo knot nsd hickory coredns}"
[ -z "${OTHER:-}" ] || servers+=(other)
read -ra parts <<<"${PARTS:-udp latency tcp}"
read -ra latency_mixes <<<"${LATENCY_MIXES:-cluster}"
read -ra tcp_mixes <<<"${TCP_MIXES:-cluster}"
# What checks ask, each server once.
checked=20000
require_rollcall "${1:-target/release/rollcall}"
build_bench

# The shares of each mix, and what else its questions have.
# shellcheck disable=SC2054  # commas within shares
declare -A shares=(
  [ordinals]=host=100
  [cluster]=host=50,service=15,srv=5,search=25,aaaa=5
  [nxdomain]=missing=50,search=50
  [resolver]=host=50,service=15,srv=5,search=25,aaaa=5
  [large]=host=99,service=1
)
form_of() { if [ "$1" = resolver ]; then echo --cookie --mixed-case; fi; }
# Of the services: 10 endpoints each, or 1,000.
set_of() { if [ "$1" = large ]; then echo large; else echo small; fi; }
per_service() { if [ "$1" = large ]; then echo 1000; else echo 10; fi; }
is_in() {
  local wanted=$1 word
  shift
  for word in "$@"; do [ "$word" != "$wanted" ] || return 0; done
  return 1
}

[ "$(nproc)" -gt 1 ] || say "one core only: server and generator share it, the figures say little"
load_core=$(($(nproc) > 1 ? 1 : 0))
for name in "${servers[@]}"; do cores[$name]=0; done

# Debian's programs, which are not always in the path of who is not root.
PATH=$PATH:/usr/sbin:/sbin
# has SERVER: whether it is there, or could be installed. The short form takes what is there. No other is known.
has() {
  case $1 in
    knot) installed knotd knot ;;
    nsd) installed nsd nsd ;;
    coredns) [ -z "$smoke" ] || built_before ;;
    rollcall | echo | hickory) true ;;
    other) [ -x "${OTHER:-}" ] ;;
    *) false ;;
  esac
}
installed() {
  command -v "$1" >/dev/null && return 0
  [ -z "$smoke" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  apt-get install --yes --no-install-recommends "$2" >"$work/apt.log" 2>&1 && command -v "$1" >/dev/null
}
# A control plane takes 20 minutes to build, which the short form has not.
built_before() {
  [ -z "${ROLLCALL_CLUSTER_BIN:-}" ] || return 0
  local cache=${ROLLCALL_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rollcall-ci}
  compgen -G "$cache/cluster-*/bin/coredns" >/dev/null
}
there=() skipped=()
for name in "${servers[@]}"; do
  if has "$name"; then there+=("$name"); else skipped+=("$name"); fi
done
servers=("${there[@]}")
[ ${#skipped[@]} -eq 0 ] || say "not there, and left out: ${skipped[*]}"
is_in rollcall "${servers[@]}" || { say "without rollcall there is nothing to compare with"; exit 1; }
cluster=$(if is_in coredns "${servers[@]}"; then echo yes; fi)

# A line for each measurement.
mkdir -p "$out"
runs=$out/queries.txt
: >"$runs"

# make_records SET: the objects in an API server where CoreDNS is measured, else a dump; the zone of both.
make_records() {
  local each
  each=$(per_service "$1")
  if [ -n "$cluster" ]; then
    start_control_plane
    say "$endpoints endpoints in services of $each: into the API server"
    "$bin/populate" --kubeconfig "$kubeconfig" --endpoints "$endpoints" --per-service "$each" >&2
    source=(--kubeconfig "$kubeconfig")
  else
    # A folder for the dump alone: the server follows the folder of its file.
    mkdir -p "$work/dump-$1"
    "$bin/generate" --endpoints "$endpoints" --per-service "$each" >"$work/dump-$1/dump.json"
    source=(--manifests "$work/dump-$1/dump.json")
  fi
  zone=$work/zone-$1
  "$rollcall" records "${source[@]}" >"$zone" 2>"$work/records.log"
}

# answers NAME: whether the server answers the first questions, all of them as the zone has it.
answers() {
  "$bin/load" --server "${addresses[$1]}" --questions "$work/questions" --warm-up 0 --count 100 |
    grep -q ' lost=0 wrong=0 .* other=0.0000 '
}

start_server() {
  case $1 in
    rollcall)
      write_rollcall rollcall
      start_rollcall rollcall "${source[@]}"
      ;;
    other)
      write_rollcall other
      rollcall=$OTHER start_rollcall other "${source[@]}"
      ;;
    # For one core; kubeadm's configuration else.
    coredns) GOMAXPROCS=1 start_coredns coredns ;;
    hickory)
      start hickory "$bin/hickory" --records "$zone"
      wait_until hickory grep -q '^listening ' "$work/hickory.log"
      addresses[hickory]=$(sed -n 's/^listening //p' "$work/hickory.log")
      ;;
    knot | nsd) on_free_port "$1" ;;
    # Replies as long as rollcall's of the mix: started with each.
    echo) ;;
  esac
  [ "$1" = echo ] || wait_until "$1" answers "$1"
}

# on_free_port NAME: neither binds port 0, and one that was free a moment ago may be taken.
on_free_port() {
  local name=$1 port
  for _ in 1 2 3; do
    port=$(free_port)
    addresses[$name]=127.0.0.1:$port
    mkdir -p "$work/$name"
    "write_$name" "$port"
    case $name in
      knot) start knot knotd -c "$work/knot.conf" ;;
      nsd) start nsd nsd -d -c "$work/nsd.conf" ;;
    esac
    if wait_until "$name" answers "$name"; then return 0; fi
    stop "$name"
  done
  return 1
}

write_rollcall() { printf 'pods = "insecure"\n[limits]\nlameduck = 0\nudp_threads = 1\n' >"$work/$1.toml"; }

write_knot() {
  cat >"$work/knot.conf" <<END
server:
  rundir: $work/knot
  listen: 127.0.0.1@$1
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
    file: $zone
    zonefile-sync: -1
    journal-content: none
END
}

# Equal work: rotated as rollcall's answers are, nothing in them that was not asked for, no rate limit.
write_nsd() {
  cat >"$work/nsd.conf" <<END
server:
  ip-address: 127.0.0.1@$1
  server-count: 1
  reuseport: yes
  round-robin: yes
  minimal-responses: yes
  ipv4-edns-size: 1232
  rrl-ratelimit: 0
  username: ""
  database: ""
  zonesdir: "$work/nsd"
  pidfile: "$work/nsd/nsd.pid"
  xfrdfile: "$work/nsd/xfrd.state"
  zonelistfile: "$work/nsd/zone.list"
  cookie-secret-file: ""
  tcp-count: 256
  verbosity: 0
remote-control:
  control-enable: no
zone:
  name: cluster.local
  zonefile: "$zone"
END
}

# The echo server returns replies of this length.
start_echo() {
  start echo "$bin/echo" --length "$1"
  wait_until echo grep -q '^listening ' "$work/echo.log"
  addresses[echo]=$(sed -n 's/^listening //p' "$work/echo.log")
}

# A server's process and those that it started itself.
processes_of() {
  local pid
  echo "--pid $1"
  for pid in $(pgrep -P "$1" || true); do processes_of "$pid"; done
}

# ask KIND ROUND MIX SERVER ARGUMENT…: one line of what came back.
ask() {
  local kind=$1 round=$2 mix=$3 name=$4 line
  shift 4
  # shellcheck disable=SC2046  # words
  line=$(timeout 120 "$bin/load" --server "${addresses[$name]}" --questions "$work/questions" --cpu "$load_core" \
    $(processes_of "${pids[$name]}") $(form_of "$mix") "$@")
  echo "$kind round=$round mix=$mix server=$name $line" >>"$runs"
}

# Half of what the server reached in this mix (the middle of its rounds), in whole questions a second.
half_rate() {
  sed -n "s/^udp .* mix=$1 server=$2 .* qps=\([0-9]*\) .*/\1/p" "$runs" | sort -n |
    awk '{ rate[NR] = $1 } END { print int(rate[int((NR + 1) / 2)] / 2) }'
}

measure() {
  local mix=$1 round name octets
  "$bin/load" --records "$zone" --mix "${shares[$mix]}" --write-questions "$work/questions"
  say "$mix"
  ask check 0 "$mix" rollcall --warm-up 0 --count "$checked"
  octets=$(sed -n "s/^check .* mix=$mix server=rollcall .* octets=\([0-9]*\).*/\1/p" "$runs")
  for name in "${servers[@]}"; do
    case $name in
      rollcall) ;;
      echo) start_echo "$octets" ;;
      *) ask check 0 "$mix" "$name" --warm-up 0 --count "$checked" ;;
    esac
  done
  "$bin/report" --check "$mix" "$runs"
  if is_in udp "${parts[@]}"; then
    for round in $(seq "$rounds"); do
      for name in "${servers[@]}"; do ask udp "$round" "$mix" "$name" --seconds "$duration" --window "$window"; done
    done
  fi
  if is_in latency "${parts[@]}" && is_in udp "${parts[@]}" && is_in "$mix" "${latency_mixes[@]}"; then
    for round in $(seq "$rounds"); do
      for name in "${servers[@]}"; do
        ask latency "$round" "$mix" "$name" --seconds "$duration" --window "$window" --rate "$(half_rate "$mix" "$name")"
      done
    done
  fi
  if is_in tcp "${parts[@]}" && is_in "$mix" "${tcp_mixes[@]}"; then
    for round in $(seq "$rounds"); do
      for name in "${servers[@]}"; do
        [ "$name" = echo ] ||
          ask tcp "$round" "$mix" "$name" --tcp --sockets "$connections" --seconds "$duration" --window "$window"
      done
    done
  fi
  stop echo
}

# about: what stands above the tables. No names of hosts, no paths.
about() {
  local name
  echo "# Queries, beside others"
  echo
  echo "$(date -u +%Y-%m-%d). $(machine)."
  echo "$(versions | paste -sd';' | sed 's/;/; /g')."
  echo
  echo "$endpoints endpoints, in services of 10 (\`large\`: of 1,000); rounds of $duration s, $rounds in turn; every server on core 0,"
  echo "the generator on core $load_core, $window questions under way (TCP: over $connections connections); median (least–most) of the rounds,"
  echo "ratios of the same round. \`bench/queries.sh\` measured it; bench/README.md says how to read it."
  [ -z "${NOTE:-}" ] || printf '\n**%s**\n' "$NOTE"
  [ ${#skipped[@]} -eq 0 ] || printf '\nNot there, and left out: %s.\n' "${skipped[*]}"
}
machine() {
  local model cache memory
  model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
  cache=$(lscpu | sed -n 's/^L3 cache: *\([^(]*[^( ]\).*/\1/p')
  memory=$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo)
  echo "$(nproc) cores of ${model:-an unknown processor}, L3 ${cache:-unknown}, $memory, Linux $(uname -r | cut -d. -f1,2), $(rustc --version | cut -d' ' -f1-2)"
}
versions() {
  local name
  echo "rollcall $("$rollcall" --version | cut -d' ' -f2-)"
  for name in "${servers[@]}"; do
    case $name in
      knot) knotd --version | sed -n 's/^.*Knot DNS[^0-9]*/Knot /p' ;;
      nsd) nsd -v 2>&1 | sed -n 's/^NSD version/NSD/p' ;;
      hickory) sed -n '/^name = "hickory-server"/{n;s/version = "\(.*\)"/hickory-server \1/p}' bench/Cargo.lock ;;
      coredns)
        "$programs/coredns" -version | sed -n 's/^CoreDNS-/CoreDNS /p'
        "$programs/kube-apiserver" --version
        ;;
    esac
  done
}

for set in small large; do
  wanted=()
  for mix in "${mixes[@]}"; do [ "$(set_of "$mix")" != "$set" ] || wanted+=("$mix"); done
  [ ${#wanted[@]} -gt 0 ] || continue
  make_records "$set"
  "$bin/load" --records "$zone" --mix host=1 --distinct 1000 --write-questions "$work/questions"
  for name in "${servers[@]}"; do start_server "$name"; done
  for mix in "${wanted[@]}"; do measure "$mix"; done
  for name in "${servers[@]}" kube-apiserver etcd; do stop "$name"; done
  rm -rf "$work/etcd" "$work/dump-$set"
done
about >"$work/about"
"$bin/report" --about "$work/about" --table "$out/queries.md" --plot "$out/queries.svg" "$runs"
cat "$out/queries.md"
