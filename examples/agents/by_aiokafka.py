#!/usr/bin/env python3
"""An agent written against the topics alone, with `aiokafka` and `fastavro`; nothing of ours.

usage: by_aiokafka.py AGENT OPINIONS BOOTSTRAP REGISTRY PREFIX

OPINIONS is a file of {subject: [verdict, confidence, reasoning]}; a real agent would form its
opinion where it is looked up. aiokafka's partitioner is that of Java clients, so every answer
lands where its proposal does.
"""

import asyncio
import hashlib
import io
import json
import struct
import sys
import urllib.request

import fastavro
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener

# A zero byte and the schema's id, before the record itself.
FRAMING = struct.Struct(">bI")


class Registry:
    """Schemas by their ids, each asked for once."""

    def __init__(self, url: str) -> None:
        self.url, self.schemas = url, {}

    def latest(self, subject: str) -> int:
        found = self.get(f"subjects/{subject}/versions/latest")
        self.schemas[found["id"]] = fastavro.parse_schema(json.loads(found["schema"]))
        return found["id"]

    def schema(self, number: int) -> dict:
        if number not in self.schemas:
            text = self.get(f"schemas/ids/{number}")["schema"]
            self.schemas[number] = fastavro.parse_schema(json.loads(text))
        return self.schemas[number]

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(f"{self.url}/{path}") as answer:
            return json.load(answer)

    def read(self, value: bytes) -> dict:
        _, number = FRAMING.unpack_from(value)
        return fastavro.schemaless_reader(io.BytesIO(value[FRAMING.size:]), self.schema(number))

    def write(self, number: int, record: dict) -> bytes:
        out = io.BytesIO()
        out.write(FRAMING.pack(0, number))
        fastavro.schemaless_writer(out, self.schema(number), record)
        return out.getvalue()


class SayReady(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked) -> None:
        pass

    async def on_partitions_assigned(self, assigned) -> None:
        print("reading", flush=True)


async def main() -> None:
    agent, opinions, bootstrap, registry, prefix = sys.argv[1:]
    with open(opinions, encoding="utf-8") as file:
        opinions = json.load(file)
    registry = Registry(registry)
    responses = registry.latest(f"{prefix}responses-value")
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=f"{prefix}agent.{agent}",
                                auto_offset_reset="earliest", isolation_level="read_committed")
    consumer.subscribe([f"{prefix}proposals"], listener=SayReady())
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True,
                                compression_type="lz4")
    async with consumer, producer:
        async for message in consumer:
            # A record without a value only carries time.
            if message.value is None:
                continue
            proposal = registry.read(message.value)
            opinion = opinions.get(proposal["action"]["subject"])
            if opinion:
                record = response(agent, proposal, message.value, *opinion)
                await producer.send_and_wait(f"{prefix}responses", key=message.key,
                                             value=registry.write(responses, record))


def response(agent, proposal, value, verdict, confidence, reasoning) -> dict:
    return {
        # Of the agent and the proposal, so that answering twice is answering once.
        "response_id": f"{agent}.{proposal['proposal_id']}",
        "proposal_id": proposal["proposal_id"],
        # The answer stands for these bytes and no others.
        "proposal_digest": hashlib.sha256(value[FRAMING.size:]).digest(),
        "agent_id": agent,
        "verdict": verdict,
        "confidence": confidence,
        "reasoning": reasoning,
        "evidence": [],
    }


if __name__ == "__main__":
    asyncio.run(main())
