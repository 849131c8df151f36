#!/usr/bin/env bash
# Runs each fuzz target so many seconds, as many at a time as there are cores: one line a target, exit 1 when one crashed.
# What the fuzzer learns stays under the target folder; corpus/ holds the seeds, artifacts/ what crashed.
# Usage: tests/fuzz/run.sh SECONDS [TARGET…]     (nightly Rust; CARGO_TARGET_DIR moves the build)
#        tests/fuzz/run.sh build                 builds them, and ends
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?usage: tests/fuzz/run.sh SECONDS [TARGET…]}
shift
case $seconds in build) ;; '' | *[!0-9]*) echo "SECONDS is a whole number, not '$seconds'" >&2; exit 2 ;; esac
targets=("$@")
[ $# -gt 0 ] || targets=(name manifests respond snapshot kept stateful)

command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --locked
build=${CARGO_TARGET_DIR:-$PWD/target}
# Built before the clock runs, and once for all.
cargo +nightly fuzz build --fuzz-dir . --target-dir "$build"
[ "$seconds" != build ] || exit 0
host=$(rustc +nightly --print host-tuple)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# fuzz TARGET: one line.
fuzz() {
  local target=$1 learnt=$build/corpus/$1 log=$logs/$1 code=0 runs covered crash
  mkdir -p "$learnt" "artifacts/$target"
  # A hang counts as a crash: -timeout is seconds an input. So does memory out of proportion to one, of 4 KiB at the most.
  # The program itself, for `cargo fuzz run` would build again what changed meanwhile, on this clock.
  timeout --kill-after=10 $((seconds + 60)) "$build/$host/release/$target" "$learnt" "corpus/$target" \
    -artifact_prefix="$PWD/artifacts/$target/" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=3072 -malloc_limit_mb=64 \
    -print_final_stats=1 >"$log" 2>&1 || code=$?
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  covered=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)
  if [ "$code" -eq 0 ]; then
    printf '%-10s %s inputs in %s s, %s edges covered, no crash\n' "$target" "${runs:-?}" "$seconds" "${covered:-?}"
    return
  fi
  crash=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
  printf '%-10s CRASHED (exit %d): %s\n' "$target" "$code" "${crash:-no artifact}"
  grep -m1 -A3 'panicked at\|ERROR: ' "$log" || tail -n 20 "$log"
  return 1
}

failed=0 running=0
for target in "${targets[@]}"; do
  if ((running == $(nproc))); then
    wait -n || failed=1
    running=$((running - 1))
  fi
  fuzz "$target" &
  running=$((running + 1))
done
while ((running--)); do wait -n || failed=1; done
exit "$failed"
