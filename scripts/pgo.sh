#!/usr/bin/env bash
# Runs a command with what compilers need to know where an engine's time goes (profile-guided
# optimisation): an engine that counts is built and plays its bench, and what it has counted is named
# in RUSTFLAGS. What the command builds goes to target/pgo.
# usage: scripts/pgo.sh COMMAND [ARGUMENT...], such as
#        scripts/pgo.sh cargo build --release --locked --bin quorate
#        scripts/pgo.sh scripts/bench.sh drain
# Needs Rust; has rustup add its own llvm-tools if they are not there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ $# -gt 0 ] || { sed -n '2,8p' "$0" >&2; exit 2; }

host=$(rustc -vV | sed -n 's/^host: //p')
profdata=$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata
[ -x "$profdata" ] || rustup component add llvm-tools
[ -x "$profdata" ] || { echo "no llvm-profdata at $profdata: rustup component add llvm-tools" >&2; exit 1; }

mkdir -p target
counted=$(pwd)/target/counted
rm -rf "$counted"
echo "== an engine counts what it does" >&2
CARGO_TARGET_DIR=target/counting RUSTFLAGS="${RUSTFLAGS:-} -Cprofile-generate=$counted" \
  LLVM_PROFILE_FILE="$counted/built-%m.profraw" cargo bench --locked --bench engine --no-run
# Only what the bench itself counts is wanted, not what built it.
rm -rf "$counted"
CARGO_TARGET_DIR=target/counting RUSTFLAGS="${RUSTFLAGS:-} -Cprofile-generate=$counted" \
  cargo bench --locked --bench engine >&2
"$profdata" merge -o target/engine.profdata "$counted"
rm -rf "$counted"

echo "== $*" >&2
export CARGO_TARGET_DIR=target/pgo
export RUSTFLAGS="${RUSTFLAGS:-} -Cprofile-use=$(pwd)/target/engine.profdata"
exec "$@"
