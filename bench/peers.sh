#!/usr/bin/env bash
# Peers told beside peers that ask: `rollcall peers` (push over TLS, and over TCP) and a loop that does what peer-finder
# does, one SRV lookup a second (bench/peer-finder), on StatefulSets of 3, 100 and 1,000 peers in one real API server
# (built the first time by tests/cluster/build.sh: some 20 minutes).
#   latency      from the API server's acknowledgement of a change to the start of what the sidecars run for it, in turns
#   quiet        questions, keepalives and octets in an hour, and the sidecars' memory; a server for each size and way
#   subscribers  10,000 of one service, over TCP and over TLS: from the API server's word (it is played from memory) to the
#                last PUSH, the server's memory, and questions over UDP beside it
# The server has core 0; the sidecars, what they run, and what measures them have core 1; the API server has both.
#
# Usage: [SIZES=3,100,1000] [ROUNDS=3] [CHANGES=100] [POLLED_CHANGES=50] [TOGETHER=1,3] [SIDECARS=3] [QUIET=1380]
#        [SUBSCRIBERS=10000] [SUBSCRIBER_CHANGES=20] [ASKING=10] [PARTS="latency quiet subscribers"] [OUT=bench/results]
#        bench/peers.sh [path of rollcall]
# ROLLCALL_SMOKE=1: one round of few changes, quiet for 8 s, in two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source-path=SCRIPTDIR source=lib.sh
. bench/lib.sh
require_rollcall "${1:-target/release/rollcall}"
form=whole
if [ -n "${ROLLCALL_SMOKE:-}" ]; then
  : "${ROUNDS:=1}" "${CHANGES:=10}" "${POLLED_CHANGES:=4}" "${QUIET:=8}" "${SUBSCRIBER_CHANGES:=5}" "${ASKING:=3}"
  : "${OUT:=$work/results}"
  form=short
fi
# 23 minutes of quiet: in that time every sidecar has read everything anew once at least.
sizes=${SIZES:-3,100,1000} rounds=${ROUNDS:-3} changes=${CHANGES:-100} polled_changes=${POLLED_CHANGES:-50}
together=${TOGETHER:-1,3} sidecars=${SIDECARS:-3} quiet=${QUIET:-1380} subscribers=${SUBSCRIBERS:-10000}
subscriber_changes=${SUBSCRIBER_CHANGES:-20} asking=${ASKING:-10} out=${OUT:-bench/results}
read -ra parts <<<"${PARTS:-latency quiet subscribers}"
[ "$(nproc)" -gt 1 ] || { say "two cores are needed: one for the server, one for the sidecars"; exit 1; }
command -v ss >/dev/null || say "ss (iproute2) is not there: keepalives are not counted"
# As the image sets it, for the server and for the sidecars.
export MALLOC_ARENA_MAX=2
build_bench
figures=$work/figures
: >"$figures"
mkdir "$work/logs"

# A certificate of an authority of our own.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" \
  -subj '/CN=authority' -days 2 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/tls.key" -out "$work/tls.csr" \
  -subj '/CN=rollcall' 2>/dev/null
openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 1 \
  -extfile <(printf 'subjectAltName=DNS:ns.dns.cluster.local') -out "$work/tls.crt" 2>/dev/null

# measure ARGUMENT…: of the benchmark's program; its lines are figures.
measure() {
  taskset -c 1 "$bin/peers" "$@" | tee -a "$figures" || { tail -n 5 "$work"/logs/*.log >&2; return 1; }
}

# configure NAME [LIMITS PUSH]: as it is shipped, but for push over TCP and one UDP thread for its one core.
configure() {
  cat >"$work/$1.toml" <<END
[limits]
udp_threads = 1
lameduck = 0
${2:-}
[push]
tcp = true
${3:-}
[tls]
certificate = "$work/tls.crt"
key = "$work/tls.key"
END
}

# serve NAME: follows the API server on core 0; where it answers is in addresses, tls and admin.
declare -A tls=() admin=()
serve() {
  configure "$1"
  cores[$1]=0
  start_rollcall "$1" --listen tls://127.0.0.1:0 --kubeconfig "$kubeconfig"
  tls[$1]=$(sed -n 's/^listening tls //p' "$work/$1.log")
  admin[$1]=$(sed -n 's/^listening admin //p' "$work/$1.log")
}

latency() {
  serve rollcall
  measure latency --kubeconfig "$kubeconfig" --sizes "$sizes" --rounds "$rounds" --changes "$changes" \
    --polled-changes "$polled_changes" --together "$together" --server "${addresses[rollcall]}" --tls "${tls[rollcall]}" \
    --admin "${admin[rollcall]}" --pid "${pids[rollcall]}" "${programs_of_sidecars[@]}"
  stop rollcall
}

quiet() {
  local size way name address names=() at=()
  for size in ${sizes//,/ }; do
    for way in tls tcp finder; do
      name=quiet-$size-$way
      serve "$name"
      names+=("$name")
      address=${addresses[$name]}
      [ "$way" != tls ] || address=${tls[$name]}
      at+=(--server "$size,$way,$address,${admin[$name]}")
    done
  done
  say "nothing changes for $quiet s"
  measure quiet --seconds "$quiet" "${at[@]}" "${programs_of_sidecars[@]}"
  for name in "${names[@]}"; do stop "$name"; done
}

subscribers() {
  local over played server secure admin most=$((subscribers + 1000))
  configure subscribers "tcp_connections = $most
tcp_connections_per_client = $most" "sessions = $most
subscriptions_per_client = $most
keepalive = 3600"
  for over in tcp tls; do
    played=127.0.0.1:$(free_port) server=127.0.0.1:$(free_port) secure=127.0.0.1:$(free_port) admin=127.0.0.1:$(free_port)
    write_kubeconfig "$work/played" "$played"
    measure subscribers "$over" --count "$subscribers" --changes "$subscriber_changes" --asking "$asking" \
      --replay "$played" --server "$server" --tls "$secure" --admin "$admin" --authority "$work/ca.crt" \
      --log "$work/logs/subscribers-$over.log" -- taskset -c 0 "$rollcall" serve --config "$work/subscribers.toml" \
      --kubeconfig "$work/played" --listen "$server" --listen "tls://$secure" --admin "$admin"
  done
}

about=$("$rollcall" --version)
case " ${parts[*]} " in
  *" latency "* | *" quiet "*)
    (cd bench/peer-finder && CGO_ENABLED=0 GOTOOLCHAIN=local go build -buildvcs=false -o "$work/peer-finder" .)
    programs_of_sidecars=(--rollcall "$rollcall" --finder "$work/peer-finder" --hook "$bin/hook" --authority "$work/ca.crt"
      --logs "$work/logs" --sidecars "$sidecars")
    start_control_plane
    about="$about beside one SRV lookup a second by the resolver of $(go env GOVERSION), $("$programs/kube-apiserver" --version)"
    "$bin/peers" prepare --kubeconfig "$kubeconfig" --sizes "$sizes"
    ;;
esac
for part in "${parts[@]}"; do
  case $part in
    latency | quiet | subscribers) "$part" ;;
    *) say "no such part: $part"; exit 1 ;;
  esac
done

mkdir -p "$out"
cp "$figures" "$out/peers.txt"
heading="# Peers told, and peers that ask

$(date -u +%F). $about. $(nproc) cores, Linux $(uname -r | cut -d. -f1,2). Made by \`bench/peers.sh\` in its $form form: the server on \
core 0, sidecars and what they run on core 1; $rounds rounds of $changes changes ($polled_changes for the loop, $sidecars of which run at a \
time) for each size; $quiet s without a change."
echo
"$bin/peers" report --figures "$figures" --heading "$heading" --markdown "$out/peers.md"
