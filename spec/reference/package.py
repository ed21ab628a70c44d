"""The decision package: what a human gets with an escalation (7.1)."""

from . import electorate
from .numbers import publish as to_double
from .resolve import publish

INLINED_MAX = 512 * 1024


def content(round_, decision, decision_digest):
    """What the package digest covers."""
    ballots = decision["ballots"]
    counted = [b for b in ballots if b.counted]
    return {
        "proposal_bytes": round_.datum,
        "proposal": round_.proposal,
        "decision": publish(decision),
        "decision_digest": decision_digest,
        "statements": statements(ballots),
        "silent": silent(round_, {b.agent_id for b in ballots}),
        "confidences": confidences(counted),
        "strongest_for": strongest(counted, "ENDORSE"),
        "strongest_against": strongest(counted, "CHALLENGE"),
    }


def heaviest(ballots):
    return sorted(ballots, key=lambda b: (-b.weight, b.agent_id.encode()))


def statements(ballots):
    out, room = [], INLINED_MAX
    for b in heaviest(ballots):
        reasoning, evidence = b.said["reasoning"], b.said["evidence"]
        room -= sum(len(text.encode()) for text in [reasoning, *evidence])
        inlined = room >= 0
        out.append(
            {
                "agent_id": b.agent_id,
                "response_digest": b.digest,
                "inlined": inlined,
                "reasoning": reasoning if inlined else "",
                "evidence": evidence if inlined else [],
            }
        )
    return out


def silent(round_, heard):
    """The active, qualified agents that have no ballot."""
    agents, domain = round_.agents, round_.proposal["domain"]
    required = tuple(round_.policy["required_domains"])

    def qualified():
        return [
            name
            for name in sorted(agents, key=str.encode)
            if electorate.active(agents[name])
            and electorate.qualification(agents[name], domain, required) is not None
        ]

    names = agents.once(("qualified", domain, required), qualified)
    return [name for name in names if name not in heard]


def confidences(counted):
    values = [b.confidence for b in counted]
    histograms = []
    for verdict in ("ENDORSE", "CHALLENGE", "ABSTAIN"):
        tenths = [0] * 10
        for b in counted:
            if b.verdict == verdict:
                tenths[min(9, b.confidence // 100_000)] += 1
        histograms.append({"verdict": verdict, "tenths": tenths})
    return {
        "histograms": histograms,
        "mean": to_double(sum(values) // len(values) if values else 0),
        "spread": to_double(max(values) - min(values) if values else 0),
    }


def strongest(counted, verdict):
    best = next((b for b in heaviest(counted) if b.verdict == verdict), None)
    return best and {"agent_id": best.agent_id, "response_digest": best.digest}
