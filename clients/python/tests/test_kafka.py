"""On a real Kafka with a registry: the client over HTTP, and `quorate[kafka]` on the topics."""

import json
import logging
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

from confluent_kafka import Producer
from quorate import Action, Client, endorse
from quorate import Agent as WebAgent
from quorate.kafka import Agent

from .gateway import Gateway
from .parts import PATIENCE, Cluster, free_port, until

EXPERT = """
[[agent]]
agent_id = "{name}"
principal = "{name}"
domains = [{{ domain = "pay", authority = 1.0, prior = {{ right = 57, wrong = 3, source = "test" }} }}]
"""
AGENTS = '[[agent]]\nagent_id = "desk"\n' + "".join(
    EXPERT.format(name=name) for name in ("ada", "bob")
)
# Closed as soon as both experts were heard.
POLICIES = """
[[policy]]
pattern = "pay"
revision = "first"
early_close = true
deadline_default = "5 min"
proposer_counts = false
"""


class Topics(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        logging.getLogger("quorate").setLevel(logging.CRITICAL)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.cluster = Cluster(folder.name)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.furnish(AGENTS, POLICIES)
        cls.cluster.run()

    def agent(self, name: str, judge, **options) -> Agent:
        cluster = self.cluster
        agent = Agent(cluster.bootstrap, cluster.registry, name, prefix=cluster.prefix, **options)
        agent.on_proposal("pay")(judge)
        return agent

    def propose(self, subject: str, domain: str = "pay.out", **fields) -> str:
        action = {"type": "payment.release", "subject": subject, "parameters": []}
        record = {"proposer": "desk", "domain": domain, "action": action, "confidence": 0.9}
        record |= {"stakes": "LOW", **fields}
        told = self.cluster.call("propose", "--output", "json", "-", text=json.dumps(record))
        return next(value for key, value in json.loads(told).items() if key in ("id", "proposal_id"))

    def outcomes(self, rounds: list[str]) -> dict[str, dict]:
        def all_of_them() -> dict[str, dict] | None:
            known = {one["proposal_id"]: one for one in self.cluster.records("outcomes")}
            return known if set(rounds) <= known.keys() else None

        return until("outcomes", all_of_them)

    def test_agents_on_the_topics_decide(self) -> None:
        deadline, seen = int((time.time() + 120) * 1000), {}

        def judge(round):
            seen[round.proposal.action.subject] = round
            return endorse(probability=0.95, reasoning="ü")

        agents = [self.agent(name, judge) for name in ("ada", "bob")]
        threads = [threading.Thread(target=agent.run) for agent in agents]
        for thread in threads:
            thread.start()
        try:
            rounds = [self.propose(f"kafka-{n}", deadline=deadline) for n in range(6)]
            # Nobody's domain: it is passed over, and what comes after is judged.
            self.propose("elsewhere", domain="garden")
            rounds.append(self.propose("kafka-6"))
            outcomes = self.outcomes(rounds)
        finally:
            for agent in agents:
                agent.stop()
            for thread in threads:
                thread.join()
        for round in rounds:
            decision = outcomes[round]["decision"]
            self.assertEqual(decision["status"], "APPROVED")
            said = {one["agent_id"]: one for one in decision["ballots"] if one["counted"]}
            self.assertEqual(said.keys(), {"ada", "bob"})
            self.assertEqual(said["ada"]["confidence"], 0.9)
        self.assertNotIn("elsewhere", seen)
        self.assertEqual(seen["kafka-0"].deadline, deadline)
        self.assertIsNone(seen["kafka-6"].deadline)
        self.assertEqual(seen["kafka-0"].domain, "pay.out")
        letters = self.cluster.records("dead-letters")
        refused = {bytes.fromhex(letter["key"] or "").decode() for letter in letters}
        self.assertFalse(refused & set(rounds))

    def test_an_agent_that_comes_back_answers_what_it_missed_and_nothing_twice(self) -> None:
        asked = Counter()

        def judge(round):
            asked[round.proposal.action.subject] += 1
            return endorse(confidence=asked[round.proposal.action.subject] / 10)

        rounds = []
        for life in range(2):
            rounds += [self.propose(f"life-{life}-{n}") for n in range(3)]
            keep = str(Path(self.folder, "ada.db"))
            both = [self.agent("ada", judge, keep=keep), self.agent("bob", lambda _: endorse(confidence=1))]
            threads = [threading.Thread(target=agent.run) for agent in both]
            for thread in threads:
                thread.start()
            try:
                outcomes = self.outcomes(rounds)
            finally:
                for agent in both:
                    agent.stop()
                for thread in threads:
                    thread.join()
        own = {subject: count for subject, count in asked.items() if subject.startswith("life-")}
        self.assertEqual(set(own.values()), {1})
        self.assertEqual(len(own), 6)
        for round in rounds:
            self.assertEqual(outcomes[round]["coordinates"]["superseded"], [])

    def test_a_gateway_is_killed_in_mid_round_and_no_answer_is_lost_or_doubled(self) -> None:
        port, names = free_port(), {"desk": "agent", "ada": "agent", "bob": "agent"}
        gateway = self.cluster.serve(port, names)
        url = f"http://127.0.0.1:{port}"
        desk = Client(url, "token-of-desk", patience=PATIENCE)
        asked, agents = Counter(), [WebAgent(url, f"token-of-{name}", poll=1.0) for name in ("ada", "bob")]

        def judge(round):
            time.sleep(0.1)
            asked[round.agent_id, round.proposal_id] += 1
            return endorse(confidence=asked[round.agent_id, round.proposal_id] / 10)

        threads = []
        for agent in agents:
            # Rounds of other tests are none of these agents' business.
            agent.on_proposal("pay.web")(judge)
            threads.append(threading.Thread(target=agent.run))
            threads[-1].start()
        try:
            action = Action("payment.release", "web")
            rounds = [
                desk.propose("pay.web", action, confidence=0.9, stakes="LOW", wait=0).id
                for _ in range(30)
            ]
            for share in (20, 35, 50):
                until("some answers", lambda: len(asked) > share)
                gateway.kill()
                gateway.wait()
                gateway = self.cluster.serve(port, names)
            outcomes = self.outcomes(rounds)
            through = lambda agent: all(
                (kept := agent._outbox.get(round)) and kept.state != "waiting" for round in rounds
            )
            until("what became of all", lambda: all(through(agent) for agent in agents))
        finally:
            for agent in agents:
                agent.stop()
            for thread in threads:
                thread.join()
        for round in rounds:
            said = {one["agent_id"]: one for one in outcomes[round]["decision"]["ballots"]}
            for name, agent in zip(("ada", "bob"), agents):
                self.assertEqual(agent._outbox.get(round).state, "admitted")
                self.assertTrue(said[name]["counted"])
                self.assertEqual(asked[name, round], 1)
            self.assertEqual(outcomes[round]["coordinates"]["superseded"], [])

    def test_a_record_that_is_no_proposal_and_a_registry_that_is_away_end_nothing(self) -> None:
        # In front of the registry stands a gateway of a test, which is told how to behave.
        registry = Gateway()
        self.addCleanup(registry.stop)
        away = threading.Event()

        def through(_method, path):
            if away.is_set():
                return 503, {}, b"{}"
            with urllib.request.urlopen(f"{self.cluster.registry}{path}") as answer:
                return answer.status, {"Content-Type": "application/json"}, answer.read()

        def trouble(method, path):
            try:
                return through(method, path)
            except urllib.error.HTTPError as error:
                return error.code, {"Content-Type": "application/json"}, error.read()

        registry.trouble = trouble
        away.set()
        asked = []
        options = {"registry_settings": {"max.retries": 0}}
        cluster = self.cluster
        agent = Agent(
            cluster.bootstrap, registry.url, "ada-late", prefix=cluster.prefix, **options
        )
        agent.on_proposal("pay.late")(lambda round: asked.append(round.proposal_id))
        producer = Producer({"bootstrap.servers": cluster.bootstrap})
        for odd in (b"", b"\x00", b"nonsense", b"\x00\x00\x00\x00\x01\xff\xff", b"\x00\x7f\x00\x00\x01x"):
            for partition in range(3):
                producer.produce(f"{cluster.prefix}proposals", odd, partition=partition)
        producer.flush()
        thread = threading.Thread(target=agent.run)
        thread.start()
        try:
            round = self.propose("late", domain="pay.late")
            until("the registry is asked", lambda: len(registry.asked) > 2)
            self.assertEqual(asked, [])
            away.clear()
            until("it is asked", lambda: asked)
        finally:
            agent.stop()
            thread.join()
        self.assertEqual(asked, [round])

    def test_what_is_too_old_is_passed_over(self) -> None:
        round, asked = self.propose("old"), []
        agent = self.agent("nobody", lambda round: asked.append(round.proposal_id), oldest=0.0)
        later = self.agent("somebody", lambda round: asked.append(round.proposal_id))
        for one, what in ((agent, lambda: False), (later, lambda: round in asked)):
            thread = threading.Thread(target=one.run)
            thread.start()
            try:
                if one is later:
                    until("it is asked", what)
                    break
                time.sleep(3.0)
                self.assertEqual(asked, [])
            finally:
                one.stop()
                thread.join()


if __name__ == "__main__":
    unittest.main()
