#!/usr/bin/env bash
# From the API server's acknowledgement of a change to the first right answer: rollcall beside CoreDNS (kubeadm's
# `kubernetes` plugin), on one API server, on the same changes; idle, and while other changes go on. Starts etcd and
# an API server of its own; the first time their building takes some 20 minutes (tests/cluster/build.sh).
# Usage: [ROUNDS=3] [CHANGES=200] [RATES=0,100,1000] [SERVICES=100] bench/change.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:-target/release/rollcall}
rounds=${ROUNDS:-3} changes=${CHANGES:-200} rates=${RATES:-0,100,1000} services=${SERVICES:-100}
[ -x "$rollcall" ] || { echo "$rollcall is not there: cargo build --release" >&2; exit 1; }
bin=${CARGO_TARGET_DIR:-bench/target}/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release
cargo build --release --locked --quiet --manifest-path bench/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-bench/target}"
programs=${ROLLCALL_CLUSTER_BIN:-$(tests/cluster/build.sh)}

work=$(mktemp -d)
declare -A pids=()
finish() {
  # The API server last but etcd: it ends in order only while its store is there.
  for name in coredns rollcall kube-apiserver etcd; do
    [ -z "${pids[$name]:-}" ] || { kill "${pids[$name]}" 2>/dev/null || true; wait "${pids[$name]}" 2>/dev/null || true; }
  done
  rm -rf "$work"
}
trap finish EXIT

# start NAME COMMAND…
start() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 &
  pids[$name]=$!
}
# wait_until NAME COMMAND…: up to 60 s, while the program runs.
wait_until() {
  local name=$1 latest=$((SECONDS + 60))
  shift
  while [ "$SECONDS" -lt "$latest" ] && kill -0 "${pids[$name]}" 2>/dev/null; do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  echo "$name did not start:" >&2
  tail -n 30 "$work/$name.log" >&2
  return 1
}
# A port that nobody listens on, below those that the kernel gives to outgoing connections.
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

clients=http://127.0.0.1:$(free_port) peers=http://127.0.0.1:$(free_port) secure=$(free_port) dns=$(free_port)
start etcd "$programs/etcd" --data-dir "$work/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls "$clients" --advertise-client-urls "$clients" \
  --listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers"

openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
openssl rsa -in "$work/sa.key" -pubout -out "$work/sa.pub" 2>/dev/null
echo 'admin-of-a-benchmark,admin,admin,"system:masters"' >"$work/tokens.csv"
start kube-apiserver "$programs/kube-apiserver" --etcd-servers="$clients" \
  --bind-address=127.0.0.1 --secure-port="$secure" --cert-dir="$work" --advertise-address=10.255.255.1 \
  --endpoint-reconciler-type=none --service-cluster-ip-range=10.96.0.0/12 --token-auth-file="$work/tokens.csv" \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local \
  --service-account-key-file="$work/sa.pub" --service-account-signing-key-file="$work/sa.key" \
  --authorization-mode=RBAC --max-requests-inflight=2000 --max-mutating-requests-inflight=1000
# Its own certificate, made at the start, has the authority behind it.
cat >"$work/kubeconfig" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: "https://127.0.0.1:$secure", certificate-authority: "$work/apiserver.crt"}}]
users: [{name: admin, user: {token: admin-of-a-benchmark}}]
contexts: [{name: bench, context: {cluster: bench, user: admin}}]
current-context: bench
EOF
is_ready() { [ "$("$programs/kubectl" --kubeconfig "$work/kubeconfig" get --raw /readyz)" = ok ]; }
wait_until kube-apiserver is_ready

cat >"$work/rollcall.toml" <<EOF
pods = "insecure"
[limits]
# It is ended with nobody left to answer.
lameduck = 0
EOF
start rollcall "$rollcall" serve --config "$work/rollcall.toml" --kubeconfig "$work/kubeconfig" \
  --listen 127.0.0.1:0 --admin 127.0.0.1:0
wait_until rollcall grep -qx ready "$work/rollcall.log"
# What kubeadm installs, less what another server block or a probe would need; the cache is off for the cluster's zone
# there as well.
cat >"$work/Corefile" <<EOF
.:$dns {
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig $work/kubeconfig
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    cache 30 {
        disable success cluster.local
        disable denial cluster.local
    }
    loadbalance
}
EOF
start coredns "$programs/coredns" -conf "$work/Corefile"
wait_until coredns grep -q '^CoreDNS-' "$work/coredns.log"

echo "$("$rollcall" --version) beside $("$programs/coredns" -version | head -n 1), $("$programs/kube-apiserver" --version)"
echo "$rounds rounds of $changes changes; nothing is pinned: etcd, API server, both servers and the clients share $(nproc) cores"
echo
"$bin/change" --kubeconfig "$work/kubeconfig" --rounds "$rounds" --changes "$changes" --rates "$rates" --services "$services" \
  --server "rollcall=$(sed -n 's/^listening udp+tcp //p' "$work/rollcall.log")" --server "CoreDNS=127.0.0.1:$dns"
