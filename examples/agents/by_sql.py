#!/usr/bin/env python3
"""An agent on a blackboard, by SQL and Python's standard library alone; nothing of ours.

usage: by_sql.py AGENT OPINIONS BLACKBOARD

OPINIONS is a file of {subject: [verdict, confidence, reasoning]}; a real agent would form its
opinion in `opinion_on`. Records are Avro, of which this writes and reads what it needs: strings
and numbers. An answer goes to the partition its proposal lies on.
"""

import hashlib
import json
import sqlite3
import struct
import sys
import time

# What stands before a response: single-object encoding, and the fingerprint of its schema. As many
# bytes stand before a proposal.
RESPONSE = bytes.fromhex("c301978fd1c73df2bcf8")
VERDICTS = ["ENDORSE", "CHALLENGE", "ABSTAIN"]


def main() -> None:
    agent, opinions, blackboard = sys.argv[1:]
    with open(opinions, encoding="utf-8") as file:
        opinions = json.load(file)
    # Every statement is a transaction of its own; who else writes is waited for.
    log = sqlite3.connect(blackboard, timeout=30, isolation_level=None)
    last = 0
    print("reading", flush=True)
    while True:
        # A record without a value only carries time.
        proposals = log.execute("""SELECT id, partition, key, value FROM proposals
            WHERE id > ? AND value IS NOT NULL ORDER BY id""", (last,)).fetchall()
        for last, partition, proposal_id, value in proposals:
            opinion = opinion_on(proposal(value[len(RESPONSE):]), opinions)
            if opinion:
                log.execute("INSERT INTO responses (partition, key, value) VALUES (?, ?, ?)",
                            (partition, proposal_id, response(agent, proposal_id, value, *opinion)))
        time.sleep(0.05)


def opinion_on(proposal: dict, opinions: dict) -> list | None:
    return opinions.get(proposal["subject"])


def proposal(datum: bytes) -> dict:
    """The first fields of a proposal, all of them strings."""
    fields, at = {}, 0
    for name in ["proposal_id", "proposer", "domain", "type", "subject"]:
        fields[name], at = string(datum, at)
    return fields


def response(agent: str, proposal_id: str, value: bytes, verdict: str, confidence: float,
             reasoning: str) -> bytes:
    # Of the agent and the proposal, so that answering twice is answering once.
    response_id = f"{agent}.{proposal_id}"
    # The answer stands for these bytes and no others; the 1 chooses this branch of the union.
    digest = long(1) + hashlib.sha256(value[len(RESPONSE):]).digest()
    no_evidence = long(0)
    return b"".join([RESPONSE, text(response_id), text(proposal_id), digest, text(agent),
                     long(VERDICTS.index(verdict)), struct.pack("<d", confidence), text(reasoning),
                     no_evidence])


def long(number: int) -> bytes:
    """An Avro long that is not negative: doubled, then seven bits a byte, the lowest first."""
    number, out = number * 2, b""
    while number > 127:
        number, out = number >> 7, out + bytes([number & 127 | 128])
    return out + bytes([number])


def text(string: str) -> bytes:
    return long(len(string.encode())) + string.encode()


def string(datum: bytes, at: int) -> tuple[str, int]:
    length = shift = 0
    while True:
        byte, at = datum[at], at + 1
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    end = at + length // 2
    return datum[at:end].decode(), end


if __name__ == "__main__":
    main()
