"""Take part in the Agent Consensus Protocol through a Quorate gateway; standard library only.

    import quorate
    from quorate import challenge, endorse

    agent = quorate.Agent("http://127.0.0.1:8080", token)

    @agent.on_proposal("fraud")
    def judge(round):
        return endorse(probability=0.93, reasoning="as this customer always does")

    agent.run()

`Client` has the single verbs. `quorate.kafka.Agent` is the same on the topics themselves
(`pip install quorate[kafka]`).
"""

from .agent import Agent
from .client import Client
from .errors import Malformed, Missing, NotAllowed, QuorateError, Refused, Unavailable
from .records import (
    Action,
    Answer,
    Ballot,
    Escalation,
    Outcome,
    Proposal,
    Receipt,
    Round,
    RoundRecord,
    abstain,
    challenge,
    confidence_of,
    endorse,
)

__version__ = "0.1.0"

__all__ = [
    "Action",
    "Agent",
    "Answer",
    "Ballot",
    "Client",
    "Escalation",
    "Malformed",
    "Missing",
    "NotAllowed",
    "Outcome",
    "Proposal",
    "QuorateError",
    "Receipt",
    "Refused",
    "Round",
    "RoundRecord",
    "Unavailable",
    "abstain",
    "challenge",
    "confidence_of",
    "endorse",
]
