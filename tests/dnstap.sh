#!/usr/bin/env bash
# dnstap before readers that are not ours: fstrm_capture takes the stream, over a socket of the file system and over TCP, and
# dnstap-ldns, dnstap-read (BIND) and kdig -G (Knot) must each read every question and every reply in what it wrote.
# Debian: fstrm-bin dnstap-ldns bind9-dnsutils knot-dnsutils. Usage: tests/dnstap.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:-target/release/rollcall}
folder=$(mktemp -d)
reader='' server=''
trap 'kill $reader $server 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
name=web-0.nginx.default.svc.cluster.local

fail() {
  echo "FAIL $*"
  cat "$folder"/*.log
  exit 1
}

# until_line FILE PATTERN: the line, once it is there.
until_line() {
  for _ in $(seq 100); do
    grep -m1 "$2" "$1" 2>/dev/null && return
    sleep 0.1
  done
  fail "no line with $2 in $1"
}

# expect WHAT WANTED GOT
expect() {
  [ "$2" = "$3" ] || fail "$1: $3, wanted $2"
  echo "ok   $1: $3"
}

# capture KIND READER_OPTIONS… : a reader is started, served, and what it wrote is read.
capture() {
  local kind=$1 tap=$folder/$1.fstrm address port
  shift
  fstrm_capture -t protobuf:dnstap.Dnstap "$@" -w "$tap" 2>"$folder/$kind-reader.log" &
  reader=$!
  "$rollcall" serve --config config/demo.toml --listen 127.0.0.1:0 --listen '[::1]:0' --admin off \
    2>"$folder/$kind-rollcall.log" &
  server=$!
  until_line "$folder/$kind-rollcall.log" '^ready$' >/dev/null
  until_line "$folder/$kind-rollcall.log" 'dnstap: connected' >/dev/null
  local asked=0
  while read -r _ _ address; do
    port=${address##*:} address=${address%:*} address=${address#[} address=${address%]}
    for transport in +notcp +tcp; do
      for question in "$name A" "$name AAAA" "gone.default.svc.cluster.local A" "www.example.org A"; do
        # shellcheck disable=SC2086 # name and type are two words
        dig "@$address" -p "$port" "$transport" +tries=1 $question >/dev/null || fail "no answer to $question"
        asked=$((asked + 1))
      done
    done
  done < <(grep '^listening udp+tcp' "$folder/$kind-rollcall.log")
  # Ended right behind the last question: all of it is written, and the reader taken leave of.
  kill -TERM "$server" && wait "$server"
  server=''
  # It ends with the signal's code.
  kill -TERM "$reader"
  wait "$reader" || true
  reader=''

  dnstap-ldns -r "$tap" -q >"$folder/quiet.log" || fail "dnstap-ldns cannot read it"
  expect "$kind, dnstap-ldns: questions" "$asked" "$(grep -c ' AQ ' "$folder/quiet.log")"
  expect "$kind, dnstap-ldns: replies" "$asked" "$(grep -c ' AR ' "$folder/quiet.log")"
  expect "$kind, dnstap-ldns: over TCP" "$asked" "$(grep -c ' TCP ' "$folder/quiet.log")"
  expect "$kind, dnstap-ldns: with the name" "$asked" "$(grep -c "\"$name\.\"" "$folder/quiet.log")"

  dnstap-read -y "$tap" >"$folder/yaml.log" || fail "dnstap-read cannot read it"
  expect "$kind, dnstap-read: questions" "$asked" "$(grep -c 'type: AUTH_QUERY' "$folder/yaml.log")"
  expect "$kind, dnstap-read: replies" "$asked" "$(grep -c 'type: AUTH_RESPONSE' "$folder/yaml.log")"
  expect "$kind, dnstap-read: NXDOMAIN and REFUSED" $((asked / 2)) \
    "$(grep -cE '^ *status: (NXDOMAIN|REFUSED)' "$folder/yaml.log")"

  kdig -G "$tap" >"$folder/kdig.log" || fail "kdig -G cannot read it"
  # It shows the replies alone.
  expect "$kind, kdig -G: replies" "$asked" "$(grep -c -- '->>HEADER<<-' "$folder/kdig.log")"
}

ROLLCALL_DNSTAP_SOCKET=$folder/tap capture socket -u "$folder/tap"
# A free port, as good as any.
port=$((20000 + RANDOM % 10000))
ROLLCALL_DNSTAP_TCP=127.0.0.1:$port capture tcp -a 127.0.0.1 -p $port
