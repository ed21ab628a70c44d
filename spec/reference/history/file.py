"""The records of an exported history: an Avro object container, read by what lies in it alone."""

import zlib

from ..avro import Malformed, Schema, decode, sha256
from .stored import Registered, Stored

BRANCHES = ["acp.v1.file.History", "acp.v1.file.Entry", "acp.v1.file.End"]


class File:
    """A history in a file; one that ends early or was altered is refused."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        self.at, self.records, self.known = 0, {}, None
        meta = self.header()
        root = Schema(meta["avro.schema"].decode()).root
        if [branch.get("name") for branch in root["branches"]] != BRANCHES:
            raise Malformed("not an exported history")
        objects = self.objects(root, meta.get("avro.codec", b"null").decode())
        self.about = next(objects)
        if self.about.get("format") != 2:
            raise Malformed("not a form this reads")
        # Released in the order of their versions: the last is the one that records are written by.
        texts = {entry["record"]: entry["schema"] for entry in self.about["schemas"]}
        self.schemas = {name: Schema(text) for name, text in texts.items()}
        self.registered = Registered(self.about["prefix"], self.schemas)
        for entry in objects:
            self.keep(entry)

    def header(self):
        """The container's metadata."""
        if self.take(4) != b"Obj\x01":
            raise Malformed("not a container")
        meta = {}
        while count := self.long():
            if count < 0:
                count, _ = -count, self.long()
            for _ in range(count):
                name = self.take(self.long()).decode()
                meta[name] = self.take(self.long())
        self.sync = self.take(16)
        return meta

    def objects(self, root, codec):
        """Every object but the end, which vouches for those before it."""
        entries, ended = 0, False
        while (before := self.at) < len(self.data):
            count, block = self.long(), self.take(self.long())
            if self.take(16) != self.sync:
                raise Malformed("a block without its marker")
            block = zlib.decompress(block, -15) if codec == "deflate" else block
            at = 0
            for _ in range(count):
                if ended:
                    raise Malformed("something after the end")
                value, at = decode(root, block, at)
                if "digest" in value:
                    vouched = {"entries": entries - 1, "digest": sha256(self.data[:before])}
                    ended = count == 1 and value == vouched
                    if not ended:
                        raise Malformed("the digest is that of another file")
                    continue
                entries += 1
                yield value
        if not ended:
            raise Malformed("truncated: there is no end")

    def keep(self, entry):
        place = (entry["topic"], entry["partition"])
        headers = {header["key"]: header["value"] or b"" for header in entry["headers"]}
        raw = entry["value"]
        stored = Stored(
            *place, entry["offset"], entry["timestamp"] or 0, entry["key"], raw, headers, raw
        )
        if place[0] == "schemas":
            self.registered.learn(stored)
        elif raw is not None:
            stored.value = self.registered.framed(stored.control(), place[0], raw)
        self.records.setdefault(place, []).append(stored)

    # Reading bytes

    def take(self, length):
        if length < 0 or self.at + length > len(self.data):
            raise Malformed("truncated")
        self.at += length
        return self.data[self.at - length : self.at]

    def long(self):
        value, self.at = decode({"type": "long"}, self.data, self.at)
        return value

    # What an audit asks

    def partitions(self):
        """How many partitions the round-keyed topics have."""
        return self.about["partitions"]

    def read(self, places):
        """{(topic, partition): records} of these places."""
        return {place: self.records.get(place, []) for place in places}

    def ends(self):
        """A file has one end."""
        return {}
