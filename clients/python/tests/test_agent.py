"""The loop, against a gateway that is told how to behave: what gets through, and how often."""

import logging
import tempfile
import threading
import time
import unittest
from pathlib import Path

from quorate import Agent, Malformed, NotAllowed, abstain, challenge, endorse

from .gateway import Gateway, Seldom, problem

# What nothing takes unless something is wrong, in seconds.
PATIENCE = 120


class Running:
    """An agent that runs until it is left."""

    def __init__(self, agent: Agent) -> None:
        self.agent, self.error = agent, None
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        try:
            self.agent.run()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> "Running":
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.agent.stop()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


class Loop(unittest.TestCase):
    def setUp(self) -> None:
        logging.getLogger("quorate").setLevel(logging.CRITICAL)
        self.gateway = Gateway()
        self.addCleanup(lambda: self.gateway.stop())
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = str(Path(folder.name, "kept.db"))

    def agent(self, **options) -> Agent:
        return Agent(self.gateway.url, "secret", poll=0.2, **options)

    def judging(self, **options) -> Agent:
        """An agent that endorses everything, with a list of what it was asked."""
        agent = self.agent(**options)
        agent.asked = []

        @agent.on_proposal()
        def judge(round):
            agent.asked.append(round.proposal_id)
            return endorse(probability=0.9, reasoning=f"for the {len(agent.asked)}. time")

        return agent

    def until(self, what, holds) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.01)

    def heard(self, *rounds) -> None:
        self.until("answers", lambda: all(round in self.gateway.admitted for round in rounds))

    def test_each_round_is_answered_once(self) -> None:
        agent = self.judging()
        with Running(agent):
            rounds = [self.gateway.open(f"r{number}") for number in range(40)]
            self.heard(*rounds)
            later = self.gateway.open("later")
            self.heard(later)
        self.assertEqual(sorted(agent.asked), sorted([*rounds, later]))
        self.assertEqual(len(self.gateway.said), 41)
        ids = {said["response_id"] for said in self.gateway.said}
        self.assertEqual(ids, {f"ada.{round}" for round in [*rounds, later]})

    def test_the_longest_prefix_judges_by_whole_segments(self) -> None:
        agent = self.agent()
        for prefix in ("*", "fraud", "fraud.detection"):
            agent.on_proposal(prefix)(lambda _, prefix=prefix: endorse(confidence=1, reasoning=prefix))
        domains = ["fraud.detection.cards", "fraud.other", "fraudulent", "fraud"]
        with Running(agent):
            for domain in domains:
                self.gateway.open(domain, domain=domain)
            self.heard(*domains)
        reasons = [self.gateway.admitted[domain][0]["reasoning"] for domain in domains]
        self.assertEqual(reasons, ["fraud.detection", "fraud", "*", "fraud"])
        with self.assertRaises(Malformed):
            agent.on_proposal("fraud")(lambda _: None)

    def test_only_what_is_judged_is_asked_for(self) -> None:
        agent = self.agent()
        agent.on_proposal("fraud")(lambda _: None)
        with Running(agent):
            self.until("a request", lambda: len(self.gateway.asked) > 0)
        self.assertIn("domain=fraud", self.gateway.asked[0][2])

    def test_no_answer_is_no_answer_and_does_not_keep_it_busy(self) -> None:
        agent, asked = self.agent(), []
        agent.on_proposal()(lambda round: asked.append(round.proposal_id))
        self.gateway.open("r1")
        with Running(agent):
            self.until("it was asked", lambda: asked)
            before = len(self.gateway.asked)
            time.sleep(1.5)
            polled = len(self.gateway.asked) - before
        self.assertEqual((asked, self.gateway.said), (["r1"], []))
        self.assertLess(polled, 10)

    def test_a_function_that_raises_does_not_end_the_loop(self) -> None:
        def fails(_):
            raise SystemExit("secret thing")

        def instead(round, error):
            return challenge(confidence=0.1, reasoning=f"{type(error).__name__}, so no")

        for on_error, verdict in (("abstain", "ABSTAIN"), (instead, "CHALLENGE")):
            gateway = self.gateway
            agent = self.agent(on_error=on_error)
            agent.on_proposal("bad")(fails)
            agent.on_proposal("odd")(lambda _: "ENDORSE")
            agent.on_proposal("good")(lambda _: endorse(confidence=1))
            rounds = [
                gateway.open(f"{name}-{verdict}", domain=name) for name in ("bad", "odd", "good")
            ]
            with Running(agent) as running:
                self.heard(*rounds)
            self.assertIsNone(running.error)
            bad, odd, good = (gateway.admitted[round][0] for round in rounds)
            self.assertEqual((bad["verdict"], odd["verdict"]), (verdict, verdict))
            self.assertEqual(good["verdict"], "ENDORSE")
            self.assertIn("SystemExit", bad["reasoning"])
            self.assertNotIn("secret", bad["reasoning"])
            for round in rounds:
                gateway.close(round)

    def test_a_function_that_raises_may_say_nothing(self) -> None:
        asked = []

        def fails(round):
            asked.append(round.proposal_id)
            raise ValueError

        def fails_too(_round, _error):
            raise KeyError

        for on_error in ("silent", fails_too):
            asked.clear()
            agent = self.agent(on_error=on_error)
            agent.on_proposal("bad")(fails)
            agent.on_proposal("good")(lambda _: endorse(confidence=1))
            bad = self.gateway.open("bad", domain="bad")
            with Running(agent):
                self.until("it was asked", lambda: asked)
                self.heard(self.gateway.open(f"good-{len(self.gateway.said)}", domain="good"))
            self.assertNotIn(bad, self.gateway.admitted)
            self.assertEqual(asked, ["bad"])
        with self.assertRaises(Malformed):
            self.agent(on_error="ignore")

    def test_an_answer_that_does_not_get_through_is_sent_again_as_it_is(self) -> None:
        pending = (202, {}, {"id": "x", "topic": "t", "partition": 0, "offset": 0, "state": "pending"})
        troubles = ["cut", problem(503, "log_unavailable"), "late", pending, (500, {}, b"no")]
        self.gateway.trouble = Seldom("/v1/responses", *troubles)
        agent = self.judging()
        with Running(agent):
            self.gateway.open("r1")
            self.until("the last attempt", lambda: len(self.gateway.said) == 2)
        self.assertEqual(agent.asked, ["r1"])
        self.assertEqual(self.gateway.said[0], self.gateway.said[1])
        self.assertEqual(len(self.gateway.admitted["r1"]), 1)
        self.assertEqual(sum(how == "POST" for _, how, _ in self.gateway.asked), 6)

    def test_a_gateway_that_is_away_is_waited_for(self) -> None:
        self.gateway.trouble = Seldom("/v1/inbox", "cut", problem(503, "log_unavailable"))
        agent = self.judging()
        with Running(agent) as running:
            self.heard(self.gateway.open("r1"))
            self.gateway.stop()
            time.sleep(0.5)
            self.gateway = self.gateway.again()
            # Whatever it says once it had let somebody in is waited out.
            self.gateway.trouble = Seldom("/v1/inbox", problem(401, "unauthenticated"))
            self.heard(self.gateway.open("r2"))
        self.assertIsNone(running.error)
        self.assertEqual(agent.asked, ["r1", "r2"])

    def test_a_gateway_that_stops_in_mid_round_loses_and_doubles_nothing(self) -> None:
        agent = self.judging(workers=8)
        rounds = [self.gateway.open(f"r{number}") for number in range(100)]
        with Running(agent):
            for _ in range(3):
                heard = len(self.gateway.admitted)
                self.until("some answers", lambda: len(self.gateway.admitted) > heard + 5)
                self.gateway.stop()
                self.gateway = self.gateway.again()
            self.heard(*rounds)
        self.assertEqual(sorted(agent.asked), sorted(rounds))
        self.assertTrue(all(len(heard) == 1 for heard in self.gateway.admitted.values()))

    def test_who_is_never_let_in_is_told(self) -> None:
        for trouble in (problem(401, "unauthenticated"), problem(403, "role_missing")):
            self.gateway.trouble = lambda *_: trouble
            with self.assertRaises(NotAllowed) as caught:
                self.judging().run()
            self.assertEqual(caught.exception.code, trouble[2]["code"])
        with self.assertRaises(Malformed):
            self.agent().run()

    def test_a_refusal_is_final(self) -> None:
        self.gateway.trouble = Seldom("/v1/responses", problem(422, "agent_not_active"))
        agent = self.judging()
        with Running(agent):
            self.gateway.open("r1")
            self.until("it is refused", lambda: any(how == "POST" for _, how, _ in self.gateway.asked))
            self.heard(self.gateway.open("r2"))
        self.assertEqual(agent.asked, ["r1", "r2"])
        self.assertEqual([said["proposal_id"] for said in self.gateway.said], ["r2"])

    def test_a_copy_that_comes_after_its_round_closed_was_no_loss(self) -> None:
        agent = self.judging(keep=self.file)
        self.gateway.open("r1")

        def trouble(method, path):
            if path == "/v1/responses" and not self.gateway.said:
                return "late"
            if path == "/v1/responses" and "r1" in self.gateway.rounds:
                self.gateway.close("r1")
            return None

        self.gateway.trouble = trouble
        with Running(agent):
            self.until("what became of it", lambda: not agent._outbox.waiting() and agent.asked)
        self.assertEqual(len(self.gateway.said), 2)
        self.assertEqual(agent._outbox.get("r1").state, "admitted")

    def test_what_was_not_admitted_outlives_the_process(self) -> None:
        self.gateway.open("r1")
        self.gateway.trouble = lambda method, path: "late" if method == "POST" else None
        first = self.judging(keep=self.file)
        with Running(first):
            self.until("it was sent", lambda: self.gateway.said)
        self.gateway.trouble = lambda method, path: None
        # The inbox does not tell of it yet.
        del self.gateway.admitted["r1"]
        second = self.judging(keep=self.file)
        with Running(second):
            self.heard("r1")
        self.assertEqual((first.asked, second.asked), (["r1"], []))
        self.assertTrue(all(said == self.gateway.said[0] for said in self.gateway.said))

    def test_what_was_admitted_is_not_judged_again_by_whoever_starts_later(self) -> None:
        self.gateway.open("r1")
        with Running(self.judging(keep=self.file)):
            self.heard("r1")
        # As a gateway that has not read so far.
        del self.gateway.admitted["r1"]
        second = self.judging(keep=self.file)
        with Running(second):
            self.heard(self.gateway.open("r2"))
        self.assertEqual(second.asked, ["r2"])
        self.assertNotIn("r1", self.gateway.admitted)

    def test_a_clock_that_is_ahead_costs_no_answer(self) -> None:
        self.gateway.open("r1", seconds=-3600)
        self.gateway.trouble = Seldom("/v1/responses", *["cut"] * 3)
        agent = self.judging()
        with Running(agent):
            self.heard("r1")
        self.assertEqual(agent.asked, ["r1"])

    def test_slow_functions_do_not_keep_others_from_being_asked(self) -> None:
        agent, go_on = self.agent(workers=2), threading.Event()
        agent.on_proposal("slow")(lambda _: go_on.wait(PATIENCE) and abstain())
        agent.on_proposal("quick")(lambda _: abstain())
        self.gateway.open("slow", domain="slow")
        with Running(agent):
            self.heard(self.gateway.open("quick", domain="quick"))
            self.assertNotIn("slow", self.gateway.admitted)
            go_on.set()
            self.heard("slow")

    def test_what_is_in_hand_is_bounded(self) -> None:
        agent, go_on = self.agent(workers=2), threading.Event()
        agent.on_proposal()(lambda _: go_on.wait(PATIENCE) and abstain())
        rounds = [self.gateway.open(f"r{number}") for number in range(60)]
        with Running(agent):
            self.until("it is busy", lambda: len(agent._in_hand) == 16)
            time.sleep(0.3)
            self.assertEqual(len(agent._in_hand), 16)
            go_on.set()
            self.heard(*rounds)

    def test_what_stands_behind_rounds_that_are_known_is_found(self) -> None:
        agent, passed = self.agent(), []
        agent.on_proposal("passed")(lambda round: passed.append(round.proposal_id))
        agent.on_proposal("judged")(lambda _: abstain())
        for number in range(130):
            self.gateway.open(f"p{number}", domain="passed")
        for number in range(130):
            self.gateway.open(f"n{number}", domain="nobodys")
        with Running(agent):
            self.heard(self.gateway.open("last", domain="judged"))
            self.until("all were passed over", lambda: len(passed) == 130)
            before = len(self.gateway.asked)
            time.sleep(1.5)
            self.assertLess(len(self.gateway.asked) - before, 30)

    def test_told_to_stop_it_does(self) -> None:
        agent = self.judging()
        self.gateway.trouble = lambda method, path: "cut"
        running = Running(agent)
        with running:
            self.until("it tries", lambda: len(self.gateway.asked) > 2)
        agent.stop()
        self.assertFalse(running.thread.is_alive())


class Told(Loop):
    """The same of a gateway that tells of rounds as they open."""

    def setUp(self) -> None:
        super().setUp()
        self.gateway.streams = True

    def test_rounds_are_told_and_not_asked_for(self) -> None:
        agent = self.agent()
        agent.on_proposal("passed")(lambda _: None)
        agent.on_proposal("judged")(lambda _: abstain())
        self.gateway.open("passed", domain="passed")
        with Running(agent):
            self.until("it listens", lambda: len(self.gateway.asked) > 1)
            time.sleep(0.5)
            before = sum(how == "GET" for _, how, _ in self.gateway.asked)
            rounds = [self.gateway.open(f"r{number}", domain="judged") for number in range(20)]
            self.heard(*rounds)
            time.sleep(0.5)
            after = sum(how == "GET" for _, how, _ in self.gateway.asked)
        self.assertEqual(after, before)

    def test_whatever_ends_the_telling_nothing_is_missed(self) -> None:
        kinds = ["cut", problem(410, "position_forgotten"), (200, {}, {}), problem(503, "x"), None]
        troubles = iter(kinds * 100)

        def trouble(_method, _path):
            is_stream = "event-stream" in self.gateway.headers[-1].get("Accept", "")
            return next(troubles) if is_stream else None

        self.gateway.trouble = trouble
        agent = self.judging()
        with Running(agent):
            for number in range(12):
                self.heard(self.gateway.open(f"r{number}"))
                if number % 3 == 0:
                    self.gateway.stop()
                    self.gateway = self.gateway.again()
                    self.gateway.trouble = trouble
        self.assertEqual(len(self.gateway.said), 12)


if __name__ == "__main__":
    unittest.main()
