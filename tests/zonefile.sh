#!/usr/bin/env bash
# What `rollcall records` prints for the demo are zones that BIND's checker loads. That they hold what is served is
# tested in tests/it/behaviour. Usage: tests/zonefile.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:-target/release/rollcall}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$rollcall" records --config config/demo.toml >"$work/cluster.local.zone"
named-checkzone -i local cluster.local "$work/cluster.local.zone"
"$rollcall" records --config config/demo.toml --reverse >"$work/reverse.zone"
# The reverse zones stand one after the other, each from its SOA on.
awk -F '\t' -v work="$work" '$4 == "SOA" { origin = $1; file = work "/" origin "zone" } { print > file }' "$work/reverse.zone"
for zone in "$work"/*.arpa.zone; do
  origin=$(basename "$zone" .zone)
  named-checkzone -i none "$origin" "$zone"
done
