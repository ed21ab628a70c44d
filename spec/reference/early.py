"""Whether a round may close early: nobody unheard could change its status (5.7)."""

import itertools
import random

from . import electorate
from .resolve import Case, resolve

CONFIDENCES = (0.0, 0.000001, 0.3, 0.7, 1.0)


def unheard(case):
    """The active, qualified agents without a response; the proposer among them."""
    heard = {response["agent_id"] for response, _ in case.responses}
    domain, required = case.proposal["domain"], case.policy["required_domains"]
    muted = set() if case.policy["proposer_counts"] else {case.proposal["proposer"]}
    return [
        name
        for name, agent in sorted(case.agents.items())
        if name not in heard | muted
        and electorate.active(agent)
        and electorate.qualification(agent, domain, required) is not None
    ]


def overturned(case, most):
    """What the unheard could say to change the status; None if nothing was found.

    Everything on a grid is tried where that is at most so many things, else a fixed sample.
    """
    if not case.policy["early_close"]:
        return "a policy without early_close"
    status, names = resolve(case)["status"], unheard(case)
    sayings = [None, ("ABSTAIN", 0.5)]
    sayings += [(v, c) for v in ("ENDORSE", "CHALLENGE") for c in CONFIDENCES]
    for said in tries(sayings, len(names), most):
        if resolve(with_said(case, names, said))["status"] != status:
            return list(zip(names, said))
    return None


def tries(sayings, count, most):
    if len(sayings) ** count <= most:
        return itertools.product(sayings, repeat=count)
    rng = random.Random(count)
    extreme = [[saying] * count for saying in sayings]
    return extreme + [rng.choices(sayings, k=count) for _ in range(most // 4)]


def with_said(case, names, said):
    more = [
        ({"agent_id": name, "verdict": s[0], "confidence": s[1]}, bytes(32))
        for name, s in zip(names, said)
        if s is not None
    ]
    return Case(**{**vars(case), "responses": [*case.responses, *more]})
