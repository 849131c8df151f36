#!/usr/bin/env bash
# Asks a running rollcall with the clients that people have: dig, kdig, drill, busybox, glibc, Go, Node, Python and more.
#
#   tests/clients/run.sh [PATH-OF-ROLLCALL]        default target/release/rollcall; builds nothing of it
#
# It serves config/demo as a newcomer would, asks every client the questions of questions.txt, compares each answer
# with the rule there and with the other clients', and then changes a copy of the manifests while it is served
# (S1's scaling, S5's later Service, S6's peers). Last, answers with Extended DNS Errors to each of them, and to musl, Java and
# systemd-resolved. One line an assertion, then `N passed, N failed, N skipped`.
#
# The platform's resolvers ask port 53 of what /etc/resolv.conf names, so as root everything runs in a network
# namespace of its own, with the resolv.conf of a pod. Without root only the clients that take a port are asked. What
# cannot be asked is skipped with a reason, or is a failure where CI=true.
set -euo pipefail

if [[ -z ${ROLLCALL_CLIENTS_BOUNDED:-} ]]; then
  ROLLCALL_CLIENTS_BOUNDED=1 exec timeout --foreground --kill-after=10 600 "$BASH" "${BASH_SOURCE[0]}" "$@"
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
rollcall=$(realpath -m "${1:-$root/target/release/rollcall}")
demo=$root/config/demo
tmp=$(mktemp -d)
namespace=rollcall-clients-$$
inside=()
pids=()

# shellcheck source-path=SCRIPTDIR source=ask.sh
source "$here/ask.sh"
# shellcheck source-path=SCRIPTDIR source=judge.sh
source "$here/judge.sh"
# shellcheck source-path=SCRIPTDIR source=follow.sh
source "$here/follow.sh"
# shellcheck source-path=SCRIPTDIR source=told.sh
source "$here/told.sh"

# shellcheck disable=SC2317  # the trap reaches it
cleanup() {
  local pid
  if [[ -z ${finished:-} ]]; then
    fail script "runs to its end" "all assertions" "an end before"
    summary
  fi
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  if ((${#inside[@]})); then
    ip netns del "$namespace" || true
    rm -rf "/etc/netns/$namespace"
    rmdir /etc/netns 2>/dev/null || true
  fi
  rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

summary() { echo "$passed passed, $failed failed, $skipped skipped"; }

finish() {
  finished=1
  summary
  ((failed == 0)) || exit 1
  exit 0
}

have() { command -v "$1" >/dev/null; }

# Asserts that a client's program is there.
need() {
  have "$2" || { unavailable "$1" "$2 is missing; it is in the Debian package ${package[$2]}"; return 1; }
}

# A network namespace with the resolv.conf of a pod in namespace `default`, if we may make one.
make_namespace() {
  if ((EUID != 0)); then
    no_namespace="only root may make the network namespace in which port 53 and resolv.conf are ours"
    return
  fi
  if ! have ip; then
    no_namespace="ip is missing; it is in the Debian package ${package[ip]}"
    return
  fi
  if ! ip netns add "$namespace" 2>"$tmp/netns.log"; then
    no_namespace="no network namespace can be made here: $(tail -n 1 "$tmp/netns.log")"
    return
  fi
  inside=(ip netns exec "$namespace")
  mkdir -p "/etc/netns/$namespace"
  printf '%s\n' 'search default.svc.cluster.local svc.cluster.local cluster.local' 'options ndots:5' \
    'nameserver 127.0.0.1' >"/etc/netns/$namespace/resolv.conf"
  echo 'hosts: files dns' >"/etc/netns/$namespace/nsswitch.conf"
  printf '%s\n' '127.0.0.1 localhost' '::1 localhost' >"/etc/netns/$namespace/hosts"
  "${inside[@]}" ip link set lo up
  # A pod has addresses beside the loopback's: getaddrinfo with AI_ADDRCONFIG finds nothing without.
  "${inside[@]}" ip addr add 10.244.255.254/32 dev lo
  [[ ! -e /proc/net/if_inet6 ]] || "${inside[@]}" ip addr add fd00:10:244::ffff/128 dev lo
}

# start_server LOG FLAG...: runs the demo, or what the configuration $config says; sets `pid`, returns once it is ready.
start_server() {
  local log=$1 config=${config:-$root/config/demo.toml} tries
  shift
  : >"$log"
  "${inside[@]}" "$rollcall" serve --config "$config" --admin off "$@" >"$log" 2>&1 &
  pid=$!
  pids+=("$pid")
  for ((tries = 0; tries < 200; tries++)); do
    ! grep -qx ready "$log" || return 0
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  fail server "\`serve $*\` becomes ready" "the line \`ready\` within 10 s" "$(tail -n 5 "$log")"
  return 1
}

# stop_server: SIGTERM to `pid`. What is served from manifests stops at once; a last snapshot has 10 s, for a disk may be busy.
stop_server() {
  local tries
  kill "$pid"
  for ((tries = 0; tries < 300; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  if kill -0 "$pid" 2>/dev/null; then
    fail server "stops on SIGTERM" "an end within 15 s" "it runs on"
    kill -KILL "$pid"
  else
    pass server "stops on SIGTERM"
  fi
  wait "$pid" 2>/dev/null || true
  forget "$pid"
}

# A pid that has ended may be another process' soon.
forget() {
  local each kept=()
  for each in "${pids[@]}"; do [[ $each == "$1" ]] || kept+=("$each"); done
  pids=("${kept[@]}")
}

# The listeners and sockets of this run: port 53 where the namespace is ours, else a free one, read from the log.
start_listening() {
  local log=$1
  shift
  if ((${#inside[@]})); then
    start_server "$log" --listen 127.0.0.1:53 "$@" || return 1
    server=127.0.0.1 port=53
  else
    start_server "$log" --listen 127.0.0.1:0 "$@" || return 1
    server=127.0.0.1
    port=$(sed -nE 's/^listening udp\+tcp 127\.0\.0\.1:([0-9]+)$/\1/p' "$log" | head -n 1)
    export ROLLCALL_SERVER=$server:$port
  fi
  [[ -n $port ]] || { fail server "says where it listens" "listening udp+tcp 127.0.0.1:PORT" "$(head -n 5 "$log")"; return 1; }
}

# The command of the README, word by word: the address of demo.toml.
check_demo_command() {
  local addresses=(127.0.0.1:5300) address log=$tmp/demo.log
  ((${#inside[@]})) || { skip demo "$no_namespace, and port 5300 may be taken"; return; }
  start_server "$log" || return 0
  for address in "${addresses[@]}"; do
    check demo "says that it listens on $address" "listening udp+tcp $address" "$(grep -Fx "listening udp+tcp $address" "$log" || cat "$log")"
    if have dig; then
      server=${address%:*} port=5300
      server=${server//[\[\]]/}
      check demo "$address answers for kubernetes" 10.96.0.1 "$(ask_dig A kubernetes.default.svc.cluster.local.)"
    fi
  done
  stop_server
}

build_lookup() {
  local cgo=$1
  (cd "$here" && CGO_ENABLED=$cgo GOTOOLCHAIN=local timeout 120 go build -buildvcs=false -o "$tmp/lookup-go" .) >"$tmp/build.log" 2>&1
}

# Whether a client can be asked here; says why not.
ready_to_ask() {
  local client=$1
  need "$client" "${program[$client]}" || return 1
  if [[ ${place[$client]} == 53 ]] && ! ((${#inside[@]})); then
    unavailable "$client" "$no_namespace"
    return 1
  fi
  case $client in
    go) build_lookup 0 || { unavailable go "lookup.go does not build: $(tail -n 3 "$tmp/build.log")"; return 1; } ;;
    go-cgo)
      need go-cgo gcc || return 1
      build_lookup 1 || { unavailable go-cgo "lookup.go does not build with cgo: $(tail -n 3 "$tmp/build.log")"; return 1; }
      ;;
  esac
}

main() {
  local client usable=()
  if [[ ! -x $rollcall ]]; then
    fail server "is there" "an executable file" "no $rollcall; build it with cargo build --release, or give its path"
    finish
  fi
  make_namespace
  check_demo_command
  start_listening "$tmp/server.log" || finish
  for client in "${clients[@]}"; do
    ready_to_ask "$client" || continue
    usable+=("$client")
    ask_and_judge "$client"
  done
  if have dig; then
    check_messages
  else
    unavailable messages "dig is missing; it is in the Debian package ${package[dig]}"
  fi
  check_dynamic_names "${usable[@]}"
  stop_server
  if have dig; then
    check_following "${usable[@]}"
  else
    unavailable following "dig is missing; it is in the Debian package ${package[dig]}"
  fi
  check_told
  finish
}

main
