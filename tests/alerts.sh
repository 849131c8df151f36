#!/usr/bin/env bash
# Alerts, dashboard, and the page that a person on call reads, held to each other:
#   - promtool plays every alert, and each of them must have been seen firing and silent;
#   - every metric that an alert or a panel names is one of docs/metrics.md;
#   - every expression of the dashboard parses;
#   - every alert has its section in docs/operations.md, and every section its alert.
# Needs promtool (Debian: prometheus) and jq.   tests/alerts.sh [METRICS]   default docs/metrics.md
set -euo pipefail
cd "$(dirname "$0")/.."
metrics=${1:-docs/metrics.md}
alerts=deploy/prometheus/alerts.yaml played=deploy/prometheus/alerts_test.yaml
dashboard=deploy/grafana/rollcall.json page=docs/operations.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed=0 passed=0
fail() { printf 'FAIL %s\n' "$*" && failed=$((failed + 1)); }
pass() { passed=$((passed + 1)); }

for program in promtool jq; do
  command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
done
[ -r "$metrics" ] || { echo "$metrics is not there" >&2; exit 1; }

promtool check rules --lint=all --lint-fatal "$alerts"
promtool test rules "$played"

sed -n 's/^ *- alert: //p' "$alerts" | sort >"$work/alerts"
[ -s "$work/alerts" ] || fail "$alerts has no alert"
uniq -d "$work/alerts" >"$work/twice"
[ ! -s "$work/twice" ] || fail "defined twice: $(tr '\n' ' ' <"$work/twice")"

# A test plays what its name begins with: it must hold a moment of silence and one with the alert.
while read -r alert; do
  if awk -v alert="$alert" '
    /^  - name: / { inside = index($0, alert) > 0 }
    inside && /exp_samples: \[\]/ { silent = 1 }
    inside && index($0, "alertname=\"" alert "\"") { firing = 1 }
    END { exit !(silent && firing) }' "$played"; then
    pass
  else
    fail "$alert is not played both firing and silent in $played"
  fi
done <"$work/alerts"

# The expressions: those of the alerts with their continuation lines, those of the panels with Grafana's variables
# filled in.
awk '/^ *expr: \|/ { text = 1; next } /^ *expr: / { print; next } text && /^ *(for|labels):/ { text = 0 } text' \
  "$alerts" >"$work/expressions"
# shellcheck disable=SC2016  # Grafana's variables, not the shell's
jq -r '.panels[].targets[]?.expr' "$dashboard" |
  sed 's/\$__rate_interval/5m/g; s/\$job/.*/g; s/\$instance/.*/g' >"$work/panels"
jq -r '.templating.list[].definition // empty' "$dashboard" >>"$work/expressions"
[ -s "$work/panels" ] || fail "$dashboard asks nothing"
cat "$work/panels" >>"$work/expressions"

# What is not rollcall's own: Prometheus' and the kubelet's.
others='^(up|container_memory_working_set_bytes|container_spec_memory_limit_bytes)$'
grep -oE '\b(rollcall|process|container)_[a-z_]+|\bup\b' "$work/expressions" |
  sed -E 's/_(bucket|sum|count)$//' | sort -u >"$work/named"
while read -r metric; do
  if [[ $metric =~ $others ]] || grep -qE "\b$metric\b" "$metrics"; then
    pass
  else
    fail "$metric is named by an alert or a panel, and not in $metrics"
  fi
done <"$work/named"

# As recording rules they are parsed by Prometheus itself.
{
  printf 'groups:\n  - name: dashboard\n    rules:\n'
  number=0
  while read -r expression; do
    number=$((number + 1))
    printf "      - {record: 'panel:%d', expr: '%s'}\n" "$number" "${expression//\'/\'\'}"
  done <"$work/panels"
} >"$work/panels.yaml"
if promtool check rules "$work/panels.yaml" >"$work/panels.log" 2>&1; then
  pass
else
  fail "an expression of $dashboard does not parse: $(cat "$work/panels.log")"
fi
for what in '.panels[].id' '.panels[] | select(.type != "row") | .title'; do
  jq -r "$what" "$dashboard" | sort | uniq -d >"$work/twice"
  if [ ! -s "$work/twice" ]; then pass; else fail "$dashboard has twice: $(cat "$work/twice")"; fi
done
overlapping=$(jq '[.panels[].gridPos] as $at | [range($at | length) as $i | range($i) as $j | select(
    $at[$i].x < $at[$j].x + $at[$j].w and $at[$j].x < $at[$i].x + $at[$i].w and
    $at[$i].y < $at[$j].y + $at[$j].h and $at[$j].y < $at[$i].y + $at[$i].h)] | length' "$dashboard")
if [ "$overlapping" = 0 ]; then pass; else fail "$overlapping panels of $dashboard lie over each other"; fi

# The page: a heading of the alert's name is its anchor in lower case.
sed -n 's/^### \(Rollcall[A-Za-z]*\)$/\1/p' "$page" | sort >"$work/sections"
while read -r alert; do
  if grep -qx "$alert" "$work/sections"; then pass; else fail "$page has no section for $alert"; fi
  link=$(awk -v alert="$alert" '
    $0 ~ "- alert: " { inside = $NF == alert }
    inside && /runbook_url: / { print $NF; exit }' "$alerts")
  if [ "$link" = "$page#${alert,,}" ]; then pass; else fail "$alert leads to '$link', not to $page#${alert,,}"; fi
done <"$work/alerts"
while read -r section; do
  if grep -qx "$section" "$work/alerts"; then pass; else fail "$page has a section for $section, which is no alert"; fi
done <"$work/sections"

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
