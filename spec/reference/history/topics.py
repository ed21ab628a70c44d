"""The records of a prefix's topics as a reader of committed records gets them."""

import struct
import time
from dataclasses import dataclass

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from .. import avro
from ..log import SCHEMA
from ..vectors import REPOSITORY

KIND = SCHEMA | {
    "schemas": "SchemaEntry",
    "rounds": "Round",
    "outcomes": "Outcome",
    "escalations": "DecisionPackage",
    "dead-letters": "DeadLetter",
}
TABLES = ["agents", "policies", "schemas", "trust"]
KEYED = [topic for topic in KIND if topic not in TABLES]


@dataclass(slots=True)
class Stored:
    """One record as it lay."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None  # in single-object framing
    headers: dict
    raw: bytes | None  # the value as it lay

    def control(self):
        return "acp-control" in self.headers

    def origin(self):
        """`partition:offset` of where a forwarded record lay; None if it was not forwarded."""
        origin = self.headers.get("acp-origin")
        return origin and origin.decode()


class Topics:
    """The topics of one prefix, their values in single-object framing."""

    def __init__(self, bootstrap, prefix, schemas):
        self.bootstrap, self.prefix, self.schemas = bootstrap, prefix, schemas
        self.ids = {}

    def partitions(self):
        """How many partitions the round-keyed topics have."""
        name = f"{self.prefix}proposals"
        found = AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(name, timeout=30)
        return len(found.topics[name].partitions)

    def read(self, places):
        """{(topic, partition): records} of these places, each to its end."""
        settings = {
            "bootstrap.servers": self.bootstrap,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
        }
        consumer, found = Consumer(settings), {place: [] for place in places}
        consumer.assign([TopicPartition(self.prefix + t, p, 0) for t, p in places])
        unread = set(places)
        while unread:
            for message in consumer.consume(10_000, 1.0):
                place = (message.topic().removeprefix(self.prefix), message.partition())
                if message.error() is None:
                    found[place].append(self.stored(place, message))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    unread.discard(place)
                else:
                    raise RuntimeError(message.error())
        consumer.close()
        return found

    def stored(self, place, message):
        kind, when = message.timestamp()
        if kind != TIMESTAMP_LOG_APPEND_TIME and place[0] != "rounds":
            raise ValueError(f"`{place[0]}` does not take its time from the broker")
        headers = dict(message.headers() or [])
        value = raw = message.value()
        if value is not None:
            kind = "Control" if "acp-control" in headers else KIND[place[0]]
            value = self.framed(kind, place[0], value)
        return Stored(*place, message.offset(), when, message.key(), value, headers, raw)

    def framed(self, kind, topic, value):
        """A value in single-object framing, if the registry's id in it is one of ours."""
        subject = self.prefix + topic + ("-acp.v1.Control" if kind == "Control" else "-value")
        if value[:1] != b"\0" or value[1:5] not in self.ids.get(subject, ()):
            return value
        return self.schemas[kind].frame(value[5:])

    def learn(self):
        """Learns which ids are ours: those whose subject and fingerprint both agree."""
        for stored in self.read([("schemas", 0)])["schemas", 0]:
            entry = self.schemas["SchemaEntry"].decode(stored.value[5:])
            topic = entry["subject"].removeprefix(self.prefix)
            control = topic == "responses-acp.v1.Control"
            kind = "Control" if control else KIND.get(topic.removesuffix("-value"))
            ours = kind and struct.pack("<Q", self.schemas[kind].fingerprint)
            if entry["fingerprint"] == ours:
                name = struct.pack(">i", entry["schema_id"])
                self.ids.setdefault(entry["subject"], set()).add(name)

    def quiet(self, seconds, patience):
        """Waits until nothing was appended to any of the topics for so many seconds."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        places = [(topic, 0) for topic in TABLES]
        places += [(topic, p) for topic in KEYED for p in range(self.partitions())]
        asked = {TopicPartition(self.prefix + t, p): OffsetSpec.latest() for t, p in places}
        ends, since = None, time.monotonic()
        until = since + patience
        while time.monotonic() < min(until, since + seconds):
            answers = admin.list_offsets(asked, request_timeout=30)
            now = {(at.topic, at.partition): a.result().offset for at, a in answers.items()}
            if now != ends:
                ends, since = now, time.monotonic()
            time.sleep(0.2)
        if time.monotonic() >= until:
            raise TimeoutError(f"records kept coming for {patience} s")


def opened(bootstrap, prefix):
    """The topics of a prefix, with the ids of its registry."""
    topics = Topics(bootstrap, prefix, avro.load(REPOSITORY / "schemas"))
    topics.learn()
    return topics
