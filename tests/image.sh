#!/usr/bin/env bash
# Builds the image as deploy/image.sh does, and holds it to what deploy/base/deployment.yaml asks of it: not root, no
# capability, nothing writable, port 53 over UDP and TCP and both families, gone in time; and to its size, and to the list
# of what is in it. Needs root, buildah, podman, runc, iproute2, openssl, jq, dig and cargo-cyclonedx; everything it makes lives in a temporary folder and a network namespace of its own.
#   tests/image.sh [STATIC]    STATIC: a static binary that is built already
set -euo pipefail
cd "$(dirname "$0")/.."
export ROLLCALL_STATIC=${1:-${ROLLCALL_STATIC:-}}

work=$(mktemp -d)
name=rollcall-image-$$
address=10.53.0.53 address6=fd00:53::53
store=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)
# shellcheck disable=SC2054  # the comma is the option's own
podman=(podman "${store[@]}" --runtime runc --cgroup-manager cgroupfs)

cleanup() {
  local code=$?
  for container in "$name" "$name-names"; do
    if [ "$code" -ne 0 ] && "${podman[@]}" container exists "$container" 2>/dev/null; then
      echo "--- the log of $container"
      "${podman[@]}" logs "$container" 2>&1 | tail -20
    fi
  done
  "${podman[@]}" rm --force --time 0 "$name" "$name-names" >/dev/null 2>&1 || true
  # What watched a container cleans up behind it, in the same folder: it is let finish.
  local watched
  for watched in "$work"/*.conmon; do
    [ -e "$watched" ] || continue
    timeout 10 tail --pid="$(cat "$watched")" -f /dev/null || true
  done
  "${podman[@]}" image umount --all >/dev/null 2>&1 || true
  ip netns del "$name" 2>/dev/null || true
  # Storage is full of mounts until podman has let go of it.
  umount -R "$work/storage/vfs" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT

passed=0
# is WHAT GOT WANTED: says, and counts, one thing that must hold.
is() {
  if [ "$2" != "$3" ]; then
    printf 'FAIL %s: got "%s", wanted "%s"\n' "$1" "$2" "$3"
    exit 1
  fi
  passed=$((passed + 1))
  printf 'ok   %s: %s\n' "$1" "$2"
}

# until_true WHAT SECONDS COMMAND…: asks again and again, for so long.
until_true() {
  local what=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "FAIL $what: not within its time"; exit 1; }
    sleep 0.05
  done
}

echo "building"
image=$(BUILDER="buildah ${store[*]}" deploy/image.sh "localhost/$name:test" 2>"$work/build.log") || {
  cat "$work/build.log"
  exit 1
}
image=$(tail -1 <<<"$image")

# What is in it: the program, and the list of what is in the program.
list=usr/share/doc/rollcall/rollcall.cdx.json
root=$("${podman[@]}" image mount "$image")
is "files in the image" "$(cd "$root" && find . -type f | sort | tr '\n' ' ')" "./rollcall ./$list "
octets=$(($(stat -c %s "$root/rollcall") + $(stat -c %s "$root/$list")))
cp "$root/$list" "$work/list.json"
"${podman[@]}" image umount "$image" >/dev/null
printf '     size: %d.%d MB\n' $((octets / 1000000)) $((octets % 1000000 / 100000))
is "20 MB at most" "$([ "$octets" -le 20000000 ] && echo yes || echo "no, $octets")" yes
is "the list agrees with Cargo.lock and the binary" "$(tests/sbom.sh "$work/list.json" "$ROLLCALL_STATIC" | tail -1)" "agrees"
is "user" "$("${podman[@]}" image inspect --format '{{.Config.User}}' "$image")" "65532:65532"

# A network namespace of its own, in which ports from 53 on are anyone's: the pod's sysctl.
ip netns add "$name"
ip -n "$name" link set lo up
ip -n "$name" address add "$address/32" dev lo
ip -n "$name" address add "$address6/128" dev lo nodad
ip netns exec "$name" sysctl --quiet --write net.ipv4.ip_unprivileged_port_start=53

limits=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)
confined=(--network "ns:/run/netns/$name" --read-only --read-only-tmpfs=false --cap-drop all
  --security-opt no-new-privileges "${limits[@]}")
# It starts so, and what it does not have does not.
is "its version" "$("${podman[@]}" run --rm "${confined[@]}" "$image" --version)" \
  "rollcall $(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)"
shell=$("${podman[@]}" run --rm "${confined[@]}" --entrypoint /bin/sh "$image" -c true 2>&1 || true)
is "a shell" "$(grep -o 'no such file or directory' <<<"$shell" | head -1)" "no such file or directory"

"${podman[@]}" run --detach --name "$name" --conmon-pidfile "$work/first.conmon" "${confined[@]}" \
  --env ROLLCALL_ADMIN=:9153 --env ROLLCALL_LIMITS_LAMEDUCK=5 --volume "$PWD/config/demo:/demo:ro" \
  "$image" serve --manifests /demo >/dev/null
is_ready() { "${podman[@]}" logs "$name" 2>&1 | grep -q '^ready$'; }
until_true "ready" 20 is_ready

pid=$("${podman[@]}" inspect --format '{{.State.Pid}}' "$name")
status() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
is "user and group of the process" "$(status Uid | cut -f2) $(status Gid | cut -f2)" "65532 65532"
is "capabilities, effective and bounding" "$(status CapEff) $(status CapBnd)" "0000000000000000 0000000000000000"
is "no new privileges" "$(status NoNewPrivs)" 1
is "seccomp filter" "$(status Seccomp)" 2
is "root file system" "$(awk '$5 == "/" { split($6, options, ","); print options[1] }' "/proc/$pid/mountinfo")" ro

# ask OPTION…: the answer's first line, from inside the namespace.
ask() { ip netns exec "$name" dig +short +tries=1 +timeout=2 "$@" | head -1; }
pod=web-0.nginx.default.svc.cluster.local
first=$(ask "@$address" "$pod" A)
is "an address over UDP" "$([[ $first =~ ^10\.244\.[0-9.]+$ ]] && echo yes || echo "no: $first")" yes
is "the same over TCP" "$(ask "@$address" +tcp "$pod" A)" "$first"
is "the same over IPv6, UDP" "$(ask "@$address6" "$pod" A)" "$first"
is "the same over IPv6, TCP" "$(ask "@$address6" +tcp "$pod" A)" "$first"
is "its reverse" "$(ask "@$address" -x "$first")" "$pod."

# health FAMILY-ADDRESS: the status line of /readyz, as the kubelet asks for it, at the pod's address.
health() {
  ip netns exec "$name" timeout 2 bash -c \
    "exec 3<>/dev/tcp/$1/9153; printf 'GET /readyz HTTP/1.0\r\nHost: x\r\n\r\n' >&3; head -1 <&3" |
    tr -d '\r' | cut -d' ' -f2
}
is "/readyz at the pod's IPv4 address" "$(health "$address")" 200
is "/readyz at the pod's IPv6 address" "$(health "$address6")" 200

# Names without the libraries that resolve them elsewhere: an API server by name, asked for at the first container.
# Nothing leads there from this namespace, which is the error to be seen, not that the name was not found.
# A kubeconfig for this image names its authority: there are no other ones in it.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=nobody \
  -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
cat >"$work/kubeconfig" <<EOT
apiVersion: v1
kind: Config
clusters:
  - name: test
    cluster:
      server: https://kubernetes.default.svc.cluster.local:6443
      certificate-authority-data: $(base64 --wrap=0 "$work/ca.crt")
users: [{name: nobody, user: {}}]
contexts: [{name: test, context: {cluster: test, user: nobody}}]
current-context: test
EOT
chmod 0644 "$work/kubeconfig"
"${podman[@]}" run --detach --name "$name-names" --conmon-pidfile "$work/names.conmon" "${confined[@]}" \
  --dns "$address" --volume "$work/kubeconfig:/kubeconfig:ro" \
  "$image" serve --kubeconfig /kubeconfig --listen 127.0.0.1:5300 --admin 127.0.0.1:0 >/dev/null
names() { "${podman[@]}" logs "$name-names" 2>&1 | grep -qi "$1"; }
until_true "the API server's name is resolved" 10 names "network is unreachable"
is "the API server's name" "$(names "failed to lookup" && echo "not found" || echo resolved)" resolved
"${podman[@]}" rm --force --time 0 "$name-names" >/dev/null

# Drained and gone within the Deployment's grace period; podman kills it after that, and the code would be 137.
grace=$(sed -n 's/^ *terminationGracePeriodSeconds: //p' deploy/base/deployment.yaml)
began=$SECONDS
"${podman[@]}" stop --time "$grace" "$name" >/dev/null 2>&1 &
stopping=$!
draining() { [ "$(health "$address")" = 503 ]; }
until_true "/readyz is 503 while it drains" 3 draining
is "an answer while it drains" "$(ask "@$address" "$pod" A)" "$first"
wait "$stopping"
is "exit code after SIGTERM" "$("${podman[@]}" inspect --format '{{.State.ExitCode}}' "$name")" 0
printf '     stopped after %d s of %d\n' $((SECONDS - began)) "$grace"

printf '%d passed\n' "$passed"
