#!/usr/bin/env bash
# DNS Push Notifications between rollcall and programs that others wrote. Usage: tests/push-interop/run.sh [path of rollcall]
#
#   ROLLCALL_MDNSRESPONDER=FOLDER  a checkout of github.com/apple-oss-distributions/mDNSResponder: its DSO/dso.c as a client
#                                  (speak.c), and as root, in a network namespace, its mdnsd with dns-sd (follow.c)
#   ROLLCALL_GO_DNS=FOLDER         a checkout of github.com/Kentzo/dns, branch dso: as a client and as a server (push.go)
#
# Both are fetched by whoever runs this, built in a temporary folder, and never changed; without one its part is passed over
# with a word. Needs gcc, make, openssl, python3, go. One line an assertion, then `N passed, N failed`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
# shellcheck source=tests/checks.sh
. tests/checks.sh
rollcall=$(realpath -m "${1:-target/release/rollcall}")
mdns=${ROLLCALL_MDNSRESPONDER:-} go_dns=${ROLLCALL_GO_DNS:-}
zone=cluster.test
service=nginx.default.svc.$zone
sets=nginx.default._statefulset.$zone
work=$(mktemp -d)
namespace=rollcall-push-$$
pids=()
inside=()
made_namespace=

# shellcheck disable=SC2317  # the trap reaches it
cleanup() {
  stop "${pids[@]}"
  if [ -n "$made_namespace" ]; then
    ip netns del "$namespace" || true
    rm -rf "/etc/netns/$namespace"
    rmdir /etc/netns 2>/dev/null || true
  fi
  rm -rf "$work"
}
# stop PID…: those that we started.
stop() {
  local pid
  for pid; do kill "$pid" 2>/dev/null || true; done
  for pid; do wait "$pid" 2>/dev/null || true; done
}
trap cleanup EXIT
# A client that has ended takes no commands: what it did not say is the failure.
trap '' PIPE

# within SECONDS COMMAND…: whether it succeeds in time; a busy machine has plenty.
within() {
  local tries=$(($1 * 10))
  shift
  while ((tries-- > 0)); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  return 1
}
# told WHAT FILE PATTERN: a line comes that matches.
told() {
  if within 60 grep -Eq -- "$3" "$2"; then ok "$1"; else fail "$1: no $3" "$(tail -n 12 "$2")"; fi
}
# never WHAT FILE PATTERN
never() { if grep -Eq -- "$3" "$2"; then fail "$1" "$(grep -E -- "$3" "$2")"; else ok "$1"; fi; }

# The cluster: a set `web` under nginx, and one that is large.
declare -A replicas=([web]=2 [big]=0)
write_cluster() {
  local name
  {
    for name in web big; do
      cat <<YAML
apiVersion: v1
kind: Service
metadata: {name: $([ "$name" = web ] && echo nginx || echo big)}
spec: {clusterIP: None, selector: {app: $name}, ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: $name}
spec: {serviceName: $([ "$name" = web ] && echo nginx || echo big), replicas: ${replicas[$name]}, template: {metadata: {labels: {app: $name}}}}
---
YAML
    done
  } >"$work/edited"
  mv "$work/edited" "$work/cluster.yaml"
}
# scale SET REPLICAS
scale() {
  replicas[$1]=$2
  write_cluster
}

issue() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" \
    -subj '/CN=authority' -days 2 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/tls.key" -out "$work/tls.csr" \
    -subj /CN=rollcall 2>/dev/null
  openssl x509 -req -in "$work/tls.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 1 \
    -extfile <(printf 'subjectAltName=DNS:ns.dns.%s' "$zone") -out "$work/tls.crt" 2>/dev/null
}

# serve ADDRESS PORT TLS-PORT [NAME=VALUE…]: starts it, and sets `server`, `port` and `tls`.
serve() {
  local address=$1 from=$2 over=$3
  shift 3
  replicas=([web]=2 [big]=0)
  write_cluster
  # Else the one before would be read.
  : >"$work/log"
  env "$@" "${inside[@]}" "$rollcall" serve --manifests "$work/cluster.yaml" --zone "$zone" --admin off --listen "$address:$from" \
    --listen "tls://$address:$over" --tls-certificate "$work/tls.crt" --tls-key "$work/tls.key" 2>"$work/log" &
  server=$!
  pids+=("$server")
  if ! within 30 grep -q '^ready$' "$work/log"; then
    fail "rollcall becomes ready" "$(cat "$work/log")"
    return 1
  fi
  port=$(sed -n "s/^listening udp+tcp $address://p" "$work/log")
  tls=$(sed -n "s/^listening tls $address://p" "$work/log")
}

# open_client FILE COMMAND…: starts it with descriptor 5 as its standard input.
open_client() {
  local out=$1
  shift
  rm -f "$work/commands"
  mkfifo "$work/commands"
  "$@" <"$work/commands" >"$out" 2>&1 &
  client=$!
  pids+=("$client")
  exec 5>"$work/commands"
}
say() { printf '%s\n' "$*" >&5 2>/dev/null || true; }

# check_client WHO COLLECTIVE COMMAND…: what both clients can do. COLLECTIVE is what it prints of the removal of a set.
check_client() {
  local who=$1 collective=$2 out=$work/out id octets
  shift 2
  open_client "$out" "$@"
  say "subscribe $service 1"
  told "$who: SUBSCRIBE, A: taken" "$out" "^response $service/1 rcode 0"
  told "$who: what is there" "$out" "^add $service\. 1 1 ttl 5 A 10\.244\.0\.3"
  say "subscribe $service 33" && say "subscribe $sets 16" && say "subscribe web-2.$service 255"
  told "$who: SRV" "$out" "^add $service\. 33 1 ttl 5 SRV 0 50 80 web-1\.$service\."
  told "$who: TXT" "$out" "^add $sets\. 16 1 ttl 5 TXT .*replicas=2"
  told "$who: ANY of a name that is not there yet" "$out" "^response web-2\.$service/255 rcode 0"
  say "keepalive 3600000 3600000"
  told "$who: Keepalive: the server's times" "$out" 'keepalive 30000 120000'
  say "subscribe example.org 1"
  told "$who: NOTAUTH, and a Retry Delay" "$out" 'retry-delay 300000 rcode 9|rcode 9 retry-delay 300000'
  say "reconfirm $service 1 0af40002"
  scale web 3
  told "$who: a record more" "$out" "^add $service\. 1 1 ttl 5 A 10\.244\.0\.4"
  told "$who: other weights: what is new" "$out" "^add $service\. 33 1 ttl 5 SRV 0 33 80 web-2\.$service\."
  told "$who: other weights: what is gone" "$out" "^remove $service\. 33 1 SRV 0 50 80 web-1\.$service\."
  told "$who: the name that appears" "$out" "^add web-2\.$service\. 1 1 ttl 5 A 10\.244\.0\.4"
  told "$who: TXT changes" "$out" "^add $sets\. 16 1 ttl 5 TXT .*replicas=3"
  id=$(sed -n "s,^sent $service/33 id ,,p" "$out")
  say "unsubscribe $id" && say "subscribe $service 28"
  # What is asked for behind it is answered behind it.
  told "$who: UNSUBSCRIBE leaves the session" "$out" "^response $service/28 rcode 0"
  scale web 0
  told "$who: a record less" "$out" "^remove $service\. 1 1 A 10\.244\.0\.2"
  told "$who: a name that goes" "$out" "^remove web-2\.$service\. 33 1 SRV"
  never "$who: nothing is told of what was unsubscribed from" "$out" "^(remove $service\. 33 1 SRV 0 33|remove-all $service\. 33)"
  scale big 1500
  say "subscribe big.default.svc.$zone 1"
  if within 60 has_lines 1500 "$out" '^add big\.'; then ok "$who: 1,500 records"; else fail "$who: 1,500 records" "$(grep -c '^add big' "$out" || true)"; fi
  octets=$(sed -n 's/^push //p' "$out" | sort -n | tail -n 1)
  is "$who: the longest PUSH has at most 16,382 octets" "$((octets > 8000 && octets <= 16382))" 1
  scale big 0
  told "$who: a large set that goes at once${not_read:+, which $not_read}" "$out" "$collective"
}
has_lines() { [ "$(grep -Ec -- "$3" "$2")" -ge "$1" ]; }

# check_goodbye WHO: the server stops.
check_goodbye() {
  stop "$server"
  told "$1: Retry Delay, from 1 to 2 s, when the server stops" "$work/out" '^retry-delay (1[0-9]{3}|2000) rcode 0'
  told "$1: the connection ends" "$work/out" '^end '
  never "$1: nothing that it does not understand" "$work/out" '^(invalid|error|end by dso|dso\.c answers|event |message of)'
  exec 5>&-
  stop "$client"
}

build_speak() {
  local from=$mdns/ServiceRegistration
  gcc -w -O1 -D_GNU_SOURCE -DSTANDALONE -DPOSIX_BUILD -DLINUX -DNOT_HAVE_SA_LEN -DMDNS_NO_STRICT -ffunction-sections -Wl,--gc-sections \
    -I"$mdns/mDNSCore" -I"$mdns/mDNSShared" -I"$mdns/mDNSShared/utilities" -I"$mdns/DSO" -I"$from" -o "$work/speak" \
    "$here/speak.c" "$mdns/DSO/dso.c" "$from/fromwire.c" "$from/wireutils.c" "$from/towire.c" >"$work/build.log" 2>&1
}

check_speak() {
  if ! build_speak; then
    fail "mDNSResponder's DSO/dso.c is built" "$(cat "$work/build.log")"
    return
  fi
  serve 127.0.0.1 0 0 ROLLCALL_PUSH_TCP=true || return 0
  # It has no A record without data, not even in a removal (RFC 8765, section 6.3.1).
  local not_read="ServiceRegistration/fromwire.c does not read"
  check_client "dso.c over TCP" '^unread' "$work/speak" 127.0.0.1 "$port"
  # As mDNSCore has it: by name, type and class. Subscribed to twice, the session would be cut.
  say "subscribe web-0.$service 1" && say "unsubscribe-from web-0.$service 1" && say "subscribe web-0.$service 1"
  if within 30 has_lines 2 "$work/out" "^response web-0\.$service/1 rcode 0"; then
    ok "dso.c over TCP: UNSUBSCRIBE as drafts had it"
  else
    fail "dso.c over TCP: UNSUBSCRIBE as drafts had it" "$(tail -n 3 "$work/out")"
  fi
  check_goodbye "dso.c over TCP"
  serve 127.0.0.1 0 0 || return 0
  check_client "dso.c over TLS" '^unread' "$work/speak" -- openssl s_client -quiet -verify_quiet -verify_return_error \
    -CAfile "$work/ca.crt" -verify_hostname "ns.dns.$zone" -alpn dot -connect "127.0.0.1:$tls"
  check_goodbye "dso.c over TLS"
}

build_push() {
  mkdir "$work/push"
  cp "$here/push.go" "$work/push/"
  printf 'module rollcall.invalid/push-interop\n\ngo 1.23.0\n\nrequire github.com/miekg/dns v0.0.0\n\nreplace github.com/miekg/dns => %s\n' \
    "$(realpath "$go_dns")" >"$work/push/go.mod"
  (cd "$work/push" && go mod tidy && go build -buildvcs=false -o ../push-go .) >"$work/build.log" 2>&1
}

check_go() {
  if ! build_push; then
    fail "the fork of miekg/dns is built" "$(tail -n 20 "$work/build.log")"
    return
  fi
  local over allows to
  for over in TCP TLS; do
    allows=ROLLCALL_PUSH_TCP=true
    [ "$over" = TCP ] || allows=ROLLCALL_PUSH_TCP=false
    serve 127.0.0.1 0 0 "$allows" || return 0
    to=("127.0.0.1:$port")
    [ "$over" = TCP ] || to=("127.0.0.1:$tls" "$work/ca.crt" "ns.dns.$zone")
    check_client "miekg/dns over $over" "^remove-all big\.default\.svc\.$zone\. 1 1" "$work/push-go" client "${to[@]}"
    say "unknown 63488"
    told "miekg/dns over $over: DSOTYPENI" "$work/out" '^response unknown rcode 11'
    scale web 2
    say "subscribe-padded web-0.$service 33"
    told "miekg/dns over $over: who pads gets padding" "$work/out" "^response web-0\.$service/33 rcode 0 EncryptionPadding [0-9]+ octets 468"
    told "miekg/dns over $over: in a PUSH, too" "$work/out" '^push 468$'
    check_goodbye "miekg/dns over $over"
  done
  check_peers
}

# Our client, and a server of the fork's messages.
check_peers() {
  local out=$work/peers address following
  open_client "$work/out" "$work/push-go" server 127.0.0.1:0
  told "rollcall peers: a server of miekg/dns" "$work/out" '^listening '
  address=$(sed -n 's/^listening //p' "$work/out")
  "$rollcall" peers --service nginx --namespace default --zone "$zone" --server "push+tcp://$address" >"$out" 2>"$work/peers.log" &
  following=$!
  pids+=("$following")
  told "rollcall peers: what is there, by push" "$out" '"event":"start".*"way":"push".*"expected":2.*web-1\.'
  say "set 3"
  told "rollcall peers: a replica more" "$out" '"event":"change".*"expected":3.*"added":\["web-2\.'
  say "keepalive 20000 20000" && say "set 1"
  told "rollcall peers: two less, behind a Keepalive of the server" "$out" '"event":"change".*"expected":1.*"removed":\["web-1\.[^]]*"web-2\.'
  say "collective" && say "set 0"
  told "rollcall peers: the removal of a set" "$out" '"event":"change".*"expected":0.*"peers":\[\]'
  say "set 2"
  told "rollcall peers: and they are back" "$out" '"event":"change".*"expected":2.*"added":\["web-0\.'
  say "close 500"
  told "rollcall peers: a Retry Delay ends the session" "$out" '"event":"stale"'
  say "set 4"
  told "rollcall peers: and it comes back to a newer list" "$out" '"event":"change".*"way":"push".*"expected":4.*"added":\["web-2\.[^]]*"web-3\.'
  never "rollcall peers: its messages are valid to the fork" "$work/out" '^(invalid|no such|not sent)'
  exec 5>&-
  stop "$following" "$client"
}

build_mdnsd() {
  local options="-w -DMDNSRESPONDER_SUPPORTS_COMMON_DNS_PUSH=1 -include $work/paths.h -include $here/posix.h" part
  printf '#define ROLLCALL_SOCKET "%s"\n' "$work/socket" >"$work/paths.h"
  mkdir "$work/mdns"
  for part in Clients DSO ServiceRegistration mDNSCore mDNSPosix mDNSShared; do cp -r "$mdns/$part" "$work/mdns/"; done
  (
    cd "$work/mdns/mDNSPosix"
    build() { make os=linux tls=no STRIP=: "$@"; }
    build CFLAGS="$options" setup
    build CFLAGS="$options -DROLLCALL_UDNS" objects/prod/uDNS.c.o
    gcc -w -D_GNU_SOURCE -DPOSIX_BUILD -DHAVE_IPV6 -DNOT_HAVE_SA_LEN -DUSES_NETLINK -DHAVE_LINUX -DTARGET_OS_LINUX \
      -DMDNSRESPONDER_SUPPORTS_COMMON_DNS_PUSH=1 -I../mDNSCore -I../mDNSShared -I../mDNSShared/utilities -I../DSO \
      -c "$here/posix.c" -o objects/prod/posix.o
    build CFLAGS="$options" LINKOPTS=objects/prod/posix.o Daemon
    build CFLAGS="$options" libdns_sd Clients
    gcc -O1 -I../mDNSShared -o follow "$here/follow.c" -Lbuild/prod -ldns_sd
  ) >"$work/build.log" 2>&1
}

check_mdnsd() {
  if ((EUID != 0)) || ! command -v ip >/dev/null; then
    echo "skip mdnsd: only root, with ip, may make the namespace in which resolv.conf and port 53 are its own"
    return
  fi
  if ! build_mdnsd; then
    fail "mdnsd is built" "$(tail -n 20 "$work/build.log")"
    return
  fi
  ip netns add "$namespace" && made_namespace=1
  inside=(ip netns exec "$namespace")
  mkdir -p "/etc/netns/$namespace"
  echo 'nameserver 10.9.9.1' >"/etc/netns/$namespace/resolv.conf"
  "${inside[@]}" ip link set lo up
  "${inside[@]}" ip addr add 10.9.9.1/32 dev lo
  follow_with_mdnsd "mdnsd over TCP" 53 ROLLCALL_PUSH_TCP=true ROLLCALL_PUSH_PORT=53
  "${inside[@]}" python3 "$here/tunnel.py" 10.9.9.1:8530 10.9.9.1:853 "$work/ca.crt" "ns.dns.$zone" >"$work/tunnel" 2>&1 &
  pids+=("$!")
  told "the tunnel listens" "$work/tunnel" '^listening'
  follow_with_mdnsd "mdnsd over TLS, by a tunnel" 8530 ROLLCALL_PUSH_PORT=8530
  told "the tunnel spoke TLS, to a certificate that it trusts" "$work/tunnel" '^connected TLSv1'
  inside=()
}

# follow_with_mdnsd WHO PORT [NAME=VALUE…]: it finds the server by the SRV record of the zone, which names this port.
follow_with_mdnsd() {
  local who=$1 from=$2 out=$work/out log=$work/mdnsd.log daemon asking prod=$work/mdns/mDNSPosix/build/prod
  shift 2
  serve 10.9.9.1 53 853 "$@" || return 0
  "${inside[@]}" "$prod/mdnsd" -debug >"$log" 2>&1 &
  daemon=$!
  pids+=("$daemon")
  within 30 test -S "$work/socket" || true
  "${inside[@]}" env LD_LIBRARY_PATH="$prod" stdbuf -oL "$work/mdns/Clients/build/dns-sd" -Q "$sets" TXT >"$work/dns-sd" 2>&1 &
  asking=$!
  pids+=("$asking")
  open_client "$out" "${inside[@]}" env LD_LIBRARY_PATH="$prod" "$work/mdns/mDNSPosix/follow" "$service" 1 "$service" 33 "web-2.$service" 28 "web-0.$service" 1
  told "$who: it finds the server" "$log" "Found a new DNS push server for the served zone - server: ns\.dns\.$zone\.:$from"
  if within 30 has_lines 5 "$log" 'Subscription SUCCEEDS'; then ok "$who: it subscribes five times"; else fail "$who: it subscribes five times" "$(tail -n 5 "$log")"; fi
  told "$who: A" "$out" '^add 0 5 4 0af40003$'
  told "$who: SRV" "$out" '^add 1 5 [0-9]+ 000000320050057765622d31'
  # replicas=2
  told "$who: dns-sd prints TXT" "$work/dns-sd" 'Add .*72 65 70 6C 69 63 61 73 3D 32'
  say "stop 1"
  told "$who: it unsubscribes, by name" "$log" 'Unsubscribing question from the DNS push server'
  scale web 3
  told "$who: a change arrives" "$out" '^add 0 5 4 0af40004$'
  told "$who: dns-sd prints the change" "$work/dns-sd" 'Add .*72 65 70 6C 69 63 61 73 3D 33'
  told "$who: dns-sd prints what is gone" "$work/dns-sd" 'Rmv .*72 65 70 6C 69 63 61 73 3D 32'
  never "$who: nothing of what was unsubscribed from" "$out" '^(add|remove) 1 .*00000021'
  # It never says a Keepalive, and half a minute of silence is more than its session has (RFC 8490, section 6.2).
  told "$who: it is told how long it may be silent" "$log" 'Keepalive message received from the DNS push server'
  sleep 20
  scale web 0
  told "$who: and is still told what goes" "$out" '^remove 0 4 0af40004$'
  told "$who: all of it" "$out" '^remove 0 4 0af40002$'
  told "$who: of every name" "$out" '^remove 3 4 0af40002$'
  scale web 2
  # Whoever comes back has another address.
  told "$who: and what comes back" "$out" '^add 3 5 4 0af4000[5-9]$'
  never "$who: one session throughout" "$log" 'isconnected|FAILED TO CONNECT|fall back to LLQ|SetRData failed'
  if kill -0 "$daemon" 2>/dev/null; then ok "$who: it runs on"; else fail "$who: it runs on" "$(tail -n 3 "$log")"; fi
  exec 5>&-
  # Before the server: it does not survive the end of a connection.
  stop "$client" "$asking" "$daemon" "$server"
}

issue
if [ -n "$mdns" ]; then
  check_speak
  check_mdnsd
else
  echo "skip mDNSResponder: ROLLCALL_MDNSRESPONDER names no checkout of it"
fi
if [ -z "$go_dns" ]; then
  echo "skip miekg/dns with stateful operations: ROLLCALL_GO_DNS names no checkout of it"
elif ! command -v go >/dev/null; then
  missing go
else
  check_go
fi
summary
