# shellcheck shell=bash
# What the benchmarks share: programs that are started, waited for and ended by their ids, a control plane, rollcall
# and CoreDNS beside each other. To be sourced, at the root of the sources, by a script that has `set -euo pipefail`.
#
#   work             a folder of this run, gone at its end
#   pids[NAME]       the process of what was started
#   addresses[NAME]  where a DNS server answers
#   cores[NAME]      set before the start: the cores that it stays on, as taskset has them
#   ports[NAME]      set before the start: the port of a DNS server; else it is a free one
#   bin              (build_bench) the folder of the benchmarks' programs
#   programs         (find_programs) the folder of etcd, kube-apiserver, kubectl, coredns
#   kubeconfig       (start_control_plane) the administrator's
#   etcd             (start_control_plane) where its store answers

work=$(mktemp -d)
# shellcheck disable=SC2034  # addresses: for the scripts
declare -A pids=() addresses=() cores=() ports=()

# Ends what was started, and nothing else: the API server last but etcd, for it ends in order only while its store is
# there.
finish() {
  local name
  for name in "${!pids[@]}"; do
    case $name in kube-apiserver | etcd) ;; *) stop "$name" ;; esac
  done
  stop kube-apiserver
  stop etcd
  rm -rf "$work"
}
trap finish EXIT
# A shell that a signal ends without a trap of its own does not always come by the one above.
trap 'exit 130' INT
trap 'exit 143' TERM

# say TEXT: on standard error, for standard output holds the figures.
say() { echo "$*" >&2; }

# start NAME COMMAND…: its output goes to $work/NAME.log.
start() {
  local name=$1
  shift
  # Here and not by the program's own start, or who waits may read what an earlier one of this name said.
  : >"$work/$name.log"
  if [ -n "${cores[$name]:-}" ]; then set -- taskset -c "${cores[$name]}" "$@"; fi
  "$@" >"$work/$name.log" 2>&1 &
  pids[$name]=$!
}

# stop NAME: ends it and waits for its end, 20 s before it is killed; nothing where it was not started.
stop() {
  local pid=${pids[$1]:-} latest=$((SECONDS + 20))
  [ -n "$pid" ] || return 0
  unset "pids[$1]"
  kill "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null && [ "$SECONDS" -lt "$latest" ]; do sleep 0.05; done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# wait_until NAME COMMAND…: until the command succeeds, up to $patience seconds (60), while the program runs.
wait_until() {
  local name=$1 latest=$((SECONDS + ${patience:-60}))
  shift
  while [ "$SECONDS" -lt "$latest" ] && kill -0 "${pids[$name]}" 2>/dev/null; do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  say "$name did not start:"
  tail -n 30 "$work/$name.log" >&2
  return 1
}

# A port that nobody listens on, below those that the kernel gives to outgoing connections.
free_port() {
  local port
  while port=$((20000 + RANDOM % 12000)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

# require_rollcall PATH: it becomes $rollcall.
require_rollcall() {
  rollcall=$1
  [ -x "$rollcall" ] || { say "$rollcall is not there: cargo build --release"; return 1; }
}

# Builds this package's programs, and says where they are; with ROLLCALL_BENCH_BIN those there are taken as they are.
# shellcheck disable=SC2034  # bin: for the scripts
build_bench() {
  local target=${CARGO_TARGET_DIR:-bench/target}
  bin=${ROLLCALL_BENCH_BIN:-$target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release}
  [ -z "${ROLLCALL_BENCH_BIN:-}" ] || return 0
  cargo build --release --locked --quiet --manifest-path bench/Cargo.toml --target-dir "$target"
}

# The control plane's programs, and CoreDNS: the first time their building takes some 20 minutes.
find_programs() { programs=${ROLLCALL_CLUSTER_BIN:-$(tests/cluster/build.sh)}; }

# etcd and an API server, without controllers: what a benchmark makes is all there is. Nothing waits for a disk, and
# no request for a share of the API server: 100,000 services with slices and StatefulSets are to be made quickly.
# shellcheck disable=SC2034  # etcd: for the scripts
start_control_plane() {
  local clients peers secure
  etcd=127.0.0.1:$(free_port)
  clients=http://$etcd peers=http://127.0.0.1:$(free_port) secure=$(free_port)
  find_programs
  start etcd "$programs/etcd" --data-dir "$work/etcd" --unsafe-no-fsync --log-level warn \
    --quota-backend-bytes=$((8 << 30)) --snapshot-count=100000 \
    --listen-client-urls "$clients" --advertise-client-urls "$clients" \
    --listen-peer-urls "$peers" --initial-advertise-peer-urls "$peers" --initial-cluster "default=$peers"
  openssl genrsa -out "$work/sa.key" 2048 2>/dev/null
  openssl rsa -in "$work/sa.key" -pubout -out "$work/sa.pub" 2>/dev/null
  echo 'admin-of-a-benchmark,admin,admin,"system:masters"' >"$work/tokens.csv"
  # `generate` has cluster IPs from 10.96.0.10 on: one /12 holds a million.
  start kube-apiserver "$programs/kube-apiserver" --etcd-servers="$clients" \
    --bind-address=127.0.0.1 --secure-port="$secure" --cert-dir="$work" --advertise-address=10.255.255.1 \
    --endpoint-reconciler-type=none --service-cluster-ip-range=10.96.0.0/12 --token-auth-file="$work/tokens.csv" \
    --service-account-issuer=https://kubernetes.default.svc.cluster.local \
    --service-account-key-file="$work/sa.pub" --service-account-signing-key-file="$work/sa.key" \
    --authorization-mode=RBAC --enable-priority-and-fairness=false \
    --max-requests-inflight=0 --max-mutating-requests-inflight=0
  kubeconfig=$work/kubeconfig
  # Its own certificate, made at the start, has the authority behind it.
  cat >"$kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: "https://127.0.0.1:$secure", certificate-authority: "$work/apiserver.crt"}}]
users: [{name: admin, user: {token: admin-of-a-benchmark}}]
contexts: [{name: bench, context: {cluster: bench, user: admin}}]
current-context: bench
END
  patience=180 wait_until kube-apiserver is_control_plane_ready
}
is_control_plane_ready() { [ "$("$programs/kubectl" --kubeconfig "$kubeconfig" get --raw /readyz)" = ok ]; }

# write_kubeconfig FILE ADDRESS: for an API server that `replay` plays.
write_kubeconfig() {
  cat >"$1" <<END
apiVersion: v1
kind: Config
clusters: [{name: bench, cluster: {server: "http://$2"}}]
users: [{name: none, user: {}}]
contexts: [{name: bench, context: {cluster: bench, user: none}}]
current-context: bench
END
}

# start_rollcall NAME ARGUMENT…: `$rollcall serve` on a free port, ready. Its configuration is $work/NAME.toml; one
# that is not there yet has what the comparisons need.
start_rollcall() {
  local name=$1
  shift
  [ -e "$work/$name.toml" ] || cat >"$work/$name.toml" <<'END'
pods = "insecure"
[limits]
# It is ended with nobody left to answer.
lameduck = 0
END
  start "$name" "$rollcall" serve --config "$work/$name.toml" --listen "127.0.0.1:${ports[$name]:-0}" \
    --admin 127.0.0.1:0 "$@"
  wait_until "$name" grep -qx ready "$work/$name.log"
  addresses[$name]=$(sed -n 's/^listening udp+tcp //p' "$work/$name.log")
}

# write_corefile FILE PORT KUBECONFIG: what kubeadm installs, less what another server block or a probe would need; the
# cache is off for the cluster's zone there as well.
write_corefile() {
  cat >"$1" <<END
.:$2 {
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig $3
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
END
}

# start_coredns NAME [KUBECONFIG]: kubeadm's CoreDNS, ready.
# shellcheck disable=SC2034  # addresses: for the scripts
start_coredns() {
  local name=$1 port
  port=${ports[$name]:-$(free_port)}
  [ -n "${programs:-}" ] || find_programs
  write_corefile "$work/$name.Corefile" "$port" "${2:-$kubeconfig}"
  start "$name" "$programs/coredns" -conf "$work/$name.Corefile"
  wait_until "$name" grep -q '^CoreDNS-' "$work/$name.log"
  addresses[$name]=127.0.0.1:$port
}
