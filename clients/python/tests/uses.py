"""What somebody's own typed code looks like; `mypy --strict` reads it beside the wheel."""

from __future__ import annotations

import quorate
from quorate import Answer, Outcome, Receipt, Round, abstain, challenge, endorse

agent = quorate.Agent("http://127.0.0.1:8080", lambda: "token", keep="kept.db", on_error="silent")


@agent.on_proposal("fraud")
def judge(round: Round) -> Answer | None:
    amount = float(round.action.parameters.get("amount", "0"))
    if amount < 1:
        return None
    if amount < 500:
        return endorse(probability=0.9, reasoning="little", evidence=["the limit is 500"])
    if round.proposal.stakes == "CRITICAL":
        return abstain(reasoning="for people")
    return challenge(confidence=0.5, reasoning=f"{amount:g} is a lot")


@agent.on_proposal("loans")
def never(round: Round) -> None:
    return None


def verbs(client: quorate.Client) -> Outcome | None:
    action = quorate.Action("payment.block", "payment-1", {"amount": "120"})
    receipt: Receipt = client.propose("fraud", action, probability=0.95, stakes="LOW")
    client.respond(receipt.id, endorse(confidence=1))
    try:
        client.report(receipt.id, "RIGHT")
    except quorate.Refused as error:
        print(error.code, error.detail, error.status)
    return client.outcome(receipt.id, wait=30)
