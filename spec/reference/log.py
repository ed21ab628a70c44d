"""Records as they lie on the log: decoding, limits, keys, partitions (chapter 2)."""

from dataclasses import dataclass

from .avro import Malformed, UnknownSchema, sha256

KIB = 1024
SCHEMA = {
    "proposals": "Proposal",
    "responses": "Response",
    "decisions": "Decision",
    "results": "Result",
    "agents": "Agent",
    "policies": "Policy",
    "trust": "TrustScore",
    "trust-updates": "TrustUpdate",
}


class Refused(Exception):
    """A record is refused with a stable code."""


@dataclass
class Record:
    """One record as it lies on the log."""

    topic: str
    offset: int
    timestamp: int
    key: bytes | None = None
    value: bytes | None = None
    control: bool = False
    forwarded: bool = False
    time: int = 0  # the stream time at its offset
    body: dict | None = None
    digest: bytes = b""


def tick_of(record):
    """A record that only passes time."""
    return Record(record.topic, record.offset, record.timestamp, time=record.time)


def decode(schemas, record):
    """Fills in a record's body and digest, or refuses it with the first code that applies."""
    header = 10 if record.value[:2] == b"\xc3\x01" else 5 if record.value[:1] == b"\0" else 0
    if len(record.value) - header > 64 * KIB:
        raise Refused("record_too_large")
    schema = schemas["Control" if record.control else SCHEMA[record.topic]]
    try:
        datum = schema.unframe(record.value)
        record.body, record.digest = schema.decode(datum), sha256(datum)
    except UnknownSchema:
        raise Refused("unknown_schema") from None
    except Malformed:
        raise Refused("malformed") from None
    body = record.body
    if max(size(body.get(name, "")) for name in ("reasoning", "rationale")) > 8 * KIB:
        raise Refused("reasoning_too_large")
    evidence = body.get("evidence", [])
    if len(evidence) > 16 or any(size(e) > KIB for e in evidence):
        raise Refused("evidence_too_large")
    if record.key != (None if record.control else body["proposal_id"].encode()):
        raise Refused("key_mismatch")


def size(text):
    return len(text.encode())


def murmur2(data):
    """Kafka's hash of a key, made positive."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        h = h * m & mask ^ (k ^ k >> 24) * m & mask
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return (h ^ h >> 15) & 0x7FFFFFFF
