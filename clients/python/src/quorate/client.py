"""The gateway's verbs (docs/http.md), over HTTP by the standard library alone."""

from __future__ import annotations

import http.client
import json
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any, Callable, Iterator, Mapping, NamedTuple, TypeVar, Union

from . import errors
from .backoff import Backoff
from .records import (
    Action,
    Answer,
    Basis,
    DecisionVerdict,
    Escalation,
    Outcome,
    Receipt,
    ResultKind,
    Round,
    RoundRecord,
    Stakes,
    sureness,
    symbol,
)

# The longest the gateway waits for anybody, in seconds.
WAIT_MAX = 30.0
# What an answer may take beyond what it was asked to wait, in seconds.
_SLACK = 15.0
_ANSWER_MAX = 64 * 1024 * 1024
_BACKOFF_MAX = 5.0

_T = TypeVar("_T")
Token = Union[str, Callable[[], str]]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is for whom it was given to: it does not follow to wherever an answer points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Page(NamedTuple):
    """A part of an inbox: after which place the next one begins, if there is one, and from which
    position on is told what opens, if the gateway tells."""

    rounds: list[Round]
    agent_id: str
    after: str | None
    position: str | None

    def round(self, told: Mapping[str, Any]) -> Round:
        return Round.of(told, self.agent_id)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Page:
        agent_id = told.get("agent_id", "")
        rounds = [Round.of(one, agent_id) for one in told["rounds"]]
        return cls(rounds, agent_id, told.get("next"), told.get("position"))


class Client:
    """Speaks to one gateway as whoever `token` is of; safe to use from several threads.

    `token` may be a function that gives one, asked before each request, where tokens are renewed.
    What does not get through for now is tried again for `patience` seconds, always with the same
    id and content, so that nothing is said twice; then it raises `Unavailable`. Times to wait are
    in seconds. Every error is a `QuorateError` with the gateway's `code`.
    """

    def __init__(
        self, url: str, token: Token, *, patience: float = 30.0, timeout: float = _SLACK
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise errors.Malformed("malformed", f"`{url}` is not the address of a gateway")
        self._url, self._token = url.rstrip("/"), token
        self._patience, self._timeout = patience, timeout
        self._never = threading.Event()
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127."):
            # No proxy leads back to this machine.
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def propose(
        self,
        domain: str,
        action: Action,
        *,
        probability: float | None = None,
        confidence: float | None = None,
        stakes: Stakes,
        summary: str = "",
        rationale: str = "",
        deadline: int | None = None,
        supersedes: str | None = None,
        labels: Mapping[str, str] | None = None,
        proposal_id: str | None = None,
        wait: float = 10.0,
    ) -> Receipt:
        """Opens a round; its id is the receipt's. `deadline` is in milliseconds since the epoch;
        without one the policy's default holds."""
        symbol("stakes", stakes, ("LOW", "MEDIUM", "HIGH", "CRITICAL"))
        record = {
            "proposal_id": proposal_id or new_id(),
            "domain": domain,
            "action": action.fields(),
            "confidence": sureness(probability, confidence),
            "stakes": stakes,
            "summary": summary,
            "rationale": rationale,
            "deadline": deadline,
            "supersedes": supersedes,
            "labels": [{"key": key, "value": value} for key, value in (labels or {}).items()],
        }
        return self._say("proposals", record, wait)

    def respond(
        self,
        round: Round | str,
        answer: Answer,
        *,
        response_id: str | None = None,
        wait: float = 10.0,
    ) -> Receipt:
        """Answers a round of the inbox, or one by its id. Of a round of the inbox the answer stands
        for the proposal that was read."""
        return self._say("responses", response(round, answer, response_id or new_id()), wait)

    def decide(
        self,
        proposal_id: str,
        package_digest: str,
        verdict: DecisionVerdict,
        *,
        reason_code: str = "",
        rationale: str = "",
        decision_id: str | None = None,
        wait: float = 10.0,
    ) -> Receipt:
        """Decides an escalated round, by the digest of the package that was read. One that had to be
        sent twice may be refused as `already_decided` or `already_approved` by its own copy."""
        symbol("verdict", verdict, ("APPROVE", "REJECT", "SEND_BACK"))
        record = {
            "decision_id": decision_id or new_id(),
            "proposal_id": proposal_id,
            "package_digest": package_digest,
            "verdict": verdict,
            "reason_code": reason_code,
            "rationale": rationale,
        }
        return self._say("decisions", record, wait)

    def report(
        self,
        proposal_id: str,
        result: ResultKind,
        *,
        basis: Basis = "OBSERVED",
        note: str = "",
        corrects: str | None = None,
        result_id: str | None = None,
        wait: float = 10.0,
    ) -> Receipt:
        """Says how it turned out. One that had to be sent twice may be refused as `already_settled`
        by its own copy."""
        symbol("result", result, ("RIGHT", "WRONG", "UNKNOWN"))
        symbol("basis", basis, ("OBSERVED", "AUDITED", "COUNTERFACTUAL"))
        record = {
            "result_id": result_id or new_id(),
            "proposal_id": proposal_id,
            "result": result,
            "basis": basis,
            "note": note,
            "corrects": corrects,
        }
        return self._say("results", record, wait)

    def round(self, proposal_id: str) -> RoundRecord:
        """A round's last record; raises `Missing` if none is open, or closed within the last hour."""
        return _taken(RoundRecord.of, self._ask(f"/v1/rounds/{_quoted(proposal_id)}"))

    def outcome(
        self, proposal_id: str, *, wait: float = 0.0, final: bool = False
    ) -> Outcome | None:
        """What a round came to last; None if that is nothing yet after `wait` seconds. With `final`
        an escalation is waited beyond. Raises `Missing` if there is no such round by then."""
        until = time.monotonic() + wait
        pause = 0.1
        while True:
            try:
                told = self._ask(f"/v1/rounds/{_quoted(proposal_id)}/outcomes")
                outcomes = _taken(_outcomes, told)
                if outcomes and (outcomes[-1].final or not final):
                    return outcomes[-1]
            except errors.Missing:
                # It may have been proposed a moment ago.
                if time.monotonic() >= until:
                    raise
            left = until - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, 1.0)

    def escalation(self, proposal_id: str) -> Escalation:
        """What a person needs to decide a round; raises `Missing` if nobody was asked to."""
        told = self._ask(f"/v1/escalations/{_quoted(proposal_id)}")
        return _taken(Escalation.of, told)

    def inbox(self, domain: str | None = None, *, wait: float = 0.0) -> list[Round]:
        """The open rounds that wait for an answer, nearest deadline first; if there is none, the
        first that opens within `wait` seconds. `domain` is a prefix by whole segments."""
        page = self._inbox(domain, wait)
        rounds = page.rounds
        while page.after is not None:
            page = self._inbox(domain, 0.0, page.after)
            rounds += page.rounds
        return rounds

    def _inbox(
        self,
        domain: str | None,
        wait: float,
        after: str | None = None,
        patience: float | None = None,
    ) -> Page:
        asked = {"wait": f"{min(max(wait, 0.0), WAIT_MAX):g}", "domain": domain, "after": after}
        path = f"/v1/inbox?{urllib.parse.urlencode(_given(asked))}"
        return _taken(Page.of, self._ask(path, wait=wait, patience=patience))

    def _opened(
        self, domain: str | None, page: Page, silence: float
    ) -> Iterator[Round | None]:
        """The rounds that open from a page of the inbox on, as the gateway tells them; None now and
        then, where there is nothing to tell. Ends where it does, after `silence` seconds at the
        latest without a word."""
        query = urllib.parse.urlencode(_given({"domain": domain}))
        request = self._request("/v1/inbox" + (f"?{query}" if query else ""), None)
        request.add_header("Accept", "text/event-stream")
        request.add_header("Last-Event-ID", page.position or "")
        try:
            with self._opener.open(request, timeout=silence) as answer:
                if answer.headers.get_content_type() != "text/event-stream":
                    return
                event, data = "", ""
                # The end of a line, at which nothing comes any more, is none.
                while (line := _line(answer)).endswith("\n"):
                    name, _, text = line.rstrip("\r\n").partition(":")
                    if name == "event":
                        event = text.strip()
                    elif name == "data":
                        data += text.strip()
                    elif not line.strip():
                        is_round, told = event == "waiting", data
                        event = data = ""
                        yield _taken(page.round, _object(told)) if is_round else None
        except urllib.error.HTTPError as error:
            raise _problem(error) from None
        except (OSError, http.client.HTTPException):
            # What came after is found by whoever asks for the inbox again.
            return

    def _say(
        self, what: str, record: Mapping[str, Any], wait: float, patience: float | None = None
    ) -> Receipt:
        body = json.dumps(_given(record), ensure_ascii=False).encode()
        path = f"/v1/{what}" + (f"?wait={min(wait, WAIT_MAX):g}" if wait > 0 else "")
        patience = self._patience if patience is None else patience
        return _taken(Receipt.of, self._call(path, body, wait, patience))

    def _ask(self, path: str, *, wait: float = 0.0, patience: float | None = None) -> Any:
        return self._call(path, None, wait, self._patience if patience is None else patience)

    def _call(self, path: str, body: bytes | None, wait: float, patience: float) -> Any:
        until = time.monotonic() + patience
        backoff = Backoff(_BACKOFF_MAX, self._never)
        while True:
            try:
                return self._once(path, body, min(max(wait, 0.0), WAIT_MAX))
            except errors.Unavailable as error:
                if not backoff.wait(error.retry_after, until):
                    raise

    def _request(self, path: str, body: bytes | None) -> urllib.request.Request:
        token = self._token if isinstance(self._token, str) else self._token()
        if not (token.isascii() and token.strip().isprintable()):
            raise errors.Malformed("malformed", "the token is not one line of text")
        headers = {"Authorization": f"Bearer {token.strip()}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return urllib.request.Request(self._url + path, body, headers)

    def _once(self, path: str, body: bytes | None, wait: float) -> Any:
        request = self._request(path, body)
        try:
            with self._opener.open(request, timeout=wait + self._timeout) as answer:
                return _object(_read(answer))
        except urllib.error.HTTPError as error:
            raise _problem(error) from None
        except (OSError, http.client.HTTPException) as error:
            # `URLError` is one of the first; what stands behind it says more.
            why = getattr(error, "reason", None) or error
            detail = str(why) or type(why).__name__
            raise errors.Unavailable("gateway_unavailable", detail) from error


def response(round: Round | str, answer: Answer, response_id: str) -> dict[str, Any]:
    """A `Response` as JSON, but for who says it, which the token says."""
    of: dict[str, Any] = {"proposal_id": round}
    if isinstance(round, Round):
        of = {"proposal_id": round.proposal_id, "proposal_digest": round.proposal_digest}
    return {"response_id": response_id, **of, **answer.fields()}


def new_id() -> str:
    """A UUIDv7: it sorts by the time it was made at."""
    millis = time.time_ns() // 1_000_000
    bits = (millis & (2**48 - 1)) << 80 | 7 << 76 | secrets.randbits(12) << 64
    bits |= 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=bits))


def _outcomes(told: Mapping[str, Any]) -> list[Outcome]:
    return [Outcome.of(one) for one in told["outcomes"]]


def _taken(read: Callable[[Mapping[str, Any]], _T], told: Mapping[str, Any]) -> _T:
    """What an answer says, if it is one."""
    try:
        return read(told)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise errors.Unavailable("not_an_answer", f"the answer lacks {error}") from error


def _given(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if value is not None}


def _quoted(proposal_id: str) -> str:
    return urllib.parse.quote(proposal_id, safe="")


def _read(answer: Any) -> bytes:
    body: bytes = answer.read(_ANSWER_MAX + 1)
    if len(body) > _ANSWER_MAX:
        raise errors.Unavailable("answer_too_long", "the answer has more than 64 MiB")
    return body


def _line(answer: Any) -> str:
    line: bytes = answer.readline(_ANSWER_MAX)
    return line.decode(errors="replace")


def _problem(error: urllib.error.HTTPError) -> errors.QuorateError:
    with error:
        return errors.of_answer(error.code, error.headers.get("Retry-After"), _read(error))


def _object(body: bytes | str) -> Any:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        # Something that stands between, such as a proxy's own page.
        raise errors.Unavailable("not_an_answer", "what came is not the gateway's JSON")
    return told
