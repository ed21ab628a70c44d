#!/usr/bin/env bash
# One node of Apache Kafka (KRaft) from Maven Central's jars, for tests and the demo; Java 17 or later.
# usage: kafka.sh [DIR]
# KAFKA_ADVERTISED=HOST:PORT is where clients are told to go, if a proxy stands in front.
# KAFKA_SECURED=DIR adds listeners under SSL, SASL_SSL and SASL_PLAINTEXT, whose addresses are printed
# after the first; DIR/server.properties says what they need, DIR/users who there is, a line each as
# `kafka-storage format --add-scram` takes it.
# KAFKA_AGAIN=1 starts it where it ran in DIR before, on the same ports and with the same data; DIR/pid
# has its process id. KAFKA_FORGETS_AFTER=MS is how long a broker that was killed counts as there,
# KAFKA_GATHERS=MS how long a group that begins waits for others to join (3000 where nothing is said;
# here 0, for tests begin many).
# Prints `HOST:PORT` once it takes connections, then runs until its standard input ends, so that it
# cannot outlive whoever started it. Jars are kept in $QUORATE_CACHE (default: .cache).
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/part.sh"

version=${KAFKA_VERSION:-4.3.1}
libs=$CACHE/kafka-$version

fetch() {
  [ -e "$libs/.complete" ] && return
  mkdir -p "$libs"
  cat > "$libs/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>quorate</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
XML
  mvn -B -q -f "$libs/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
    -DoutputDirectory="$libs" >&2
  touch "$libs/.complete"
}

settings() { # PORT CONTROLLER_PORT
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$2
listeners=PLAINTEXT://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2$secured
advertised.listeners=PLAINTEXT://${KAFKA_ADVERTISED:-127.0.0.1:$1}$secured
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT
log.dirs=$dir/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=5
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=${KAFKA_GATHERS:-0}
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
auto.create.topics.enable=false
broker.session.timeout.ms=${KAFKA_FORGETS_AFTER:-9000}
broker.heartbeat.interval.ms=$((${KAFKA_FORGETS_AFTER:-9000} / 4))
PROPERTIES
  [ -z "${KAFKA_SECURED:-}" ] || cat "$KAFKA_SECURED/server.properties"
}

start() {
  local port controller listener user users=() secured=
  if [ -n "${KAFKA_AGAIN:-}" ]; then
    read -r port controller < "$dir/ports"
  else
    port=$(free_port)
    controller=$(free_port)
    echo "$port $controller" > "$dir/ports"
  fi
  address=127.0.0.1:$port
  if [ -n "${KAFKA_SECURED:-}" ]; then
    for listener in SSL SASL_SSL SASL_PLAINTEXT; do
      secured+=,$listener://127.0.0.1:$(free_port)
      address+=" ${secured##*/}"
    done
    while read -r user; do users+=(--add-scram "$user"); done < "$KAFKA_SECURED/users"
  fi
  settings "$port" "$controller" > "$dir/server.properties"
  [ -d "$dir/data" ] || "${java[@]}" -Xmx128m -cp "$libs/*" kafka.tools.StorageTool format --standalone \
    -t "$(cluster_id)" -c "$dir/server.properties" "${users[@]}" \
    > "$dir/format.log" 2>&1 || { tail -5 "$dir/format.log" >&2; exit 1; }
  launch "$dir/kafka.log" "${java[@]}" -Xms256m -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
    -cp "$libs/*" kafka.Kafka "$dir/server.properties"
  echo "$child" > "$dir/pid"
  ready() { local first=${address%% *}; (echo > "/dev/tcp/${first/://}") 2> /dev/null; }
}

cluster_id() { echo AAAAAAAAAAAAAAAAAAAAAQ; }

prepare() {
  fetch
  train "$libs.jsa" start
}

once "$libs.lock" prepare
run "$dir/kafka.log" start
