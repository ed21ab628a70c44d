"""The single verbs, against a gateway that is told how to behave."""

import time
import unittest
import uuid
from email.utils import formatdate

from quorate import (
    Action,
    Client,
    Malformed,
    Missing,
    NotAllowed,
    Refused,
    Unavailable,
    endorse,
)

from .gateway import Gateway, Seldom, outcome, problem


class Verbs(unittest.TestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.addCleanup(self.gateway.stop)
        self.client = Client(self.gateway.url, "secret", patience=20.0)

    def impatient(self) -> Client:
        return Client(self.gateway.url, "secret", patience=0.0)

    def test_what_is_said_is_the_record_and_its_id_is_known_before_it_is_sent(self) -> None:
        self.gateway.open("r1")
        receipt = self.client.respond("r1", endorse(probability=0.95, reasoning="so"))
        (said,) = self.gateway.said
        self.assertEqual(receipt.state, "admitted")
        self.assertEqual(receipt.id, said.pop("response_id"))
        self.assertEqual(uuid.UUID(receipt.id).version, 7)
        expected = {"proposal_id": "r1", "verdict": "ENDORSE", "confidence": 0.9}
        self.assertEqual(said, {**expected, "reasoning": "so", "evidence": []})
        self.assertEqual(self.gateway.headers[-1]["Authorization"], "Bearer secret")
        self.assertTrue(self.gateway.asked[-1][2].endswith("?wait=10"))

    def test_an_answer_to_a_round_of_the_inbox_stands_for_what_was_read(self) -> None:
        self.gateway.open("r1")
        (round,) = self.client.inbox()
        self.assertEqual((round.domain, round.agent_id), ("fraud.detection", "ada"))
        self.assertEqual(round.action.parameters, {"amount": "120"})
        self.client.respond(round, endorse(confidence=1), response_id="mine")
        self.assertEqual(self.gateway.said[0]["proposal_digest"], "ab" * 32)
        self.assertEqual(self.gateway.said[0]["response_id"], "mine")

    def test_the_other_verbs_say_what_they_are_told(self) -> None:
        told = {"id": "x", "topic": "t", "partition": 1, "offset": 2}
        self.gateway.trouble = lambda method, path: (202, {}, told) if method == "POST" else None
        asked = self.gateway.asked
        receipt = self.client.propose(
            "fraud", Action("a", "b", {"k": "v"}), probability=0.75, stakes="LOW", wait=0
        )
        self.assertEqual((receipt.state, receipt.partition, receipt.offset), ("appended", 1, 2))
        self.client.decide("r1", "00" * 32, "REJECT", wait=0)
        self.client.report("r1", "WRONG", note="it was theirs", wait=0)
        paths = [path for _, _, path in asked]
        self.assertEqual(paths, ["/v1/proposals", "/v1/decisions", "/v1/results"])
        for call in (
            lambda: self.client.propose("d", Action("a", "b"), confidence=1, stakes="low"),
            lambda: self.client.decide("r1", "00", "approve"),
            lambda: self.client.report("r1", "right"),
            lambda: self.client.propose("d", Action("a", "b"), probability=0.4, stakes="LOW"),
        ):
            with self.assertRaises(Malformed):
                call()
        self.assertEqual(len(asked), 3)

    def test_an_outcome_is_waited_for(self) -> None:
        self.gateway.open("r1")
        self.assertIsNone(self.client.outcome("r1", wait=0.3))
        self.client.respond("r1", endorse(confidence=1))
        self.gateway.close("r1")
        found = self.client.outcome("r1")
        self.assertEqual((found.status, found.final), ("APPROVED", True))
        self.assertEqual(found.ballot("ada").weight, 0.4)
        self.assertIsNone(found.ballot("bob"))
        with self.assertRaises(Missing) as caught:
            self.client.outcome("r2", wait=0.2)
        self.assertEqual(caught.exception.code, "unknown_round")
        told = [outcome("r1", {}, "ESCALATED")]
        self.gateway.trouble = lambda *_: (200, {}, {"outcomes": told})
        self.assertEqual(self.client.outcome("r1").status, "ESCALATED")
        self.assertIsNone(self.client.outcome("r1", wait=0.2, final=True))

    def test_a_long_inbox_comes_in_parts(self) -> None:
        rounds = {self.gateway.open(f"r{number}") for number in range(250)}
        found = [round.proposal_id for round in self.client.inbox("fraud")]
        self.assertEqual((len(found), set(found)), (250, rounds))
        self.assertTrue(all("domain=fraud" in path for _, _, path in self.gateway.asked))

    def test_errors_carry_the_gateways_code(self) -> None:
        sorts = [
            (400, Malformed, "malformed"),
            (401, NotAllowed, "unauthenticated"),
            (403, NotAllowed, "not_yourself"),
            (404, Missing, "unknown_round"),
            (413, Malformed, "record_too_large"),
            (422, Refused, "round_closed"),
            (429, Unavailable, "rate_limited"),
            (503, Unavailable, "log_unavailable"),
        ]
        for status, sort, code in sorts:
            self.gateway.trouble = lambda *_: problem(status, code, id="i")
            with self.assertRaises(sort) as caught:
                self.impatient().respond("r1", endorse(confidence=1))
            error = caught.exception
            self.assertEqual((error.code, error.status, error.id), (code, status, "i"))
            self.assertIn("because", error.detail)
        for body in (b"<html>", b"[]", b'{"code": 7}', b"\xff"):
            self.gateway.trouble = lambda *_: (502, {}, body)
            with self.assertRaises(Unavailable) as caught:
                self.impatient().round("r1")
            self.assertEqual(caught.exception.code, "http_502")

    def test_an_answer_that_is_none_is_no_answer(self) -> None:
        for body in (b"<html>", b"[]", b"{}", b'{"rounds": [{}]}', b'{"rounds": 3}', b""):
            self.gateway.trouble = lambda *_: (200, {}, body)
            with self.assertRaises(Unavailable) as caught:
                self.impatient().inbox()
            self.assertEqual(caught.exception.code, "not_an_answer")

    def test_it_is_tried_again_with_the_same_id_and_content(self) -> None:
        self.gateway.open("r1")
        troubles = ["cut", "late", problem(503, "log_unavailable"), problem(429, "rate_limited")]
        self.gateway.trouble = Seldom("/v1/responses", *troubles)
        receipt = self.client.respond("r1", endorse(confidence=1))
        self.assertEqual(receipt.state, "admitted")
        # The one whose answer was cut off had been heard; the copy changed nothing.
        self.assertEqual(self.gateway.said[0], self.gateway.said[1])
        self.assertEqual(len(self.gateway.admitted["r1"]), 1)
        self.assertEqual(len(self.gateway.asked), 5)

    def test_a_retry_after_is_honoured(self) -> None:
        busy = problem(429, "rate_limited")
        for given in (lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)):
            again = (busy[0], {**busy[1], "Retry-After": given()}, busy[2])
            self.gateway.asked.clear()
            self.gateway.trouble = Seldom("/v1/inbox", again)
            self.client.inbox()
            (first, _, _), (second, _, _) = self.gateway.asked
            self.assertGreaterEqual(second - first, 0.9)
        # It is not waited for what is too far away.
        far = (busy[0], {**busy[1], "Retry-After": "3600"}, busy[2])
        self.gateway.trouble = Seldom("/v1/inbox", far)
        with self.assertRaises(Unavailable) as caught:
            self.client.inbox()
        self.assertEqual(caught.exception.retry_after, 300.0)

    def test_nobody_there_is_unavailable(self) -> None:
        gateway = Gateway()
        gateway.stop()
        with self.assertRaises(Unavailable) as caught:
            Client(gateway.url, "secret", patience=0.3).inbox()
        self.assertEqual(caught.exception.code, "gateway_unavailable")

    def test_a_token_does_not_follow_to_another_place(self) -> None:
        other = Gateway()
        self.addCleanup(other.stop)
        there = {"Location": f"{other.url}/v1/inbox"}
        self.gateway.trouble = lambda *_: (302, there, b"")
        with self.assertRaises(Malformed) as caught:
            self.client.inbox()
        self.assertEqual(caught.exception.code, "http_302")
        self.assertEqual(other.asked, [])

    def test_a_token_may_be_renewed(self) -> None:
        tokens = iter(["first\n", "second"])
        client = Client(self.gateway.url, lambda: next(tokens))
        client.inbox()
        client.inbox()
        shown = [headers["Authorization"] for headers in self.gateway.headers]
        self.assertEqual(shown, ["Bearer first", "Bearer second"])
        for odd in ("two\nlines", "é"):
            with self.assertRaises(Malformed):
                Client(self.gateway.url, odd).inbox()

    def test_an_address_that_is_none_is_found_at_once(self) -> None:
        for odd in ("127.0.0.1:80", "ftp://there", "http://", ""):
            with self.assertRaises(Malformed):
                Client(odd, "secret")


if __name__ == "__main__":
    unittest.main()
