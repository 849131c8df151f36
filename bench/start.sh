#!/usr/bin/env bash
# 100,000 endpoints from one dump, as JSON and as YAML: seconds to `ready` and to the first right answer, and memory.
# Usage: [ENDPOINTS=100000] [RUNS=3] bench/start.sh [path of rollcall]
set -euo pipefail
cd "$(dirname "$0")/.."
rollcall=${1:-target/release/rollcall}
endpoints=${ENDPOINTS:-100000} runs=${RUNS:-3}
[ -x "$rollcall" ] || { echo "$rollcall is not there: cargo build --release" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-bench/target}
bin=${ROLLCALL_BENCH_BIN:-$target/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release}
[ -n "${ROLLCALL_BENCH_BIN:-}" ] ||
  cargo build --release --locked --quiet --manifest-path bench/Cargo.toml --target-dir "$target"

# A folder of its own: the server follows the folder of its file.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$bin/generate" --endpoints 0 >"$work/empty.json"
baseline=$("$bin/start" --server "$rollcall" --manifests "$work/empty.json" --label empty --runs 1 --memory-only)

echo "$endpoints endpoints from one dump, $runs starts each; median (least–most)"
echo "an endpoint's octets are VmRSS without the $((baseline / 1024)) MiB of a server that has none"
echo
echo "| dump | seconds to \`ready\` | to the first right answer | VmHWM, MiB | VmRSS, MiB | octets an endpoint |"
echo "|---|---|---|---|---|---|"
for shape in "10 json" "10 yaml" "1000 json"; do
  read -r per_service format <<<"$shape"
  dump=$work/dump.$format
  "$bin/generate" --endpoints "$endpoints" --per-service "$per_service" --format "$format" >"$dump"
  read -r name address <<<"$("$bin/generate" --endpoints "$endpoints" --per-service "$per_service" --question)"
  label="$format, $(($(stat -c %s "$dump") >> 20)) MiB, services of $per_service"
  "$bin/start" --server "$rollcall" --manifests "$dump" --label "$label" --question "$name" "$address" \
    --endpoints "$endpoints" --baseline "$baseline" --runs "$runs"
  rm -f "$dump"
done
