"""What an agent has said, or has yet to get through: kept until the round is long over.

It is a table of SQLite, in memory or in a file; in a file it outlives the process.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from typing import Any, Mapping, NamedTuple

# How long after its deadline a round is remembered, in milliseconds.
_KEPT = 24 * 3_600_000
# The deadline assumed for a round whose own is not known, in milliseconds from now.
_UNKNOWN = 24 * 3_600_000


class Kept(NamedTuple):
    """An answer: `record` is the `Response` as it is sent, None where nothing is said; `state` is
    `waiting` until it is known what became of it."""

    proposal_id: str
    deadline: int
    record: Mapping[str, Any] | None
    state: str


class Outbox:
    """Safe to use from several threads, and a file from several processes: the first answer that
    is kept for a round is the one that all of them send."""

    def __init__(self, path: str | None = None) -> None:
        self._lock = threading.Lock()
        self._file = sqlite3.connect(
            path or ":memory:", timeout=30.0, isolation_level=None, check_same_thread=False
        )
        self._file.execute(
            """CREATE TABLE IF NOT EXISTS answers (
                proposal_id TEXT PRIMARY KEY, deadline INTEGER NOT NULL, record TEXT,
                state TEXT NOT NULL)"""
        )

    def keep(self, proposal_id: str, deadline: int | None, record: Mapping[str, Any]) -> Kept:
        """Keeps an answer before it is sent; the one that was kept first, if there is one."""
        self._insert(proposal_id, deadline, json.dumps(record), "waiting")
        kept = self.get(proposal_id)
        assert kept is not None
        return kept

    def pass_over(self, proposal_id: str, deadline: int | None) -> None:
        """Remembers that nothing is said."""
        self._insert(proposal_id, deadline, None, "silent")

    def over(self, proposal_id: str, state: str) -> None:
        """Remembers what became of an answer."""
        with self._lock:
            self._file.execute(
                "UPDATE answers SET state = ? WHERE proposal_id = ?", (state, proposal_id)
            )

    def get(self, proposal_id: str) -> Kept | None:
        with self._lock:
            row = self._file.execute(
                "SELECT * FROM answers WHERE proposal_id = ?", (proposal_id,)
            ).fetchone()
        return None if row is None else _kept(row)

    def waiting(self) -> list[Kept]:
        """The answers of which it is not known what became of them, nearest deadline first."""
        with self._lock:
            rows = self._file.execute(
                "SELECT * FROM answers WHERE state = 'waiting' ORDER BY deadline, proposal_id"
            ).fetchall()
        return [_kept(row) for row in rows]

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _insert(
        self, proposal_id: str, deadline: int | None, record: str | None, state: str
    ) -> None:
        now = time.time_ns() // 1_000_000
        row = (proposal_id, now + _UNKNOWN if deadline is None else deadline, record, state)
        with self._lock:
            self._file.execute("DELETE FROM answers WHERE deadline < ?", (now - _KEPT,))
            self._file.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", row)


def _kept(row: tuple[str, int, str | None, str]) -> Kept:
    proposal_id, deadline, record, state = row
    return Kept(proposal_id, deadline, None if record is None else json.loads(record), state)
