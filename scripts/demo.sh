#!/usr/bin/env bash
# Plays a day in the terminal: at a bank, in a supply chain and between marketing and finance, on
# `quorate dev`, whose log is a file; or, told `kafka`, the bank's on a real Kafka and schema registry,
# which it starts and stops.
# usage: demo.sh [kafka]
# Needs Rust; installs or names the rest, and fetches once into $QUORATE_CACHE (default: .cache).
# ANSWER_IN and PACE are seconds: what agents have to answer at least, and what lies between scenes.
# With KEEP set everything runs on at the end until Enter is pressed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
echo "== building"
cargo build --locked --quiet
if [ "${1:-}" = kafka ]; then
  python=$(scripts/python.sh)
  log=()
else
  python=python3
  folder=${QUORATE_CACHE:-.cache}/demo
  rm -rf "$folder"
  mkdir -p "$folder"
  log=(--dev "$(cd "$folder" && pwd)")
fi
exec python3 scripts/demo "${log[@]}" --answer-in "${ANSWER_IN:-5}" --pace "${PACE:-1.5}" \
  "${CARGO_TARGET_DIR:-target}/debug/quorate" "$python"
