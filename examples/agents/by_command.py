#!/usr/bin/env python3
"""An agent that talks to the log through the command line: it needs nothing but `quorate`.

usage: by_command.py AGENT OPINIONS QUORATE...

Reads proposals as lines of JSON, and answers those it has an opinion on. A real agent would form
its opinion here; this one looks it up by the action's subject: OPINIONS is a file of
{subject: [verdict, confidence, reasoning]}.
"""

import json
import signal
import subprocess
import sys


def main() -> None:
    agent, opinions, *quorate = sys.argv[1:]
    # Leaves by the way that ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with open(opinions, encoding="utf-8") as file:
        opinions = json.load(file)
    watch = [*quorate, "watch", "--topic", "proposals", "--from-beginning", "--output", "json"]
    with subprocess.Popen(watch, stdout=subprocess.PIPE, text=True) as proposals:
        try:
            print("reading", flush=True)
            for line in proposals.stdout:
                proposal = json.loads(line)["record"]
                opinion = opinions.get(proposal["action"]["subject"])
                if opinion:
                    answer(quorate, agent, proposal["proposal_id"], opinion)
        finally:
            proposals.kill()


def answer(quorate: list[str], agent: str, proposal_id: str, opinion: list) -> None:
    verdict, confidence, reasoning = opinion
    response = {"response_id": f"{agent}.{proposal_id}", "proposal_id": proposal_id,
                "agent_id": agent, "verdict": verdict, "confidence": confidence,
                "reasoning": reasoning}
    subprocess.run([*quorate, "respond", "-"], input=json.dumps(response), text=True, check=True,
                   stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
