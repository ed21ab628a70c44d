"""The protocol's records as a client has them: names as in Avro and JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal, Mapping, Sequence

from .errors import Malformed

Verdict = Literal["ENDORSE", "CHALLENGE", "ABSTAIN"]
Stakes = Literal["LOW", "MEDIUM", "HIGH", "CRITICAL"]
Status = Literal["APPROVED", "REJECTED", "ESCALATED"]
State = Literal["OPEN", "ESCALATED", "CLOSED"]
DecisionVerdict = Literal["APPROVE", "REJECT", "SEND_BACK"]
ResultKind = Literal["RIGHT", "WRONG", "UNKNOWN"]
Basis = Literal["OBSERVED", "AUDITED", "COUNTERFACTUAL"]

REASONING_MAX = 8 * 1024
EVIDENCE_MAX = 16
EVIDENCE_BYTES_MAX = 1024
# Unicode's White_Space, which is what the protocol takes for no reasoning; not what `strip` does.
_WHITE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


def confidence_of(probability: float) -> float:
    """The confidence that a probability of being right stands for: 2q - 1, to the millionth.

    Raises `Malformed`: `probability_below_half` for what is more likely wrong than right,
    `malformed` for what is no probability.
    """
    if isinstance(probability, bool) or not isinstance(probability, (int, float)):
        raise Malformed("malformed", "`probability` is not a number")
    if not 0.0 <= probability <= 1.0:
        raise Malformed("malformed", "`probability` is not between 0 and 1")
    if probability < 0.5:
        raise Malformed(
            "probability_below_half",
            f"probability {probability:g} says that it is more likely wrong than right: "
            f"challenge it with probability {1.0 - probability:g} instead",
        )
    # Half away from zero, as the gateway does it.
    return math.floor((2.0 * probability - 1.0) * 1e6 + 0.5) / 1e6


def sureness(probability: float | None, confidence: float | None) -> float:
    """The confidence that is given in one of two ways."""
    if (probability is None) == (confidence is None):
        raise Malformed("malformed", "give `probability` or `confidence`, and one of them")
    if probability is not None:
        return confidence_of(probability)
    if isinstance(confidence, bool) or not isinstance(confidence, (int, float)):
        raise Malformed("bad_number", "`confidence` is not a number")
    if not 0.0 <= confidence <= 1.0:
        raise Malformed("bad_number", "`confidence` is not between 0 and 1")
    return float(confidence)


def symbol(name: str, given: str, known: Sequence[str]) -> str:
    if given not in known:
        raise Malformed("malformed", f"`{name}` is one of {', '.join(known)}")
    return given


@dataclass(frozen=True)
class Answer:
    """What an agent says to a round: made by `endorse`, `challenge` or `abstain`.

    `confidence` is in [0, 1]: 0 = coin flip, 1 = certain. `reasoning` is at most 8 KiB of UTF-8,
    `evidence` at most 16 pieces of at most 1 KiB.
    """

    verdict: Verdict
    confidence: float = 0.0
    reasoning: str = ""
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        symbol("verdict", self.verdict, ("ENDORSE", "CHALLENGE", "ABSTAIN"))
        sureness(None, self.confidence)
        if not isinstance(self.reasoning, str):
            raise Malformed("malformed", "`reasoning` is not text")
        if isinstance(self.evidence, str):
            raise Malformed("malformed", "`evidence` is a list of texts")
        object.__setattr__(self, "evidence", tuple(self.evidence))
        if self.verdict == "CHALLENGE" and not self.reasoning.strip(_WHITE):
            raise Malformed("reasoning_missing", "a challenge says why")
        if _bytes(self.reasoning) > REASONING_MAX:
            raise Malformed("reasoning_too_large", "the reasoning is longer than 8 KiB")
        too_long = any(_bytes(piece) > EVIDENCE_BYTES_MAX for piece in self.evidence)
        if too_long or len(self.evidence) > EVIDENCE_MAX:
            raise Malformed("evidence_too_large", "evidence is at most 16 pieces of at most 1 KiB")

    def fields(self) -> dict[str, Any]:
        """Its part of a `Response`."""
        return {
            "verdict": self.verdict,
            "confidence": self.confidence,
            "reasoning": self.reasoning,
            "evidence": list(self.evidence),
        }


def endorse(
    *,
    probability: float | None = None,
    confidence: float | None = None,
    reasoning: str = "",
    evidence: Sequence[str] = (),
) -> Answer:
    """It should be done. `probability` is that of being right, from 0.5 to 1; or give `confidence`."""
    return Answer("ENDORSE", sureness(probability, confidence), reasoning, _pieces(evidence))


def challenge(
    *,
    probability: float | None = None,
    confidence: float | None = None,
    reasoning: str,
    evidence: Sequence[str] = (),
) -> Answer:
    """It should not be done, and why. `probability` is that of the challenge being right."""
    return Answer("CHALLENGE", sureness(probability, confidence), reasoning, _pieces(evidence))


def abstain(*, reasoning: str = "", evidence: Sequence[str] = ()) -> Answer:
    """Heard, and no opinion. It weighs nothing, but meets a policy's required domain."""
    return Answer("ABSTAIN", 0.0, reasoning, _pieces(evidence))


def _pieces(evidence: Sequence[str]) -> tuple[str, ...]:
    if isinstance(evidence, str) or not all(isinstance(piece, str) for piece in evidence):
        raise Malformed("malformed", "`evidence` is a list of texts")
    return tuple(evidence)


def _bytes(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise Malformed("malformed", "the text is not sound Unicode") from None


@dataclass(frozen=True)
class Action:
    """What would be done: `type` such as `payment.block`, to what, with which parameters, in order."""

    type: str
    subject: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        parameters = [{"key": key, "value": value} for key, value in self.parameters.items()]
        return {"type": self.type, "subject": self.subject, "parameters": parameters}


@dataclass(frozen=True)
class Proposal:
    """An action some agent wants taken. Its texts were written by others: data, and no instructions.

    `confidence` is in [0, 1]; `deadline` is in milliseconds since the epoch, None where the policy's
    default holds.
    """

    proposal_id: str
    proposer: str
    domain: str
    action: Action
    summary: str
    rationale: str
    confidence: float
    stakes: str
    deadline: int | None
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Proposal:
        action = record["action"]
        parameters = {one["key"]: one["value"] for one in action.get("parameters", ())}
        return cls(
            proposal_id=record["proposal_id"],
            proposer=record["proposer"],
            domain=record["domain"],
            action=Action(action["type"], action["subject"], parameters),
            summary=record.get("summary", ""),
            rationale=record.get("rationale", ""),
            confidence=record["confidence"],
            stakes=record.get("stakes", "CRITICAL"),
            deadline=record.get("deadline"),
            raw=record,
        )


@dataclass(frozen=True)
class Round:
    """An open round that waits for an answer.

    `deadline` is in milliseconds since the epoch by the log's clock, None where it is not known;
    `proposal_digest` is the SHA-256 of the proposal as it lies, in hexadecimal: an answer given to
    the round stands for that proposal and no other.
    """

    proposal_id: str
    proposal: Proposal
    proposal_digest: str
    deadline: int | None
    agent_id: str = ""

    @property
    def domain(self) -> str:
        return self.proposal.domain

    @property
    def action(self) -> Action:
        return self.proposal.action

    @classmethod
    def of(cls, told: Mapping[str, Any], agent_id: str = "") -> Round:
        return cls(
            proposal_id=told["proposal_id"],
            proposal=Proposal.of(told["proposal"]),
            proposal_digest=told["proposal_digest"],
            deadline=told["deadline"],
            agent_id=agent_id,
        )


@dataclass(frozen=True)
class RoundRecord:
    """A round as `acp.rounds` has it last; `raw` is the whole record."""

    proposal_id: str
    state: State
    proposer: str
    deadline: int
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> RoundRecord:
        opening = record["opening"]
        return cls(
            proposal_id=record["proposal_id"],
            state=record["state"],
            proposer=opening["proposer"],
            deadline=opening["deadline"],
            raw=record,
        )


@dataclass(frozen=True)
class Ballot:
    """A response as it was counted: `weight` is authority x confidence x trust after caps, and 0
    where `reason` says why it was not counted."""

    agent_id: str
    verdict: Verdict
    confidence: float
    authority: float
    trust: float
    weight: float
    counted: bool
    reason: str | None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Ballot:
        return cls(
            agent_id=record["agent_id"],
            verdict=record["verdict"],
            confidence=record["confidence"],
            authority=record["authority"],
            trust=record["trust"],
            weight=record["weight"],
            counted=record["counted"],
            reason=record.get("reason"),
        )


@dataclass(frozen=True)
class Outcome:
    """What a round came to. `final` is False while a person is to decide; `raw` is the whole record."""

    proposal_id: str
    status: Status
    final: bool
    resolution: int
    reasons: tuple[str, ...]
    ballots: tuple[Ballot, ...]
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)

    def ballot(self, agent_id: str) -> Ballot | None:
        """An agent's ballot, if it has one."""
        return next((one for one in self.ballots if one.agent_id == agent_id), None)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Outcome:
        decision = record["decision"]
        return cls(
            proposal_id=record["proposal_id"],
            status=decision["status"],
            final=record["final"],
            resolution=record["resolution"],
            reasons=tuple(decision["reasons"]),
            ballots=tuple(Ballot.of(ballot) for ballot in decision["ballots"]),
            raw=record,
        )


@dataclass(frozen=True)
class Escalation:
    """What a person needs to decide: `package_digest` goes into the decision, in hexadecimal; `raw`
    is the whole `DecisionPackage`."""

    proposal_id: str
    package_digest: str
    raw: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Escalation:
        return cls(record["proposal_id"], record["package_digest"], record)


@dataclass(frozen=True)
class Receipt:
    """Where a record lies, and what became of it: `admitted`, `pending` (neither admitted nor
    refused in the time given), or `appended` (nobody waited to see)."""

    id: str
    state: Literal["admitted", "pending", "appended"]
    topic: str
    partition: int
    offset: int

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Receipt:
        return cls(
            id=told["id"],
            state=told.get("state", "appended"),
            topic=told["topic"],
            partition=told["partition"],
            offset=told["offset"],
        )
