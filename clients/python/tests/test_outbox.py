"""What is kept, and for whom."""

import sqlite3
import tempfile
import time
import unittest
from pathlib import Path

from quorate.outbox import Outbox


class Kept(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = str(Path(folder.name, "kept.db"))
        self.now = int(time.time() * 1000)

    def open(self) -> Outbox:
        outbox = Outbox(self.file)
        self.addCleanup(outbox.close)
        return outbox

    def test_of_two_processes_with_one_file_both_send_the_answer_that_was_kept_first(self) -> None:
        one, other = self.open(), self.open()
        one.keep("r1", self.now, {"confidence": 0.9})
        self.assertEqual(other.keep("r1", self.now, {"confidence": 0.1}).record, {"confidence": 0.9})
        one.over("r1", "admitted")
        self.assertEqual(other.keep("r1", self.now, {"confidence": 0.1}).state, "admitted")

    def test_what_is_kept_is_there_for_whoever_opens_it_next(self) -> None:
        first = self.open()
        for number, deadline in ((1, 30), (2, 10), (3, 20)):
            first.keep(f"r{number}", self.now + deadline, {"number": number})
        first.over("r3", "round_closed")
        first.pass_over("r4", None)
        first.close()
        waiting = self.open().waiting()
        self.assertEqual([kept.proposal_id for kept in waiting], ["r2", "r1"])
        self.assertEqual(waiting[0].record, {"number": 2})
        self.assertEqual(self.open().get("r4").state, "silent")
        self.assertIsNone(self.open().get("r5"))

    def test_what_is_long_over_is_forgotten(self) -> None:
        outbox = self.open()
        outbox.keep("old", self.now - 25 * 3_600_000, {})
        outbox.keep("older", self.now - 23 * 3_600_000, {})
        outbox.keep("new", self.now, {})
        held = sqlite3.connect(self.file).execute("SELECT count(*) FROM answers").fetchone()
        self.assertEqual(held, (2,))
        self.assertIsNone(outbox.get("old"))


if __name__ == "__main__":
    unittest.main()
