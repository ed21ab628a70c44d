#!/usr/bin/env bash
# Every test, and beside them lints, the second implementation and the client: they wait much of the time.
# Tests that only ran out of patience are run once more, alone, and said so.
# usage: test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# Most of them wait for a broker, a page or a clock, and not for a processor.
threads=${RUST_TEST_THREADS:-$(($(nproc) + 2))}
folder=$(mktemp -d "${TMPDIR:-/tmp}/quorate-test.XXXXXX")
log=$folder/tests beside=$folder/beside
groups=()
leave() {
  for group in "${groups[@]}"; do kill -- "-$group" 2> /dev/null || true; done
  rm -rf "$folder"
}
trap leave EXIT

# start LOG COMMAND...: in a group of its own, so that it can be ended. Into a file, and no pipe: Node
# sets pipes that it inherits to non-blocking, and what a failed test printed would be cut off where
# the pipe is full, its reason with it.
start() {
  local log=$1
  shift
  set -m
  "$@" > "$log" 2>&1 &
  set +m
  groups+=($!)
}

start "$log" env RUST_TEST_THREADS="$threads" cargo test --locked --no-fail-fast
tests=$!
tail -n +1 -f --pid="$tests" "$log" &
shown=$!
# Not before they are built: who builds keeps others from it.
until grep -q 'Running' "$log" || ! kill -0 "$tests" 2> /dev/null; do sleep 0.2; done
grep -q 'Running' "$log" || { wait "$shown" || true; exit 1; }
start "$beside" make --no-print-directory beside
others=$!

failed=
wait "$tests" || failed=1
wait "$shown" || true
failed_beside=
wait "$others" || failed_beside=1
echo "== beside the tests"
cat "$beside"
if [ -n "$failed_beside" ]; then
  echo "== failed: lints, the core alone, the second implementation or the client; see above"
  exit 1
fi
[ -n "$failed" ] || exit 0
names=$("${PYTHON:-python3}" scripts/again.py "$log") || {
  echo "== failed: tests; see what they say before \"beside the tests\""
  exit 1
}
echo "== ran out of patience beside other tests, and must pass alone:"
# shellcheck disable=SC2001
sed 's/^/     /' <<< "$names"
while read -r name; do
  cargo test --locked --test main -- --exact "$name"
done <<< "$names"
echo "== passed alone, and are too slow beside others on this machine: ${names//$'\n'/, }"
