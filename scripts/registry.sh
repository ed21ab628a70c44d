#!/usr/bin/env bash
# A schema registry with Confluent's API (Apicurio, in memory) from Maven Central, for tests and the demo; Java 17 or later.
# usage: registry.sh [DIR]
# Prints its base URL once it answers, then runs until its standard input ends, so that it cannot
# outlive whoever started it. It is kept in $QUORATE_CACHE (default: .cache).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/part.sh"

version=${APICURIO_VERSION:-2.6.13.Final}
app=$CACHE/apicurio-$version

fetch() {
  [ -e "$app/.complete" ] && return
  local artifact=io.apicurio:apicurio-registry-app:$version:tar.gz:all
  mkdir -p "$app"
  mvn -B -q org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
    -Dartifact="$artifact" -DoutputDirectory="$app" >&2
  tar xzf "$app/apicurio-registry-app-$version-all.tar.gz" -C "$app"
  touch "$app/.complete"
}

start() {
  local port
  port=$(free_port)
  launch "$dir/registry.log" "${java[@]}" -Xmx384m -Dquarkus.http.host=127.0.0.1 \
    -Dquarkus.http.port="$port" -jar "$app/apicurio-registry-app-$version-runner.jar"
  address=http://127.0.0.1:$port/apis/ccompat/v7
  ready() { curl -sf "$address/subjects" > /dev/null 2>&1; }
}

prepare() {
  fetch
  train "$app.jsa" start
}

once "$app.lock" prepare
run "$dir/registry.log" start
