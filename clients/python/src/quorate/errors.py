"""What can go wrong, each with the stable `code` that the gateway's problem+json carries."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

# The longest anybody is made to wait by a Retry-After, in seconds.
_RETRY_AFTER_MAX = 300.0


class QuorateError(Exception):
    """Something was not done.

    `code` is stable and for programs, `detail` for people; `status` is HTTP's, or None where no
    answer came or none was asked for; `id` is the record's, where there is one; `retry_after` is
    in seconds.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        status: int | None = None,
        id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code, self.detail, self.status = code, detail, status
        self.id, self.retry_after = id, retry_after


class Malformed(QuorateError):
    """It is not sound, whoever says so: nothing was appended."""


class NotAllowed(QuorateError):
    """The token is nobody's, or does not allow it."""


class Missing(QuorateError):
    """There is no such thing, or it is over and forgotten."""


class Refused(QuorateError):
    """The processors refused the record: it is among the dead letters, and changed nothing."""


class Unavailable(QuorateError):
    """Not now: try again. What was sent may be there all the same; sent again with the same id
    and content it changes nothing."""


def _sort(status: int) -> type[QuorateError]:
    if status in (401, 403):
        return NotAllowed
    if status in (404, 410):
        return Missing
    if status == 422:
        return Refused
    if status in (408, 425, 429) or status >= 500:
        return Unavailable
    return Malformed


def of_answer(status: int, retry_after: str | None, body: bytes) -> QuorateError:
    """The error that an answer tells of; one that is no problem+json is told by its status."""
    told: Any = None
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        pass
    told = told if isinstance(told, dict) else {}
    code, detail, id = told.get("code"), told.get("detail"), told.get("id")
    return _sort(status)(
        code if isinstance(code, str) and code else f"http_{status}",
        detail if isinstance(detail, str) else "",
        status=status,
        id=id if isinstance(id, str) else None,
        retry_after=seconds(retry_after),
    )


def seconds(retry_after: str | None) -> float | None:
    """A Retry-After in seconds, which may be a number of them or a date; None if it is neither."""
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            span = float(retry_after)
        else:
            span = parsedate_to_datetime(retry_after).timestamp() - time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(span, 0.0), _RETRY_AFTER_MAX)
