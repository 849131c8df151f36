#!/usr/bin/env bash
# Plays everything on a real Kubernetes control plane and the real CoreDNS.
#
#   tests/cluster/run.sh [ROLLCALL] [FILTER...]     default target/release/rollcall, every test; builds nothing of it
#   ROLLCALL_SMOKE=1: of the real software etcd alone, and the large rollout with fewer pods
#
# Builds the control plane once (build.sh, some 20 minutes the first time). Needs root, for network namespaces
# with a pod's resolv.conf; installs nothing, but for what the page's test loads from npm's registry. What a failed
# test saw is left in a folder that is named at the end; pictures of the page in ROLLCALL_CLUSTER_PICTURES.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

((EUID == 0)) || { echo "run.sh makes network namespaces, which only root may" >&2; exit 1; }
declare -A package=(
  [busybox]=busybox [curl]=curl [dig]=bind9-dnsutils [faketime]=faketime [getent]=libc-bin [go]=golang-go [ip]=iproute2 [kdig]=knot-dnsutils [node]=nodejs [nsenter]=util-linux
  [mount]=mount [openssl]=openssl [setpriv]=util-linux
)
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null || missing+=("$program (Debian package ${package[$program]})")
done
if ((${#missing[@]})); then
  printf 'missing: %s\n' "${missing[@]}" >&2
  exit 1
fi

ROLLCALL_BIN=$(realpath -m "${1:-$target/release/rollcall}")
[[ -x $ROLLCALL_BIN ]] || { echo "no $ROLLCALL_BIN; build it with cargo build --release, or give its path" >&2; exit 1; }
filters=("${@:2}")
ROLLCALL_CLUSTER_BIN=$("$here/build.sh")
ROLLCALL_CLUSTER_FAILURES=$target/cluster-failures
ROLLCALL_CLUSTER_PICTURES=$(realpath -m "${ROLLCALL_CLUSTER_PICTURES:-$target/cluster-pictures}")
export ROLLCALL_BIN ROLLCALL_CLUSTER_BIN ROLLCALL_CLUSTER_FAILURES ROLLCALL_CLUSTER_PICTURES
rm -rf "$ROLLCALL_CLUSTER_FAILURES"

# play ARGUMENT...: the tests' own output, and libtest's summary. Which ones failed is kept, line by line.
failed=0
work=$(mktemp -d)
software=
# shellcheck disable=SC2317  # the trap reaches it
finish() {
  # A group of its own, which nobody else ends.
  [[ -z $software ]] || { kill -- "-$software" 2>/dev/null || true; cat "$work/software"; }
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
: >"$work/failures"
play() {
  local code=0 log
  log=$(mktemp -p "$work")
  (cd "$root" && cargo test --locked --test cluster -- --ignored --show-output "$@") 2>&1 | tee "$log" || code=$?
  ((code)) || return 0
  sed -n '/^failures:$/,/^test result:/s/^    \([a-z0-9_]*::[a-z0-9_:]*\)$/\1/p' "$log" | sort -u >"$log.names"
  cat "$log.names" >>"$work/failures"
  # A run that ended without saying which test it was is not to be played again.
  [[ -s $log.names ]] || return "$code"
}

# Six programs of a control plane on a machine that does something else may be late by themselves: one or two tests that
# failed are played again, alone. A rare fault of the server would pass then too: what is FLAKY wants to be looked into.
again() {
  local failures=()
  mapfile -t failures <"$work/failures"
  ((failed == 0 && ${#failures[@]})) || return 0
  echo "failed: ${failures[*]}"
  ((${#failures[@]} <= 2)) || { failed=1; return 0; }
  echo "played again, alone:"
  (cd "$root" && cargo test --locked --test cluster -- --ignored --show-output --test-threads=1 --exact "${failures[@]}") || failed=$?
  ((failed)) || echo "FLAKY: ${failures[*]}"
}

if ((${#filters[@]})); then
  # libtest is content with no test at all.
  listed=$(cd "$root" && cargo test --locked --quiet --test cluster -- --ignored --list "${filters[@]}")
  # Not a pipe, which a list of several lines would find closed behind its first.
  grep -q ': test$' <<<"$listed" || { echo "no test of that name: ${filters[*]}" >&2; exit 1; }
  play --test-threads=2 "${filters[@]}" || failed=$?
else
  smoke=()
  [[ -z ${ROLLCALL_SMOKE:-} ]] || smoke=(--skip software::redis:: --skip software::mariadb::)
  # Faults have a control plane each, the others one a process; all of them wait most of the time. Software takes minutes a
  # test: one at a time beside the others, so that none of them is what the end waits for. Its output is shown behind theirs.
  set -m
  play --test-threads=1 software:: "${smoke[@]}" >"$work/software" 2>&1 &
  software=$!
  set +m
  play --test-threads=3 --skip software:: --skip faults::rollout:: || failed=$?
  wait "$software" || failed=$?
  software=
  cat "$work/software"
  # These keep the machine busy by themselves.
  play --test-threads=1 faults::rollout:: || failed=$?
fi
again

if [[ -d $ROLLCALL_CLUSTER_FAILURES ]]; then
  echo "what the failed tests saw: $ROLLCALL_CLUSTER_FAILURES"
fi
exit "$failed"
