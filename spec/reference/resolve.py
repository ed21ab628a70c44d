"""What a round came to: ballots, caps, reasons, margins, influence (chapters 5 and 6).

`resolve` takes everything as values and gives the decision part, numbers still in millionths;
`publish` turns it into the record's doubles.
"""

from dataclasses import dataclass, field

from . import electorate, trust
from .numbers import ONE, admit, ceil_sqrt, publish as to_double, weight
from .policy import at_least, stakes_of

REVISION = 1


@dataclass
class Ballot:
    """One agent's ballot, with all that deciding asks of it."""

    agent_id: str
    digest: bytes
    verdict: str
    confidence: int
    authority: int = 0
    trust: int = 0
    revision: int = 0
    weight: int = 0
    counted: bool = False
    reason: str | None = None
    principal: str = ""
    family: str | None = None
    proposer: bool = False
    meets: frozenset = frozenset()
    vetoes: bool = False
    start: electorate.Start | None = None
    said: dict | None = None

    def speaks(self):
        """Whether it is an endorsement or a challenge."""
        return self.verdict != "ABSTAIN"


@dataclass
class Case:
    """A round as it is resolved."""

    proposal: dict
    proposal_digest: bytes
    policy: dict
    agents: dict
    scores: dict
    responses: list = field(default_factory=list)  # admitted ones, by offset: (response, digest)
    suspended: set = field(default_factory=set)  # agents, by control
    pattern_suspended: bool = False
    input_lost: bool = False


def chosen(case):
    """({agent: (response, digest)}, {agent: superseded digests}), without the proposal's own."""
    by_agent = {}
    for response, digest in case.responses:
        by_agent.setdefault(response["agent_id"], []).append((response, digest))
    at = 0 if case.policy["revision"] == "first" else -1
    ballots = {agent: said[at] for agent, said in by_agent.items()}
    superseded = {
        agent: [digest for _, digest in (said[1:] if at == 0 else said[:-1])]
        for agent, said in by_agent.items()
        if len(said) > 1
    }
    return ballots, superseded


def cast(case):
    """Every agent's ballot before weighing, sorted by agent."""
    said, _ = chosen(case)
    proposer = case.proposal["proposer"]
    if proposer not in said:
        own = {
            "agent_id": proposer,
            "verdict": "ENDORSE",
            "confidence": case.proposal["confidence"],
            "reasoning": case.proposal["rationale"],
            "evidence": [],
        }
        said[proposer] = (own, case.proposal_digest)
    ballots = [cast_one(case, *said[agent]) for agent in sorted(said, key=str.encode)]
    return ballots


def cast_one(case, response, digest):
    agent = case.agents[response["agent_id"]]
    policy, domain = case.policy, case.proposal["domain"]
    ballot = Ballot(
        agent_id=agent["agent_id"],
        digest=digest,
        verdict=response["verdict"],
        confidence=admit(response["confidence"]),
        principal=agent["principal"],
        family=agent["model_family"],
        proposer=agent["agent_id"] == case.proposal["proposer"],
        said=response,
    )
    grant = electorate.qualification(agent, domain, policy["required_domains"])
    if grant is None or (ballot.proposer and not policy["proposer_counts"]):
        ballot.reason = "observer"
        return ballot
    start = electorate.start(agent, grant, case.agents, case.scores, policy["trust_domain"])
    ballot.start = start
    ballot.authority, ballot.trust, ballot.revision = (
        grant["authority"],
        start.trust,
        start.revision,
    )
    if not ballot.proposer:
        required = policy["required_domains"]
        ballot.meets = frozenset(d for d in required if electorate.holds(agent, d))
    ballot.vetoes = any(electorate.holds(agent, d) for d in policy["veto_domains"])
    return ballot


def weigh(ballots, policy, left_out):
    """Fills in weight, counted and reason; the agents of `left_out` are suspended."""
    voting = [b for b in ballots if b.reason != "observer"]
    for b in voting:
        b.weight, b.counted, b.reason = 0, False, None
        if b.agent_id in left_out:
            b.reason = "suspended"
    speaking = [b for b in voting if b.reason is None and b.speaks()]
    raw = [weight(b.authority, b.confidence, b.trust) for b in speaking]
    by_principal = [("principal", b.principal) for b in speaking]
    by_family = [
        ("agent", b.agent_id) if b.family is None else ("family", b.family) for b in speaking
    ]
    one = capped(raw, by_principal, policy["max_share_per_principal"])
    other = capped(raw, by_family, policy["max_share_per_model_family"])
    for b, w, v in zip(speaking, one, other):
        b.weight = min(w, v)
        b.counted = b.weight > 0
        b.reason = None if b.counted else "zero_weight"
    for b in voting:
        if b.reason is None and not b.speaks():
            b.counted = True


def capped(raw, groups, share):
    """The weights after one cap, each computed from weights before caps."""
    if share == ONE:
        return raw
    out = []
    for w, group in zip(raw, groups):
        inside = sum(v for v, g in zip(raw, groups) if g == group)
        outside = sum(raw) - inside
        if outside > 0 and inside * (ONE - share) > outside * share:
            cap = outside * share // (ONE - share)
            w = w * cap // inside
        out.append(w)
    return out


@dataclass
class Tally:
    """What one set of counted ballots comes to."""

    reasons: list
    endorse: int
    challenge: int
    n: int
    reached: int
    needed: int
    mean: int
    side: str  # the status the margin alone leads to

    def status(self):
        return status_of(self.reasons, self.side)

    def would_be(self):
        return status_of([r for r in self.reasons if r != "SHADOW"], self.side)


def status_of(reasons, side):
    return side if reasons[0] == "MARGIN_MET" else "ESCALATED"


def tally(counted, case, fixed):
    """Reasons and figures of counted ballots; `fixed` are the reasons no ballot changes."""
    policy = case.policy
    speaking = [b for b in counted if b.speaks()]
    up = [b.weight for b in speaking if b.verdict == "ENDORSE"]
    down = [b.weight for b in speaking if b.verdict == "CHALLENGE"]
    endorse, challenge, total = sum(up), sum(down), sum(up) + sum(down)
    met, reached, needed = margin(up, down, policy)
    certainty = sum(b.weight * b.confidence for b in speaking)
    mine = case.agents[case.proposal["proposer"]]["principal"]
    principals = {b.principal for b in speaking if b.principal != mine}
    reasons = list(fixed)
    if any(not any(d in b.meets for b in counted) for d in policy["required_domains"]):
        reasons.append("REQUIRED_MISSING")
    if total == 0 or len(principals) < policy["min_responders"]:
        reasons.append("QUORUM_NOT_MET")
    if 0 < total < policy["min_weight"]:
        reasons.append("UNPROVEN")
    if certainty < policy["min_confidence"] * total:
        reasons.append("LOW_CONFIDENCE")
    if met and endorse > challenge and any(b.vetoes and b.verdict == "CHALLENGE" for b in speaking):
        reasons.append("VETO")
    if policy["mode"] == "shadow":
        reasons.append("SHADOW")
    if total > 0:
        tied = endorse == challenge
        reasons.append("TIE" if tied else "MARGIN_MET" if met else "MARGIN_NOT_MET")
    mean = certainty // total if total else 0
    side = "APPROVED" if endorse > challenge else "REJECTED"
    return Tally(reasons, endorse, challenge, len(speaking), reached, needed, mean, side)


def margin(up, down, policy):
    """(whether the heavier side meets the margin, reached, needed)."""
    E, C = sum(up), sum(down)
    if policy["quorum_margin"] is not None:
        needed = policy["quorum_margin"]
        reached = abs(E - C) * ONE // (E + C) if E + C else 0
        return E != C and abs(E - C) * ONE >= needed * (E + C), reached, needed
    k = round(policy["evidence_unit"] * 1e6)
    mine, theirs = (up, down) if E > C else (down, up)
    X, Y, n = 0, sum(theirs), len(theirs)
    for w in sorted(mine, reverse=True):
        X, n = X + w, n + 1
        if X > Y and (X - Y) ** 2 >= n * k * k:
            return True, X - Y, ceil_sqrt(n * k * k)
    return False, abs(E - C), ceil_sqrt(n * k * k)


def fixed_reasons(case, stakes, suspended):
    reasons = []
    if case.input_lost:
        reasons.append("INPUT_LOST")
    if suspended:
        reasons.append("SUSPENDED")
    if at_least(stakes, case.policy["escalate_at_stakes"]):
        reasons.append("HIGH_STAKES")
    return reasons


def resolve(case):
    """The decision part, in millionths, and its ballots."""
    ballots, stakes = cast(case), stakes_of(case.policy, case.proposal)
    suspended = case.pattern_suspended or case.policy["mode"] == "suspended"
    if not suspended and case.suspended:
        put_back, left_out = (
            would_be(case, ballots, stakes, out) for out in (set(), case.suspended)
        )
        suspended = put_back != left_out
    weigh(ballots, case.policy, case.suspended)
    fixed = fixed_reasons(case, stakes, suspended)
    counted = [b for b in ballots if b.counted]
    whole = tally(counted, case, fixed)
    decision = {
        "proposal_digest": case.proposal_digest,
        "policy_digest": case.policy["digest"],
        "rules_revision": REVISION,
        "status": whole.status(),
        "reasons": whole.reasons,
        "E": whole.endorse,
        "C": whole.challenge,
        "n": whole.n,
        "p": round(trust.probability(whole.endorse, whole.challenge, whole.n) * 1e6)
        if whole.n
        else 0,
        "margin_reached": whole.reached,
        "margin_needed": whole.needed,
        "mean_confidence": whole.mean,
        "would_be": whole.would_be(),
        "stakes": stakes,
        "resolved_by": "PROTOCOL",
        "ballots": ballots,
        "influence": [
            {
                "agent_id": b.agent_id,
                "status": tally([c for c in counted if c is not b], case, fixed).status(),
            }
            for b in counted
        ],
    }
    return decision


def would_be(case, ballots, stakes, left_out):
    weigh(ballots, case.policy, left_out)
    counted = [b for b in ballots if b.counted]
    return tally(counted, case, fixed_reasons(case, stakes, False)).would_be()


DOUBLES = ["E", "C", "p", "margin_reached", "margin_needed", "mean_confidence"]


def publish(decision):
    """The decision part as the record has it."""
    out = dict(decision)
    for key in DOUBLES:
        out[key] = to_double(decision[key])
    out["ballots"] = [
        {
            "agent_id": b.agent_id,
            "response_digest": b.digest,
            "verdict": b.verdict,
            "confidence": to_double(b.confidence),
            "authority": to_double(b.authority),
            "trust": to_double(b.trust),
            "trust_revision": b.revision,
            "weight": to_double(b.weight),
            "counted": b.counted,
            "reason": b.reason,
        }
        for b in decision["ballots"]
    ]
    return out


def lessons(ballots):
    """What the counted ballots of weight above 0 teach, in millionths and billionths."""
    return [
        {
            "agent_id": b.agent_id,
            "verdict": b.verdict,
            "confidence": b.confidence,
            "authority": b.authority,
            "a0": b.start.a0,
            "b0": b.start.b0,
            "start": b.start.inherited,
        }
        for b in ballots
        if b.counted and b.speaks()
    ]
