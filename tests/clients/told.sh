# shellcheck shell=bash disable=SC2034,SC2154  # sourced by run.sh, whose variables it uses
# Answers with Extended DNS Errors (RFC 8914), to every client: it must make of them what it makes of answers without.
#
# One small cluster is served three times: telling nobody anything; telling everybody why (empty answers, and one that
# surprises); and from a snapshot while the API server is away, which is told beside every answer, those with records too.
# told/wire.py stands at port 53 and writes down which questions have EDNS and which replies have errors, so that it is
# known who was told what. More clients than ask.sh's, for EDNS is what they differ in.

package+=([musl-gcc]=musl-tools [javac]=default-jdk-headless)
declare -A resolver_of=(
  [dig]="its own" [kdig]="its own" [kdig-edns]="its own, +edns" [drill]="ldns" [drill-edns]="ldns, -b 1232"
  [nslookup]="its own" [ping]="glibc" [getent]="glibc" [getent-edns0]="glibc, options edns0" [musl]="musl" [go]="Go" [go-cgo]="glibc"
  [node]="c-ares" [node-lookup]="glibc" [python]="glibc" [java]="JNDI" [java-lookup]="glibc" [resolved]="systemd-resolved"
)
program+=(
  [kdig-edns]=kdig [drill-edns]=drill [getent-edns0]=getent [musl]=musl-gcc [java]=javac [java-lookup]=javac [resolved]=dig
)
types+=(
  [kdig-edns]="A AAAA SRV PTR TXT" [drill-edns]="A AAAA SRV PTR TXT" [getent-edns0]="A AAAA PTR" [musl]="A AAAA"
  [java]="A AAAA SRV PTR TXT" [java-lookup]="A AAAA PTR" [resolved]="A AAAA SRV PTR TXT"
)
first_name_only+=([getent-edns0]=1 [java-lookup]=1)
told_clients=("${clients[@]}" kdig-edns drill-edns getent-edns0 musl java java-lookup resolved)

ask_kdig-edns() {
  local what=(-t "$1" -q "$2")
  [[ $1 == PTR ]] && what=(-x "$2")
  run kdig "@$server" -p "$port" +edns +time=2 +retry=0 "${what[@]}" | section_to_words "$1"
}
ask_drill-edns() {
  local what=("$2" "$1")
  [[ $1 == PTR ]] && what=(-x "$2")
  run drill -b 1232 -p "$port" "@$server" "${what[@]}" | section_to_words "$1"
}
ask_getent-edns0() { RES_OPTIONS=edns0 ask_getent "$@"; }
ask_musl() {
  local answer six=(-v)
  [[ $1 == A ]] || six=()
  answer=$(run "$tmp/resolve-musl" "$2" 2>/dev/null | grep "${six[@]}" : | words) || true
  printf '%s\n' "${answer:-NONE}"
}
ask_all_java() { run_long java -cp "$tmp/java" Lookup resolve; }
ask_all_java-lookup() { run_long java -cp "$tmp/java" Lookup lookup; }
# Its own stub, which asks what it is told to: what it makes of the answer is what dig sees of it.
ask_resolved() {
  local what=(-t "$1" -q "$2")
  [[ $1 == PTR ]] && what=(-x "$2")
  run dig @127.0.0.53 +time=4 +tries=1 "${what[@]}" | section_to_words "$1"
}

version_of() {
  case $1 in
    dig) dig -v 2>&1 ;;
    kdig*) kdig --version ;;
    drill*) drill -v ;;
    nslookup) busybox ;;
    ping | getent* | python | go-cgo | node-lookup | java-lookup) getent --version ;;
    musl) dpkg-query --show musl 2>/dev/null || musl-gcc --version ;;
    go) go version ;;
    node) node -p '"Node " + process.version + ", c-ares " + process.versions.ares' ;;
    java) java -version 2>&1 ;;
    resolved) "$resolved" --version ;;
  esac | head -n 1
}

# The C library of musl, Java's classes, and a resolved: what must be made before it can be asked.
prepare_told() {
  case $1 in
    musl) musl-gcc -O1 -o "$tmp/resolve-musl" "$root/tests/node-local/resolve.c" ;;
    java) javac -d "$tmp/java" "$here/Lookup.java" ;;
    resolved) start_resolved ;;
  esac >"$tmp/prepare.log" 2>&1
}

# systemd-resolved without a bus, in a mount namespace with a configuration and a user of its own. Installing it would put
# a stub in the machine's /etc/resolv.conf, so an unpacked one will do: ROLLCALL_RESOLVED is its path.
start_resolved() {
  local etc=$tmp/resolved tries
  mkdir -p "$etc/systemd"
  printf '[Resolve]\nDNS=127.0.0.1\nDomains=~. ~local\nLLMNR=no\nMulticastDNS=no\nDNSSEC=no\nCache=no\nDNSStubListener=yes\n' >"$etc/systemd/resolved.conf"
  { grep -v '^systemd-resolve:' /etc/passwd; echo 'systemd-resolve:x:65533:65533::/:/usr/sbin/nologin'; } >"$etc/passwd"
  { grep -v '^systemd-resolve:' /etc/group; echo 'systemd-resolve:x:65533:'; } >"$etc/group"
  # It asks nobody while no interface but the loopback is up.
  "${inside[@]}" ip link add up0 type veth peer name up1
  "${inside[@]}" ip link set up0 up
  "${inside[@]}" ip link set up1 up
  "${inside[@]}" ip addr add 10.244.255.253/32 dev up0
  # shellcheck disable=SC2016  # the inner shell's
  "${inside[@]}" unshare --mount bash -c '
    mount -t tmpfs none /run && mkdir -p /run/systemd/resolve && chown 65533:65533 /run/systemd/resolve &&
      mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/group" /etc/group && mount --bind "$1/systemd" /etc/systemd &&
      exec "$2"' _ "$etc" "$resolved" >"$tmp/resolved.log" 2>&1 &
  pids+=("$!")
  for ((tries = 0; tries < 100; tries++)); do
    ! "${inside[@]}" dig @127.0.0.53 +time=1 +tries=1 front.told.svc.cluster.local. >"$tmp/resolved.ask" 2>&1 || return 0
    kill -0 "${pids[-1]}" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 3 "$tmp/resolved.log"
  return 1
}

# Whether one of told_clients can be asked; says why not, and those that Debian does not install for everybody may lack.
ready_to_be_told() {
  local client=$1
  case $client in
    musl | java | java-lookup)
      have "${program[$client]}" || { skip "$client" "${program[$client]} is missing; it is in the Debian package ${package[${program[$client]}]}"; return 1; }
      ;;
    resolved)
      resolved=${ROLLCALL_RESOLVED:-/lib/systemd/systemd-resolved}
      [[ -x $resolved ]] || { skip resolved "no $resolved; it is in the Debian package systemd-resolved, which takes over /etc/resolv.conf: apt-get download it, dpkg -x, and set ROLLCALL_RESOLVED"; return 1; }
      ;;
    go | go-cgo) [[ -x $tmp/lookup-go ]] || return 1 ;;
    *) need "$client" "${program[$client]}" || return 1 ;;
  esac
  prepare_told "$client" || { skip "$client" "it does not start: $(tail -n 3 "$tmp/prepare.log" | tr '\n' ' ')"; return 1; }
}

# serve_told HOW FLAG…: the cluster at a port behind wire.py.
serve_told() {
  local how=$1 config=$tmp/$1.toml
  shift
  ROLLCALL_LAMEDUCK=0 start_server "$tmp/told-$how.log" --listen 127.0.0.1:5354 --kubeconfig "$tmp/kubeconfig" "$@"
}

check_told() {
  local client how log=$tmp/wire.log usable=() api_port questions=$here/told/questions.txt
  ((${#inside[@]})) || { unavailable told "$no_namespace"; return; }
  need told python3 || return 0
  need told dig || return 0
  : >"$log"
  "${inside[@]}" python3 "$here/told/wire.py" 127.0.0.1 53 5354 "$log" >"$tmp/wire.out" 2>"$tmp/wire.err" &
  pids+=("$!")
  "${inside[@]}" python3 "$here/told/api.py" "$here/told/objects.json" >"$tmp/api.out" 2>"$tmp/api.err" &
  local api=$!
  pids+=("$api")
  server=127.0.0.1 port=53
  unset ROLLCALL_SERVER
  if ! until_said "$tmp/wire.out" || ! until_said "$tmp/api.out"; then
    fail told "its helpers start" "a line of each" "$(cat "$tmp/wire.err" "$tmp/api.err")"
    return
  fi
  api_port=$(head -n 1 "$tmp/api.out")
  printf '%s\n' 'apiVersion: v1' 'kind: Config' 'current-context: x' 'users: [{name: x, user: {}}]' \
    "clusters: [{name: x, cluster: {server: \"http://127.0.0.1:$api_port\"}}]" \
    'contexts: [{name: x, context: {cluster: x, user: x}}]' >"$tmp/kubeconfig"

  printf '%s\n' '[explain]' 'answers = "off"' 'full = []' >"$tmp/silent.toml"
  printf '%s\n' '[explain]' 'answers = "full"' | tee "$tmp/told.toml" >"$tmp/stale.toml"
  for how in silent told stale; do
    case $how in
      silent) serve_told silent || return 0 ;;
      told) serve_told told --snapshot "$tmp/snapshot" || return 0 ;;
      stale)
        kill "$api"
        wait "$api" 2>/dev/null || true
        forget "$api"
        serve_told stale --snapshot "$tmp/snapshot" || return 0
        until_stale || return 0
        ;;
    esac
    if [[ $how == silent ]]; then
      for client in "${told_clients[@]}"; do
        ! ready_to_be_told "$client" || usable+=("$client")
      done
    fi
    for client in "${usable[@]}"; do
      : >"$log"
      ask_and_judge "$client"
      cp "$log" "$tmp/wire-$how-$client"
      check_wire "$client" "$how" "$tmp/wire-$how-$client"
    done
    stop_server
  done
  check "wire" "reads every message" "" "$(tail -n 3 "$tmp/wire.err")"
  summarize_told "${usable[@]}"
}

# An outage is told of from 30 s on.
until_stale() {
  local tries
  for ((tries = 0; tries < 90; tries++)); do
    ! run dig "@$server" front.told.svc.cluster.local. | grep -q 'EDE: 3 ' || return 0
    sleep 0.5
  done
  fail told "the API server's absence is told" "EDE: 3 within 45 s" none
  return 1
}

# The first line of a program that says when it is ready.
until_said() {
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    [[ ! -s $1 ]] || return 0
    sleep 0.05
  done
  return 1
}

# check_wire CLIENT HOW LOG: who asks with EDNS is told, and nobody else.
check_wire() {
  local client=$1 how=$2 log=$3 wrong
  case $how in
    silent) wrong=$(awk '$6 != "-"' "$log") ;;
    # What is whole has none; NODATA, NXDOMAIN and the SRV records with odd targets have one.
    told) wrong=$(awk '{ want = $3 == "edns" && ($5 == 0 || /^SRV kubia-state/) } ($6 != "-") != want' "$log") ;;
    # 3 beside records and NODATA, 19 beside NXDOMAIN, and why it is empty behind it.
    stale) wrong=$(awk '{ stale = $4 == 3 ? "19" : "3"; want = $3 == "edns" } ($6 ~ "^" stale "(,0)?$") != want || (!want && $6 != "-")' "$log") ;;
  esac
  check "$client" "$how: what is on the wire, but for what is as it should be," "" "$(head -n 3 <<<"$wrong" | tr '\n' '|' | sed 's/|$//')"
  check "$client" "$how: anything is on the wire" yes "$([[ -s $log ]] && echo yes)"
}

# A table for docs/reasons.md, of what was seen.
summarize_told() {
  local client edns plain errors
  for client; do
    edns=$(cat "$tmp/wire-told-$client" "$tmp/wire-stale-$client" | grep -c ' edns ') || true
    plain=$(cat "$tmp/wire-told-$client" "$tmp/wire-stale-$client" | grep -c ' plain ') || true
    errors=$(cat "$tmp/wire-told-$client" "$tmp/wire-stale-$client" | awk '$6 != "-"' | wc -l)
    printf 'seen | %s | %s | %s | %s with EDNS, %s without | %s replies with errors taken\n' \
      "$client" "${resolver_of[$client]}" "$(version_of "$client")" "$edns" "$plain" "$errors"
  done
  for client in dig kdig-edns go; do
    [[ " $* " != *" $client "* ]] ||
      check "$client" "is told errors" yes "$([[ -n $(awk '$6 != "-"' "$tmp/wire-told-$client") ]] && echo yes)"
  done
}
