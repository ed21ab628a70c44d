#!/usr/bin/env bash
# Plays a day at a bank on a real Kafka and schema registry, which it starts and stops.
# Needs Rust, Java 17, Maven, Python 3 and kcat; fetches the rest once into $QUORATE_CACHE (default:
# .cache). ANSWER_IN and PACE are seconds: what agents have to answer, and what lies between scenes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

need() {
  command -v "$1" > /dev/null && return
  if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    echo "== installing $2"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$2" > /dev/null
  else
    echo "\`$1\` is missing; install it (Debian: $2)" >&2
    exit 1
  fi
}

need java openjdk-17-jre-headless
need mvn maven
need kcat kcat
echo "== building"
cargo build --locked --quiet
python=$(scripts/python.sh)
exec python3 scripts/demo --answer-in "${ANSWER_IN:-6}" --pace "${PACE:-2}" \
  "${CARGO_TARGET_DIR:-target}/debug/quorate" "$python"
