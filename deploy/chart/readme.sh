#!/usr/bin/env bash
# Makes the chart's README.md from values.yaml, whose comments explain each value.
#   deploy/chart/readme.sh           writes it
#   deploy/chart/readme.sh --check   fails where it is not what it would write
set -euo pipefail
cd "$(dirname "$0")/rollcall"

made() {
  sed 's/@VERSION@/'"$(sed -n 's/^version: //p' Chart.yaml)"'/' README.md.gotmpl
  awk '
    function flush() { comment = "" }
    function row(path, value) {
      gsub(/\|/, "\\|", comment)
      printf "| `%s` | %s | %s |\n", path, value == "" ? "" : "`" value "`", comment
      flush()
    }
    # `## ` begins a section.
    /^## / {
      printf "\n## %s\n\n", substr($0, 4)
      heading = 1
      flush()
      next
    }
    /^ *$/ { flush(); next }
    { indent = match($0, /[^ ]/) - 1 }
    # What stands in a list belongs to the value above it.
    listed >= 0 && (indent > listed || (indent == listed && /^ *[-#]/)) { next }
    { listed = -1 }
    /^ *#/ {
      text = $0
      sub(/^ *# ?/, "", text)
      comment = comment (comment == "" ? "" : " ") text
      next
    }
    /^ *- / { listed = indent; flush(); next }
    /^ *[A-Za-z_.\/]+:/ {
      if (heading) { print "| value | default | |\n|---|---|---|"; heading = 0 }
      key = $0
      sub(/^ */, "", key)
      value = key
      sub(/:.*/, "", key)
      sub(/^[^:]*: */, "", value)
      level = indent / 2
      keys[level] = key
      path = keys[0]
      for (i = 1; i <= level; i++) path = path "." keys[i]
      # A value that is a list or a map of others has a row where something is said of it.
      if (value != "" || comment != "") row(path, value)
      flush()
    }
    BEGIN { listed = -1 }' values.yaml
}

if [ "${1:-}" = --check ]; then
  diff -u README.md <(made) || { echo "README.md is not what deploy/chart/readme.sh makes of values.yaml" >&2; exit 1; }
else
  made >README.md.new && mv README.md.new README.md
fi
