"""docs/agents.md does what it says: its blocks are taken from the page and run, from an empty folder
with the built program."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from .parts import GUARD, PATIENCE, ROOT, Cluster, quorate, until

PAGE = (ROOT / "docs/agents.md").read_text(encoding="utf-8")
# What the first section may take, in seconds, on a machine that has much else to do; it is told
# what it took.
LONGEST = 60.0


def blocks(section: str) -> list[tuple[str, str]]:
    """The blocks of a section: their languages, and what they say."""
    (text,) = re.findall(rf"^## {re.escape(section)}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)


class Page(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        program = Path(quorate()).parent
        # Of all there is in this environment nothing but programs: no client is installed.
        self.env = {"PATH": f"{program}:{os.environ['PATH']}", "HOME": folder.name}

    def shell(self, script: str, **env: str) -> str:
        """Runs a block to its end; what it printed."""
        told = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        self.assertEqual(told.returncode, 0, f"{script}\n{told.stdout}\n{told.stderr}")
        return told.stdout

    def start(self, script: str, said: str, **env: str) -> Path:
        """Starts a line that goes on; the file with what it prints."""
        path = self.folder / said
        with open(path, "w") as out:
            child = subprocess.Popen(
                [*GUARD, "bash", "-c", script.strip()],
                cwd=self.folder,
                env={**self.env, **env},
                stdout=out,
                stderr=out,
            )
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return path

    def dev(self) -> str:
        """Starts what the first block starts; its address."""
        ((_, dev), *_) = blocks("In Python")
        said = self.start(dev, "banner")
        until("the banner", lambda: "Ctrl-C" in said.read_text())
        return re.search(r"http://\S+", said.read_text()).group()

    def counted(self, at: str, name: str, round: str) -> dict:
        """The ballot of somebody in a round's outcome."""
        (*_, (_, see)) = blocks("In Python")
        curl, explain = see.strip().splitlines()

        def ballot() -> dict | None:
            told = json.loads(self.shell(curl, AT=at, ID=round))
            # A moment may pass before the round is known.
            for outcome in told.get("outcomes", []):
                for ballot in outcome["decision"]["ballots"]:
                    if ballot["agent_id"] == name:
                        return ballot
            return None

        found = until(f"the ballot of {name}", ballot)
        self.assertIn(name, self.shell(explain, ID=round))
        self.assertTrue(found["counted"], found)
        return found

    def test_your_first_agent_in_python(self) -> None:
        started = time.monotonic()
        at = self.dev()
        _, (language, agent), (_, run), _ = blocks("In Python")
        self.assertEqual(language, "python")
        self.assertLessEqual(agent.count("\n"), 20)
        self.folder.joinpath("my_agent.py").write_text(agent)
        export, run = run.strip().splitlines()
        self.assertTrue(export.startswith("export AT="))
        log = self.start(run, "agent", AT=at)
        admitted = until("a vote", lambda: re.search(r"round (\S+): \w+ admitted", log.read_text()))
        self.counted(at, "my-agent", admitted.group(1))
        took = time.monotonic() - started
        print(f"from an empty folder to a vote in an outcome: {took:.1f} s", file=sys.stderr)
        self.assertLess(took, LONGEST)
        # What `quorate dev` wrote out is the same.
        written = self.folder.joinpath("quorate-dev/agent.py").read_text()
        self.assertTrue(written.endswith(agent))
        self.assertEqual(written, (ROOT / "examples/agents/by_rule.py").read_text())

    def test_with_curl(self) -> None:
        at = self.dev()
        ((_, script),) = blocks("With curl")
        told = self.shell(script + "echo ROUND=$ROUND", AT=at)
        round = re.search("ROUND=(.*)", told).group(1)
        self.assertIn('"state":"admitted"', told)
        self.assertEqual(self.counted(at, "curl-agent", round)["verdict"], "CHALLENGE")

    def test_in_sql(self) -> None:
        at = self.dev()
        (_, listed), (_, apply), (_, script) = blocks("In SQL")
        self.folder.joinpath("sql-agent.toml").write_text(listed)
        self.shell(apply)
        told = self.shell('python3 -c "$SCRIPT"', SCRIPT=script, PYTHONPATH=str(ROOT / "examples/agents"))
        round = re.search(r"answering (\S+) order-", told).group(1)
        self.assertEqual(self.counted(at, "sql-agent", round)["confidence"], 0.5)

    def test_with_kcat_and_avro(self) -> None:
        cluster = Cluster(str(self.folder))
        self.addCleanup(cluster.stop)
        listed = '[[agent]]\nagent_id = "{0}"\ndomains = [{{ domain = "pay", authority = 1.0 }}]\n'
        policy = '[[policy]]\npattern = "pay"\nrevision = "first"\nearly_close = true\n'
        policy += 'proposer_counts = false\ndeadline_default = "5 min"\n'
        cluster.furnish('[[agent]]\nagent_id = "desk"\n' + listed.format("kcat-agent"), policy)
        cluster.run()
        action = {"type": "payment.release", "subject": "payment-4711", "parameters": []}
        record = {"proposer": "desk", "domain": "pay", "action": action, "confidence": 0.9}
        told = cluster.call("propose", "--output", "json", "-", text=json.dumps({**record, "stakes": "LOW"}))
        round = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", told).group()
        ((_, script),) = blocks("With kcat and Avro")
        os.symlink(ROOT / "examples", self.folder / "examples")
        names = {"BROKER": cluster.bootstrap, "REGISTRY": cluster.registry, "PYTHON": sys.executable}
        told = self.shell(script.replace("acp.", cluster.prefix), ROUND=round, **names)
        self.assertIn("payment-4711", told)

        def outcome() -> dict | None:
            return next((one for one in cluster.records("outcomes") if one["proposal_id"] == round), None)

        ballots = until("an outcome", outcome)["decision"]["ballots"]
        (ballot,) = [one for one in ballots if one["agent_id"] == "kcat-agent"]
        self.assertEqual((ballot["confidence"], ballot["counted"]), (0.8, True))
        # It lay where it belongs: nothing had to be forwarded.
        shown = cluster.call("show", round)
        self.assertNotIn("forwarded", shown)

    def test_what_a_result_does_to_trust(self) -> None:
        """The table, by the second implementation of the rule."""
        sys.path.insert(0, str(ROOT / "spec"))
        self.addCleanup(sys.path.remove, str(ROOT / "spec"))
        from reference.numbers import NANO, ONE, weight
        from reference.trust import State, learn, probability

        def after(said: float, turned: int, others: list[int]) -> str:
            state = State(18 * NANO, 2 * NANO, 0, 18 * NANO, 2 * NANO)
            confidence = round((2 * said - 1) * ONE)
            endorse = weight(ONE, confidence, state.trust()) + sum(o for o in others if o > 0)
            against = -sum(o for o in others if o < 0)
            p = probability(endorse, against, 1 + len(others))
            learn(state, 1, confidence, turned, p, 100)
            return f"{state.trust() / ONE:.3f}"

        for said in (0.6, 0.75, 0.9, 0.99):
            houses = ([], [400_000, 400_000], [-400_000])
            cells = [after(said, turned, others) for others in houses for turned in (1, 0)]
            self.assertIn(f"| {said} | {' | '.join(cells)} |", PAGE)


if __name__ == "__main__":
    unittest.main()
