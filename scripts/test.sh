#!/usr/bin/env bash
# Every Rust test; those that only ran out of patience once more, alone, and said so.
# usage: test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# Most of them wait for a broker, a page or a clock, and not for a processor.
threads=${RUST_TEST_THREADS:-$(($(nproc) + 2))}
log=$(mktemp "${TMPDIR:-/tmp}/quorate-test.XXXXXX")
# Into a file, and no pipe: Node sets pipes that it inherits to non-blocking, and what a failed test
# printed would be cut off where the pipe is full, its reason with it. In a group of its own, so that
# it can be ended.
set -m
RUST_TEST_THREADS=$threads cargo test --locked --no-fail-fast > "$log" 2>&1 &
tests=$!
set +m
trap 'kill -- "-$tests" 2> /dev/null || true; rm -f "$log"' EXIT
tail -n +1 -f --pid="$tests" "$log"
wait "$tests" && exit 0
names=$("${PYTHON:-python3}" scripts/again.py "$log") || exit 1
echo "== ran out of patience beside other tests, and must pass alone:"
# shellcheck disable=SC2001
sed 's/^/     /' <<< "$names"
while read -r name; do
  cargo test --locked --test main -- --exact "$name"
done <<< "$names"
echo "== passed alone, and are too slow beside others on this machine: ${names//$'\n'/, }"
