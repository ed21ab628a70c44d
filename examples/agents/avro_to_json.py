#!/usr/bin/env python3
"""Turns records that kcat prints by `-f '%R%s'` (a length, then the value) into lines of JSON.

usage: kcat ... -f '%R%s' | avro_to_json.py REGISTRY

For a kcat that was built without Avro, as Debian's is. Schemas are asked for by the id that each
value begins with.
"""

import io
import json
import struct
import sys
import urllib.request

import fastavro
import fastavro.read

# Times stay the milliseconds they are.
fastavro.read.LOGICAL_READERS["long-timestamp-millis"] = lambda data, *_: data
LENGTH, FRAMING = struct.Struct(">i"), struct.Struct(">bI")


def main() -> None:
    (registry,) = sys.argv[1:]
    schemas: dict[int, dict] = {}
    while head := sys.stdin.buffer.read(LENGTH.size):
        (length,) = LENGTH.unpack(head)
        # A record without a value has no length.
        if length <= 0:
            continue
        value = sys.stdin.buffer.read(length)
        _, number = FRAMING.unpack_from(value)
        if number not in schemas:
            with urllib.request.urlopen(f"{registry}/schemas/ids/{number}") as answer:
                schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
        record = fastavro.schemaless_reader(io.BytesIO(value[FRAMING.size:]), schemas[number])
        print(json.dumps(record, default=bytes.hex), flush=True)


if __name__ == "__main__":
    main()
