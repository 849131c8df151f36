#!/usr/bin/env bash
# Starts the demo as the README does (on a free port) and asks every line that it prints to try: each must give an
# answer. Usage: tests/demo.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:-target/release/rollcall}
log=$(mktemp)
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -f "$log"' EXIT
"$rollcall" serve --config config/demo.toml --listen 127.0.0.1:0 --admin off 2>"$log" &
server=$!
for _ in $(seq 100); do
  # The lines to try come right behind `ready`.
  grep -q '^try: ' "$log" && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
grep -q '^ready$' "$log" || { echo "the demo did not become ready:"; cat "$log"; exit 1; }
sleep 0.2
passed=0 failed=0
while read -r line; do
  answer=$(eval "timeout 5 $line +short +timeout=2")
  if [ -n "$answer" ]; then
    passed=$((passed + 1))
    printf 'ok   %s\n%s\n' "$line" "$(printf '%s' "$answer" | sed 's/^/       /')"
  else
    failed=$((failed + 1))
    printf 'FAIL %s: no answer\n' "$line"
  fi
done < <(sed -n 's/^try: //p' "$log")
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -ge 4 ]
