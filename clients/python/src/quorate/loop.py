"""What agents have in common, whatever they speak: who judges what, and what comes of an opinion."""

from __future__ import annotations

import logging
import threading
import time
from typing import Callable, Literal, Optional, TypeVar, Union

from .errors import Malformed
from .outbox import Kept, Outbox
from .records import Answer, Round, abstain

LOG = logging.getLogger("quorate")

Handler = Callable[[Round], Optional[Answer]]
Failed = Callable[[Round, BaseException], Optional[Answer]]
OnError = Union[Literal["abstain", "silent"], Failed]
_H = TypeVar("_H", bound=Handler)

# How long after a round's deadline, by this machine's clock, an answer is still sent, in seconds:
# the log's clock decides, and this one may be ahead.
_GRACE = 60.0


class Loop:
    """The part of an agent that is the same over HTTP and on Kafka."""

    def __init__(self, keep: str | None, on_error: OnError) -> None:
        if on_error not in ("abstain", "silent") and not callable(on_error):
            raise Malformed("malformed", "`on_error` is `abstain`, `silent` or a function")
        self._handlers: dict[str, Handler] = {}
        self._on_error = on_error
        self._outbox = Outbox(keep)
        self._stop = threading.Event()

    def on_proposal(self, domain: str = "*") -> Callable[[_H], _H]:
        """Has a function judge the rounds of a domain and of those below it (`fraud` has
        `fraud.detection`, not `fraudulent`); the longest prefix counts, `*` has all.

        It is given a `Round`, and gives what `endorse`, `challenge` or `abstain` makes, or None: no
        answer. It may be called from several threads at once. What it raises is logged and becomes
        what `on_error` says; it never ends the loop.
        """

        def listed(handler: _H) -> _H:
            if domain in self._handlers:
                raise Malformed("malformed", f"`{domain}` is judged by another function already")
            self._handlers[domain] = handler
            return handler

        return listed

    def stop(self) -> None:
        """Ends `run` once what is being judged is judged; from any thread, or a signal's handler."""
        self._stop.set()

    def _handler(self, domain: str) -> Handler | None:
        covering = [own for own in self._handlers if _covers(own, domain)]
        if not covering:
            return None
        return self._handlers[max(covering, key=lambda own: (own != "*", len(own)))]

    def _judge(self, handler: Handler, round: Round) -> Answer | None:
        try:
            return _sound(handler(round))
        # Whatever it is, even an exit: one round is no reason to leave the others alone.
        except BaseException as error:
            LOG.exception("round %s cannot be judged", round.proposal_id)
            return self._instead(round, error)

    def _instead(self, round: Round, error: BaseException) -> Answer | None:
        if self._on_error == "silent":
            return None
        if self._on_error == "abstain":
            # What the error says is for the log here: all others will read this.
            return abstain(reasoning=f"the agent failed: {type(error).__name__}")
        try:
            return _sound(self._on_error(round, error))
        except BaseException:
            LOG.exception("round %s cannot be answered for", round.proposal_id)
            return None

    def _answer(
        self, round: Round, record: Callable[[Answer], dict[str, object]]
    ) -> Kept | None:
        """The answer to a round as it is kept; None if there is none to be sent."""
        kept = self._outbox.get(round.proposal_id)
        if kept is None:
            handler = self._handler(round.domain)
            answer = None if handler is None else self._judge(handler, round)
            if answer is None:
                self._outbox.pass_over(round.proposal_id, round.deadline)
                LOG.debug("round %s: no answer", round.proposal_id)
                return None
            kept = self._outbox.keep(round.proposal_id, round.deadline, record(answer))
        return kept if kept.state == "waiting" else None


def is_past(deadline: int) -> bool:
    """Whether nothing sent now can count any more, whatever this machine's clock is worth."""
    return time.time() > deadline / 1000.0 + _GRACE


def _covers(own: str, domain: str) -> bool:
    return own == "*" or domain == own or domain.startswith(own + ".")


def _sound(answer: object) -> Answer | None:
    if answer is not None and not isinstance(answer, Answer):
        raise Malformed("malformed", f"{answer!r} is no answer: endorse, challenge or abstain")
    return answer
