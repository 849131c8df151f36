#!/usr/bin/env bash
# The page in a real browser: opened, changed under, asked, a thousand sets, no finding of axe-core. Needs node, npm and
# chromium (Debian's; CHROMIUM names another). Usage: tests/page/run.sh [path of rollcall [folder for pictures]]
set -euo pipefail
cd "$(dirname "$0")/../.."
rollcall=$(realpath "${1:-target/release/rollcall}")
pictures=${2:-$(mktemp -d)}
mkdir -p "$pictures"
pictures=$(realpath "$pictures")
work=$(mktemp -d)
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
tests/page/install.sh
cp -r config/demo "$work/demo"
# In the place of the tutorial's: its set is scaled.
rm "$work/demo/s2-nginx.yaml"
cat >"$work/demo/web.yaml" <<'YAML'
apiVersion: v1
kind: Service
metadata: {name: nginx}
spec: {clusterIP: None, selector: {app: nginx}, ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: web}
spec: {serviceName: nginx, replicas: 3, template: {metadata: {labels: {app: nginx}}}}
YAML
touch "$work/log"
"$rollcall" serve --manifests "$work/demo" --listen 127.0.0.1:0 --admin 127.0.0.1:0 2>"$work/log" &
server=$!
for _ in $(seq 300); do
  grep -q '^ready$' "$work/log" && break
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1
done
grep -q '^ready$' "$work/log" || { echo "the server did not become ready:"; cat "$work/log"; exit 1; }
admin=$(sed -n 's/^listening admin //p' "$work/log")
node tests/page/page.mjs "$admin" "$work/demo" "$pictures"
echo "pictures are in $pictures"
