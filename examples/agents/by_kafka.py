#!/usr/bin/env python3
"""An agent written against the topics alone: Python and `confluent-kafka`, nothing of ours.

usage: by_kafka.py AGENT ROUNDS BOOTSTRAP REGISTRY PREFIX

The few lines of Avro it needs are written out, so that the wire format is plain to see: a zero
byte, the schema's id in four bytes, then the fields in the schema's order. An opinion would be
formed in `main`; this one is looked up in the demo's rounds.
"""

import json
import struct
import sys
import urllib.request
import uuid

from confluent_kafka import Consumer, Producer

VERDICTS = ["ENDORSE", "CHALLENGE", "ABSTAIN"]


def main() -> None:
    agent, rounds, bootstrap, registry, prefix = sys.argv[1:]
    with open(rounds, encoding="utf-8") as file:
        said = {r["proposal"]["action"]["subject"]: r["said"].get(agent) for r in json.load(file)}
    schema_id = latest_id(registry, f"{prefix}responses-value")
    # The partitioner Java clients have: with another, answers land where they must be forwarded.
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random",
                         "enable.idempotence": True})
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{prefix}agent.{agent}",
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe([f"{prefix}proposals"])
    while True:
        message = consumer.poll(1.0)
        # A record without a value only carries time.
        if message is None or message.error() or message.value() is None:
            continue
        proposal_id, subject = read_proposal(message.value())
        opinion = said.get(subject)
        if opinion:
            value = write_response(schema_id, proposal_id, agent, *opinion)
            producer.produce(f"{prefix}responses", key=proposal_id, value=value)
            producer.flush()


def latest_id(registry: str, subject: str) -> int:
    with urllib.request.urlopen(f"{registry}/subjects/{subject}/versions/latest") as answer:
        return json.load(answer)["id"]


def read_proposal(value: bytes) -> tuple[str, str]:
    """The id, and what the action is done to: the first and the fifth of the strings it opens with."""
    at, strings = 5, []
    for _ in range(5):
        length, at = read_long(value, at)
        strings.append(value[at:at + length].decode())
        at += length
    proposal_id, _proposer, _domain, _action_type, subject = strings
    return proposal_id, subject


def read_long(data: bytes, at: int) -> tuple[int, int]:
    shift = number = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at


def write_response(schema_id, proposal_id, agent, verdict, confidence, reasoning) -> bytes:
    return b"".join([
        struct.pack(">bI", 0, schema_id),
        string(str(uuid.uuid4())),         # response_id
        string(proposal_id),
        long(0),                           # proposal_digest: the union's first branch, null
        string(agent),
        long(VERDICTS.index(verdict)),
        struct.pack("<d", confidence),
        string(reasoning),
        long(0),                           # evidence: no items
    ])


def string(text: str) -> bytes:
    data = text.encode()
    return long(len(data)) + data


def long(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


if __name__ == "__main__":
    main()
