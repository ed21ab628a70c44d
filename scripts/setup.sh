#!/usr/bin/env bash
# Installs what building, testing and the demo need beyond Rust, if it is not there, and says so.
# usage: setup.sh
# It works as root on Debian and its kin; elsewhere it says what is missing, by Debian's names, and
# fails. Where everything is there it does nothing.
set -euo pipefail

# librdkafka is built with TLS; Kafka and the registry run on Java, from Maven's repository; openssl
# makes certificates for tests; agents written by others are kcat and Python; chromium is the browser pages
# are looked at in.
packages=(build-essential pkg-config libssl-dev openjdk-17-jre-headless maven curl openssl kcat
  python3 python3-venv chromium)

is_there() {
  case $1 in
    build-essential) command -v cc ;;
    libssl-dev) pkg-config --exists openssl ;;
    openjdk-17-jre-headless) command -v java ;;
    maven) command -v mvn ;;
    python3-venv) python3 -c 'import ensurepip, venv' ;;
    *) command -v "$1" ;;
  esac > /dev/null 2>&1
}

missing=()
for package in "${packages[@]}"; do
  is_there "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "missing: ${missing[*]}; install them, or run scripts/setup.sh as root" >&2
  exit 1
fi
echo "== installing ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
  > /dev/null
