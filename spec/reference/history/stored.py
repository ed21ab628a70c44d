"""What a record of a history is, wherever it lies, and when a log is quiet."""

import struct
import time
from dataclasses import dataclass

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


class Registered:
    """The ids of a registry that are ours: those whose subject and fingerprint both agree."""

    def __init__(self, prefix, schemas):
        self.prefix, self.schemas, self.ids = prefix, schemas, {}

    def learn(self, stored):
        """Takes an entry of the table of schemas."""
        value = stored.value or b""
        datum = value[10:] if value[:2] == b"\xc3\x01" else value[5:]
        entry = self.schemas["SchemaEntry"].decode(datum)
        topic = entry["subject"].removeprefix(self.prefix)
        control = topic == "responses-acp.v1.Control"
        kind = "Control" if control else KIND.get(topic.removesuffix("-value"))
        ours = kind and struct.pack("<Q", self.schemas[kind].fingerprint)
        if entry["fingerprint"] == ours:
            name = struct.pack(">i", entry["schema_id"])
            self.ids.setdefault(entry["subject"], set()).add(name)

    def framed(self, control, topic, value):
        """A value in single-object framing, if the registry's id in it is one of ours."""
        kind = "Control" if control else KIND[topic]
        subject = self.prefix + topic + ("-acp.v1.Control" if control else "-value")
        if value[:1] != b"\0" or value[1:5] not in self.ids.get(subject, ()):
            return value
        return self.schemas[kind].frame(value[5:])


def schemas():
    """Every schema by its record's name."""
    return avro.load(REPOSITORY / "schemas")


def until_quiet(ends, seconds, until):
    """Waits until what `ends` gives has stayed the same for so many seconds, and gives it; by the
    monotonic clock not for longer than until then."""
    last, since = None, time.monotonic()
    while time.monotonic() < min(until, since + seconds):
        now = ends()
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.2)
    if time.monotonic() >= until:
        raise TimeoutError("records keep coming")
    return last
