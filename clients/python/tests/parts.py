"""What the client is tried on: the built program, and a real Kafka with a registry. Whatever is
started here ends with this process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from hashlib import sha256
from pathlib import Path

ROOT = Path(os.environ.get("QUORATE_ROOT") or Path(__file__).resolve().parents[3])
# What nothing takes unless something is wrong, in seconds.
PATIENCE = 120
# Has the kernel end what is started here, should this process be killed before it could.
GUARD = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def quorate() -> str:
    program = os.environ.get("QUORATE")
    if not program:
        raise RuntimeError("QUORATE names the built program: scripts/client.sh target/debug/quorate")
    return program


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(what: str, holds, patience: float = PATIENCE):
    """Asks until something holds; what it gave."""
    end = time.monotonic() + patience
    while True:
        given = holds()
        if given:
            return given
        if time.monotonic() > end:
            raise AssertionError(f"it took too long: {what}")
        time.sleep(0.05)


class Dev:
    """`quorate dev` in a folder of its own; killed and started again, it is reached as before."""

    def __init__(self, folder: str, *options: str) -> None:
        self.folder, self.options, self.port = Path(folder), options, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen | None = None

    def start(self) -> str:
        """Starts it; its banner."""
        said = self.folder / "said"
        with open(said, "w") as out, open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen(
                [*GUARD, quorate(), "dev", "--listen", f"127.0.0.1:{self.port}", *self.options],
                cwd=self.folder,
                stdout=out,
                stderr=log,
            )

        def banner() -> str | None:
            if self.process.poll() is not None:
                raise AssertionError(self.folder.joinpath("log").read_text())
            text = said.read_text()
            return text if "Ctrl-C" in text else None

        return until("the banner", banner)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    @property
    def blackboard(self) -> str:
        return str(self.folder / "quorate-dev" / "blackboard.db")

    def records(self, topic: str) -> list[dict]:
        return watched(["--blackboard", self.blackboard], topic)


def watched(log: list[str], topic: str) -> list[dict]:
    """Every record of a topic, as `quorate watch` shows it."""
    command = [quorate(), *log, "watch", "--topic", topic, "--from-beginning", "--to-end"]
    told = subprocess.run([*command, "--output", "json"], check=True, capture_output=True)
    return [json.loads(line)["record"] for line in told.stdout.splitlines()]


class Cluster:
    """Kafka and a registry, with topics, agents and policies, and a processor."""

    def __init__(self, folder: str) -> None:
        self.folder, self.children = Path(folder), []
        self.bootstrap = os.environ.get("QUORATE_TEST_BOOTSTRAP") or self.part("kafka.sh")
        self.registry = os.environ.get("QUORATE_TEST_REGISTRY") or self.part("registry.sh")
        self.prefix = f"client-{os.getpid()}-{time.time_ns()}."
        self.log = ["--bootstrap", self.bootstrap, "--registry", self.registry]
        self.log += ["--prefix", self.prefix]

    def part(self, script: str) -> str:
        child = subprocess.Popen(
            [str(ROOT / "scripts" / script)],
            env=os.environ | {"PART_BRIEF": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.children.append(child)
        address = child.stdout.readline().strip()
        assert address, f"{script} did not start"
        return address

    def furnish(self, agents: str, policies: str) -> None:
        self.call("topics", "apply", "--partitions", "3")
        self.call("schemas", "register")
        for kind, text in (("agents", agents), ("policies", policies)):
            file = self.folder / f"{kind}.toml"
            file.write_text(text)
            self.call(kind, "apply", str(file))

    def call(self, *words: str, text: str | None = None) -> str:
        command = [quorate(), *self.log, *words]
        told = subprocess.run(command, input=text, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr
        return told.stdout

    def run(self) -> None:
        with open(self.folder / "processor.log", "a") as log:
            self.children.append(
                subprocess.Popen([*GUARD, quorate(), *self.log, "run"], stdout=log, stderr=log)
            )

    def serve(self, port: int, tokens: dict[str, str]) -> subprocess.Popen:
        """Starts a gateway, with a token for each name, and its role."""
        entries = [
            f'[[token]]\nsha256 = "{sha256(f"token-of-{name}".encode()).hexdigest()}"\n'
            f'subject = "{name}"\nroles = ["{role}"]\n'
            for name, role in tokens.items()
        ]
        file, config = self.folder / "tokens.toml", self.folder / "gateway.toml"
        file.write_text("\n".join(entries))
        config.write_text(f'[gateway]\ntokens_file = "{file}"\n')
        listen = ["serve", "--config", str(config), "--listen", f"127.0.0.1:{port}"]
        with open(self.folder / "gateway.log", "a") as log:
            child = subprocess.Popen([*GUARD, quorate(), *self.log, *listen], stdout=log, stderr=log)
        self.children.append(child)
        return child

    def records(self, topic: str) -> list[dict]:
        return watched(self.log, topic)

    def stop(self) -> None:
        for child in reversed(self.children):
            if child.stdin is not None:
                # A part ends with its input.
                child.stdin.close()
            else:
                child.send_signal(signal.SIGKILL)
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
