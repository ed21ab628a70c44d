"""An agent by a plain rule, with the Python client. usage: by_rule.py ADDRESS TOKEN"""
import logging
import sys

import quorate
from quorate import challenge, endorse

agent = quorate.Agent(*sys.argv[1:])

@agent.on_proposal("sample")
def judge(round):
    amount = float(round.action.parameters["amount"])
    if amount < 500:
        return endorse(probability=0.9, reasoning=f"{amount:g} is little")
    return challenge(probability=0.8, reasoning=f"{amount:g} is a lot")

logging.basicConfig(level=logging.INFO)
agent.run()
