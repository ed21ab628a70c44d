#!/usr/bin/env bash
# Plays the examples on a real Kafka and schema registry, which it starts and stops.
# Needs Rust, Java 17, Maven and Python 3; fetches the rest once into $QUORATE_CACHE (default: .cache).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${QUORATE_CACHE:-.cache}

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
if [ ! -e "$cache/venv/.complete" ]; then
  echo "== fetching the Python agent's client"
  python3 -m venv "$cache/venv"
  "$cache/venv/bin/pip" install --quiet confluent-kafka==2.16.1
  touch "$cache/venv/.complete"
fi
exec python3 scripts/demo.py "${CARGO_TARGET_DIR:-target}/debug/quorate" "$cache/venv/bin/python"
