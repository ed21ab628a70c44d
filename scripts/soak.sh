#!/usr/bin/env bash
# Plays every fault many times as often as `make test` does, and writes the figures to
# docs/reliability.md with the commit they are of. Nothing is written if anything fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rows=$(mktemp)
trap 'rm -f "$rows"' EXIT
commit=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain -- src tests Cargo.lock)" ] || commit+=" with changes"
started=$(date +%s)
QUORATE_SOAK=1 QUORATE_RELIABILITY=$rows \
  cargo test --locked --test main faults:: -- --nocapture --test-threads=1
minutes=$((($(date +%s) - started) / 60))

cat > docs/reliability.md <<MARKDOWN
# Reliability

What was tried on a real broker, and what it did. Written by \`make soak\`: $(nproc) cores, $minutes
minutes.

Each line is a load of rounds with everything in it that the protocol knows (late, early, double,
malformed and misplaced records; grants, policies and suspensions that move; people who decide;
results), and a fault that plays meanwhile. What came of it is compared with engines that read the
same log and were never interrupted, by decision digest, package digest, lesson, trust score and
dead letter: *lost* did not come, *doubled* came twice, *different* came and should not have.

| Fault | Times | Responses/s | Rounds | Outcomes | Lost | Doubled | Different | Seed | Commit |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |
$(sort "$rows" | sed "s/$/ $commit |/")

Responses before their proposals come in bursts, between which nothing else may be open; their rate
is that of the bursts. Rounds are kept in memory, so that every kill is also a store deleted.

Each defence was also taken away, and the damage seen, in the same run: fencing (a transactional id
of its own for each start, offsets committed as by a stranger), a new producer after a commit in
doubt, a low-water offset that waits for orphans, and silence while restoring. \`QUORATE_FAULT\` does
so in a build with debug assertions; no other has the switches.

Not tried here: more than one broker, a full disk, a clock that is wrong, a network that is slow.
MARKDOWN
echo "docs/reliability.md is written"
