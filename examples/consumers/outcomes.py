"""Acts on outcomes, each once: what a downstream system needs, with only confluent-kafka and fastavro.

usage: outcomes.py BOOTSTRAP REGISTRY [PREFIX] [--to-end]

What was acted on is kept in SQLite beside the act; a database that both are in one transaction of
is the only way to act once whatever dies.
"""
import io
import json
import sqlite3
import sys
import urllib.request

import fastavro
from confluent_kafka import Consumer, KafkaError

bootstrap, registry = sys.argv[1:3]
to_end = "--to-end" in sys.argv
rest = [word for word in sys.argv[3:] if not word.startswith("--")]
prefix = rest[0] if rest else "acp."
schemas = {}


def outcome_of(value):
    """Confluent framing: a zero, four bytes of the schema's id, then the Avro datum."""
    if value is None or len(value) < 5 or value[0] != 0:
        raise ValueError("not in Confluent's framing")
    number = int.from_bytes(value[1:5], "big")
    if number not in schemas:
        # A registry that does not answer raises: waiting is right, skipping loses an outcome.
        with urllib.request.urlopen(f"{registry}/schemas/ids/{number}", timeout=10) as answer:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schemas[number], None)


def act(outcome):
    status = outcome["decision"]["status"]
    if outcome["final"]:
        print("act on", outcome["proposal_id"], status, *outcome["decision"]["reasons"], flush=True)
    else:
        print("wait for", outcome["proposal_id"], status, flush=True)


database = sqlite3.connect("outcomes.db")
database.execute("create table if not exists done (id text, resolution int, primary key (id, resolution))")

consumer = Consumer({
    "bootstrap.servers": bootstrap,
    "group.id": f"{prefix}payments",
    "isolation.level": "read_committed",  # librdkafka's default too; Java's is read_uncommitted
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "enable.partition.eof": to_end,
})
consumer.subscribe([f"{prefix}outcomes"])
ended = set()
while not (to_end and consumer.assignment() and len(ended) == len(consumer.assignment())):
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error():
        if message.error().code() != KafkaError._PARTITION_EOF:
            raise SystemExit(message.error())
        ended.add(message.partition())
        continue
    if message.value() is None:
        continue  # a tick: it says nothing
    outcome = outcome_of(message.value())
    with database:
        row = (outcome["proposal_id"], outcome["resolution"])
        if database.execute("insert or ignore into done values (?, ?)", row).rowcount:
            act(outcome)
    consumer.commit(message)
consumer.close()
