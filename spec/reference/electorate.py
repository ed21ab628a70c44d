"""Who may say what in a round: soundness, authority, holding, starts (4.4, 5.4, 8.5)."""

from dataclasses import dataclass

from . import trust
from .numbers import NANO, BadNumber, admit, covers, is_domain, matches, read
from .policy import at_least


def sound(record):
    """The agent a record of the table stands for, authorities in millionths; None if unsound."""
    try:
        grants = [dict(g, authority=admit(g["authority"])) for g in record["domains"]]
    except BadNumber:
        return None
    granted = [g["domain"] for g in grants]
    reviewed = [r["domain"] for r in record["reviews"]]
    if not all(d == "*" or is_domain(d) for d in granted + reviewed):
        return None
    if len(set(granted)) < len(granted) or "" in record["public_keys"]:
        return None
    if "" in (record["agent_id"], record["principal"], record["model_family"]):
        return None
    priors = [g["prior"] for g in grants if g["prior"] is not None]
    for prior in priors:
        if prior["right"] < 1 or prior["wrong"] < 1 or prior["right"] + prior["wrong"] > 60:
            return None
    return dict(record, domains=grants)


def active(agent):
    return agent is not None and agent["status"] == "ACTIVE"


def longest(agent, domain):
    """The agent's longest grant that covers a domain, or None."""
    grants = [g for g in agent["domains"] if covers(g["domain"], domain)]
    return max(grants, key=lambda g: len(g["domain"].encode()), default=None)


def holds(agent, domain):
    return any(covers(g["domain"], domain) and g["authority"] > 0 for g in agent["domains"])


def qualification(agent, domain, required):
    """The grant that gives the agent's ballot its authority; None makes it an observer."""
    grant = longest(agent, domain)
    if grant is None:
        held = [longest(agent, d) for d in required if holds(agent, d)]
        grant = max(held, key=lambda g: g["authority"], default=None)
    return grant


def may_review(agent, domain, stakes):
    return any(
        matches(r["domain"], domain) and at_least(r["up_to_stakes"], stakes)
        for r in agent["reviews"]
    )


@dataclass
class Start:
    """What an agent's ballot is weighed with, and what it would start from at a fold."""

    trust: int
    revision: int
    a0: int
    b0: int
    inherited: dict | None = None


def start(agent, grant, agents, scores, trust_domain):
    """Trust of a qualified agent; `scores` is {(trust_domain, agent_id): TrustScore}."""
    prior = grant["prior"]
    a0, b0 = (prior["right"], prior["wrong"]) if prior else (2, 1)
    a0, b0 = a0 * NANO, b0 * NANO
    score = scores.get((trust_domain, agent["agent_id"]))
    if score is not None:
        return Start(read(score["trust"]), score["revision"], a0, b0)
    heir = None if prior else predecessor(agent, agents, scores, trust_domain)
    if heir is not None:
        inherited = {key: heir[key] for key in ("a", "b", "ln_m")}
        return Start(trust.trust_of(**inherited), 0, a0, b0, inherited)
    return Start(trust.trust_of(a0, b0, 0), 0, a0, b0)


def predecessor(agent, agents, scores, trust_domain):
    """The score a new id of a known principal inherits, if one is below a newcomer's."""
    found = [
        scores[trust_domain, other["agent_id"]]
        for other in agents.values()
        if other["principal"] == agent["principal"]
        and other["status"] in ("RETIRED", "SUSPENDED")
        and (trust_domain, other["agent_id"]) in scores
    ]
    worst = min(found, key=lambda s: (read(s["trust"]), s["agent_id"].encode()), default=None)
    if worst is None or read(worst["trust"]) >= trust.newcomer_trust():
        return None
    return worst
