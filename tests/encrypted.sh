#!/usr/bin/env bash
# Asks a running rollcall over TLS, HTTPS and QUIC with the clients of others: kdig, curl, openssl, dnsperf and h2load, and
# changes its certificate while they ask. Usage: tests/encrypted.sh [path of rollcall]
#
# One line an assertion, then `N passed, N failed`. Everything is on 127.0.0.1, on ports that the kernel chooses; root is
# not needed. What is not installed is a failure where CI=true, else it is passed over with a word.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/checks.sh
. tests/checks.sh
rollcall=$(realpath -m "${1:-target/release/rollcall}")
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }; rm -rf "$work"' EXIT

have() { command -v "$1" >/dev/null || { missing "$1"; return 1; }; }

# issue NAME: a certificate of the test's own authority for dns.example and 127.0.0.1.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/ca.key" -out "$work/ca.crt" \
  -subj '/CN=authority' -days 2 2>/dev/null
issue() {
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/$1.key" -out "$work/$1.csr" \
    -subj "/CN=$1" 2>/dev/null
  openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 1 \
    -extfile <(printf 'subjectAltName=DNS:dns.example,IP:127.0.0.1') -out "$work/$1.crt" 2>/dev/null
}
issue first && issue second && issue third
cp "$work/first.crt" "$work/tls.crt" && cp "$work/first.key" "$work/tls.key"

cat >"$work/cluster.yaml" <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec: {serviceName: nginx, replicas: 300, template: {metadata: {labels: {app: nginx}}}}
YAML
ROLLCALL_TLS_RELOAD=1 "$rollcall" serve --manifests "$work/cluster.yaml" --admin off --listen 127.0.0.1:0 \
  --listen tls://127.0.0.1:0 --listen https://127.0.0.1:0/dns-query --listen quic://127.0.0.1:0 \
  --tls-certificate "$work/tls.crt" --tls-key "$work/tls.key" 2>"$work/log" &
server=$!
for _ in $(seq 100); do
  grep -q '^ready$' "$work/log" && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
grep -q '^ready$' "$work/log" || { echo "it did not become ready:"; cat "$work/log"; exit 1; }
port() { sed -n "s/^listening $1 127.0.0.1://p" "$work/log"; }
tls=$(port tls) https=$(port https) quic=$(port quic)
name=web-0.nginx.default.svc.cluster.local
service=nginx.default.svc.cluster.local
ca="+tls-ca=$work/ca.crt +tls-hostname=dns.example"

if have kdig; then
  for transport in "tls -p $tls +tls" "https (POST) -p $https +https=/dns-query" \
    "https (GET) -p $https +https=/dns-query +https-get" "quic -p $quic +quic"; do
    what=${transport%% -p*} flags="-p${transport#* -p}"
    ask() {
      # shellcheck disable=SC2086 # flags are words
      timeout 20 kdig @127.0.0.1 $ca $flags +timeout=5 +retry=0 "$@" 2>&1 || true
    }
    expect "kdig over $what: an address" '^web-0\.nginx.*IN[[:space:]]+A[[:space:]]+10\.' "$(ask "$name" A)"
    expect "kdig over $what: NXDOMAIN" 'status: NXDOMAIN' "$(ask "missing.$service" A)"
    expect "kdig over $what: 300 SRV, more than 4096 octets" 'ANSWER: 300;' "$(ask "$service" SRV)"
    expect "kdig over $what: REFUSED outside" 'status: REFUSED' "$(ask example.org A)"
    expect "kdig over $what: padded (RFC 8467)" 'Received (468|936) B|PADDING' "$(ask "$name" A +padding)"
  done
  stranger="+tls-ca=$work/first.crt +tls-hostname=other.example"
  # shellcheck disable=SC2086
  refused=$(timeout 20 kdig @127.0.0.1 -p "$tls" +tls $stranger +timeout=5 +retry=0 "$name" A 2>&1 || true)
  if grep -q 'ANSWER: 1' <<<"$refused"; then fail "kdig refuses another name" "$refused"; else ok "kdig refuses another name"; fi
fi

# A question for the A records of web-0, with an ID of 0.
printf '\0\0\1\0\0\1\0\0\0\0\0\0\5web-0\5nginx\7default\3svc\7cluster\5local\0\0\1\0\1' >"$work/question"
if have curl; then
  url=https://dns.example:$https/dns-query
  resolve=(--resolve "dns.example:$https:127.0.0.1" --cacert "$work/ca.crt" --silent --show-error --max-time 10)
  post=("${resolve[@]}" -H 'content-type: application/dns-message' --data-binary "@$work/question")
  for version in --http2 --http1.1; do
    head=$(curl "${post[@]}" "$version" -D - -o "$work/reply" "$url" 2>&1)
    expect "curl $version: 200" '^HTTP/[12.]+ 200' "$head"
    expect "curl $version: its type" 'content-type: application/dns-message' "$head"
    expect "curl $version: cache-control is the TTL" 'cache-control: max-age=5' "$head"
    expect "curl $version: an answer" '^0000850000010001' "$(od -An -v -tx1 "$work/reply" | tr -d ' \n')"
  done
  dns=$(base64 -w0 "$work/question" | tr '+/' '-_' | tr -d '=')
  curl "${resolve[@]}" -o "$work/got" "$url?dns=$dns"
  if cmp -s "$work/got" "$work/reply"; then ok "curl: GET answers what POST does"; else fail "curl: GET answers what POST does" "$(od -c "$work/got")"; fi
  code() { curl "${resolve[@]}" -o /dev/null -w '%{http_code}' "$@" 2>&1 || true; }
  expect "curl: another path" '^404$' "$(code "https://dns.example:$https/other")"
  expect "curl: no question" '^400$' "$(code "$url")"
  expect "curl: PUT" '^405$' "$(code -X PUT "$url")"
  expect "curl: another type" '^415$' "$(code -H 'content-type: text/plain' --data x "$url")"
  head -c 5000 /dev/zero >"$work/long"
  expect "curl: too long" '^413$' "$(code -H 'content-type: application/dns-message' --data-binary "@$work/long" "$url")"
  # A resolver of curl's own: the address of web-0 is nobody's, but curl must have found it.
  found=$(curl --doh-url "$url" --doh-insecure "${resolve[@]}" --connect-timeout 2 -v "http://$name:9/" 2>&1 || true)
  expect "curl --doh-url finds web-0" 'Trying 10\.244\.' "$found"
fi

# greeting PORT FLAG…: what openssl has to say of a handshake.
greeting() {
  local to=$1
  shift
  timeout 10 openssl s_client -connect "127.0.0.1:$to" -CAfile "$work/ca.crt" -verify_hostname dns.example \
    -servername dns.example "$@" </dev/null 2>&1 | tr -d '\0' || true
}
expect "openssl: the chain verifies" 'Verify return code: 0 \(ok\)' "$(greeting "$tls" -alpn dot)"
expect "openssl: dot" 'ALPN protocol: dot' "$(greeting "$tls" -alpn dot)"
expect "openssl: h2" 'ALPN protocol: h2' "$(greeting "$https" -alpn h2,http/1.1)"
expect "openssl: TLS 1.2 too" 'Protocol *: TLSv1.2' "$(greeting "$tls" -tls1_2)"
expect "openssl: not TLS 1.1" 'alert|no protocols|wrong version|unsupported' "$(greeting "$tls" -tls1_1 -cipher 'ALL:@SECLEVEL=0')"
expect "openssl: another protocol is refused" 'no application protocol' "$(greeting "$tls" -alpn h2)"
greeting "$tls" -tls1_2 -sess_out "$work/session" >/dev/null
expect "openssl: a session is resumed" '^Reused, TLSv1.2' "$(greeting "$tls" -tls1_2 -sess_in "$work/session")"

subject() { greeting "$1" | sed -n 's/^subject=//p'; }
until_subject() {
  for _ in $(seq 100); do
    [[ $(subject "$1") == *"$2"* ]] && return
    sleep 0.2
  done
}
# An old connection, which the new certificate must not end: a question before the change and one behind it.
framed() { printf '\0%b' "\\x$(printf %x "$(stat -c %s "$work/question")")" && cat "$work/question"; }
mkfifo "$work/old"
timeout 60 openssl s_client -quiet -connect "127.0.0.1:$tls" -CAfile "$work/ca.crt" <"$work/old" >"$work/answers" 2>/dev/null &
old=$!
exec 3>"$work/old"
framed >&3
for _ in $(seq 50); do [ -s "$work/answers" ] && break; sleep 0.1; done
before=$(stat -c %s "$work/answers")
cp "$work/second.crt" "$work/tls.crt" && cp "$work/second.key" "$work/tls.key"
until_subject "$tls" second
expect "a new certificate over TLS" second "$(subject "$tls")"
expect "a new certificate over HTTPS" second "$(subject "$https")"
framed >&3
for _ in $(seq 50); do [ "$(stat -c %s "$work/answers")" -ge $((2 * before)) ] && break; sleep 0.1; done
expect "the old connection goes on" "^$((2 * before))\$" "$(stat -c %s "$work/answers")"
exec 3>&-
kill "$old" 2>/dev/null || true
wait "$old" 2>/dev/null || true
cp "$work/third.crt" "$work/tls.crt"
for _ in $(seq 100); do grep -q 'is not served' "$work/log" && break; sleep 0.1; done
expect "a certificate with another's key is refused" 'the new certificate is not served.*no certificate and its key' "$(cat "$work/log")"
expect "and the one before stays" second "$(subject "$tls")"

if have dnsperf; then
  printf '%s A\n%s A\n%s AAAA\nmissing.%s A\n' "$name" "web-1.$service" "$name" "$service" >"$work/questions"
  flags=(-s 127.0.0.1 -d "$work/questions" -l 3)
  said=$(timeout 60 dnsperf "${flags[@]}" -p "$tls" -m dot -c 4 2>&1 || true)
  expect "dnsperf -m dot: none lost" 'Queries lost: +0 ' "$said"
  printf '     %s\n' "$(grep -E 'Queries (completed|per second)' <<<"$said" | tr -s ' ' | tr '\n' ';')"
  # Of what arrives together over HTTPS dnsperf reads the first piece and then waits (DNS-OARC/dnsperf#240): that it is
  # answered is asked here, that nothing is lost of h2load.
  said=$(timeout 60 dnsperf "${flags[@]}" -p "$https" -m doh -O "doh-uri=https://127.0.0.1:$https/dns-query" -c 4 -q 4 2>&1 || true)
  expect "dnsperf -m doh: answers" 'Response codes: +NOERROR [1-9].*NXDOMAIN [1-9]' "$said"
  expect "dnsperf -m doh: every status is 200" 'HTTP/2 return codes: +200: [0-9]+$' "$said"
  printf '     %s\n' "$(grep -E 'Queries (completed|per second)' <<<"$said" | tr -s ' ' | tr '\n' ';')"
fi
if have h2load; then
  said=$(timeout 60 h2load -c 4 -m 25 -n 10000 -d "$work/question" -H 'content-type: application/dns-message' \
    "https://127.0.0.1:$https/dns-query" 2>&1 || true)
  expect "h2load: 25 questions at one time on each of 4 connections" ' 10000 succeeded, 0 failed' "$said"
  printf '     %s\n' "$(grep '^finished' <<<"$said")"
fi

kill -TERM "$server"
code=0
wait "$server" || code=$?
server=
expect "SIGTERM ends it" '^0$' "$code"
if grep -E 'ERROR|panicked' "$work/log"; then fail "nothing went wrong" "$(cat "$work/log")"; else ok "nothing went wrong"; fi
summary
