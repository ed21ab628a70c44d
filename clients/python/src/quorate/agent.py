"""An agent over HTTP: it waits for rounds, has each judged once, and gets the answers through."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from . import errors
from .backoff import Backoff
from .client import Client, Page, Token, response
from .loop import LOG, Loop, OnError, is_past
from .outbox import Kept
from .records import Answer, Receipt, Round

# The longest between two attempts, in seconds.
_BACKOFF_MAX = 10.0
# The longest until the inbox is looked at again while all in it is known, in seconds.
_PAUSE_MAX = 2.0
# An answer that comes sooner than that, and has nothing new, is waited after, in seconds.
_QUICK = 0.1
# Most rounds that are taken in hand at once, for each worker.
_IN_HAND = 8
# How long to wait to hear what became of an answer before it is sent again, in seconds.
_FATE = 10.0


class Agent(Loop):
    """An agent that takes part over HTTP: functions by `on_proposal`, then `run`.

    Each round is judged once and answered once: an answer's id is the agent's and the round's, it is
    kept before it is sent, and sent again as it is, until the gateway says that it is admitted or
    refused, or the round is over. With `keep`, the name of a file, what is kept outlives this
    process; without, a round that was judged but not admitted is judged again after a restart.

    `workers` rounds are judged at once. `on_error` says what becomes of a round whose function
    raises: `abstain` (the default; all see the error's name, and a policy that requires this agent's
    domain counts it as heard), `silent`, or a function of the round and the error. Rounds are told
    by the gateway as they open (server-sent events); `poll` is how long nothing may be heard of it
    or, of one that does not tell, how long one request waits, in seconds: so long `stop` may take.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        keep: str | None = None,
        workers: int = 4,
        on_error: OnError = "abstain",
        poll: float = 20.0,
    ) -> None:
        super().__init__(keep, on_error)
        self.client = Client(url, token)
        self._workers, self._poll = workers, poll
        self._lock = threading.Lock()
        self._in_hand: set[str] = set()
        # Set whenever a round is done with.
        self._done = threading.Event()
        # Set when one was let go that is still to be answered.
        self._undone = threading.Event()

    def run(self) -> None:
        """Takes part until `stop`. Raises `NotAllowed` or the like if it was never let in; a gateway
        that is away, and whatever comes later, is waited out."""
        if not self._handlers:
            raise errors.Malformed("malformed", "no function judges anything: use `on_proposal`")
        with ThreadPoolExecutor(self._workers, "quorate") as pool:
            try:
                for kept in self._outbox.waiting():
                    if not is_past(kept.deadline) and self._take(kept.proposal_id):
                        pool.submit(self._get_through, kept)
                self._follow(pool)
            finally:
                # Whoever waits to try again is woken, and what is queued stays kept.
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                self._in_hand.clear()
                self._stop.clear()

    def _follow(self, pool: ThreadPoolExecutor) -> None:
        backoff, idle = Backoff(_BACKOFF_MAX, self._stop), 0
        after: str | None = None
        was_let_in = is_away = False
        streams = True
        prefixes = [prefix for prefix in self._handlers if prefix != "*"]
        domain = prefixes[0] if len(self._handlers) == 1 and prefixes else None
        while not self._stop.is_set():
            since = monotonic()
            try:
                wait = 0.0 if streams or after is not None else self._poll
                page = self.client._inbox(domain, wait, after, 0.0)
            except errors.QuorateError as error:
                if not was_let_in and not isinstance(error, errors.Unavailable):
                    raise
                if not is_away:
                    LOG.warning("the gateway does not let on: %s", error)
                is_away, after = True, None
                backoff.wait(error.retry_after)
                continue
            if is_away:
                LOG.warning("the gateway is there again")
            was_let_in, is_away = True, False
            backoff.reset()
            self._done.clear()
            taken = sum(self._hand_out(pool, round) for round in page.rounds)
            # What is new may stand behind what is known; but what is due first comes first.
            after = None if taken else page.after
            if after is not None:
                continue
            streams = page.position is not None
            if streams and page.after is None and not self._is_busy():
                taken += self._listen(pool, domain, page)
            # A full inbox answers at once, though all that is in it be known; so may a proxy.
            is_quick = monotonic() - since < _QUICK
            is_idle = taken == 0 and (is_quick or (page.rounds and not streams))
            idle = idle + 1 if is_idle else 0
            if idle:
                self._done.wait(min(0.1 * 2.0 ** min(idle, 8), _PAUSE_MAX))

    def _listen(self, pool: ThreadPoolExecutor, domain: str | None, page: Page) -> int:
        """Hands out rounds as the gateway tells of them, until it does not, or the inbox is to be
        asked for again; how many they were."""
        taken = 0
        try:
            for round in self.client._opened(domain, page, self._poll):
                if round is not None and self._hand_out(pool, round):
                    taken += 1
                # Whatever was not taken for want of room, or was let go undone, is still there.
                if self._stop.is_set() or self._is_busy() or self._undone.is_set():
                    break
        except errors.QuorateError as error:
            LOG.info("rounds are not told as they open: %s", error)
        self._undone.clear()
        return taken

    def _hand_out(self, pool: ThreadPoolExecutor, round: Round) -> bool:
        if self._handler(round.domain) is None:
            return False
        kept = self._outbox.get(round.proposal_id)
        if (kept is not None and kept.state != "waiting") or not self._take(round.proposal_id):
            return False
        pool.submit(self._deal, round)
        return True

    def _is_busy(self) -> bool:
        with self._lock:
            return len(self._in_hand) >= self._workers * _IN_HAND

    def _take(self, proposal_id: str) -> bool:
        """Takes a round in hand, unless somebody has it or there is too much in hand."""
        with self._lock:
            if len(self._in_hand) >= self._workers * _IN_HAND or proposal_id in self._in_hand:
                return False
            self._in_hand.add(proposal_id)
            return True

    def _deal(self, round: Round) -> None:
        def record(answer: Answer) -> dict[str, object]:
            return response(round, answer, f"{round.agent_id or 'answer'}.{round.proposal_id}")

        kept = None
        try:
            kept = self._answer(round, record)
        except BaseException:
            LOG.exception("round %s is left alone for now", round.proposal_id)
            self._undone.set()
        if kept is None:
            self._let_go(round.proposal_id)
        else:
            self._get_through(kept)

    def _let_go(self, proposal_id: str) -> None:
        with self._lock:
            self._in_hand.discard(proposal_id)
        self._done.set()

    def _get_through(self, kept: Kept) -> None:
        """Sends an answer until it is known what became of it, or the round is over."""
        try:
            state = self._send(kept)
            if state is None:
                self._undone.set()
            else:
                self._outbox.over(kept.proposal_id, state)
        except BaseException:
            self._undone.set()
            LOG.exception("round %s: its answer stays kept", kept.proposal_id)
        finally:
            self._let_go(kept.proposal_id)

    def _send(self, kept: Kept) -> str | None:
        """What became of an answer; None if that is not known."""
        round, record = kept.proposal_id, kept.record or {}
        backoff, attempts = Backoff(_BACKOFF_MAX, self._stop), 0
        while True:
            attempts += 1
            retry_after = None
            try:
                receipt: Receipt = self.client._say("responses", record, _FATE, 0.0)
                if receipt.state == "admitted":
                    LOG.info("round %s: %s admitted", round, record.get("verdict"))
                    return "admitted"
                LOG.info("round %s: %s pending", round, record.get("verdict"))
            except errors.Refused as error:
                return self._refused(kept, error, attempts)
            except (errors.Unavailable, errors.NotAllowed) as error:
                LOG.warning("round %s: not sent yet: %s", round, error)
                retry_after = error.retry_after
            except errors.QuorateError as error:
                LOG.error("round %s: the answer is not sound: %s", round, error)
                return error.code
            if is_past(kept.deadline):
                LOG.error("round %s: it is over, and nobody said what became of the answer", round)
                return None
            if not backoff.wait(retry_after):
                return None

    def _refused(self, kept: Kept, error: errors.Refused, attempts: int) -> str:
        """What a refusal means: of a copy that comes after its round closed it means nothing."""
        if error.code in ("round_closed", "forwarded_late") and self._has_ballot(kept):
            LOG.info("round %s: the answer was admitted before", kept.proposal_id)
            return "admitted"
        LOG.error(
            "round %s: refused at attempt %d: %s", kept.proposal_id, attempts, error
        )
        return error.code

    def _has_ballot(self, kept: Kept) -> bool:
        name, _, _ = str((kept.record or {}).get("response_id", "")).rpartition(".")
        try:
            outcome = self.client.outcome(kept.proposal_id, wait=_FATE)
        except errors.QuorateError:
            return False
        return outcome is not None and outcome.ballot(name) is not None
