#!/usr/bin/env bash
# What the parts cost, then a processor on a real broker beside a bare reader and beside the peer.
# usage: bench.sh [STAGE...]  (drain, live, silence, restart; all of them by default)
#        bench.sh gateway [STAGE...]  (file, respond, inboxes): a blackboard, and agents over HTTP
#        bench.sh replay: a replay of two million responses on one processor; ROUNDS of twenty each
#        bench.sh console: how soon a person can act in a page, where very many wait or have voted
# QUORATE_PEER_DIR names the peer's directory (another stream processor doing the same job, driven
# by its own lib.sh); without it only ours and the bare reader are measured. SMALL=1 is a quick run;
# REPEATS, ROUNDS, CLOSED, SECONDS, SILENCES, ENGINES and MARGIN change one thing each; of the gateway
# REPEATS, APPENDS, ROUNDS, RATE, SECONDS and INBOXES; of the console REPEATS, WAITING and BALLOTS.
# Needs Rust, Java 17 and Maven; fetches the rest once into $QUORATE_CACHE (default: .cache).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = gateway ]; then
  shift
  # As many connections as this shell may have, in each of the processes.
  ulimit -n "$(ulimit -Hn)"
  exec cargo bench --locked --bench gateway -- "$@"
fi
if [ "${1:-}" = replay ]; then
  exec cargo bench --locked --bench replay
fi
if [ "${1:-}" = console ]; then
  exec cargo bench --locked --bench gateway -- console
fi
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
