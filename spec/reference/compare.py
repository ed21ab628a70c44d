"""Random rounds for two implementations: `python3 -m reference.compare SEED ROUNDS`.

Prints batches of records, a line each, reads what the other implementation put out for them, and
compares it with what this one puts out. Ends with a line that counts, or with what differs.
"""

import itertools
import json
import random
import sys

from . import avro, electorate, policy, trust
from .log import SCHEMA, Record, murmur2
from .numbers import NANO
from .rounds import Partition, Round
from .vectors import EPOCH, REPOSITORY, early_closes, own_key, same, view, written

DOMAINS = ["fraud", "fraud.cards", "fraud.cards.eu", "fraudulent", "loan", "risk"]
PATTERNS = ["fraud", "fraud.cards", "loan", "*"]
UNSOUND = [
    {"revision": "last", "early_close": True},
    {"quorum_margin": 0.5, "target_error": 0.1},
    {"quorum_margin": None, "target_error": None},
    {"quorum_margin": 0.0},
    {"quorum_margin": 1.5},
    {"target_error": 0.500001},
    {"max_share_per_principal": 0.499999},
    {"max_share_per_model_family": 0.4},
    {"deadline_min": 20_000, "deadline_max": 10_000},
    {"deadline_min": 0},
    {"deadline_default": 999},
    {"deadline_default": 8 * 86_400_000},
    {"decision_deadline": 0},
    {"result_window": 0},
    {"approvals_needed": {"LOW": 0}},
    {"half_life": 0},
    {"max_open_per_proposer": 0},
    {"min_responders": 0},
    {"min_responders": -1},
    {"min_weight": -0.1},
    {"trust_domain": "*"},
    {"trust_domain": ""},
    {"stakes_floor": [{"parameter": "amount", "at_least": "much", "stakes": "HIGH"}]},
    {"required_domains": [""]},
    {"required_domains": ["fraud."]},
    {"veto_domains": ["*"]},
    {"reporters": [""]},
    {"trust_domain": "a:b"},
    {"reporters": []},
    {"action_types": []},
    {"deadline_max": 2**62},
]
PRINCIPALS = ["bank", "vendor", "lab"]
FAMILIES = [None, None, "m1", "m2"]
STAKES = ["LOW"] * 8 + ["MEDIUM", "MEDIUM", "HIGH", "CRITICAL"]
TRIED = 150  # completions of a round that closed early
ODD_NUMBERS = [float("nan"), float("inf"), -0.0, 1.0000005, 1.5, -0.1, 5e-7, 1e-6, 2e-6, 9e-6]


class Pipe:
    """The other implementation, at the other end of standard input and output."""

    def __init__(self):
        self.rounds = self.compared = 0

    def ask(self, fresh, partitions, steps):
        """The outputs of every step, as the other implementation has them."""
        batch = {"fresh": fresh, "partitions": partitions, "steps": steps}
        print(json.dumps(batch), flush=True)
        return json.loads(sys.stdin.readline())


class Scenario:
    """One partition: some agents and policies, several rounds, and what follows."""

    def __init__(self, seed, schemas, pipe):
        self.rng, self.schemas, self.pipe = random.Random(seed), schemas, pipe
        partitions = 3 if self.maybe(0.1) else 1
        self.partition = Partition(schemas, partitions=partitions, tried=TRIED)
        self.offsets, self.steps, self.own = {}, [], []
        self.fresh, self.now = True, EPOCH
        self.update, self.scores = None, []
        self.wrong = []

    # Records

    def append(self, topic, body=None, *, timestamp=None, control=False, key=None, **flags):
        """Queues one record, or a tick, for both."""
        record = Record(topic, self.offset(topic), self.now if timestamp is None else timestamp)
        if body is not None:
            schema = self.schemas["Control" if control else SCHEMA[topic]]
            value = written(schema, topic, body)
            record.value = schema.frame(schema.encode(value))
            record.key = None if control else own_key(topic, value)
        record.key = record.key if key is None else key
        record.control, record.forwarded = control, flags.get("forwarded", False)
        if record.value and topic in ("proposals", "responses", "decisions") and self.maybe(0.01):
            record.value = self.spoilt(record.value)
        self.send(record)
        return record

    def spoilt(self, value):
        """A value cut short, or with a byte changed or left over."""
        at = self.rng.randrange(len(value))
        other = bytes([self.rng.randrange(256)])
        return self.rng.choice([value[:at], value[:at] + other + value[at + 1 :], value + other])

    def offset(self, topic):
        self.offsets[topic] = self.offsets.get(topic, -1) + 1
        return self.offsets[topic]

    def send(self, record, lost=False, feed=False):
        step = {
            "topic": record.topic,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": hexadecimal(record.key),
            "value": hexadecimal(record.value),
            "control": record.control,
            "forwarded": record.forwarded,
            "lost": lost,
            "feed": feed,
        }
        self.steps.append(step)
        self.own.append(record)

    def flush(self):
        """Steps what is queued through both and compares."""
        steps, records = self.steps, self.own
        self.steps, self.own = [], []
        answers = self.pipe.ask(self.fresh, self.partition.partitions, steps)
        self.fresh = False
        for step, record, expected in zip(steps, records, answers, strict=True):
            self.compare(step, record, expected)

    def compare(self, step, record, expected):
        got = [view(*output) for output in self.take(step, record, expected)]
        self.pipe.compared += 1
        outcomes = [output["outcome"] for output in expected if "outcome" in output]
        self.pipe.rounds += sum(outcome["resolution"] == 1 for outcome in outcomes)
        if not same(expected, got):
            self.wrong.append({"step": step, "expected": expected, "got": got})

    def take(self, step, record, expected):
        if step["lost"]:
            return self.partition.lost(record.topic, record.offset)
        records = [record]
        if step["feed"]:
            bodies = [self.update] if record.topic == "trust-updates" else self.scores
            records = [
                Record(record.topic, record.offset + at, record.timestamp, own_key(record.topic, b))
                for at, b in enumerate(bodies)
            ]
            for each, body in zip(records, bodies):
                each.body = body
            self.offsets[record.topic] = record.offset + len(bodies) - 1
        out = []
        for each in records:
            out += self.partition.step(each, early_closes(expected))
        self.update = next((v for k, v in reversed(out) if k == "trust_update"), self.update)
        if record.topic == "trust-updates":
            self.scores = [v for k, v in out if k == "trust_score"]
        return out

    # What is made up

    def maybe(self, chance):
        return self.rng.random() < chance

    def unit(self):
        """A number in [0, 1]: from a grid, so that ties and exact margins come, or any."""
        if self.maybe(0.7):
            return self.rng.choice([0, 3, 5, 6, 8, 8, 9, 9, 10, 10]) / 10
        return self.rng.randrange(0, 1_000_001) / 1e6

    def confidence(self):
        return self.rng.choice(ODD_NUMBERS) if self.maybe(0.04) else self.unit()

    def tables(self):
        self.names = [f"agent-{at}" for at in range(self.rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 8]))]
        for name in self.names:
            self.append("agents", self.agent(name))
        for name in ("human-1", "human-2", "human-3"):
            self.append("agents", self.human(name))
        self.append("agents", {"agent_id": "reporter", "kind": "REPORTER"})
        patterns = self.rng.sample(PATTERNS[:3], self.rng.randint(1, 3))
        for pattern in patterns + ["*"] * self.maybe(0.6):
            self.append("policies", self.policy(pattern))
        for name in self.names:
            if self.maybe(0.4):
                self.append("trust", self.score(name))

    def agent(self, name):
        rng = self.rng
        status = "ACTIVE" if self.maybe(0.88) else rng.choice(["SUSPENDED", "RETIRED"])
        domains = rng.sample(DOMAINS, rng.choice([0, 1, 1, 1, 2, 3]))
        if self.maybe(0.85):
            domains = ["fraud"] + [d for d in domains if d != "fraud"]
        if self.maybe(0.02):
            domains.append(rng.choice(["fraud", "*", "fraud.", ""]))
        return {
            "agent_id": name,
            "principal": rng.choice([name, *PRINCIPALS]),
            "model_family": rng.choice(FAMILIES),
            "domains": [self.grant(d) for d in domains],
            "status": status,
        }

    def grant(self, domain):
        grant = {"domain": domain, "authority": self.unit()}
        if self.maybe(0.5):
            grant["authority"] = 1.0
        if self.maybe(0.4):
            right = self.rng.choice([1, 3, 18, 40, 57] + [0, 58, 59] * self.maybe(0.1))
            grant["prior"] = {"right": right, "wrong": self.rng.choice([1, 2, 3])}
        return grant

    def human(self, name):
        rng = self.rng
        return {
            "agent_id": name,
            "kind": "HUMAN",
            "principal": rng.choice(["people", "people", "bank"]),
            "domains": [self.grant("fraud")] if self.maybe(0.1) else [],
            "reviews": [
                {"domain": d, "up_to_stakes": rng.choice(STAKES[8:])}
                for d in rng.sample(["*", "fraud", "loan"], rng.randint(1, 2))
            ],
            "status": "ACTIVE" if self.maybe(0.9) else "SUSPENDED",
        }

    def policy(self, pattern):
        rng = self.rng
        keys = {
            "min_responders": lambda: rng.randint(1, 3),
            "min_weight": lambda: rng.choice([0.0, 0.1, 0.5]),
            "min_confidence": lambda: rng.choice([0.0, 0.5, 0.9]),
            "escalate_at_stakes": lambda: rng.choice(["MEDIUM", "CRITICAL"]),
            "stakes_floor": lambda: [self.floor() for _ in range(rng.randint(1, 2))],
            "proposer_counts": lambda: False,
            "required_domains": lambda: rng.sample(DOMAINS, rng.randint(1, 2)),
            "veto_domains": lambda: rng.sample(DOMAINS, rng.randint(1, 2)),
            "max_share_per_principal": lambda: rng.choice([0.5, 0.6, 0.75, 0.500001]),
            "max_share_per_model_family": lambda: rng.choice([0.5, 0.6, 0.9]),
            "deadline_default": lambda: rng.choice([1_000, 5_000, 20_000]),
            "approvals_needed": lambda: {rng.choice(policy.STAKES): rng.randint(1, 3)},
            "decision_deadline": lambda: rng.choice([1_000, 30_000]),
            "on_decision_timeout": lambda: "REJECT",
            "reporters": lambda: rng.sample(["human-1", "reporter", "agent-0"], 2),
            "self_report": lambda: True,
            "result_window": lambda: rng.choice([1, 60_000]),
            "max_open_per_proposer": lambda: rng.randint(1, 2),
            "action_types": lambda: rng.choice([["block"], ["block", "pay"]]),
            "mode": lambda: rng.choice(["shadow", "suspended"]),
            "half_life": lambda: rng.choice([1, 10, "none"]),
        }
        entry = {"pattern": pattern, "trust_domain": rng.choice(["fraud", "fraud", "other"])}
        if self.maybe(0.3):
            entry["target_error"] = rng.choice([0.5, 0.3, 0.1, 0.05, 0.01])
        elif self.maybe(0.6):
            entry["quorum_margin"] = rng.choice([1.0, 0.5, 0.2, 0.000001, 0.333333])
        if self.maybe(0.35):
            entry.update(revision="first", early_close=self.maybe(0.6))
        for key in rng.sample(sorted(keys), rng.choice([0, 1, 1, 2, 3])):
            entry[key] = keys[key]()
        if self.maybe(0.5):
            entry.setdefault("min_weight", 0.0)
            entry.setdefault("min_confidence", 0.0)
        if self.maybe(0.05):
            entry.update(rng.choice(UNSOUND))
        return entry

    def floor(self):
        rule = {
            "parameter": self.rng.choice(["amount", "count"]),
            "at_least": self.rng.choice(["100", "1e2", "-5", "100.00000000000000000001"]),
            "stakes": self.rng.choice(["MEDIUM", "HIGH", "CRITICAL"]),
        }
        if self.maybe(0.4):
            rule["action_type"] = self.rng.choice(["block", "pay"])
        return rule

    def score(self, name):
        a, b = (self.rng.randint(NANO, 40 * NANO) for _ in range(2))
        ln_m = self.rng.randint(-NANO, NANO)
        published = trust.trust_of(a, b, ln_m) / 1e6
        if self.maybe(0.5):  # what a table says is believed, and a grid lets sums meet
            published = self.rng.choice([0.1, 0.5, 1.0])
        return {
            "trust_domain": self.rng.choice(["fraud", "fraud", "other"]),
            "agent_id": name,
            "trust": published,
            "a": a,
            "b": b,
            "ln_m": ln_m,
            "a0": 2 * NANO,
            "b0": NANO,
            "revision": self.rng.randint(1, 9),
            "update_partition": 0,
            "update_offset": 0,
        }

    # What happens

    def id(self):
        odd = [300_000, -86_400_000, 300_001, -86_500_000]
        at = self.now + (self.rng.choice(odd) if self.maybe(0.05) else 0)
        strays = self.maybe(0.1)
        while True:
            tail = f"7{self.rng.getrandbits(12):03x}{1 << 63 | self.rng.getrandbits(62):016x}"
            text = f"{at:012x}{tail}"
            pid = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
            if strays or murmur2(pid.encode()) % self.partition.partitions == 0:
                return pid

    def proposal(self, pid):
        rng = self.rng
        values = ["99", "100", "1e2", "abc", "100.00000000000000000001", "-7"]
        body = {
            "proposal_id": pid,
            "proposer": self.proposer(),
            "domain": rng.choice(["fraud"] * 4 + ["fraud.cards", "fraud.cards.eu", "loan", "risk"]),
            "action": {
                "type": rng.choice(["block", "block", "pay"]),
                "subject": "account",
                "parameters": [
                    {"key": rng.choice(["amount", "count"]), "value": rng.choice(values)}
                    for _ in range(rng.choice([0, 1, 1, 2]))
                ],
            },
            "rationale": rng.choice(["", "because"]),
            "confidence": self.confidence(),
            "stakes": rng.choice(STAKES),
        }
        if self.maybe(0.4):
            sound, odd = [1_000, 2_000, 8_000, 30_000], [-1, 0, 999, 7 * 86_400_001]
            after = sound if self.maybe(0.9) else odd
            body["deadline"] = self.now + rng.choice(after)
        return body

    def proposer(self):
        agents = self.partition.tables.agents.as_of(self.partition.tables.agents.pin())
        active = [name for name in self.names if electorate.active(agents.get(name))]
        if active and self.maybe(0.93):
            return self.rng.choice(active)
        return self.rng.choice([*self.names, "human-1", "nobody"])

    def response(self, pid, digest):
        rng = self.rng
        name = rng.choice(self.names) if self.maybe(0.97) else rng.choice(["nobody", "human-2"])
        body = {
            "response_id": f"r{rng.randrange(4)}",
            "proposal_id": pid,
            "agent_id": name,
            "verdict": rng.choice(["ENDORSE"] * 5 + ["CHALLENGE"] * 3 + ["ABSTAIN"]),
            "confidence": self.confidence(),
            "reasoning": rng.choice(["why"] * 8 + ["why not", "\u2003\u0085", "\x1c", ""]),
            "evidence": ["seen"] * rng.choice([0, 0, 0, 1]),
        }
        if self.maybe(0.2):
            body["proposal_digest"] = digest.hex() if self.maybe(0.9) else "11" * 32
        return body

    def round(self):
        """One proposal and what is said to it, some of it before it is read."""
        rng, pid = self.rng, self.id()
        body = self.proposal(pid)
        schema = self.schemas["Proposal"]
        digest = avro.sha256(schema.encode(written(schema, "proposals", body)))
        said = [self.response(pid, digest) for _ in range(rng.choice([0, 1, 2, 3, 4, 5, 6, 8, 8]))]
        early = said[: rng.choice([0, 0, 0, 1, 3])]
        for response in early:
            self.pass_time(0, 300)
            self.append("responses", response)
        self.pass_time(0, 200)
        if self.maybe(0.1):
            self.now += rng.choice([9_000, 9_900, 10_001])
        before = rng.choice([0, 0, 0, 0, 300, 2_000])
        self.append("proposals", body, timestamp=self.now - before)
        if self.maybe(0.03):
            changed = dict(body, rationale="changed") if self.maybe(0.5) else body
            self.append("proposals", changed)
        for response in said[len(early) :]:
            self.pass_time(0, 900)
            if self.maybe(0.03):
                self.disturb()
            timestamp = self.now - rng.choice([0, 0, 0, 0, 11_000, 400])
            self.append("responses", response, timestamp=timestamp, forwarded=self.maybe(0.02))
            if self.maybe(0.05):
                self.append("responses", response)
        return pid

    def pass_time(self, low, high):
        """Moves on, mostly by hundreds of milliseconds, so that times also meet."""
        deadlines = [r.deadline for r in self.partition.open_ones.values() if r.deadline > self.now]
        if deadlines and self.maybe(0.01):
            self.now = min(deadlines)
            return
        step = 1 if self.maybe(0.2) else 100
        self.now += self.rng.randint(-(-low // step), high // step) * step

    def disturb(self):
        """Something that happens to running rounds: tables, controls, loss, ticks."""
        rng, name = self.rng, self.rng.choice(self.names)
        what = rng.choice(["agent", "control", "control", "policy", "pattern", "lost", "tick"])
        if what == "agent":
            self.append("agents", self.agent(name))
        elif what == "control":
            if self.maybe(0.9):
                self.append("agents", dict(self.agent(name), status="SUSPENDED"))
            self.control("agents", agent_id=name)
        elif what == "policy":
            self.append("policies", self.policy(rng.choice(PATTERNS)))
        elif what == "pattern":
            pattern = rng.choice(PATTERNS)
            self.append("policies", dict(self.policy(pattern), mode="suspended"))
            self.control("policies", pattern=pattern)
        elif what == "lost" and self.maybe(0.3):
            self.offsets["responses"] = self.offsets.get("responses", -1) + rng.randint(1, 3)
            record = Record("responses", self.offsets["responses"] + 1, self.now)
            self.send(record, lost=True)
        elif what == "tick":
            self.append(rng.choice(["proposals", "responses", "decisions", "results"]))

    def control(self, table, **target):
        body = {
            "control_id": "c",
            "table_offset": self.offsets.get(table, -1) - self.rng.choice([0, 0, 0, 1]),
            "operator": "op",
            **target,
        }
        self.append("responses", body, control=True)

    def aftermath(self):
        """Decisions, results and folds on what the rounds came to."""
        rng, known = self.rng, sorted(self.partition.rounds)
        for _ in range(rng.randint(1, 2 + 2 * len(known))):
            self.pass_time(1, 2_000)
            if known and self.maybe(0.5):
                self.decide(rng.choice(known))
            elif known:
                self.report(rng.choice(known))
            if self.maybe(0.15):
                self.now += rng.choice([900, 30_000, 31_000, 95_000])
                self.append("decisions")
        self.now += 1
        for topic in ("responses", "proposals", "decisions"):
            self.append(topic)
        self.flush()
        if self.wrong:
            return
        if self.update is not None:
            self.send(Record("trust-updates", self.offset("trust-updates"), self.now), feed=True)
            self.flush()
            if self.scores:
                self.send(Record("trust", self.offset("trust"), self.now), feed=True)
                self.flush()

    def decide(self, pid):
        digest = self.partition.rounds[pid].package_digest or bytes(32)
        if self.maybe(0.05):
            digest = bytes(32)
        body = {
            "decision_id": "d",
            "proposal_id": pid,
            "package_digest": digest.hex(),
            "reviewer": self.rng.choice(["human-1", "human-2", "human-3", *self.names[:1]]),
            "verdict": self.rng.choice(["APPROVE"] * 4 + ["REJECT", "SEND_BACK"]),
        }
        self.append("decisions", body, timestamp=self.edge(pid, Round.due))

    def edge(self, pid, of):
        """Mostly now; at times the last moment of something, or the one after."""
        round_ = self.partition.rounds[pid]
        if round_.closing is None or self.maybe(0.9):
            return self.now
        edges = [of(round_), round_.deadline, round_.closing[1]]
        return self.rng.choice(edges) + self.rng.choice([0, 1])

    def report(self, pid):
        result_id = f"res{self.rng.randrange(3)}"
        body = {
            "result_id": result_id,
            "proposal_id": pid,
            "reporter": self.rng.choice(["reporter"] * 4 + ["human-1", *self.names[:2]]),
            "result": self.rng.choice(["RIGHT", "RIGHT", "WRONG", "UNKNOWN"]),
        }
        if self.maybe(0.4):
            body["corrects"] = f"res{self.rng.randrange(3)}"
        self.append("results", body, timestamp=self.edge(pid, Round.last_result))

    def run(self):
        """The whole story; True if both told the same."""
        self.tables()
        self.flush()
        for _ in range(2):
            for _ in range(self.rng.randint(4, 8)):
                self.round()
                if self.maybe(0.3):
                    self.pass_time(1_000, 30_000)
            self.now += self.rng.choice([1_000, 21_000, 61_000])
            self.append("responses")
            self.append("proposals")
            self.flush()
            self.aftermath()
            if self.wrong:
                return False
        self.now += self.rng.choice([0, 2 * 86_400_000 + 100_000, 31 * 86_400_000])
        for topic in ("responses", "results", "proposals"):
            self.append(topic)
        self.flush()
        return not self.wrong


def hexadecimal(raw):
    return None if raw is None else raw.hex()


def differences(path, expected, got):
    """Where two values differ, a line each."""
    if same(expected, got):
        return []
    lines = []
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted(expected.keys() | got.keys()):
            lines += differences(f"{path}.{key}", expected.get(key), got.get(key))
    elif isinstance(expected, list) and isinstance(got, list):
        for at, (one, other) in enumerate(itertools.zip_longest(expected, got)):
            lines += differences(f"{path}[{at}]", one, other)
    return lines or [f"{path}: {json.dumps(expected)} there, {json.dumps(got)} here"]


def main(seed, rounds):
    """Compares until so many rounds were decided; the exit code."""
    schemas, pipe, at = avro.load(REPOSITORY / "schemas"), Pipe(), 0
    while pipe.rounds < rounds:
        scenario = Scenario(f"{seed}/{at}", schemas, pipe)
        if not scenario.run():
            first = scenario.wrong[0]
            print(f"scenario {seed}/{at}, at {json.dumps(first['step'])}")
            for line in differences("", first["expected"], first["got"])[:20]:
                print(line)
            return 1
        at += 1
    print(f"{at} scenarios, {pipe.compared} steps, {pipe.rounds} rounds: no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
