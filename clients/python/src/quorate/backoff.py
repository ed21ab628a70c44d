"""How long to wait before trying again: longer each time, and not all at the same moment."""

from __future__ import annotations

import random
import threading
from time import monotonic

_FIRST = 0.2


class Backoff:
    """Waits that double from 0.2 s up to `longest` seconds, each shortened at random by up to a
    half; never shorter than what a server asked for by Retry-After."""

    def __init__(self, longest: float, stop: threading.Event) -> None:
        self._longest, self._stop = longest, stop
        self._next = _FIRST

    def wait(self, retry_after: float | None = None, until: float | None = None) -> bool:
        """Waits; whether it is worth going on: not once stopped, nor if `until`, by `monotonic`,
        comes first."""
        span = self._next * random.uniform(0.5, 1.0)
        self._next = min(self._next * 2.0, self._longest)
        if retry_after is not None:
            # Not all who were sent away come back at once.
            span = max(span, retry_after * random.uniform(1.0, 1.1))
        if until is not None and monotonic() + span > until:
            return False
        return not self._stop.wait(span)

    def reset(self) -> None:
        """It went well: the next wait is a short one."""
        self._next = _FIRST
