#!/usr/bin/env bash
# The long stages of CI in full, whatever is cached: generated clusters and packets, benchmarks, a real cluster (root),
# fuzzing.
# Usage: [FUZZ_SECONDS=300] [CLUSTERS=5000] [PACKETS=5000000] [ROUNDS=5] tests/long.sh   (about 45 minutes on 2 cores)
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
cargo build --release --locked
rollcall=${CARGO_TARGET_DIR:-target}/release/rollcall

echo "=== generated clusters and packets"
ROLLCALL_CLUSTERS=${CLUSTERS:-5000} ROLLCALL_PACKETS=${PACKETS:-5000000} \
  timeout 3600 cargo test --release --locked --test it properties -- --show-output

echo "=== allocations"
timeout 600 cargo run --release --locked --quiet --manifest-path bench/Cargo.toml --bin allocations

echo "=== start at 100,000 endpoints"
timeout 900 bench/start.sh "$rollcall"

echo "=== UDP beside Knot"
ROUNDS=${ROUNDS:-5} timeout 1200 bench/udp.sh "$rollcall"

echo "=== a real cluster"
timeout 2400 tests/cluster/run.sh "$rollcall"

echo "=== from change to answer, beside CoreDNS"
ROUNDS=${ROUNDS:-5} CHANGES=${CHANGES:-200} timeout 1200 bench/change.sh "$rollcall"

echo "=== fuzzing"
timeout 7200 tests/fuzz/run.sh "${FUZZ_SECONDS:-300}"

echo "all green in $((SECONDS - started)) s"
