#!/usr/bin/env python3
"""Turns a record in JSON into the value that kcat sends with `-P FILE`.

usage: json_to_avro.py REGISTRY SUBJECT < JSON > FILE

It is encoded by the latest schema of the subject, whose id the value begins with. What the JSON
leaves out takes its default; digests are hexadecimal, times milliseconds since the epoch.
"""

import json
import struct
import sys
import urllib.request

import fastavro


def main() -> None:
    registry, subject = sys.argv[1:]
    with urllib.request.urlopen(f"{registry}/subjects/{subject}/versions/latest") as answer:
        found = json.load(answer)
    schema = fastavro.parse_schema(json.loads(found["schema"]))
    record = json.load(sys.stdin)
    unknown = record.keys() - {field["name"] for field in schema["fields"]}
    if unknown:
        sys.exit(f"{subject} has no {', '.join(sorted(unknown))}")
    if record.get("proposal_digest") is not None:
        record["proposal_digest"] = bytes.fromhex(record["proposal_digest"])
    # A zero byte and the schema's id, before the record itself.
    sys.stdout.buffer.write(struct.pack(">bI", 0, found["id"]))
    fastavro.schemaless_writer(sys.stdout.buffer, schema, record, strict_allow_default=True)


if __name__ == "__main__":
    main()
