#!/usr/bin/env bash
# Every Rust test; those that only ran out of patience once more, alone, and said so.
# usage: test.sh
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp "${TMPDIR:-/tmp}/quorate-test.XXXXXX")
trap 'rm -f "$log"' EXIT

! cargo test --locked --no-fail-fast 2>&1 | tee "$log" || exit 0
names=$("${PYTHON:-python3}" scripts/again.py "$log") || exit 1
echo "== ran out of patience beside other tests, and must pass alone:"
# shellcheck disable=SC2001
sed 's/^/     /' <<< "$names"
while read -r name; do
  cargo test --locked --test main -- --exact "$name"
done <<< "$names"
echo "== passed alone, and are too slow beside others on this machine: ${names//$'\n'/, }"
