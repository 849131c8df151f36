#!/usr/bin/env bash
# Asks a server for names that are not there, with the real dig and kdig: each must print why, and TCP and UDP the same.
# Usage: tests/reasons.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:-target/release/rollcall}
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }; rm -rf "$folder"' EXIT

# As an API server gives them (they have UIDs), so that nothing is played.
cat >"$folder/cluster.yaml" <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: nginx, namespace: default, uid: a1}
spec: {clusterIP: None, ports: [{name: web, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: nginx-x7, namespace: default, uid: a2, labels: {kubernetes.io/service-name: nginx}}
addressType: IPv4
ports: [{name: web, port: 80}]
endpoints:
- {addresses: [10.244.0.6], hostname: web-0, targetRef: {kind: Pod, name: web-0, uid: p0}, conditions: {ready: true}}
- {addresses: [10.244.0.7], hostname: web-1, targetRef: {kind: Pod, name: web-1, uid: p1}, conditions: {ready: false}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web, namespace: default, uid: a3}
spec: {serviceName: nginx, replicas: 3, template: {metadata: {labels: {app: nginx}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: kubia, namespace: default, uid: a4}
spec: {serviceName: kubia, replicas: 1, template: {metadata: {labels: {app: kubia}}}}
---
apiVersion: v1
kind: Service
metadata: {name: kubia-state, namespace: default, uid: a5}
spec: {clusterIP: None, ports: [{name: web, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kubia-state-q9, namespace: default, uid: a6, labels: {kubernetes.io/service-name: kubia-state}}
addressType: IPv4
ports: [{name: web, port: 80}]
endpoints:
- {addresses: [10.244.0.2], targetRef: {kind: Pod, name: kubia-0, uid: p2}, conditions: {ready: true}}
YAML

"$rollcall" serve --manifests "$folder/cluster.yaml" --listen 127.0.0.1:0 --admin off 2>"$folder/log" &
server=$!
for _ in $(seq 100); do
  grep -q '^ready$' "$folder/log" && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
grep -q '^ready$' "$folder/log" || { echo "no start:"; cat "$folder/log"; exit 1; }
port=$(sed -n 's/^listening udp+tcp 127\.0\.0\.1://p' "$folder/log")

passed=0 failed=0
# asks NAME TYPE CODE SENTENCE
asks() {
  local name=$1.cluster.local type=$2 code=$3 sentence=$4 client command answer
  for client in "dig +tries=1" "dig +tcp +tries=1" "kdig +edns +retry=0" "kdig +edns +tcp +retry=0"; do
    command -v "${client%% *}" >/dev/null || { echo "skip $client: not installed"; continue; }
    read -ra command <<<"$client"
    answer=$(timeout 10 "${command[@]}" @127.0.0.1 -p "$port" "$name" "$type" || true)
    if grep "EDE: $code " <<<"$answer" | grep -qF -- "$sentence"; then
      passed=$((passed + 1))
    else
      failed=$((failed + 1))
      printf 'FAIL %s %s %s: no EDE %s with: %s\n%s\n' "$client" "$name" "$type" "$code" "$sentence" "$answer"
    fi
  done
  printf 'asked %s %s: %s\n' "$name" "$type" "$sentence"
}

asks web-1.nginx.default.svc A 0 'web-1 is not ready: slice nginx-x7 has it at 10.244.0.7, ready=false'
asks web-2.nginx.default.svc A 0 'web-2 does not exist yet: StatefulSet web wants 3 and waits for web-1'
asks web-3.nginx.default.svc A 0 'web-3 does not exist: StatefulSet web has replicas 3'
asks web-0.nginx.default.svc AAAA 0 'there is no AAAA record here: every address of this name is IPv4'
asks kubia.default.svc A 0 'no Service kubia in namespace default; StatefulSet kubia names it as its serviceName'
asks kubia-0.kubia-state.default.svc A 0 'Service kubia-state selects kubia-0, but its subdomain is kubia: it is called 10-244-0-2 here'
asks kubia-state.default.svc SRV 0 'these pods are called by their addresses'
asks ngnix.default.svc A 0 'no such service ngnix; did you mean nginx?'
asks web-0.nginx.default.svc.example A 0 "the cluster's domain has no such name"

# A whole answer has no reason, and a client without EDNS none either.
for line in "web-0.nginx.default.svc.cluster.local A" "+noedns web-1.nginx.default.svc.cluster.local A"; do
  read -ra question <<<"$line"
  if grep -q EDE <<<"$(timeout 10 dig +tries=1 @127.0.0.1 -p "$port" "${question[@]}")"; then
    failed=$((failed + 1))
    echo "FAIL dig $line: an EDE"
  else
    passed=$((passed + 1))
  fi
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -ge 20 ]
