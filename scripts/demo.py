#!/usr/bin/env python3
"""Plays examples/demo/rounds.json: starts the parts, the processor and the agents, and shows what
comes of each round. Called by demo.sh; every process it starts ends with it.

usage: demo.py QUORATE PYTHON_WITH_CONFLUENT_KAFKA
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = ROOT / "examples/demo/rounds.json"
EXAMPLES = ["bank-loan", "fraud", "marketing", "supply-chain"]
PREFIX = "acp."
# Time to answer in, and time nothing takes unless something is wrong, in seconds.
DEADLINE, PATIENCE = 12, 90
# The agent that is written against the topics alone.
BY_KAFKA = "customer-voice"
# Has the kernel end what is started here, should this process be killed before it could.
GUARD = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


class Demo:
    def __init__(self, quorate: str, python: str) -> None:
        self.quorate, self.python = quorate, python
        self.processes: list[subprocess.Popen] = []
        self.logs = tempfile.TemporaryDirectory(prefix="quorate-demo.")

    def spawn(self, name: str, command: list[str], **options) -> subprocess.Popen:
        with open(f"{self.logs.name}/{name}.log", "w", encoding="utf-8") as log:
            process = subprocess.Popen([*GUARD, *command], stderr=log, text=True, **options)
        self.processes.append(process)
        return process

    def part(self, script: str) -> subprocess.Popen:
        """A part that runs for as long as its standard input is open."""
        return self.spawn(script, [str(ROOT / "scripts" / script)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(self, *arguments: str, given: str | None = None) -> str:
        done = subprocess.run([*self.command, *arguments], input=given, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if done.returncode:
            raise SystemExit(f"quorate {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def records(self, topic: str, proposal: str, count: int) -> list[dict]:
        lines = self.call("watch", "--from-beginning", "--output", "json", "--topic", topic,
                          "--proposal", proposal, "--count", str(count),
                          "--timeout", str(PATIENCE)).splitlines()
        return [json.loads(line)["record"] for line in lines]

    def start(self, rounds: list[dict]) -> None:
        say("Kafka and a schema registry are starting")
        kafka, registry = self.part("kafka.sh"), self.part("registry.sh")
        self.bootstrap = address(kafka)
        self.registry = address(registry)
        self.command = [self.quorate, "--bootstrap", self.bootstrap, "--registry", self.registry,
                        "--prefix", PREFIX]
        print(f"   Kafka {self.bootstrap}\n   registry {self.registry}")
        say("Topics, schemas, agents and policies are applied")
        self.call("topics", "apply", "--partitions", "3")
        self.call("schemas", "register")
        for kind in ["agents", "policies"]:
            for example in EXAMPLES:
                self.call(kind, "apply", str(ROOT / f"config/{kind}/{example}.toml"))
        say("The processor and the agents start, each a process of its own")
        self.spawn("run", [*self.command, "run", "--instance", "demo"])
        agents = sorted({agent for round in rounds for agent in round["said"]})
        for agent in agents:
            if agent == BY_KAFKA:
                command = [self.python, str(ROOT / "examples/agents/by_kafka.py"), agent,
                           str(ROUNDS), self.bootstrap, self.registry, PREFIX]
            else:
                command = [sys.executable, str(ROOT / "examples/agents/by_command.py"), agent,
                           str(ROUNDS), *self.command]
            self.spawn(agent, command)
        print(f"   {', '.join(agents)}\n   ({BY_KAFKA} is Python with confluent-kafka alone)")

    def propose(self, round: dict) -> None:
        proposal = dict(round["proposal"], deadline=int((time.time() + DEADLINE) * 1000))
        round["id"] = self.call("propose", "-", given=json.dumps(proposal)).split()[0]

    def show(self, round: dict) -> None:
        action, proposal = round["proposal"]["action"], round["proposal"]
        say(round["title"])
        print(f"   {proposal['proposer']} proposes {action['type']} of {action['subject']}: "
              f"{proposal['summary']}\n   round {round['id']}")
        outcome = self.records("outcomes", round["id"], 1)[0]
        show_outcome(outcome)
        if "decision" in round:
            self.decide(round)
        if "result" in round:
            self.report(round, outcome)

    def decide(self, round: dict) -> None:
        package = self.records("escalations", round["id"], 1)[0]
        decision = dict(round["decision"], proposal_id=round["id"],
                        package_digest=package["package_digest"])
        self.call("decide", "-", given=json.dumps(decision))
        outcome = self.records("outcomes", round["id"], 2)[1]["decision"]
        print(f"   {decision['reviewer']} says {decision['verdict']} "
              f"({decision['rationale']}): {coloured(outcome['status'])}")

    def report(self, round: dict, outcome: dict) -> None:
        result = dict(round["result"], proposal_id=round["id"])
        self.call("report", "-", given=json.dumps(result))
        print(f"   later: {result['reporter']} reports {result['result']} ({result['note']})")
        ballots = {b["agent_id"]: b for b in outcome["decision"]["ballots"] if b["weight"] > 0}
        for score in self.scores(ballots):
            before = ballots[score["agent_id"]]["trust"]
            print(f"     trust of {score['agent_id']:20} {before:.6f} -> {score['trust']:.6f}")

    def scores(self, agents: dict) -> list[dict]:
        """The first score of each of these agents, waited for."""
        found: dict[str, dict] = {}
        until = time.monotonic() + PATIENCE
        while set(agents) - set(found):
            if time.monotonic() > until:
                raise SystemExit("trust did not move")
            for line in self.call("watch", "--from-beginning", "--to-end", "--topic", "trust",
                                  "--output", "json").splitlines():
                score = json.loads(line)["record"]
                if score["agent_id"] in agents:
                    found.setdefault(score["agent_id"], score)
        return [found[agent] for agent in sorted(found)]

    def stop(self) -> None:
        for process in reversed(self.processes):
            if process.stdin:
                process.stdin.close()
            else:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
        self.logs.cleanup()


def address(part: subprocess.Popen) -> str:
    line = part.stdout.readline().strip()
    if not line:
        raise SystemExit("a part did not start")
    return line


def show_outcome(outcome: dict) -> None:
    decision = outcome["decision"]
    for ballot in decision["ballots"]:
        kept = f" ({ballot['reason']})" if ballot["reason"] else ""
        print(f"     {ballot['agent_id']:20} {ballot['verdict']:9} authority {ballot['authority']:.2f}"
              f" x confidence {ballot['confidence']:.2f} x trust {ballot['trust']:.6f}"
              f" = {ballot['weight']:.6f}{kept}")
    print(f"   {coloured(decision['status'])} ({', '.join(decision['reasons'])}): "
          f"for {decision['E']:.6f}, against {decision['C']:.6f}")


def coloured(status: str) -> str:
    colour = {"APPROVED": 32, "REJECTED": 31}.get(status, 33)
    return f"\033[1;{colour}m{status}\033[0m" if sys.stdout.isatty() else status


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def main() -> None:
    rounds = json.loads(ROUNDS.read_text(encoding="utf-8"))
    demo = Demo(*sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    try:
        demo.start(rounds)
        say(f"Seven proposals are made; their agents have {DEADLINE} seconds")
        at_once = [round for round in rounds if "after" not in round]
        for round in at_once:
            demo.propose(round)
        for round in at_once:
            demo.show(round)
        for round in rounds:
            if "after" in round:
                demo.propose(round)
                demo.show(round)
        refused = demo.call("watch", "--from-beginning", "--to-end", "--topic", "dead-letters")
        if refused:
            raise SystemExit(f"records were refused:\n{refused}")
        read = ["kcat", "-q", "-b", demo.bootstrap, "-t", f"{PREFIX}outcomes", "-C", "-e",
                "-X", "isolation.level=read_committed", "-f", "%k partition %p offset %o, %S bytes\n"]
        say("The topics lie there for anybody, for instance by kcat")
        print(f"   {' '.join(read[:-1])} '{read[-1].encode('unicode_escape').decode()}'")
        print(subprocess.run(read, stdout=subprocess.PIPE, text=True, check=True).stdout.rstrip())
        print("   and with what they say: "
              f"{' '.join(demo.command)} watch --from-beginning --output json")
        say(f"Done in {time.monotonic() - began:.0f} seconds")
        if os.environ.get("KEEP"):
            input("   everything runs on until Enter is pressed ")
        else:
            print("   (KEEP=1 make demo leaves everything running until Enter is pressed)")
    finally:
        demo.stop()


if __name__ == "__main__":
    main()
