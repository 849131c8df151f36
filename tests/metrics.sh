#!/usr/bin/env bash
# Starts the demo with an admin address, asks a few questions over UDP and TCP, scrapes /metrics in both forms, and lets
# promtool (Debian: prometheus) judge it: `promtool check metrics` fails on what does not parse, and what it has to say
# against names and help texts fails here. Usage: tests/metrics.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:-target/release/rollcall}
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
"$rollcall" serve --config config/demo.toml --listen 127.0.0.1:0 --admin 127.0.0.1:0 2>"$work/log" &
server=$!
for _ in $(seq 100); do
  grep -q '^ready$' "$work/log" && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
grep -q '^ready$' "$work/log" || { echo "the demo did not become ready:"; cat "$work/log"; exit 1; }
dns=$(sed -n 's/^listening udp+tcp 127.0.0.1://p' "$work/log")
admin=$(sed -n 's/^listening admin //p' "$work/log")

ask() { dig @127.0.0.1 -p "$dns" +tries=1 +timeout=5 "$@" >/dev/null; }
for transport in +notcp +tcp; do
  ask "$transport" web-0.nginx.default.svc.cluster.local A
  ask "$transport" web-0.nginx.default.svc.cluster.local AAAA
  ask "$transport" nginx.default.svc.cluster.local SRV
  ask "$transport" gone.default.svc.cluster.local A
  ask "$transport" www.example.org A
  ask "$transport" -x 10.96.0.1
done

curl -sS --fail --max-time 5 "http://$admin/metrics" >"$work/text"
curl -sS --fail --max-time 5 -H 'Accept: application/openmetrics-text' "http://$admin/metrics" >"$work/open"
[ "$(tail -n 1 "$work/open")" = "# EOF" ] || { echo "OpenMetrics without its end"; exit 1; }
for line in \
  'rollcall_dns_queries_total{zone="cluster.local",type="A",rcode="NXDOMAIN",transport="tcp"} 1' \
  'rollcall_dns_queries_total{zone="cluster.local",type="AAAA",rcode="NOERROR",transport="udp"} 1' \
  'rollcall_dns_nodata_total{zone="cluster.local",type="AAAA",transport="udp"} 1' \
  'rollcall_dns_queries_total{zone="reverse",type="PTR",rcode="NOERROR",transport="udp"} 1' \
  'rollcall_dns_queries_total{zone=".",type="A",rcode="REFUSED",transport="tcp"} 1'; do
  for form in text open; do
    grep -qxF "$line" "$work/$form" || { echo "not in the $form form: $line"; exit 1; }
  done
done

promtool check metrics <"$work/text" >"$work/said" 2>&1 || { echo "promtool:"; cat "$work/said"; exit 1; }
[ ! -s "$work/said" ] || { echo "promtool has something to say:"; cat "$work/said"; exit 1; }
# It can say no: a counter without its suffix, and a family without help.
printf '# TYPE a counter\na 1\n' | promtool check metrics >"$work/said" 2>&1 && { echo "promtool takes anything"; exit 1; }
printf '%d families, %d samples, promtool has nothing to say\n' \
  "$(grep -c '^# TYPE' "$work/text")" "$(grep -vc '^#' "$work/text")"
