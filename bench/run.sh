#!/usr/bin/env bash
# All benchmarks in turn, on an otherwise idle machine; every result into $OUT. Of those that fail the others are not
# kept back; exit 1 when any did. The first time the peers are built and installed: some 20 minutes.
# Usage: [OUT=bench/results] [ONLY="queries scale …"] bench/run.sh [path of rollcall]
# ROLLCALL_SMOKE=1: each in its short form.
set -euo pipefail
cd "$(dirname "$0")/.."
export OUT=${OUT:-bench/results}
rollcall=${1:-target/release/rollcall}
[ $# -gt 0 ] || cargo build --release --locked
mkdir -p "$OUT"
target=${CARGO_TARGET_DIR:-bench/target}
bin=${ROLLCALL_BENCH_BIN:-$target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release}
smoke=${ROLLCALL_SMOKE:-}

# into NAME COMMAND…: what it prints is its result.
into() {
  local name=$1
  shift
  "$@" | tee "$OUT/$name"
}
allocations() {
  [ -n "${ROLLCALL_BENCH_BIN:-}" ] ||
    cargo build --release --locked --quiet --manifest-path bench/Cargo.toml --target-dir "$target"
  into allocations.txt "$bin/allocations"
}
# Of the parts by themselves.
micro() {
  [ -d bench/benches ] || { echo "bench/benches is not there: left out"; return 0; }
  into micro.txt cargo bench --locked --manifest-path bench/Cargo.toml --target-dir "$target" --bench micro
}
# script NAME COMMAND…: a script of this folder, where it is there.
script() {
  [ -x "bench/$1.sh" ] || { echo "bench/$1.sh is not there: left out"; return 0; }
  "${@:2}" "bench/$1.sh" "$rollcall"
}
piece() {
  case $1 in
    queries | scale | writer | peers) script "$1" ;;
    start) script start into start.md env ${smoke:+RUNS=1 ENDPOINTS=20000} ;;
    change) script change into change.md env ${smoke:+ROUNDS=1 CHANGES=60} ;;
    allocations | micro) "$1" ;;
    *) echo "no such benchmark: $1" >&2; return 1 ;;
  esac
}

failed=()
read -ra pieces <<<"${ONLY:-allocations micro queries start scale change writer peers}"
for name in "${pieces[@]}"; do
  printf '\n=== %s\n' "$name"
  begin=$SECONDS
  # A shell of its own, for `set -e` does not hold within a condition.
  set +e
  (set -e; piece "$name")
  result=$?
  set -e
  [ "$result" -eq 0 ] || failed+=("$name")
  printf '=== %s: %s in %d s\n' "$name" "$([ "$result" -eq 0 ] && echo ended || echo FAILED)" $((SECONDS - begin))
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
