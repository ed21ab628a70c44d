"""What can be said at all, found out before anything is sent."""

import unittest

from quorate import Answer, Malformed, abstain, challenge, confidence_of, endorse


class Records(unittest.TestCase):
    def refused(self, code: str, call, *args, **named) -> Malformed:
        with self.assertRaises(Malformed) as caught:
            call(*args, **named)
        self.assertEqual(caught.exception.code, code)
        return caught.exception

    def test_a_probability_is_a_confidence_to_the_millionth(self) -> None:
        told = {0.5: 0.0, 0.95: 0.9, 0.93: 0.86, 1: 1.0, 0.9999999: 1.0, 0.6180339: 0.236068}
        for probability, confidence in told.items():
            self.assertEqual(confidence_of(probability), confidence)
        self.assertEqual(endorse(probability=0.95).confidence, 0.9)

    def test_what_is_more_likely_wrong_than_right_is_challenged_instead(self) -> None:
        for say in (endorse, challenge):
            error = self.refused("probability_below_half", say, probability=0.25, reasoning="x")
            self.assertIn("0.75", error.detail)

    def test_numbers_that_are_none_are_refused(self) -> None:
        for odd in (1.01, -0.1, float("nan"), float("inf"), "0.9", True):
            self.refused("malformed", endorse, probability=odd)
            self.refused("bad_number", endorse, confidence=odd)
        self.refused("malformed", endorse)
        self.refused("malformed", endorse, probability=0.9, confidence=0.8)

    def test_a_challenge_says_why(self) -> None:
        for blank in ("", " \n", "\u2003\u3000\x85"):
            self.refused("reasoning_missing", challenge, probability=0.9, reasoning=blank)
        # Not white space, as the protocol has it, though Python's `strip` takes it away.
        self.assertEqual(challenge(confidence=0.5, reasoning="\x1c").reasoning, "\x1c")

    def test_texts_have_bounds_in_bytes(self) -> None:
        self.assertEqual(len(abstain(reasoning="é" * 4096).reasoning), 4096)
        self.refused("reasoning_too_large", abstain, reasoning="é" * 4096 + "x")
        self.assertEqual(len(endorse(confidence=1, evidence=["x" * 1024] * 16).evidence), 16)
        self.refused("evidence_too_large", endorse, confidence=1, evidence=["x"] * 17)
        self.refused("evidence_too_large", endorse, confidence=1, evidence=["é" * 513])
        self.refused("malformed", endorse, confidence=1, evidence="one text")
        self.refused("malformed", endorse, confidence=1, reasoning="\ud800")

    def test_verdicts_are_the_protocols_symbols(self) -> None:
        self.assertEqual(challenge(confidence=1, reasoning="x").fields()["verdict"], "CHALLENGE")
        self.assertEqual(abstain().fields()["confidence"], 0.0)
        for odd in ("endorse", "ENDORSED", ""):
            self.refused("malformed", Answer, odd)


if __name__ == "__main__":
    unittest.main()
