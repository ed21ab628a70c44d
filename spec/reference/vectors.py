"""Runs the vectors through the second implementation: `python3 -m reference.vectors DIR`.

Every output of every step is compared. Prints what differs, closes with `N passed, M failed`, and
exits 1 if anything failed.
"""

import json
import pathlib
import sys

from . import avro, policy
from .log import SCHEMA, Record
from .numbers import publish, read
from .rounds import Partition

EPOCH = 1_767_225_600_000
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ENVELOPE = {"description", "requirements", "partition", "partitions", "steps"}
STEP = {"topic", "offset", "timestamp", "key", "kind", "record", "value_hex", "tick"}
STEP |= {"lost_below", "forwarded_from", "traceparent", "repeat", "pad", "outputs"}


class Runner:
    """One vector, step by step."""

    def __init__(self, vector, schemas):
        unknown = set(vector) - ENVELOPE
        if unknown:
            raise ValueError(f"unknown keys {sorted(unknown)}")
        self.vector, self.schemas = vector, schemas
        self.partition = Partition(
            schemas, vector.get("partition", 0), vector.get("partitions", 1)
        )
        self.offsets, self.now = {}, EPOCH
        self.update = None  # the last trust update put out
        self.scores = []  # those of the last fold
        self.packages = {}  # {proposal id: digest of its package, in hex}

    def run(self):
        """What differs, a line each."""
        wrong = []
        for at, step in enumerate(self.vector["steps"]):
            if set(step) - STEP:
                raise ValueError(f"unknown keys {sorted(set(step) - STEP)} in step {at}")
            expected = step.get("outputs", [])
            got = [view(kind, value) for kind, value in self.take(step, expected)]
            if not same(expected, got):
                wrong.append(f"step {at}: expected {json.dumps(expected)}")
                wrong.append(f"step {at}:      got {json.dumps(got)}")
        return wrong

    def take(self, step, expected):
        """The outputs of one step."""
        topic = step["topic"]
        self.now = moment(step.get("timestamp", self.now))
        if "lost_below" in step:
            self.offsets[topic] = step["lost_below"]
            return self.partition.lost(topic, step["lost_below"])
        out = []
        for record in self.records(step):
            outputs = self.partition.step(record, early_closes(expected))
            out += outputs
        for kind, value in out:
            if kind == "escalation":
                self.packages[value["proposal_id"]] = value["package_digest"].hex()
        for kind, value in out:
            if kind == "trust_update":
                self.update = value
        if topic == "trust-updates":
            scores = [value for kind, value in out if kind == "trust_score"]
            self.scores = scores or self.scores
        return out

    def records(self, step):
        topic = step["topic"]
        offset = step.get("offset", self.offsets.get(topic, 0))
        if step.get("record") == "previous":
            bodies = [self.update] if topic == "trust-updates" else self.scores
        else:
            bodies = [self.filled(body, step) for body in repeated(step)]
        for body in bodies:
            yield self.record(step, topic, offset, body)
            offset += 1
        self.offsets[topic] = offset

    def filled(self, body, step):
        """A body with its fields padded and the digest of the package it is for."""
        body = dict(body) if body else body
        pads = {name: size for name, size in step.get("pad", {}).items() if name != "value"}
        for name, size in pads.items():
            body[name] = texts(body[name], lambda t, size=size: t + "x" * (size - len(t.encode())))
        if body and body.get("package_digest") == "previous":
            body["package_digest"] = self.packages[body["proposal_id"]]
        return body

    def record(self, step, topic, offset, body):
        record = Record(topic, offset, self.now)
        record.control = step.get("kind") == "control"
        record.forwarded = "forwarded_from" in step
        if step.get("record") == "previous":
            record.body, record.key = body, own_key(topic, body)
        elif "value_hex" in step:
            record.value = bytes.fromhex(step["value_hex"])
        elif body is not None:
            schema = self.schemas["Control" if record.control else SCHEMA[topic]]
            value = written(schema, topic, body)
            record.value = schema.frame(schema.encode(value))
            record.value = record.value.ljust(step.get("pad", {}).get("value", 0), b"x")
            record.key = None if record.control else own_key(topic, value)
        if "key" in step:
            record.key = None if step["key"] is None else step["key"].encode()
        return record


def repeated(step):
    """The bodies of the records a step stands for, numbered by `{i}`."""
    body, repeat = step.get("record"), step.get("repeat")
    if repeat is None:
        return [body]
    numbers = range(repeat["from"], repeat["from"] + repeat["count"])
    return [texts(body, lambda t, i=i: t.replace("{i}", str(i))) for i in numbers]


def texts(value, change):
    """A value with each of its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [texts(item, change) for item in value]
    if isinstance(value, dict):
        return {key: texts(item, change) for key, item in value.items()}
    return value


def early_closes(expected):
    """The early closes a step is said to make: a choice that is checked, not made here."""
    outcomes = [o["outcome"] for o in expected if "outcome" in o]
    return {o["proposal_id"]: o["closing_offset"] for o in outcomes if o["closed_early"]}


def moment(text):
    """A timestamp, or `T+n`: milliseconds after the vectors' epoch."""
    if isinstance(text, str):
        return EPOCH + int(text[1:] or 0)
    return text


def own_key(topic, body):
    if topic == "trust":
        return f"{body['trust_domain']}:{body['agent_id']}".encode()
    names = {"agents": "agent_id", "policies": "pattern", "trust-updates": "trust_domain"}
    return body[names.get(topic, "proposal_id")].encode()


def written(schema, topic, body):
    """The record a step stands for, defaults filled in."""
    if topic == "policies":
        digest = body.get("digest")
        filled = dict(policy.fill(body), digest="00" * 32)
        value = avro.from_json(schema.root, filled)
        sealed = avro.sha256(schema.encode(value))
        return dict(value, digest=bytes.fromhex(digest) if digest else sealed)
    if topic == "agents":
        body = {"status": "ACTIVE", "kind": "AGENT", "principal": body["agent_id"], **body}
        grants = [{**g, "authority": publish(read(g["authority"]))} for g in body.get("domains", [])]
        body["domains"] = grants
    return avro.from_json(schema.root, body)


def view(kind, value):
    """An output as the vectors show it."""
    if kind == "escalation":
        content = value["content"]
        value = {k: v for k, v in value.items() if k != "content"}
        value["silent"] = content["silent"]
        for side in ("strongest_for", "strongest_against"):
            value[side] = content[side]
        value["statements"] = [
            {"agent_id": s["agent_id"], "inlined": s["inlined"]} for s in content["statements"]
        ]
    return {kind: avro.to_json(value)}


def same(expected, got):
    """Whether an output is what was expected; what is null or empty may be left out."""
    if isinstance(expected, dict) and isinstance(got, dict):
        return all(
            same(expected.get(key), got.get(key)) or (key == "proposal_id" and key not in expected)
            for key in expected.keys() | got.keys()
        )
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(same, expected, got))
    if isinstance(expected, str) and isinstance(got, dict):
        return expected == got.get("agent_id")
    return expected == got or (not expected and not got and None in (expected, got))


def main(folder):
    """Runs every vector of a folder; the exit code."""
    schemas, passed, failed = avro.load(REPOSITORY / "schemas"), 0, 0
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        try:
            wrong = Runner(json.loads(path.read_text(encoding="utf-8")), schemas).run()
        except Exception as error:  # a vector that cannot be run has failed, whatever the reason
            wrong = [f"{type(error).__name__}: {error}"]
        passed, failed = passed + (not wrong), failed + bool(wrong)
        for line in wrong:
            print(f"{path.name}: {line}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
