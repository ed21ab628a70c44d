"""Plays a day on `quorate dev`, or on a real Kafka and registry: examples/*/day.json say who
proposes, who says what, what people decide and what turns out; what comes of it is read from the
log.

Called by scripts/demo.sh; ends what it starts, and nothing else.
"""

import argparse
import json
import math
import os
import shlex
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import told
from house import ROOT, House, until

BANK = "examples/bank/day.json"
# What is played where it costs nothing to play more.
DAYS = [BANK, "examples/supply-chain/day.json", "examples/marketing/day.json"]
PARTITIONS = 6
# How many of the slowest calls there is time for before a round closes.
SPARE = 5
PROCESSORS = ["left", "right"]
# What a day has agents written with that speak to Kafka, on a blackboard.
ON_BLACKBOARD = ("by_sql.py", "SQL and Python's standard library")


class Play:
    def __init__(self, house: House, days: list[str], answer_in: float, pace: float) -> None:
        self.house, self.answer_in, self.pace = house, answer_in, pace
        days = [json.loads((ROOT / day).read_text(encoding="utf-8")) for day in days]
        self.files = {kind: [file for day in days for file in day[kind]]
                      for kind in ["agents", "policies"]}
        self.written_with = {agent: how for day in days for agent, how in day["written_with"].items()}
        acts = [dict(act, place=day["place"]) for day in days for act in day["acts"]]
        self.acts = sorted(acts, key=lambda act: act["at"])
        if house.blackboard:
            self.written_with = dict.fromkeys(self.written_with, ON_BLACKBOARD)
        # Rounds by their subject, with the outcome they came to first.
        self.rounds: dict[str, dict] = {}
        self.scores = 0

    def curtain(self) -> None:
        slowest = self.house.furnish(PARTITIONS, self.files)
        # Most agents answer by such a call; a machine with much else to do gives them longer.
        self.answer_in = max(self.answer_in, math.ceil(SPARE * slowest))
        processed = "`quorate dev` is the log, a processor and HTTP."
        if not self.house.dev:
            processed = f"Two processors share {PARTITIONS} partitions."
            for instance in PROCESSORS:
                self.house.process(instance)
        opinions: dict[str, dict] = {}
        for act in self.acts:
            for scene in act["scenes"]:
                for agent, opinion in scene["said"].items():
                    subject = scene["proposal"]["action"]["subject"]
                    opinions.setdefault(agent, {})[subject] = opinion
        self.house.hire(opinions, self.written_with)
        say(*told.wrapped(f"{processed} {len(opinions)} agents "
                          "listen, each a process of its own, with "
                          f"{self.answer_in:g} seconds to answer a proposal. Most speak through "
                          "the command line; written against the topics alone:", 2))
        for agent, (script, library) in self.written_with.items():
            say(f"    {agent:20}{library} ({script})")

    def act(self, act: dict) -> None:
        say("", told.coloured("heading", f"{act['at']}  {act['place']}: {act['title']}"))
        for result in act.get("results", []):
            self.report(result)
        with ThreadPoolExecutor() as proposers:
            list(proposers.map(self.propose, act["scenes"]))
        for scene in act["scenes"]:
            if "suspend" in scene:
                self.suspend(scene)
        for scene in act["scenes"]:
            self.show(scene)

    def propose(self, scene: dict) -> None:
        deadline = int((time.time() + self.answer_in) * 1000)
        proposal = dict(scene["proposal"], deadline=deadline)
        scene["id"] = self.house.call("propose", "-", given=proposal).split()[0]
        self.rounds[proposal["action"]["subject"]] = scene

    def suspend(self, scene: dict) -> None:
        order = scene["suspend"]
        until(lambda: self.house.heard(scene["id"], order["agent"]))
        self.house.call("suspend", "agent", order["agent"], "--operator", order["operator"],
                        "--reason", order["reason"])
        say(f"  {order['operator']} suspends {order['agent']}: “{order['reason']}”")

    def show(self, scene: dict) -> None:
        say(*told.scene(scene))
        outcome = self.house.records("outcomes", scene["id"], 1)[0]
        scene["outcome"] = outcome
        say(*told.outcome(scene, outcome))
        status, reason = outcome["decision"]["status"], outcome["decision"]["reasons"][0]
        if [status, reason] != scene["comes_to"]:
            raise SystemExit(f"\nthe play wants {scene['comes_to']} here; if the agents were too slow,"
                             f" give them longer: ANSWER_IN=30 make {self.house.target}")
        if "decision" in scene:
            self.decide(scene)
        time.sleep(self.pace)

    def decide(self, scene: dict) -> None:
        package = self.house.records("escalations", scene["id"], 1)[0]
        say(*told.package(package))
        decision = dict(scene["decision"], proposal_id=scene["id"],
                        package_digest=package["package_digest"])
        self.house.call("decide", "-", given=decision)
        last = self.house.records("outcomes", scene["id"], 2)[1]
        say(*told.decided(decision, last))

    def report(self, result: dict) -> None:
        scene = self.rounds[result["of"]]
        given = {key: result[key] for key in ["reporter", "result", "note"]}
        self.house.call("report", "-", given=dict(given, proposal_id=scene["id"]))
        say(*told.result(result))
        ballots = [b for b in scene["outcome"]["decision"]["ballots"] if b["weight"] > 0]
        news = until(lambda: self.news(len(ballots)))
        after = {score["agent_id"]: score["trust"] for score in news}
        for ballot in ballots:
            agent = ballot["agent_id"]
            say(told.moved(agent, ballot["trust"], after[agent]))

    def news(self, count: int) -> list[dict]:
        """a score of every voter"""
        scores = self.house.so_far("trust")[self.scores:]
        if len(scores) < count:
            return []
        self.scores += len(scores)
        return scores

    def reading(self) -> list[str]:
        """The line by which to read the outcomes beside it; on Kafka by kcat, in three."""
        house = self.house
        if house.dev:
            return self.called("watch", "--topic", "outcomes", "--from-beginning")
        read = ["kcat", "-q", "-b", house.bootstrap, "-t", f"{house.prefix}outcomes", "-C", "-e",
                "-f", "%R%s"]
        decode = [relative(house.python), "examples/agents/avro_to_json.py"]
        lines = [f"{shlex.join(read)} |", f"  {shlex.join(decode)} \\", f"  {house.registry}"]
        return [f"    {line}" for line in lines]


    def called(self, *arguments: str) -> list[str]:
        """How the program is called from here on the file, in two lines."""
        program, option, file = self.house.command
        program = [relative(program), option, relative(file)]
        return [f"    {shlex.join(program)} \\", f"      {shlex.join(arguments)}"]

    def afterwards(self) -> list[str]:
        """What can be asked when all is over."""
        if not self.house.dev:
            return ["Everything above was read from the log, and lies there for whoever asks again."]
        first = self.acts[0]["scenes"][0]
        return ["Everything above was read from the log, which is there until the next time:", "",
                *self.called("explain", first["id"])]


def relative(path: str) -> str:
    return os.path.relpath(path, ROOT) if path.startswith(f"{ROOT}/") else path


def say(*lines: str) -> None:
    print("\n".join(lines), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo")
    parser.add_argument("quorate", help="the program")
    parser.add_argument("python", help="an interpreter with the agents' clients")
    parser.add_argument("--dev", metavar="FOLDER",
                        help="without Kafka, on `quorate dev`, which has its log there")
    parser.add_argument("--bootstrap", help="a Kafka that runs already")
    parser.add_argument("--registry", help="a schema registry that runs already")
    parser.add_argument("--prefix", default="acp.")
    parser.add_argument("--answer-in", type=float, default=5, help="seconds agents have at least")
    parser.add_argument("--pace", type=float, default=1.5, help="seconds between scenes")
    return parser.parse_args()


def main() -> None:
    sys.stdout.reconfigure(encoding="utf-8")
    told_by = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    house = House(told_by.quorate, told_by.python, told_by.prefix, told_by.dev)
    try:
        heading = told.coloured("heading", "A day of decisions")
        if told_by.dev:
            house.settle_on_dev()
            say(heading, f"  The log is a blackboard: {house.blackboard}")
        else:
            say(heading, "  Kafka and a schema registry are starting.")
            house.settle(told_by.bootstrap, told_by.registry)
        days = DAYS if told_by.dev else [BANK]
        play = Play(house, days, told_by.answer_in, told_by.pace)
        play.curtain()
        say("", "  Read the outcomes beside it:", "", *play.reading())
        for act in play.acts:
            play.act(act)
        refused = house.so_far("dead-letters")
        if refused:
            raise SystemExit(f"records were refused: {refused}")
        if told_by.dev:
            say(*told.console(house.two_days(), relative(str(house.folder / "two-days"))))
        say("", *play.afterwards())
        if os.environ.get("KEEP") or (told_by.dev and sys.stdin.isatty()):
            input("All of it runs on until Enter is pressed. ")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        house.close()


if __name__ == "__main__":
    main()
