#!/usr/bin/env bash
# The long stages of CI in full, whatever is cached: generated clusters and packets, a real cluster (root), load held and
# floods, benchmarks, fuzzing.
# Usage: [FUZZ_SECONDS=300] [CLUSTERS=5000] [PACKETS=5000000] tests/long.sh   (about three hours on 2 cores)
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
cargo build --release --locked
rollcall=${CARGO_TARGET_DIR:-target}/release/rollcall

echo "=== generated clusters and packets"
ROLLCALL_CLUSTERS=${CLUSTERS:-5000} ROLLCALL_PACKETS=${PACKETS:-5000000} \
  timeout 3600 cargo test --release --locked --test it properties -- --show-output

echo "=== a real cluster, real software"
ROLLCALL_LONG=1 timeout 6000 tests/cluster/run.sh "$rollcall"

echo "=== load held for half an hour, floods"
timeout 2400 tests/soak.sh "$rollcall"
timeout 1800 tests/flood.sh "$rollcall"

echo "=== every benchmark in full, the peers beside it"
timeout 10800 bench/run.sh "$rollcall"

echo "=== fuzzing"
timeout 7200 tests/fuzz/run.sh "${FUZZ_SECONDS:-300}"

echo "all green in $((SECONDS - started)) s"
