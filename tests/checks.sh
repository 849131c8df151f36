# shellcheck shell=bash
# What the scripts of tests/ check with: each thing that must hold is a line, counted, and none ends the script. To be
# sourced by a script that has `set -euo pipefail`.
passed=0 failed=0

ok() { printf 'ok   %s\n' "$1" && passed=$((passed + 1)); }
# fail WHAT [MORE]: the first lines of more.
fail() {
  printf 'FAIL %s\n' "$1" && failed=$((failed + 1))
  # Not a pipe: one that `head` closes early is a failure by `pipefail`, and nothing would be counted.
  [ $# -lt 2 ] || head -30 <<<"$2"
}

# is WHAT GOT WANTED
is() {
  local got=${2//$'\n'/ } wanted=${3//$'\n'/ }
  if [ "$2" = "$3" ]; then ok "$1: $got"; else fail "$1: got \"$got\", wanted \"$wanted\""; fi
}

# expect WHAT PATTERN TEXT: that the text holds the extended pattern.
expect() { if grep -Eq -- "$2" <<<"$3"; then ok "$1"; else fail "$1: no $2" "$3"; fi; }

# missing PROGRAM: CI installs all of them, others are told that one is left out.
missing() {
  if [ "${CI:-}" = true ]; then fail "$1 is installed: it is not"; else printf 'skip %s is not installed\n' "$1"; fi
}

# until_true COMMAND…: whether it succeeds within 10 s.
until_true() {
  for _ in $(seq 100); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  return 1
}

# The last line of a script, and its exit code.
summary() {
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" = 0 ]
}
