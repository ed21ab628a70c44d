"""Avro as far as the protocol needs it: encode, decode, JSON, fingerprints, framing (chapter 2).

A datum is a dict with the schema's names; bytes and fixed are `bytes`, enums their symbols.
"""

import hashlib
import json
import pathlib
import struct

EMPTY = 0xC15D213AA4D7A795
TABLE = []
for _byte in range(256):
    _fp = _byte
    for _ in range(8):
        _fp = (_fp >> 1) ^ (EMPTY if _fp & 1 else 0)
    TABLE.append(_fp)

ONE_BYTE = [bytes([n]) for n in range(128)]
PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


class Malformed(ValueError):
    """Bytes that are no datum of the schema."""


class UnknownSchema(ValueError):
    """A framing header that names no schema of the topic."""


class Schema:
    """One `.avsc` file, its named types resolved."""

    def __init__(self, text):
        self.named = {}
        self.root = self.resolve(json.loads(text), None)
        self.fingerprint = fingerprint(canonical(json.loads(text)))

    def resolve(self, node, namespace):
        """The same schema with every name replaced by what it names."""
        if isinstance(node, list):
            return {"type": "union", "branches": [self.resolve(n, namespace) for n in node]}
        if isinstance(node, str):
            return {"type": node} if node in PRIMITIVES else self.named[full(node, namespace)]
        kind = node["type"]
        if kind in ("record", "enum", "fixed"):
            name = full(node["name"], node.get("namespace", namespace))
            made = self.named[name] = dict(node, name=name)
            inner = name.rpartition(".")[0]
            if kind == "record":
                made["fields"] = [
                    dict(f, type=self.resolve(f["type"], inner)) for f in node["fields"]
                ]
            return made
        if kind == "array":
            return {"type": "array", "items": self.resolve(node["items"], namespace)}
        return self.resolve(kind, namespace)  # a logical type, or a type in braces

    def type_of(self, name):
        """The type of a name declared in this file, without namespace."""
        return next(t for n, t in self.named.items() if n.rpartition(".")[2] == name)

    def encode(self, value):
        """The datum of a value."""
        return encode(self.root, value)

    def decode(self, datum):
        """The value of a whole datum."""
        value, at = decode(self.root, datum, 0)
        if at != len(datum):
            raise Malformed("bytes left over")
        return value

    def frame(self, datum):
        """Single-object encoding."""
        return b"\xc3\x01" + struct.pack("<Q", self.fingerprint) + datum

    def unframe(self, value):
        """The datum after the framing header."""
        if len(value) >= 5 and value[0] == 0:
            raise UnknownSchema("a registry's id, and no registry")
        if len(value) < 10 or value[:2] != b"\xc3\x01":
            raise Malformed("no framing header")
        if struct.unpack("<Q", value[2:10])[0] != self.fingerprint:
            raise UnknownSchema("fingerprint of another schema")
        return value[10:]


def load(folder):
    """Every schema of a folder by its record's name."""
    files = sorted(pathlib.Path(folder).glob("*.avsc"))
    return {f.stem: Schema(f.read_text(encoding="utf-8")) for f in files}


def full(name, namespace):
    return name if "." in name or not namespace else f"{namespace}.{name}"


def canonical(node, namespace=None):
    """Parsing canonical form."""
    if isinstance(node, list):
        return "[" + ",".join(canonical(n, namespace) for n in node) + "]"
    if isinstance(node, str):
        return json.dumps(node if node in PRIMITIVES else full(node, namespace))
    kind = node["type"]
    if kind not in ("record", "enum", "fixed", "array"):
        return canonical(kind, namespace)
    if kind == "array":
        return '{"type":"array","items":' + canonical(node["items"], namespace) + "}"
    name = full(node["name"], node.get("namespace", namespace))
    inner = name.rpartition(".")[0]
    head = f'{{"name":{json.dumps(name)},"type":"{kind}",'
    if kind == "enum":
        return head + '"symbols":' + json.dumps(node["symbols"], separators=(",", ":")) + "}"
    if kind == "fixed":
        return head + f'"size":{node["size"]}}}'
    fields = (
        f'{{"name":{json.dumps(f["name"])},"type":{canonical(f["type"], inner)}}}'
        for f in node["fields"]
    )
    return head + '"fields":[' + ",".join(fields) + "]}"


def fingerprint(text):
    """CRC-64-AVRO."""
    fp = EMPTY
    for byte in text.encode():
        fp = (fp >> 8) ^ TABLE[(fp ^ byte) & 0xFF]
    return fp


def sha256(datum):
    return hashlib.sha256(datum).digest()


def varint(n):
    """A zigzag number of variable length."""
    n = (n << 1) ^ (n >> 63)
    if n < 0x80:
        return ONE_BYTE[n]
    out = bytearray()
    while n & ~0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode(node, value):
    """The datum of a value under a resolved schema."""
    out = bytearray()
    write(node, value, out)
    return bytes(out)


def write(node, value, out):
    """Appends the datum of a value."""
    kind = node["type"]
    if kind == "record":
        for field in node["fields"]:
            write(field["type"], value[field["name"]], out)
    elif kind == "string":
        raw = value.encode()
        out += varint(len(raw)) + raw
    elif kind == "double":
        out += struct.pack("<d", value)
    elif kind == "enum":
        out += varint(node["symbols"].index(value))
    elif kind in ("int", "long"):
        out += varint(value)
    elif kind == "array":
        if value:
            out += varint(len(value))
        for item in value:
            write(node["items"], item, out)
        out.append(0)
    elif kind == "union":
        branches = node["branches"]
        at = next(i for i, b in enumerate(branches) if (b["type"] == "null") == (value is None))
        out += varint(at)
        write(branches[at], value, out)
    elif kind == "boolean":
        out.append(1 if value else 0)
    elif kind == "bytes":
        out += varint(len(value)) + value
    elif kind == "fixed":
        out += value
    elif kind != "null":
        raise ValueError(f"cannot encode type `{kind}`")


def decode(node, data, at):
    """The value at a position under a resolved schema, and the position after it."""
    kind = node["type"]
    if kind == "record":
        value = {}
        for field in node["fields"]:
            value[field["name"]], at = decode(field["type"], data, at)
        return value, at
    if kind == "union":
        branch, at = decode_long(data, at)
        if not 0 <= branch < len(node["branches"]):
            raise Malformed("no such branch")
        return decode(node["branches"][branch], data, at)
    if kind == "array":
        return decode_array(node, data, at)
    if kind in ("string", "bytes"):
        length, at = decode_long(data, at)
        raw, at = take(data, at, length)
        return (text(raw) if kind == "string" else raw), at
    return decode_scalar(node, kind, data, at)


def decode_scalar(node, kind, data, at):
    if kind == "null":
        return None, at
    if kind == "boolean":
        raw, at = take(data, at, 1)
        if raw not in (b"\x00", b"\x01"):
            raise Malformed("no boolean")
        return raw == b"\x01", at
    if kind in ("int", "long"):
        value, at = decode_long(data, at)
        if kind == "int" and not -(2**31) <= value < 2**31:
            raise Malformed("int out of range")
        return value, at
    if kind == "double":
        raw, at = take(data, at, 8)
        return struct.unpack("<d", raw)[0], at
    if kind == "enum":
        symbol, at = decode_long(data, at)
        if not 0 <= symbol < len(node["symbols"]):
            raise Malformed("no such symbol")
        return node["symbols"][symbol], at
    if kind == "fixed":
        return take(data, at, node["size"])
    raise ValueError(f"cannot decode type `{kind}`")


def decode_array(node, data, at):
    items = []
    while True:
        count, at = decode_long(data, at)
        if count == 0:
            return items, at
        if count < 0:
            count = -count
            _, at = decode_long(data, at)
        if count > len(data):
            raise Malformed("more items than bytes")
        for _ in range(count):
            item, at = decode(node["items"], data, at)
            items.append(item)


def decode_long(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("truncated or overlong number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            if value >= 2**64:
                raise Malformed("number out of range")
            return (value >> 1) ^ -(value & 1), at


def take(data, at, length):
    if length < 0 or at + length > len(data):
        raise Malformed("truncated")
    return data[at : at + length], at + length


def text(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Malformed("text is not UTF-8") from error


def from_json(node, value, where=""):
    """A value of the schema from JSON: defaults filled in, unknown keys refused."""
    kind = node["type"]
    if kind == "record":
        unknown = set(value) - {f["name"] for f in node["fields"]}
        if unknown:
            raise ValueError(f"unknown keys {sorted(unknown)} at `{where or node['name']}`")
        return {f["name"]: field_from_json(f, value, where) for f in node["fields"]}
    if kind == "union":
        if value is None:
            return None
        branch = next(b for b in node["branches"] if b["type"] != "null")
        return from_json(branch, value, where)
    if kind == "array":
        return [from_json(node["items"], item, where) for item in value]
    if kind in ("bytes", "fixed"):
        return bytes.fromhex(value)
    if kind == "double":
        return float(value)
    if kind == "enum" and value not in node["symbols"]:
        raise ValueError(f"unknown symbol `{value}` at `{where}`")
    return value


def field_from_json(field, value, where):
    name = field["name"]
    if name in value:
        return from_json(field["type"], value[name], f"{where}.{name}")
    if "default" not in field:
        raise ValueError(f"`{where}.{name}` is missing")
    return from_json(field["type"], field["default"], f"{where}.{name}")


def to_json(value):
    """A value as JSON has it: bytes in hexadecimal."""
    if isinstance(value, dict):
        return {k: to_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [to_json(v) for v in value]
    return value.hex() if isinstance(value, bytes) else value
