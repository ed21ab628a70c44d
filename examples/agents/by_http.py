#!/usr/bin/env python3
"""An agent over HTTP, with Python's standard library alone.

usage: by_http.py ADDRESS TOKEN

It answers every round of its inbox; a real agent would form its opinion in `opinion_on`.
"""

import json
import sys
import time
import urllib.error
import urllib.request

ADDRESS, TOKEN = sys.argv[1:]


def call(path: str, body: dict | None = None) -> dict:
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(ADDRESS + path, data, {"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def opinion_on(proposal: dict) -> dict:
    amount = float(proposal["action"]["parameters"][0]["value"])
    if amount < 500:
        return {"verdict": "ENDORSE", "probability": 0.9, "reasoning": f"{amount:g} is little"}
    return {"verdict": "CHALLENGE", "probability": 0.8, "reasoning": f"{amount:g} is a lot"}


while True:
    for waiting in call("/v1/inbox?wait=30")["rounds"]:
        answer = {"proposal_id": waiting["proposal_id"], **opinion_on(waiting["proposal"])}
        subject = waiting["proposal"]["action"]["subject"]
        try:
            print(subject, answer["verdict"], call("/v1/responses?wait=10", answer)["state"], flush=True)
        except urllib.error.HTTPError as refused:
            print(subject, refused.read().decode().strip(), flush=True)
            time.sleep(1)
