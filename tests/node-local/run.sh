#!/usr/bin/env bash
# The node-local form, tried: a network namespace is the node, with rollcall at its link-local address as
# deploy/overlays/node-local has it (its configuration, its user, no capability; its init container's commands make the
# address) and the real CoreDNS with config/coredns/Corefile.node-local in NodeLocal DNSCache's place. Another namespace is
# a pod, with a pod's resolv.conf, in which glibc and musl resolve names of the cluster and names outside. Then rollcall
# is replaced, lost, and started without a cluster to know, while the pod goes on asking.
#
#   tests/node-local/run.sh [ROLLCALL]     default target/release/rollcall
#
# Needs root, and of Debian busybox, curl, iproute2, nsd, bind9-dnsutils, libc-bin, musl-tools, and tests/cluster/build.sh's
# CoreDNS and kubectl. What it makes is named after its own process, and gone at its end.
set -euo pipefail
if [[ -z ${ROLLCALL_NODE_LOCAL_BOUNDED:-} ]]; then
  ROLLCALL_NODE_LOCAL_BOUNDED=1 exec timeout --foreground --kill-after=10 300 "$BASH" "${BASH_SOURCE[0]}" "$@"
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/checks.sh
. tests/checks.sh

((EUID == 0)) || { echo "it makes network namespaces, which only root may" >&2; exit 1; }
for program in busybox curl dig getent ip musl-gcc nsd setpriv; do
  command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
done
rollcall=$(realpath "${1:-target/release/rollcall}")
programs=${ROLLCALL_CLUSTER_BIN:-$(tests/cluster/build.sh)}

node=rollcall-node-$$ pod=rollcall-pod-$$
work=$(mktemp -d)
declare -A pids=()

# shellcheck disable=SC2317  # the trap reaches it
cleanup() {
  local name
  for name in "${!pids[@]}"; do stop "$name"; done
  for name in "$node" "$pod"; do
    ip netns del "$name" 2>/dev/null || true
    rm -rf "/etc/netns/$name"
  done
  rmdir /etc/netns 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

on_node() { ip netns exec "$node" "$@"; }
in_pod() { ip netns exec "$pod" "$@"; }

# start NAME COMMAND…: on the node; its output goes to $work/NAME.log.
start() {
  local name=$1
  shift
  : >"$work/$name.log"
  ip netns exec "$node" "$@" >"$work/$name.log" 2>&1 &
  pids[$name]=$!
}
stop() {
  local pid=${pids[$1]:-} tries
  [ -n "$pid" ] || return 0
  unset "pids[$1]"
  kill "$pid" 2>/dev/null || true
  for ((tries = 0; tries < 100; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
# wait_until NAME COMMAND…: 20 s at most, while it runs.
wait_until() {
  local name=$1 latest=$((SECONDS + 20))
  shift
  until "$@" >/dev/null 2>&1; do
    if ! kill -0 "${pids[$name]}" 2>/dev/null || [ "$SECONDS" -ge "$latest" ]; then
      echo "$name did not start:" && tail -n 20 "$work/$name.log"
      exit 1
    fi
    sleep 0.1
  done
}

# The node and the pod, and a line between them. The pod's way out is the node, as with any network plugin.
for name in "$node" "$pod"; do
  ip netns add "$name"
  mkdir -p "/etc/netns/$name"
  ip -n "$name" link set lo up
done
ip link add eth0 netns "$pod" type veth peer name pod netns "$node"
ip -n "$node" address add 10.244.1.1/24 dev pod
ip -n "$node" link set pod up
ip -n "$pod" address add 10.244.1.7/24 dev eth0
ip -n "$pod" link set eth0 up
ip -n "$pod" route add default via 10.244.1.1
printf 'nameserver 169.254.20.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n' \
  >"/etc/netns/$pod/resolv.conf"
echo 'hosts: files dns' >"/etc/netns/$pod/nsswitch.conf"
echo '127.0.0.1 localhost' >"/etc/netns/$pod/hosts"

# Those that node-cache makes for itself.
ip -n "$node" address add 169.254.20.10/32 dev lo
ip -n "$node" address add 10.96.0.10/32 dev lo

# The init container's own commands, with its variables, by the shell of its image; twice, for a pod comes again.
"$programs/kubectl" kustomize deploy/overlays/node-local -o "$work/node-local.yaml"
field() {
  "$programs/kubectl" patch --local --type=merge -p '{}' -f "$work/daemonset.yaml" -o "jsonpath=$1"
}
awk 'BEGIN { RS = "---\n" } /(^|\n)kind: DaemonSet(\n|$)/' "$work/node-local.yaml" >"$work/daemonset.yaml"
init='{.spec.template.spec.initContainers[0]'
field "$init.command[2]}" >"$work/init.sh"
interface=$(field "$init.env[?(@.name==\"INTERFACE\")].value}")
address=$(field "$init.env[?(@.name==\"ADDRESS\")].value}")
mkdir "$work/path" && for applet in ip grep; do ln -s "$(command -v busybox)" "$work/path/$applet"; done
for _ in 1 2; do
  on_node env PATH="$work/path" INTERFACE="$interface" ADDRESS="$address" "$(command -v busybox)" sh -e "$work/init.sh"
done
is "the init container's address, once" "$(ip -n "$node" -oneline address | grep -o '169.254.20.11/[0-9]*')" "$address/32"

# The container: its user, no capability, nothing to gain, its configuration and its variables. Manifests stand for the API
# server. Nothing is remembered, so that each question reaches it.
chmod 755 "$work"
install -m 0755 "$rollcall" "$work/rollcall"
cp -r config/demo "$work/demo" && chmod -R a+rX "$work/demo"
cp deploy/overlays/node-local/rollcall.toml "$work/rollcall.toml" && chmod a+r "$work/rollcall.toml"
user=$(field '{.spec.template.spec.securityContext.runAsUser}')
port=$(field '{.spec.template.spec.containers[0].ports[0].containerPort}')
admin=$(field '{.spec.template.spec.containers[0].env[?(@.name=="ROLLCALL_ADMIN")].value}')
confined=(setpriv --reuid "$user" --regid "$user" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs)
start_rollcall() {
  start rollcall env ROLLCALL_ADMIN="$admin" ROLLCALL_IDENTITY=node-a ROLLCALL_TTL_POSITIVE=0 ROLLCALL_TTL_NEGATIVE=0 \
    "${confined[@]}" "$work/rollcall" serve --config "$work/rollcall.toml" "$@"
}
start_rollcall --manifests "$work/demo"
wait_until rollcall grep -qx ready "$work/rollcall.log"
pid=${pids[rollcall]}
is "its user" "$(awk '/^Uid/ { print $2 }' "/proc/$pid/status")" "$user"
is "its capabilities" "$(awk '/^CapEff/ { print $2 }' "/proc/$pid/status")" 0000000000000000
is "where it listens" "$(sed -n 's/^listening udp+tcp //p' "$work/rollcall.log")" "$address:$port"
# The kubelet probes at the node's address.
health() { on_node curl --silent --max-time 2 --noproxy '*' --output /dev/null --write-out '%{http_code}' "http://10.244.1.1$admin/$1" || true; }
is "/livez at the node's address" "$(health livez)" 200
is "/readyz at the node's address" "$(health readyz)" 200

# What is outside: an authoritative server of our own.
cat >"$work/example.com.zone" <<'END'
$TTL 0
@ IN SOA ns.example.com. root.example.com. 1 3600 600 86400 0
@ IN NS ns
ns IN A 127.0.0.3
www IN A 192.0.2.80
END
# And of the root, to say NXDOMAIN to what is asked last along the search path; a REFUSED there takes musl 5 s.
cat >"$work/root.zone" <<'END'
$TTL 0
. IN SOA ns.example.com. root.example.com. 1 3600 600 86400 0
. IN NS ns.example.com.
END
cat >"$work/nsd.conf" <<END
server:
  ip-address: 127.0.0.3
  zonesdir: "$work"
  zonelistfile: "$work/nsd.zones"
  xfrdfile: "$work/nsd.xfrd"
  pidfile: "$work/nsd.pid"
  database: ""
  username: ""
  chroot: ""
remote-control:
  control-enable: no
zone:
  name: example.com
  zonefile: example.com.zone
zone:
  name: .
  zonefile: root.zone
END
start nsd nsd -d -c "$work/nsd.conf"
wait_until nsd on_node dig +short +tries=1 +timeout=1 @127.0.0.3 www.example.com
# The node's cache, its words filled in as node-cache does; 127.0.0.2 is the cluster's DNS, which is started later.
sed 's/__PILLAR__CLUSTER__DNS__/127.0.0.2/; s/__PILLAR__UPSTREAM__SERVERS__/127.0.0.3/' \
  config/coredns/Corefile.node-local >"$work/Corefile"
start cache "$programs/coredns" -conf "$work/Corefile"
wait_until cache in_pod dig +short +tries=1 +timeout=1 @169.254.20.10 kubernetes.default.svc.cluster.local

musl-gcc -static -O1 -o "$work/resolve" tests/node-local/resolve.c
# glibc NAME, musl NAME: its IPv4 addresses, sorted; nothing where there is none.
glibc() { in_pod getent ahostsv4 "$1" | awk '{ print $1 }' | sort -u; }
musl() { in_pod "$work/resolve" "$1" 2>/dev/null | grep -F . | sort -u; }
# ask LIBRARY NAME: the same, and no answer may take a second: musl waits 5 s where it is told REFUSED.
ask() {
  local began=${EPOCHREALTIME/./} answer took
  answer=$("$1" "$2" || true)
  took=$(((${EPOCHREALTIME/./} - began) / 1000))
  if ((took < 1000)); then echo "$answer"; else echo "$answer after $took ms"; fi
}
known() { on_node dig +short @"$address" -p "$port" "$1" A | sort -u; }

is "which rollcall the node asks" "$(on_node dig +short @"$address" -p "$port" CH TXT id.server)" '"node-a"'
replica=$(known web-0.nginx.default.svc.cluster.local)
all=$(known nginx.default.svc.cluster.local)
is "the headless service has three" "$(wc -l <<<"$all")" 3
for library in glibc musl; do
  is "$library: a replica, by its short name" "$(ask $library web-0.nginx)" "$replica"
  is "$library: a replica, by its full name" "$(ask $library web-0.nginx.default.svc.cluster.local)" "$replica"
  is "$library: a headless service" "$(ask $library nginx)" "$all"
  is "$library: a service of another namespace" "$(ask $library kube-dns.kube-system)" 10.96.0.10
  is "$library: a replica that is not there" "$(ask $library web-9.nginx)" ""
  is "$library: a name outside" "$(ask $library www.example.com)" 192.0.2.80
  is "$library: a name outside that is not there" "$(ask $library nothing.example.com)" ""
done

# The pod is replaced: its port is closed, and the cluster's DNS answers. Asked from before to after, without pause.
start cluster env ROLLCALL_TTL_POSITIVE=0 ROLLCALL_TTL_NEGATIVE=0 \
  "$work/rollcall" serve --manifests "$work/demo" --listen 127.0.0.2:53 --admin off
wait_until cluster grep -qx ready "$work/cluster.log"
: >"$work/asked"
while [ ! -e "$work/enough" ]; do
  in_pod dig +short +tries=1 +timeout=2 @169.254.20.10 web-0.nginx.default.svc.cluster.local >>"$work/asked" 2>&1 || true
done &
pids[asking]=$!
sleep 1
for _ in 1 2 3; do
  stop rollcall
  sleep 1
  start_rollcall --manifests "$work/demo"
  wait_until rollcall grep -qx ready "$work/rollcall.log"
  sleep 0.5
done
touch "$work/enough" && wait "${pids[asking]}" && unset 'pids[asking]'
is "answered throughout three replacements" "$(sort -u "$work/asked")" "$replica"
asked=$(wc -l <"$work/asked")
is "often enough to tell ($asked)" "$((asked >= 100))" 1

stop rollcall
for library in glibc musl; do
  is "$library: a replica, while no rollcall is on the node" "$(ask $library web-1.nginx)" \
    "$(on_node dig +short @127.0.0.2 web-1.nginx.default.svc.cluster.local)"
  is "$library: a name outside, meanwhile" "$(ask $library www.example.com)" 192.0.2.80
done

# Started while the API server is away: SERVFAIL, and so the cluster's answer.
cat >"$work/kubeconfig" <<'END'
apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: none, user: {}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
current-context: none
END
chmod a+r "$work/kubeconfig"
start_rollcall --kubeconfig "$work/kubeconfig"
wait_until rollcall grep -q '^listening udp+tcp' "$work/rollcall.log"
is "without a cluster it says SERVFAIL" \
  "$(on_node dig +tries=1 @"$address" -p "$port" kubernetes.default.svc.cluster.local | sed -n 's/.*status: \([A-Z]*\).*/\1/p')" \
  SERVFAIL
for library in glibc musl; do
  is "$library: a replica, while the node's rollcall does not know" "$(ask $library web-2.nginx)" \
    "$(on_node dig +short @127.0.0.2 web-2.nginx.default.svc.cluster.local)"
done

# And back: the node's own answers again, without the cluster's DNS.
stop rollcall
start_rollcall --manifests "$work/demo"
wait_until rollcall grep -qx ready "$work/rollcall.log"
stop cluster
for library in glibc musl; do
  is "$library: a replica, when it is back" "$(ask $library web-0.nginx)" "$replica"
done

summary
