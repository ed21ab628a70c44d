"""Against `quorate dev`, which is killed in the midst of rounds, as are agents."""

import logging
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections import Counter
from pathlib import Path

from quorate import Action, Agent, Client, Missing, NotAllowed, Refused, endorse

from .parts import GUARD, PATIENCE, Dev, until

# How long the rounds of a test are open, in seconds: the kills and restarts happen meanwhile.
OPEN = 20.0
ROUNDS = 40


def refund(amount: int) -> Action:
    return Action("refund.grant", f"order-{amount}", {"amount": str(amount)})


class Live(unittest.TestCase):
    def setUp(self) -> None:
        logging.getLogger("quorate").setLevel(logging.CRITICAL)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        # Sample rounds go on all the while.
        self.dev = Dev(folder.name, "--every", "0.5")
        self.dev.start()
        self.addCleanup(lambda: self.dev.kill())
        self.desk = Client(self.dev.url, "desk", patience=PATIENCE)
        # Whoever proposes is listed at its first request.
        self.desk.inbox()

    def open(self, rounds: int) -> list[str]:
        def propose(number: int) -> str:
            deadline = int((time.time() + OPEN) * 1000)
            return self.desk.propose(
                "sample.refunds",
                refund(number),
                confidence=0.5,
                stakes="LOW",
                deadline=deadline,
                wait=0,
            ).id

        return [propose(number) for number in range(rounds)]

    def opened(self, round: str) -> bool:
        try:
            return self.desk.round(round).state == "OPEN"
        except Missing:
            return False

    def check(self, rounds: list[str], admitted: set[str], name: str) -> None:
        """Every answer that was told to be admitted counts, and none came twice."""
        until("outcomes", lambda: all(self.desk.outcome(round, wait=PATIENCE) for round in rounds))
        outcomes = {one["proposal_id"]: one for one in self.dev.records("outcomes")}
        for round in rounds:
            ballots = outcomes[round]["decision"]["ballots"]
            own = [ballot for ballot in ballots if ballot["agent_id"] == name]
            self.assertLessEqual(len(own), 1)
            if round in admitted:
                self.assertTrue(own and own[0]["counted"], round)
            superseded = outcomes[round]["coordinates"]["superseded"]
            self.assertNotIn(name, [one["agent_id"] for one in superseded])
        # It took long enough for all of them to get through.
        self.assertEqual(admitted, set(rounds))

    def test_dev_is_killed_in_mid_round_and_no_answer_is_lost_or_doubled(self) -> None:
        agent, asked = Agent(self.dev.url, "my-agent", poll=1.0, workers=2), Counter()
        going = threading.Event()

        @agent.on_proposal("sample")
        def judge(round):
            going.wait(PATIENCE)
            asked[round.proposal_id] += 1
            # Another one would be a revision, and show.
            return endorse(confidence=asked[round.proposal_id] / 10, reasoning="so")

        running = threading.Thread(target=agent.run)
        running.start()
        try:
            # It is listed by its first request, and a round it is asked of was opened after that.
            until("it is asked", lambda: agent._in_hand)
            rounds = self.open(ROUNDS)
            going.set()
            for share in (0.2, 0.4, 0.6):
                until("some answers", lambda: len(asked.keys() & set(rounds)) > share * ROUNDS)
                self.dev.kill()
                self.dev.start()
            states = lambda: [agent._outbox.get(round) for round in rounds]
            until("all are through", lambda: all(one and one.state != "waiting" for one in states()))
        finally:
            going.set()
            agent.stop()
            running.join()
        admitted = {one.proposal_id for one in states() if one.state == "admitted"}
        self.check(rounds, admitted, "my-agent")
        self.assertEqual({asked[round] for round in rounds}, {1})

    def test_an_agent_that_is_killed_in_mid_round_loses_and_doubles_nothing(self) -> None:
        script = Path(self.folder, "agent.py")
        script.write_text(
            "import os, random, sys, time\nimport quorate\n"
            "agent = quorate.Agent(*sys.argv[1:3], keep=sys.argv[3], poll=1, workers=4)\n"
            "@agent.on_proposal('sample')\n"
            "def judge(round):\n"
            "    time.sleep(0.2)\n"
            "    os.write(1, f'{round.proposal_id}\\n'.encode())\n"
            "    return quorate.endorse(confidence=random.random())\n"
            "agent.run()\n"
        )
        told = Path(self.folder, "told")
        told.touch()

        def hire() -> subprocess.Popen:
            command = [*GUARD, sys.executable, str(script), self.dev.url, "killed-agent", "kept.db"]
            with open(told, "a") as out:
                return subprocess.Popen(
                    command, cwd=self.folder, stdout=out, stderr=subprocess.DEVNULL
                )

        agent = hire()
        try:
            until("it is asked", lambda: told.read_text())
            rounds = self.open(ROUNDS)
            for share in (0.2, 0.4, 0.6):
                judged = lambda: len(set(told.read_text().split()) & set(rounds))
                until("some answers", lambda: judged() > share * ROUNDS)
                # Answers that are given now do not get through, and are there for the next agent.
                self.dev.kill()
                time.sleep(1.0)
                agent.kill()
                agent.wait()
                self.dev.start()
                agent = hire()
            outcomes = [self.desk.outcome(round, wait=PATIENCE) for round in rounds]
        finally:
            agent.kill()
            agent.wait()
        admitted = {one.proposal_id for one in outcomes if one.ballot("killed-agent")}
        self.check(rounds, admitted, "killed-agent")
        self.assertEqual({Counter(told.read_text().split())[round] for round in rounds}, {1})

    def test_the_single_verbs_mean_what_they_say(self) -> None:
        client = Client(self.dev.url, "some-agent")
        # It is asked of rounds that are opened after it was listed.
        self.assertTrue(client.inbox(wait=30.0))
        deadline = int((time.time() + 2.0) * 1000)
        receipt = self.desk.propose(
            "sample.refunds", refund(10), confidence=0.5, stakes="LOW", deadline=deadline
        )
        self.assertEqual(receipt.state, "admitted")
        self.assertEqual(client.round(receipt.id).state, "OPEN")
        waiting = {round.proposal_id: round for round in client.inbox("sample.refunds")}
        round = waiting[receipt.id]
        self.assertEqual((round.agent_id, round.deadline), ("some-agent", deadline))
        self.assertEqual(client.respond(round, endorse(probability=0.9)).state, "admitted")
        self.assertNotIn(receipt.id, [one.proposal_id for one in client.inbox()])
        outcome = client.outcome(receipt.id, wait=PATIENCE)
        ballot = outcome.ballot("some-agent")
        self.assertEqual((ballot.verdict, ballot.confidence, ballot.counted), ("ENDORSE", 0.8, True))
        with self.assertRaises(Refused) as caught:
            client.respond(receipt.id, endorse(probability=0.8))
        self.assertEqual(caught.exception.code, "round_closed")
        with self.assertRaises(NotAllowed) as caught:
            client.report(receipt.id, "RIGHT")
        self.assertEqual(caught.exception.code, "role_missing")

    def test_a_person_decides_what_is_escalated(self) -> None:
        token = Path(self.folder, "quorate-dev", "you.token").read_text()
        you, deadline = Client(self.dev.url, token), int((time.time() + 1.5) * 1000)
        # Above 900 the stakes are high, and people decide.
        receipt = self.desk.propose(
            "sample.refunds", refund(950), confidence=0.5, stakes="LOW", deadline=deadline
        )
        first = you.outcome(receipt.id, wait=PATIENCE)
        self.assertEqual((first.status, first.final), ("ESCALATED", False))
        with self.assertRaises(Refused) as caught:
            you.decide(receipt.id, "00" * 32, "APPROVE")
        self.assertEqual(caught.exception.code, "package_mismatch")
        package = you.escalation(receipt.id)
        self.assertEqual(package.proposal_id, receipt.id)
        decided = you.decide(receipt.id, package.package_digest, "REJECT", rationale="too much")
        self.assertEqual(decided.state, "admitted")
        last = you.outcome(receipt.id, wait=PATIENCE, final=True)
        self.assertEqual((last.status, last.resolution), ("REJECTED", 2))
        (little,) = self.open(1)
        until("it is opened", lambda: self.opened(little))
        with self.assertRaises(Missing) as caught:
            you.escalation(little)
        self.assertEqual(caught.exception.code, "unknown_escalation")


if __name__ == "__main__":
    unittest.main()
