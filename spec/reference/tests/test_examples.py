"""Worked examples, computed by hand, and the bounds of the number rules."""

import math
import unittest

from .. import avro, numbers, policy, resolve, trust


def agent(name, authority=None, prior=None, **more):
    grants = [{"domain": "fraud", "authority": authority, "prior": prior}]
    return {
        "agent_id": name,
        "kind": "AGENT",
        "principal": name,
        "model_family": None,
        "domains": grants if authority is not None else [],
        "reviews": [],
        "public_keys": [],
        "status": "ACTIVE",
        **more,
    }


def prior(right, wrong):
    return {"right": right, "wrong": wrong, "source": ""}


def case(agents, said, scores=(), confidence=0.9, suspended=(), **entry):
    record = policy.fill({"pattern": "fraud", "proposer_counts": False, **entry})
    agents = [agent("proposer"), *(resolve.electorate.sound(a) for a in agents)]
    proposal = {
        "proposer": "proposer",
        "domain": "fraud.detection",
        "action": {"type": "block", "subject": "x", "parameters": []},
        "rationale": "",
        "confidence": confidence,
        "stakes": "LOW",
    }
    responses = [
        ({"agent_id": a, "verdict": v, "confidence": c}, a.encode().ljust(32)) for a, v, c in said
    ]
    return resolve.Case(
        proposal,
        bytes(32),
        policy.sound(record),
        {a["agent_id"]: a for a in agents},
        {("fraud", s["agent_id"]): s for s in scores},
        responses,
        set(suspended),
    )


class WorkedNumbers(unittest.TestCase):
    def test_newcomers_start_at_ln_2_over_ln_99(self):
        self.assertEqual(trust.newcomer_trust(), 150_844)
        starts = [trust.trust_of(r * 10**9, w * 10**9, 0) for r, w in ((57, 3), (18, 2), (3, 2))]
        self.assertEqual(starts, [640_775, 478_165, 88_238])

    def test_two_newcomers_are_unproven_and_three_decide(self):
        names = ["a", "b", "c"]
        electorate = [agent(n, 1.0) for n in names]
        two = resolve.resolve(case(electorate, [(n, "ENDORSE", 0.9) for n in names[:2]]))
        three = resolve.resolve(case(electorate, [(n, "ENDORSE", 0.9) for n in names]))
        self.assertEqual((two["E"], two["reasons"]), (271_518, ["UNPROVEN", "MARGIN_MET"]))
        self.assertEqual((three["E"], three["status"]), (407_277, "APPROVED"))

    def loan(self, compliance, **entry):
        electorate = [
            agent("credit", 0.9, prior(57, 3)),
            agent("experience", 0.5, prior(3, 2)),
            agent("compliance", 0.8, prior(18, 2)),
        ]
        said = [
            ("credit", "ENDORSE", 0.9),
            ("experience", "ENDORSE", 0.8),
            ("compliance", compliance, 0.9),
        ]
        return resolve.resolve(case(electorate, said, **entry))

    def test_the_loan_is_approved_by_three_and_escalates_against_compliance(self):
        together = self.loan("ENDORSE", quorum_margin=1.0)
        self.assertEqual((together["E"], together["status"]), (898_600, "APPROVED"))
        for margin in (1.0, 0.34):
            against = self.loan("CHALLENGE", quorum_margin=margin)
            self.assertEqual(against["margin_reached"], 233_745)
            self.assertEqual(against["reasons"], ["MARGIN_NOT_MET"])

    def test_the_fraud_expert_carries_a_relative_margin_but_not_the_evidence_margin(self):
        electorate = [agent("expert", 1.0, prior(57, 3)), agent("service", 0.2, prior(3, 2))]
        said = [("expert", "ENDORSE", 0.95), ("service", "CHALLENGE", 0.4)]
        relative = resolve.resolve(case(electorate, said))
        self.assertEqual((relative["E"], relative["C"]), (608_736, 7_059))
        self.assertEqual(relative["status"], "APPROVED")
        evidence = resolve.resolve(case(electorate, said, target_error=0.1))
        self.assertEqual(evidence["reasons"], ["MARGIN_NOT_MET"])
        self.assertEqual(evidence["margin_reached"], 601_677)
        self.assertEqual(evidence["margin_needed"], math.ceil(math.sqrt(2) * 478_165))

    def test_a_weak_supporter_is_left_out_where_that_helps(self):
        electorate = [agent("expert", 1.0, prior(57, 3)), agent("weak", 0.1)]
        said = [("expert", "ENDORSE", 0.95), ("weak", "ENDORSE", 0.5)]
        decided = resolve.resolve(case(electorate, said, target_error=0.1))
        self.assertEqual(decided["status"], "APPROVED")
        self.assertEqual(decided["margin_reached"], 608_736)
        self.assertEqual(decided["n"], 2)

    def test_suspending_a_challenge_never_approves(self):
        electorate = [agent("a", 1.0, prior(57, 3)), agent("b", 1.0, prior(57, 3))]
        said = [("a", "ENDORSE", 0.9), ("b", "CHALLENGE", 0.9)]
        decided = resolve.resolve(case(electorate, said, suspended={"b"}))
        self.assertEqual(decided["reasons"], ["SUSPENDED", "MARGIN_MET"])
        self.assertEqual(decided["status"], "ESCALATED")

    def test_a_group_is_cut_to_its_share_of_the_rest(self):
        self.assertEqual(resolve.capped([30, 30, 20], [1, 1, 2], 500_000), [10, 10, 20])
        self.assertEqual(resolve.capped([30, 30], [1, 1], 500_000), [30, 30])


class Numbers(unittest.TestCase):
    def test_doubles_are_admitted_half_to_even_and_refused_outside(self):
        self.assertEqual(numbers.admit(0.0000005), 0)
        self.assertEqual(numbers.admit(0.0000015), 2)
        self.assertEqual(numbers.admit(-0.0), 0)
        for x in (math.nan, math.inf, -math.inf, 1.0000005, -1e-300):
            with self.assertRaises(numbers.BadNumber):
                numbers.admit(x)

    def test_decimals_compare_exactly(self):
        d = numbers.decimal
        self.assertEqual(d("1e3"), d("+1000.0"))
        self.assertTrue(numbers.less(d("-2"), d("-1.5")))
        self.assertTrue(numbers.less(d("9e99999999999999999999"), d("1e100000000000000000000")))
        self.assertTrue(numbers.less(d("0.1"), d("0.10000000000000000001")))
        for text in ("", "1 ", "0x1", "1.", ".5", "1_0", "١", "nan", "1e"):
            self.assertIsNone(d(text), text)

    def test_the_evidence_unit_is_the_least_integer_not_below(self):
        units = [policy.evidence_unit(e) for e in (500_000, 100_000, 50_000, 10_000)]
        self.assertEqual(units, [0, 478_165, 640_776, 1_000_000])


class Learning(unittest.TestCase):
    def test_a_first_failure_leaves_a_newcomer_at_the_floor(self):
        state = trust.State(*trust.NEWCOMER, 2 * 10**9, 10**9)
        trust.learn(state, 1, 900_000, 0, 0.6, None)
        self.assertEqual((state.a, state.b, state.trust()), (2 * 10**9, 2 * 10**9, 10_000))

    def test_what_everybody_knew_teaches_little(self):
        state = trust.State(*trust.NEWCOMER, 2 * 10**9, 10**9)
        for _ in range(20):
            trust.learn(state, 1, 500_000, 1, 0.99, None)
        self.assertEqual(round(state.trust() / 1e6, 2), 0.20)

    def test_a_correction_takes_back_and_gives(self):
        state = trust.State(3 * 10**9, 10**9, 5, 2 * 10**9, 10**9, 1)
        trust.correct(state, 1, 1, 0, 0.5)
        self.assertEqual((state.a, state.b, state.ln_m), (2 * 10**9, 2 * 10**9, 5))
        trust.correct(state, 1, 0, None, 0.5)
        self.assertEqual((state.a, state.b, state.revision), (2 * 10**9, 10**9, 3))


class Avro(unittest.TestCase):
    def test_the_fingerprint_of_an_int_is_the_specified_one(self):
        self.assertEqual(avro.fingerprint(avro.canonical("int")), 0x7275D51A3F395C8F)

    def test_what_is_encoded_is_decoded(self):
        schema = avro.Schema(
            '{"type":"record","name":"R","namespace":"x","fields":['
            '{"name":"a","type":["null","string"],"default":null},'
            '{"name":"b","type":{"type":"array","items":"long"}},'
            '{"name":"c","type":{"type":"enum","name":"E","symbols":["A","B"]}}]}'
        )
        value = {"a": "é", "b": [1, -(2**40)], "c": "B"}
        datum = schema.encode(value)
        self.assertEqual(schema.decode(datum), value)
        for cut in range(len(datum)):
            with self.assertRaises(avro.Malformed):
                schema.decode(datum[:cut])
        with self.assertRaises(avro.Malformed):
            schema.decode(datum + b"\x00")


if __name__ == "__main__":
    unittest.main()
