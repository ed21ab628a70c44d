"""Saves or restores the committed offsets of a group of processors, with the metadata they carry.

usage: offsets.py save|restore BOOTSTRAP [PREFIX] [FILE]

kafka-consumer-groups cannot: it leaves the metadata out, and without it processors halt. Stop every
processor before either. `restore` must put back what was saved after the last one stopped; offsets
of an earlier time make processors read again what they have put out already, which they refuse where
they can tell. Needs aiokafka
(confluent-kafka does not keep the metadata as it is).
"""
import asyncio
import json
import sys

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata


async def save(bootstrap, group, path):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    found = await admin.list_consumer_group_offsets(group)
    await admin.close()
    kept = [[t.topic, t.partition, o.offset, o.metadata] for t, o in found.items()]
    with open(path, "w") as file:
        json.dump(kept, file)
    print(f"{len(kept)} offsets of {group} saved to {path}")


async def restore(bootstrap, group, path):
    with open(path) as file:
        kept = json.load(file)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    )
    consumer.assign([TopicPartition(topic, partition) for topic, partition, _, _ in kept])
    await consumer.start()
    await consumer.commit({
        TopicPartition(topic, partition): OffsetAndMetadata(offset, metadata)
        for topic, partition, offset, metadata in kept
    })
    await consumer.stop()
    print(f"{len(kept)} offsets of {group} restored from {path}")


verb, bootstrap, prefix, path = (sys.argv[1:] + ["acp.", "offsets.json"][max(0, len(sys.argv) - 3):])[:4]
asyncio.run({"save": save, "restore": restore}[verb](bootstrap, f"{prefix}processor", path))
