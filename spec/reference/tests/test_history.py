"""A history is audited when it is over."""

import unittest
from unittest import mock

from ..history import __main__ as history


class Log:
    """Topics to which something is appended during the first audits."""

    def __init__(self, during):
        self.end, self.during, self.audits = 0, during, 0

    def ends(self):
        return {("proposals", 0): self.end}

    def audited(self, *_):
        self.audits += 1
        self.end += self.audits <= self.during
        return self.audits


def audits(during, quiet):
    """How many audits there are, and which of them is told."""
    log = Log(during)
    with (
        mock.patch.object(history, "opened", lambda *_: log),
        mock.patch.object(history, "audit", log.audited),
        mock.patch.object(history, "tell", lambda findings: findings),
    ):
        told = history.main("--blackboard", "file", quiet)
    return log.audits, told


class Over(unittest.TestCase):
    def test_a_log_that_rests_is_read_once(self):
        self.assertEqual(audits(0, "0.1"), (1, 1))

    def test_what_went_on_while_it_was_read_is_read_again(self):
        self.assertEqual(audits(2, "0.1"), (3, 3))

    def test_one_that_nobody_waits_for_is_read_as_it_is(self):
        self.assertEqual(audits(2, "0"), (1, 1))

    def test_one_that_never_rests_is_given_up(self):
        with mock.patch.object(history, "PATIENCE", 1), self.assertRaises(TimeoutError):
            audits(1_000, "0.1")
