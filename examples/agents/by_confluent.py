#!/usr/bin/env python3
"""An agent written against the topics alone, with `confluent-kafka` and its own Avro and registry
clients; nothing of ours.

usage: by_confluent.py AGENT OPINIONS BOOTSTRAP REGISTRY PREFIX

OPINIONS is a file of {subject: [verdict, confidence, reasoning]}; a real agent would form its
opinion in `opinion_on`. The producer is left with its default partitioner, which is not that of
Java clients: most answers land on another partition than their proposal, and are forwarded once.
With "partitioner": "murmur2_random" they would not have to be.
"""

import hashlib
import json
import sys

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

# A zero byte and the schema's id, before the record itself.
FRAMING = 5


def main() -> None:
    agent, opinions, bootstrap, registry, prefix = sys.argv[1:]
    with open(opinions, encoding="utf-8") as file:
        opinions = json.load(file)
    client = SchemaRegistryClient({"url": registry})
    read = AvroDeserializer(client)
    # Schemas are registered by operators only.
    write = AvroSerializer(client, conf={"auto.register.schemas": False,
                                         "use.latest.version": True})
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True,
                         "compression.type": "zstd"})
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{prefix}agent.{agent}",
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe([f"{prefix}proposals"], on_assign=lambda *_: print("reading", flush=True))
    answers = SerializationContext(f"{prefix}responses", MessageField.VALUE)
    while True:
        message = consumer.poll(1.0)
        # A record without a value only carries time.
        if message is None or message.error() or message.value() is None:
            continue
        proposal = read(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
        opinion = opinion_on(proposal, opinions)
        if opinion:
            value = write(response(agent, proposal, message.value(), *opinion), answers)
            producer.produce(f"{prefix}responses", key=proposal["proposal_id"], value=value)
            producer.flush()


def opinion_on(proposal: dict, opinions: dict) -> list | None:
    return opinions.get(proposal["action"]["subject"])


def response(agent, proposal, value, verdict, confidence, reasoning) -> dict:
    return {
        # Of the agent and the proposal, so that answering twice is answering once.
        "response_id": f"{agent}.{proposal['proposal_id']}",
        "proposal_id": proposal["proposal_id"],
        # The answer stands for these bytes and no others.
        "proposal_digest": hashlib.sha256(value[FRAMING:]).digest(),
        "agent_id": agent,
        "verdict": verdict,
        "confidence": confidence,
        "reasoning": reasoning,
        "evidence": [],
    }


if __name__ == "__main__":
    main()
