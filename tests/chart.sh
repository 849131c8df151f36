#!/usr/bin/env bash
# The chart and the overlays: linted, refused where they must be, accepted by a real API server under the Pod Security
# Standard that they say, and enough: rollcall reads the configuration that they make, and runs under their accounts.
#   tests/chart.sh [ROLLCALL]     default target/release/rollcall
#   tests/chart.sh build          builds what it needs, and ends
# Builds helm by Go module the first time (some minutes), and tests/cluster/build.sh's programs. Needs dig, jq, openssl.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=bench/lib.sh
. bench/lib.sh

helm_version=v3.22.0
cache=${ROLLCALL_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rollcall-ci}
[ "${1:-}" = build ] || require_rollcall "$(realpath -m "${1:-target/release/rollcall}")"
for program in dig go jq openssl; do
  command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
done
helm=$cache/tools/helm-$helm_version/helm
if [ ! -x "$helm" ]; then
  say "building helm $helm_version"
  export GOMODCACHE=${GOMODCACHE:-$cache/go/mod} GOCACHE=${GOCACHE:-$cache/go/build} GOFLAGS=-modcacherw
  GOBIN=$cache/tools/helm-$helm_version go install -trimpath -ldflags "-s -w" "helm.sh/helm/v3/cmd/helm@$helm_version"
fi
[ "${1:-}" != build ] || exit 0
# What it keeps is this run's.
export HELM_CACHE_HOME=$work/helm HELM_CONFIG_HOME=$work/helm HELM_DATA_HOME=$work/helm HOME=$work
chart=deploy/chart/rollcall
find_programs

# shellcheck source=tests/checks.sh
. tests/checks.sh
# There are hundreds: what holds is counted alone.
ok() { passed=$((passed + 1)); }
# works WHAT COMMAND…
works() {
  local what=$1
  shift
  if "$@" >"$work/said" 2>&1; then ok; else fail "$what: $(tail -n 5 "$work/said")"; fi
}
# refused WHAT WORDS COMMAND…: it fails, and says why.
refused() {
  local what=$1 words=$2
  shift 2
  if "$@" >"$work/said" 2>&1; then
    fail "$what: accepted"
  elif grep -qF -- "$words" "$work/said"; then
    ok
  else
    fail "$what: refused without '$words': $(tail -n 5 "$work/said")"
  fi
}
# render NAME VALUES-FILE FLAG…: as an installation of that name in the namespace of that name.
render() { "$helm" template "$1" "$chart" --namespace "$1" --kube-version 1.34.0 --values "$2" "${@:3}"; }

echo "--- the chart by itself"
works "README.md is what values.yaml says" deploy/chart/readme.sh --check
for values in "$chart"/ci/*-values.yaml; do
  works "lint with $values" "$helm" lint --strict --quiet --kube-version 1.34.0 "$chart" --values "$values"
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
is "appVersion" "$(sed -n 's/^appVersion: //p' "$chart/Chart.yaml")" "$version"

least=$chart/ci/cluster-values.yaml
# flag FLAG WORDS: the least values and this flag are refused with these words.
flag() { refused "$1" "$2" render least "$least" "${1%%=*}" "${1#*=}"; }
flag --set=replicaCount=3 "additional properties 'replicaCount' not allowed"
flag --set=service.clusterIp=10.96.0.53 "additional properties 'clusterIp' not allowed"
flag --set=mode=daemonset "/mode"
flag --set-string=replicas=2 "/replicas"
flag --set=replicas=-1 "/replicas"
flag --set=image.digest=latest "/image/digest"
flag --set=image.pullPolicy=Sometimes "/image/pullPolicy"
flag --set=ports.dns=70000 "/ports/dns"
flag --set=node.address=10.0.0.1 "/node/address"
flag --set=node.port=53 "/node/port"
flag --set=config.pods=some "/config"
flag --set=config.admin=:9153 "/config/admin"
flag --set=config.identity=me "/config/identity"
flag --set=config.snapshot.path=/tmp/x "/config/snapshot"
flag --set-json=config.ttl.positive=1.5 "/config/ttl"
flag --set-json=config.limits.lameduck=-1 "/config/limits"
flag --set-json=config.source.more.deep=1 "/config/source"
flag --set-json=config.Zone=1 "/config"
flag --set-json='tolerations={}' "/tolerations"
flag --set=spread=Sometimes "/spread"
flag --set-json='extraPorts=[{"name":"dns-tls","port":853}]' "/extraPorts/0"
flag --set-json='namespaces=["Not A Name"]' "/namespaces/0"
flag --set=metrics.serviceMonitor.interval=soon "/metrics/serviceMonitor/interval"
flag --set=networkPolicy.egress.enabled=true,networkPolicy.enabled=true "the control plane's addresses"
flag --set=service.clusterIP= "service.clusterIP: the address that CoreDNS is to forward to"
refused "an older cluster" "requires kubeVersion" render least "$least" --kube-version 1.26.0

# What a configuration says arrives as it was: numbers whole, words quoted. An awkward one is read back by rollcall.
# check NAME FOLDER: rollcall takes the configuration of a rendering, with the literal variables of its container.
check_config() {
  local what=$1 file=$2 variables
  jq -r 'select(.kind == "ConfigMap") | .data["rollcall.toml"] // empty' "$file" >"$work/rollcall.toml"
  [ -s "$work/rollcall.toml" ] || { fail "$what has no rollcall.toml"; return; }
  mapfile -t variables < <(jq -r 'select(.kind == "Deployment" or .kind == "DaemonSet")
    | .spec.template.spec.containers[0].env[] | select(.value) | "\(.name)=\(.value)"' "$file")
  works "$what: rollcall check" env "${variables[@]}" "$rollcall" check --config "$work/rollcall.toml"
}
# as_json FILE: the objects of a YAML file, one JSON value each.
as_json() {
  kubectl create --dry-run=client --validate=false -o json -f "$1" | jq 'if .kind == "List" then .items[] else . end'
}
awkward='config.ns=["ns.dns.cluster.local=10.96.0.10"]'
render awkward "$least" --set-json "$awkward" --set-json 'config.limits={"tcp_connections":1000000}' \
  --set-json 'config.source={"label_selector":"a in (b, c),d!=\"e\""}' >"$work/awkward.yaml"
is "a million stays a million" "$(grep -c '^    tcp_connections = 1000000$' "$work/awkward.yaml")" 1
is "a quoted word" "$(grep -cF '    label_selector = "a in (b, c),d!=\"e\""' "$work/awkward.yaml")" 1

echo "--- the API server"
start_control_plane
kubectl() { "$programs/kubectl" --kubeconfig "$kubeconfig" "$@"; }
as_helm() { "$helm" --kubeconfig "$kubeconfig" "$@"; }
# The operator's kinds, of which only the names count here.
for kind in ServiceMonitor PrometheusRule; do
  plural=${kind,,}s
  cat <<END
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: $plural.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  names: {kind: $kind, plural: $plural}
  scope: Namespaced
  versions:
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
END
done | kubectl apply --server-side -f - >/dev/null
kubectl wait --for=condition=Established crd --all --timeout=30s >/dev/null

# make_namespace NAME STANDARD
make_namespace() {
  kubectl create namespace "$1" >/dev/null
  kubectl label namespace "$1" "pod-security.kubernetes.io/enforce=$2" >/dev/null
}
# admitted WHAT FILE NAMESPACE: the pods of the file's workloads would be let in there.
pods_of() {
  jq -c 'select(.kind == "Deployment" or .kind == "DaemonSet" or .kind == "StatefulSet") |
    {apiVersion: "v1", kind: "Pod", metadata: ({name: "one"} + .spec.template.metadata), spec: .spec.template.spec}' "$1"
}
admitted() {
  pods_of "$2" >"$work/pods"
  [ -s "$work/pods" ] || fail "$1 has no pods"
  works "$1: its pods are admitted in $3" kubectl --namespace "$3" create --dry-run=server -f "$work/pods"
}
# can ACCOUNT WHERE yes|no VERB RESOURCE…: what an account (namespace:name) may do; WHERE is a namespace, or `all`.
can() {
  local account=$1 where=$2 wanted=$3 verb=$4 resource flags
  flags=(--namespace "$where") && [ "$where" != all ] || flags=(--all-namespaces)
  for resource in "${@:5}"; do
    is "$account may $verb $resource in $where" \
      "$(kubectl auth can-i "$verb" "$resource" "${flags[@]}" --as="system:serviceaccount:$account" 2>/dev/null)" "$wanted"
  done
}
follows() {
  local verb
  for verb in list watch; do can "$1" "$2" yes "$verb" services endpointslices.discovery.k8s.io statefulsets.apps; done
  can "$1" "$2" no get secrets services pods
  can "$1" "$2" no delete services endpointslices.discovery.k8s.io
}
# runs NAME ACCOUNT FILE FLAG…: rollcall, with the configuration and the variables of a rendering, under its account,
# from start to `ready`. Sets `dns`.
runs() {
  local name=$1 account=$2 file=$3 server variables token
  jq -r 'select(.kind == "ConfigMap") | .data["rollcall.toml"] // empty' "$file" >"$work/$name.toml"
  mapfile -t variables < <(jq -r 'select(.kind == "Deployment") | .spec.template.spec.containers[0].env[]
    | select(.value and (.name | test("ADMIN|SNAPSHOT|LISTEN") | not)) | "\(.name)=\(.value)"' "$file")
  token=$(kubectl --namespace "${account%:*}" create token "${account#*:}")
  server=$(kubectl config view -o 'jsonpath={.clusters[0].cluster.server}')
  cat >"$work/$name.kubeconfig" <<END
apiVersion: v1
kind: Config
clusters: [{name: it, cluster: {server: "$server", certificate-authority: "$work/apiserver.crt"}}]
users: [{name: it, user: {token: "$token"}}]
contexts: [{name: it, context: {cluster: it, user: it}}]
current-context: it
END
  start "$name" env "${variables[@]}" ROLLCALL_LIMITS_LAMEDUCK=0 "$rollcall" serve --config "$work/$name.toml" \
    --kubeconfig "$work/$name.kubeconfig" --listen 127.0.0.1:0 --admin 127.0.0.1:0 "${@:4}"
  patience=20 wait_until "$name" grep -qx ready "$work/$name.log"
  dns=$(sed -n 's/^listening udp+tcp 127.0.0.1://p' "$work/$name.log")
  # What pods wait for is not in the accounts, and is said once.
  if grep forbidden "$work/$name.log" | grep -qv 'resource "pods"'; then fail "$name: $(grep forbidden "$work/$name.log")"; else ok; fi
}
# status NAME: what rollcall says to it.
status() { dig @127.0.0.1 -p "$dns" +tries=1 +timeout=2 "$1" | sed -n 's/.*status: \([A-Z]*\).*/\1/p'; }

echo "--- the chart, installed"
declare -A standard=([cluster]=restricted [full]=privileged [node]=privileged [namespace]=restricted [namespaces]=restricted)
kubectl create namespace red >/dev/null && kubectl create namespace blue >/dev/null
kubectl create namespace monitoring >/dev/null
for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" -values.yaml)
  make_namespace "$name" "${standard[$name]}"
  render "$name" "$values" >"$work/$name.yaml"
  as_json "$work/$name.yaml" >"$work/$name.json"
  works "$name: what is rendered is accepted" \
    kubectl apply --server-side --dry-run=server --validate=strict -f "$work/$name.yaml"
  works "$name: helm install" as_helm install "$name" "$chart" --namespace "$name" --values "$values"
  check_config "$name" "$work/$name.json"
  admitted "$name" "$work/$name.json" "$name"
done
is "what nobody may select twice" "$(jq -r 'select(.kind == "ConfigMap") | .data["rollcall.toml"] // empty' "$work/full.json" |
  grep -c '^tcp_connections = 10000$')" 1
refused "the node's pods under a stricter standard" "violates PodSecurity" \
  kubectl --namespace cluster create --dry-run=server -f <(pods_of "$work/node.json" | jq '.spec.serviceAccountName = "cluster-rollcall"')

# helm's name for it: release and chart.
follows cluster:cluster-rollcall all
for verb in list watch; do can cluster:cluster-rollcall all yes $verb namespaces; done
can cluster:cluster-rollcall all no list pods
follows node:node-rollcall all
can full:names-reader all yes list pods namespaces
can full:names-reader all yes watch pods namespaces
follows namespace:namespace-rollcall namespace
can namespace:namespace-rollcall all no list services namespaces endpointslices.discovery.k8s.io
can namespace:namespace-rollcall red no list services
for each in red blue; do
  for verb in list watch; do can namespaces:namespaces-rollcall $each yes $verb services pods; done
done
can namespaces:namespaces-rollcall namespaces no list services

runs cluster-runs cluster:cluster-rollcall "$work/cluster.json"
is "cluster: the API server's own name" "$(status kubernetes.default.svc.cluster.local)" NOERROR
is "cluster: its own name" "$(dig @127.0.0.1 -p "$dns" +short cluster-rollcall.cluster.svc.cluster.local)" 10.96.0.60
stop cluster-runs
runs namespace-runs namespace:namespace-rollcall "$work/namespace.json"
is "namespace: its own name" "$(status namespace-rollcall.namespace.svc.cluster.local)" NOERROR
is "namespace: a name of another one" "$(status kubernetes.default.svc.cluster.local)" REFUSED
stop namespace-runs
runs namespaces-runs namespaces:namespaces-rollcall "$work/namespaces.json"
is "namespaces: no such name there" "$(status nothing.red.svc.cluster.local)" NXDOMAIN
is "namespaces: where it is itself" "$(status namespaces-rollcall.namespaces.svc.cluster.local)" REFUSED
stop namespaces-runs

# The operator's objects hold what was tested by itself.
jq 'select(.kind == "PrometheusRule") | .spec' "$work/full.json" >"$work/rules.json"
is "alerts in the rule" "$(jq '[.groups[].rules[]] | length' "$work/rules.json")" \
  "$(grep -c '^ *- alert: ' deploy/prometheus/alerts.yaml)"
is "their pages" "$(jq '[.groups[].rules[].annotations.runbook_url | select(startswith("https://wiki.example.com/rollcall#rollcall"))] | length' \
  "$work/rules.json")" "$(grep -c '^ *- alert: ' deploy/prometheus/alerts.yaml)"
is "the dashboard" "$(jq -r 'select(.kind == "ConfigMap") | .data["rollcall.json"] // empty' "$work/full.json" | jq -r .uid)" rollcall
monitored() { # what the monitor selects is the metrics Service, and that one's port
  jq -s --arg kind "$1" '(map(select(.kind == "ServiceMonitor"))[0].spec) as $monitor
    | map(select(.kind == "Service" and (.metadata.labels | contains($monitor.selector.matchLabels))))
    | map(select(any(.spec.ports[]; .name == $monitor.endpoints[0].port))) | map(.metadata.name) | join(" ")' "$2"
}
is "what the monitor finds" "$(monitored chart "$work/full.json")" '"names-metrics"'

# Another configuration is another rollout, and a rollback brings both back; with `configReload` the pods stay.
template() { kubectl --namespace cluster get deployment cluster-rollcall -o 'jsonpath={.spec.template}'; }
before=$(template)
works "an upgrade" as_helm upgrade cluster "$chart" --namespace cluster --values "$least" --set config.ttl.positive=7
is "it is a rollout" "$([ "$(template)" != "$before" ] && echo yes)" yes
works "a rollback" as_helm rollback cluster 1 --namespace cluster
is "what was before" "$(template)" "$before"
is "its configuration too" "$(kubectl --namespace cluster get configmap cluster-rollcall -o 'jsonpath={.data}' | grep -c positive)" 0
works "an upgrade without rollout" as_helm upgrade cluster "$chart" --namespace cluster --values "$least" --set configReload=true
before=$(template)
works "another configuration" as_helm upgrade cluster "$chart" --namespace cluster --values "$least" --set configReload=true --set config.ttl.positive=7
is "the pods stay" "$(template)" "$before"
for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" -values.yaml)
  works "$name: helm uninstall" as_helm uninstall "$name" --namespace "$name"
done
is "what is left cluster-wide" "$(kubectl get clusterrole,clusterrolebinding -o name | grep -c rollcall || true)" 0

echo "--- the overlays"
# overlay NAME FOLDER NAMESPACE: accepted, admitted, the same when applied again.
overlay() {
  local name=$1 folder=$2 namespace=$3 kinds before
  works "$name: kustomize" "$programs/kubectl" kustomize "$folder" -o "$work/$name.yaml"
  as_json "$work/$name.yaml" >"$work/$name.json"
  # A namespace that is made in the same breath is not there for a dry run.
  works "$name: applied" kubectl apply --server-side --validate=strict -f "$work/$name.yaml"
  works "$name: a dry run" kubectl apply --server-side --dry-run=server --validate=strict -f "$work/$name.yaml"
  kinds=deployments,statefulsets,daemonsets
  before=$(kubectl --namespace "$namespace" get "$kinds" -o 'jsonpath={.items[*].metadata.generation}')
  works "$name: applied again" kubectl apply --server-side -f "$work/$name.yaml"
  is "$name: changes nothing" "$(kubectl --namespace "$namespace" get "$kinds" -o 'jsonpath={.items[*].metadata.generation}')" "$before"
  admitted "$name" "$work/$name.json" "$namespace"
}
gone() { kubectl delete --wait=false --ignore-not-found -f "$work/$1.yaml" >/dev/null 2>&1 || true; }

make_namespace shop restricted
# The example's own container stands for anybody's, which is not ours to harden.
kubectl label --overwrite namespace shop pod-security.kubernetes.io/enforce=privileged >/dev/null
overlay namespace deploy/overlays/namespace shop
follows shop:rollcall shop
can shop:rollcall all no list services namespaces
jq 'select(.kind == "StatefulSet") | .spec.template.spec.containers = []
  | .spec.template.spec.containers += [.spec.template.spec.initContainers[0] | del(.restartPolicy)]
  | del(.spec.template.spec.initContainers)' "$work/namespace.json" >"$work/sidecar.json"
kubectl label --overwrite namespace shop pod-security.kubernetes.io/enforce=restricted >/dev/null
refused "the example's own container, under the strict standard" "violates PodSecurity" \
  kubectl --namespace shop create --dry-run=server -f <(pods_of "$work/namespace.json")
is "a sidecar keeps to it" "$(jq -c '.spec.template.spec.containers[0].securityContext
  | [.runAsNonRoot, .allowPrivilegeEscalation, .capabilities.drop[0], .seccompProfile.type]' "$work/sidecar.json")" \
  '[true,false,"ALL","RuntimeDefault"]'
admitted "the sidecar by itself" "$work/sidecar.json" shop
# shellcheck disable=SC2016  # Kubernetes fills that in.
is "what the sidecar is told" "$(jq -r '.spec.template.spec.containers[0].args | join(" ")' "$work/sidecar.json")" \
  'serve --listen 127.0.0.1:5300 --namespace $(NAMESPACE)'
runs sidecar shop:rollcall "$work/namespace.json" --namespace shop
# No controller makes the replicas here: while the StatefulSet has none, their absence is not to be remembered.
absence() { dig @127.0.0.1 -p "$dns" +noall +authority "$1" | awk '$4 == "SOA" { print $2 }'; }
is "sidecar: its own namespace" "$(status shop.svc.cluster.local)" NOERROR
is "sidecar: a replica that is to be" "$(absence web-2.web.shop.svc.cluster.local)" 0
is "sidecar: a service that is not" "$(absence nothing.shop.svc.cluster.local)" 5
is "sidecar: a name of another namespace" "$(status kubernetes.default.svc.cluster.local)" REFUSED
stop sidecar
gone namespace

overlay node-local deploy/overlays/node-local rollcall-node
follows rollcall-node:rollcall-node all
check_config node-local "$work/node-local.json"
overlay cluster-overlay deploy/overlays/cluster rollcall
follows rollcall:rollcall all
check_config cluster-overlay "$work/cluster-overlay.json"
is "the two beside each other" "$(kubectl get clusterrole rollcall rollcall-node -o name | wc -l)" 2
gone cluster-overlay
gone node-local
kubectl wait --for=delete namespace/rollcall --timeout=1s >/dev/null 2>&1 || true

# Every component together, in a namespace of its own: without a controller the one of before is not gone yet.
mkdir "$work/all"
up=$(realpath --relative-to="$work/all" "$PWD")
cat >"$work/all/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [$up/deploy/base]
components:
$(find deploy/components -mindepth 1 -maxdepth 1 -type d ! -name sidecar | sort | sed "s|^|  - $up/|")
namespace: everything
nameSuffix: -all
patches:
  - target: {kind: Service, name: rollcall\$}
    patch: |-
      - {op: replace, path: /spec/clusterIP, value: 10.96.0.63}
END
overlay all "$work/all" everything
follows everything:rollcall-all all
can everything:rollcall-all all yes watch pods namespaces
can everything:rollcall-all all yes list persistentvolumeclaims events
check_config all "$work/all.json"
is "kinds of every component" "$(jq -r .kind "$work/all.json" | grep -cE '^(NetworkPolicy|ServiceMonitor|PodDisruptionBudget)$')" 3
is "the snapshot's volume" "$(jq -r 'select(.kind == "Deployment") | .spec.template.spec.volumes[] | select(.emptyDir) | .name' "$work/all.json")" snapshot
is "what the monitor finds" "$(monitored kustomize "$work/all.json")" '"rollcall-metrics-all"'

summary
