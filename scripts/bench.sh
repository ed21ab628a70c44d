#!/usr/bin/env bash
# What the parts cost, then a processor on a real broker beside a bare reader and beside the peer.
# usage: bench.sh [STAGE...]  (drain, live, silence, restart; all of them by default)
# QUORATE_PEER_DIR names the peer's directory (another stream processor doing the same job, driven
# by its own lib.sh); without it only ours and the bare reader are measured. SMALL=1 is a quick run;
# REPEATS, ROUNDS, CLOSED, SECONDS, SILENCES, ENGINES and MARGIN change one thing each.
# Needs Rust, Java 17 and Maven; fetches the rest once into $QUORATE_CACHE (default: .cache).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# = 0 ]; then
  cargo bench --locked
fi
if [ -n "${QUORATE_PEER_DIR:-}" ]; then
  # Built in a copy: what it was made of stays as it is.
  QUORATE_PEER=$(mktemp -d "${TMPDIR:-/tmp}/quorate-peer.XXXXXX")
  trap 'rm -rf "$QUORATE_PEER"' EXIT
  cp -R "$QUORATE_PEER_DIR/." "$QUORATE_PEER"
  chmod -R u+w "$QUORATE_PEER"
  echo "== building the peer"
  mvn -q -B -f "$QUORATE_PEER/pom.xml" package -DskipTests
  export QUORATE_PEER
else
  echo "== QUORATE_PEER_DIR names no peer: measuring ours and the bare reader only"
fi
echo "== on a real broker"
cargo bench --locked --bench kafka -- "$@"
