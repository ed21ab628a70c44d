#!/usr/bin/env bash
# Plays faults many times as often as `make test` does. As soon as one is through, its line in the
# table of docs/reliability.md is replaced: figures, commit, day and machine. A fault whose test fails
# keeps the line it had, and this fails in the end; the others are played all the same. Then 1,000
# mutations of a history are looked for, which writes the table of docs/verify.md (`verify`), a verifier
# follows 200,000 rounds, which writes how much memory that takes there (`follow`), and
# every attack is played from 200 seeds, which writes that of docs/decision-quality.md (`attacks`).
# usage: soak.sh [PART...]  (modules of tests/faults, verify, follow, attacks; all in turn if none is named)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

page=docs/reliability.md
rows=$(mktemp)
trap 'rm -f "$rows" "$rows.page"' EXIT

commit=$(git rev-parse --short=12 HEAD)
[ -z "$(git status --porcelain -- src tests Cargo.toml Cargo.lock)" ] || commit+=" with changes"
cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
measured="$commit | $(date -u +%F) | $(nproc) × ${cpu:-$(uname -m)} |"

# The lines of this run in place of the older ones of the same fault, new ones after the rest.
merge() {
  awk -F'|' -v measured="$measured" '
    NR == FNR { line[$2] = $0 " " measured; order[++count] = $2; next }
    function rest(  i) {
      for (i = 1; i <= count; i++) if (order[i] in line) { print line[order[i]]; delete line[order[i]] }
    }
    /^\| --- / { inside = 1; print; next }
    inside && !/^\|/ { rest(); inside = 0 }
    inside && $2 in line { print line[$2]; delete line[$2]; next }
    { print }
  ' "$rows" "$page" > "$rows.page"
  cat "$rows.page" > "$page"
}

# written FILTER: plays a test that writes what it measured into its page.
written() {
  UPDATE=1 cargo test --locked --test main "$1" -- --nocapture --test-threads=1
}

[ $# -gt 0 ] || set -- $(sed -n 's/^mod \([a-z]*\);$/\1/p' tests/faults/mod.rs) verify follow attacks
failed=()
for part; do
  case $part in
    verify)
      QUORATE_VERIFY_MUTATIONS=1000 written verify::a_history_is_verified || failed+=("$part")
      continue ;;
    follow)
      QUORATE_FOLLOW_ROUNDS=200000 written verify::memory::what_a_verifier_holds || failed+=("$part")
      continue ;;
    attacks)
      QUORATE_ATTACK_SEEDS=200 written evaluate::the_docs_tell_of_every_attack || failed+=("$part")
      continue ;;
  esac
  : > "$rows"
  QUORATE_SOAK=1 QUORATE_RELIABILITY=$rows cargo test --locked --test main "faults::$part::" \
    -- --nocapture --test-threads=1 || failed+=("$part")
  # Another run may be about to write the same page.
  [ ! -s "$rows" ] || (flock 9 && merge) 9< "$page"
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
