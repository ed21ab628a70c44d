"""A house: the log, what processes it and the agents, each a process of its own; and what is
asked of them through `quorate`. Whatever is started here ends with this process.
"""

import json
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What nothing takes unless something is wrong, in seconds.
PATIENCE = 120
# Has the kernel end what is started here, should this process be killed before it could.
GUARD = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


class House:
    def __init__(self, quorate: str, python: str, prefix: str, folder: str | None = None) -> None:
        self.quorate, self.python, self.prefix = quorate, python, prefix
        self.dev = False
        self.blackboard = self.bootstrap = self.registry = ""
        self.processes: list[tuple[str, subprocess.Popen]] = []
        self.passing = None if folder else tempfile.TemporaryDirectory(prefix="quorate-demo.")
        self.folder = Path(folder or self.passing.name)

    def settle_on_dev(self) -> None:
        """Starts `quorate dev`, without sample rounds: the play has its own."""
        self.dev = True
        command = [self.quorate, "dev", "--dir", str(self.folder), "--every", "0"]
        self.line_of("dev", self.spawn("dev", command, stdout=subprocess.PIPE))
        self.blackboard = str(self.folder / "blackboard.db")

    def two_days(self) -> str:
        """Starts another `quorate dev`, with two days in it; where its console is."""
        folder = self.folder / "two-days"
        command = [self.quorate, "dev", "--dir", str(folder), "--sample"]
        process = self.spawn("two days", command, stdout=subprocess.PIPE)
        line = self.line_of("two days", process)
        while not line.strip().endswith("/console/"):
            line = process.stdout.readline()
            if not line:
                raise SystemExit("`quorate dev --sample` did not start")
        return line.strip()

    def settle(self, bootstrap: str | None, registry: str | None) -> None:
        """Goes where Kafka and a registry are, or starts them."""
        kafka = None if bootstrap else self.part("kafka.sh")
        schemas = None if registry else self.part("registry.sh")
        self.bootstrap = bootstrap or self.line_of("kafka.sh", kafka)
        self.registry = registry or self.line_of("registry.sh", schemas)

    def furnish(self, partitions: int, files: dict[str, list[str]]) -> float:
        """Applies everything; the seconds that the slowest of the later calls took."""
        if not self.dev:
            self.call("topics", "apply", "--partitions", str(partitions))
            self.call("schemas", "register")
        slowest = 0.0
        for kind in ["agents", "policies"]:
            for file in files[kind]:
                began = time.monotonic()
                self.call(kind, "apply", str(ROOT / file))
                slowest = max(slowest, time.monotonic() - began)
        return slowest

    def process(self, instance: str) -> None:
        self.spawn(f"processor {instance}", [*self.command, "run", "--instance", instance])

    def hire(self, opinions: dict[str, dict], scripts: dict[str, str]) -> None:
        """Starts an agent for each set of opinions, and waits until all of them read."""
        hired = []
        for agent, held in opinions.items():
            file = self.folder / f"{agent}.json"
            file.write_text(json.dumps(held), encoding="utf-8")
            script, _library = scripts.get(agent, ("by_command.py", ""))
            speaks = [self.bootstrap, self.registry, self.prefix]
            if script == "by_command.py":
                speaks = self.command
            elif script == "by_sql.py":
                speaks = [self.blackboard]
            command = [self.python, str(ROOT / "examples/agents" / script), agent, str(file), *speaks]
            hired.append((agent, self.spawn(agent, command, stdout=subprocess.PIPE)))
        for agent, process in hired:
            self.line_of(agent, process)

    @property
    def target(self) -> str:
        """What of the Makefile this is."""
        return "demo" if self.blackboard else "demo-kafka"

    @property
    def command(self) -> list[str]:
        if self.blackboard:
            return [self.quorate, "--blackboard", self.blackboard]
        return [self.quorate, "--bootstrap", self.bootstrap, "--registry", self.registry,
                "--prefix", self.prefix]

    def call(self, *arguments: str, given: dict | None = None) -> str:
        done = subprocess.run([*self.command, *arguments], text=True, capture_output=True,
                              input=given and json.dumps(given), check=False)
        if done.returncode:
            raise SystemExit(f"quorate {' '.join(arguments)}: {done.stderr or 'nothing came'}")
        return done.stdout

    def records(self, topic: str, proposal: str, count: int) -> list[dict]:
        """The first records of a round in a topic, waited for."""
        return self.watched("--topic", topic, "--proposal", proposal, "--count", str(count),
                            "--timeout", str(PATIENCE))

    def so_far(self, topic: str) -> list[dict]:
        """Every record a topic has now."""
        return self.watched("--topic", topic, "--to-end")

    def watched(self, *arguments: str) -> list[dict]:
        lines = self.call("watch", "--from-beginning", "--output", "json", *arguments)
        return [json.loads(line)["record"] for line in lines.splitlines()]

    def heard(self, proposal: str, agent: str) -> bool:
        """Whether an agent's answer lies on the log."""
        shown = json.loads(self.call("show", proposal, "--output", "json"))
        answers = [entry["record"] for entry in shown["records"] if entry["topic"] == "responses"]
        return any(answer and answer.get("agent_id") == agent for answer in answers)

    def part(self, script: str) -> subprocess.Popen:
        """A part that runs for as long as its standard input is open."""
        return self.spawn(script, [str(ROOT / "scripts" / script)],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def spawn(self, name: str, command: list[str], **options) -> subprocess.Popen:
        with open(self.log(name), "w", encoding="utf-8") as log:
            process = subprocess.Popen([*GUARD, *command], stderr=log, text=True, **options)
        self.processes.append((name, process))
        return process

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def line_of(self, name: str, process: subprocess.Popen) -> str:
        """The line by which a process says that it is ready."""
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        line = process.stdout.readline().strip() if ready else ""
        if not line:
            said = self.log(name).read_text(encoding="utf-8").splitlines()
            raise SystemExit("\n".join([f"{name} did not start", *said[-20:]]))
        return line

    def close(self) -> None:
        """Ends what was started here, youngest first, and nothing else."""
        for _, process in reversed(self.processes):
            if process.stdin:
                process.stdin.close()
            else:
                process.send_signal(signal.SIGTERM)
        for _, process in reversed(self.processes):
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.passing:
            self.passing.cleanup()


def until(found):
    """What a function finds, asked until it does."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := found():
            return answer
        # Only how often to ask.
        time.sleep(0.1)
    raise SystemExit(f"{found.__doc__ or 'what is waited for'} did not come")
