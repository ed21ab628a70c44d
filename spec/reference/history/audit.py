"""What was put out, held against what must have come of the inputs."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ..afterwards import Afterwards
from ..avro import decode, to_json
from ..log import Record
from ..rounds import Partition
from .replay import INPUTS, Replay, tables_of
from .source import opened
from .stored import TABLES

OUTPUTS = ["rounds", "outcomes", "escalations", "dead-letters"]
DECIDED = ["final", "decision", "decision_digest"]
TAUGHT = ["trust_domain", "proposal_id", "result_id", "result", "corrects", "half_life", "ballots"]
# Of a round that was forgotten: which it is depends on how far other topics were read.
ENDED = ["already_decided", "decision_too_late", "result_too_late", "unknown_proposal"]
ENDED += ["round_closed", "forwarded_late"]
# What a response is refused for before its round's end is looked at, if the round is there at all.
ENDED += ["bad_number", "agent_not_listed", "agent_not_active", "reasoning_missing"]
# A row is stamped before it can be read: how long before, at most, in milliseconds.
UNSEEN = 1_000
ASKED = ["proposal_id", "tier", "due", "package_digest", "approvals", "approvals_needed"]


@dataclass
class Findings:
    """What was verified, counted; what is broken, and where."""

    verified: Counter = field(default_factory=Counter)
    broken: list = field(default_factory=list)
    codes: Counter = field(default_factory=Counter)
    reasons: Counter = field(default_factory=Counter)
    updates: list = field(default_factory=list)
    forwards: Counter = field(default_factory=Counter)
    forwarded: Counter = field(default_factory=Counter)

    def check(self, what, fits, where):
        """Counts what fits; names what does not."""
        if fits:
            self.verified[what] += 1
        else:
            self.broken.append(f"{what}: {where}")

    def same(self, what, expected, found):
        """Compares what is said how often; anything lost, doubled or made up is broken."""
        self.verified[what] += (expected & found).total()
        for name, more in (("missing", expected - found), ("not to be", found - expected)):
            self.broken += [f"{what} {name}: {key}" for key in more.elements()]


class Audit:
    """One partition's."""

    def __init__(self, topics, partition, partitions, remembered):
        self.topics, self.schemas, self.remembered = topics, topics.schemas, remembered
        self.partition, self.partitions = partition, partitions
        self.findings = Findings()

    def run(self):
        places = [(topic, self.partition) for topic in INPUTS + OUTPUTS]
        places += [(topic, 0) for topic in TABLES]
        found = self.topics.read(places)
        inputs = [found[topic, self.partition] for topic in INPUTS]
        published = {topic: found[topic, self.partition] for topic in OUTPUTS}
        tables = tables_of(self.schemas, found)
        openings, letters = self.openings(published["rounds"]), self.letters(published)
        self.pins(openings, tables)
        outcomes = self.outcomes(published["outcomes"])
        replay = Replay(
            self.schemas,
            self.partition,
            self.partitions,
            tables,
            chosen(openings, letters),
            self.remembered,
        )
        replay.run(inputs, self.early(outcomes))
        self.findings.broken += [f"early closes: {x}" for x in replay.results.get("too_early", [])]
        self.deadlines(openings, replay)
        self.compare_outcomes(replay, outcomes, openings)
        self.compare_rest(replay, published, openings, letters, inputs)
        return self.findings

    # What was put out

    def body(self, kind, stored):
        schema = self.schemas[kind]
        return schema.decode(schema.unframe(stored.value))

    def head(self, kind, stored, count):
        """The first fields of a record."""
        schema = self.schemas[kind]
        datum, at, value = schema.unframe(stored.value), 0, {}
        for part in schema.root["fields"][:count]:
            value[part["name"]], at = decode(part["type"], datum, at)
        return value

    def openings(self, rounds):
        """{proposal id: opening}, and `state` as the last record has it."""
        openings = {}
        for stored in rounds:
            if stored.value is None:
                continue
            head = self.head("Round", stored, 3)
            opening = dict(head["opening"], proposal=None)
            known = openings.get(head["proposal_id"])
            again = known is None or known == dict(opening, state=known["state"])
            self.findings.check("openings kept", again, f"{head['proposal_id']} opened anew")
            openings[head["proposal_id"]] = dict(opening, state=head["state"])
        return openings

    def letters(self, published):
        return [self.body("DeadLetter", stored) for stored in published["dead-letters"]]

    def outcomes(self, records):
        """{(proposal id, resolution): those published}."""
        found = defaultdict(list)
        for stored in records:
            outcome = self.body("Outcome", stored)
            found[outcome["proposal_id"], outcome["resolution"]].append(outcome)
        return found

    def early(self, outcomes):
        """{proposal id: closing offset} of rounds that closed early."""
        firsts = [(key[0], o[0]["coordinates"]) for key, o in outcomes.items() if key[1] == 1]
        return {pid: at["closing_offset"] for pid, at in firsts if at["closed_early"]}

    # Comparing

    def pins(self, openings, tables):
        """Pins never go back, and name what was there."""
        before = {"agents": -1, "policies": -1, "trust": -1}
        for pid, opening in sorted(openings.items(), key=lambda o: o[1]["proposal_offset"]):
            pins, ends = opening["pins"], tables.pins()
            fits = all(before[table] <= pins[table] <= ends[table] for table in pins)
            self.findings.check("pins", fits, f"{pid}: {pins} after {before}, of {ends}")
            before = pins

    def deadlines(self, openings, replay):
        """A default deadline counts from what was a time of the responses when it was given."""
        times = {0, *replay.passed}
        for pid, opening in openings.items():
            time = opening["responses_time"]
            self.findings.check("times of openings", time in times, f"{pid}: {time}")

    def compare_outcomes(self, replay, outcomes, openings):
        made = replay.results.get("outcome", [])
        expected = {(o["proposal_id"], o["resolution"]): o for o in made}
        for key in outcomes.keys() - expected.keys():
            self.findings.broken.append(f"outcomes not to be: {key}")
        for key, outcome in expected.items():
            records = outcomes.get(key, [])
            if len(records) != 1:
                self.findings.broken.append(f"outcomes: {len(records)} of {key}")
                continue
            self.findings.reasons.update(outcome["decision"]["reasons"][:1])
            self.compare_outcome(key, outcome, records[0], openings.get(key[0]), replay)

    def compare_outcome(self, key, expected, found, opening, replay):
        differ = differences(
            {name: expected[name] for name in DECIDED}, {name: found[name] for name in DECIDED}
        )
        # The digest expected is that of the decision part as it is encoded here.
        self.findings.check("decision parts", not differ, f"{key}: {'; '.join(differ)}")
        round_, found = replay.round(key[0]), found["coordinates"]
        expected = {name: expected[name] for name in expected if name in found}
        expected |= {"pins": round_.pins, "deadline": round_.deadline}
        expected |= {"proposal_time": round_.time, "partition": self.partition}
        differ = differences(expected, {name: found[name] for name in expected})
        self.findings.check("coordinates", not differ, f"{key}: {'; '.join(differ)}")
        chosen = ("pins", "deadline", "proposal_offset", "proposal_time")
        committed = opening is not None and all(opening[name] == found[name] for name in chosen)
        self.findings.check("pins committed", committed, f"{key}: opened as {opening}")

    def compare_rest(self, replay, published, openings, letters, inputs):
        lay = {(x.topic, x.offset): (x.key, x.raw) for records in inputs for x in records}

        def code(letter):
            place = (letter["topic"], letter["offset"])
            key = lay[place][0] or b""
            ended = letter["reason"] in ENDED and key.decode(errors="replace") in replay.forgotten
            return (*place, "ended" if ended else letter["reason"])

        refused = Counter(map(code, replay.results.get("dead_letter", [])))
        self.findings.same("dead letters", refused, Counter(map(code, letters)))
        self.findings.codes.update(x["reason"] for x in letters)
        for letter in letters:
            place = (letter["topic"], letter["offset"])
            kept = lay.get(place) == (letter["key"], letter["value"])
            self.findings.check("bytes of dead letters", kept, place)
        asked = Counter(said(x, ASKED) for x in replay.results.get("escalation", []))
        packages = (self.body("DecisionPackage", x) for x in published["escalations"])
        self.findings.same("packages", asked, Counter(asked_of(x) for x in packages))
        states = {pid: round_.state for pid, round_ in replay.every_round().items()}
        kept = {pid: o["state"] for pid, o in openings.items()}
        self.findings.same("rounds", Counter(states.items()), Counter(kept.items()))
        forgotten = Counter(x.key.decode() for x in published["rounds"] if x.value is None)
        expected = Counter(replay.results.get("tombstone", []))
        self.findings.same("tombstones", expected, forgotten)
        too_late = len(replay.results.get("too_late", []))
        self.findings.verified["results of forgotten rounds"] += too_late
        for seats, most in (("qualified", 2_000), ("observers", 500)):
            full = sum(len(getattr(r, seats)) == most for r in replay.every_round().values())
            self.findings.verified[f"rounds full of {seats}"] += full
        self.findings.updates = replay.results.get("trust_update", [])
        self.account(replay, inputs)

    def account(self, replay, inputs):
        """Nothing waits for ever, and what was misplaced went where it belongs."""
        for record in replay.left():
            self.findings.broken.append(f"inputs: {record.topic} {record.offset} waits still")
        for forward in replay.results.get("forward", []):
            origin = f"{self.partition}:{forward['offset']}"
            self.findings.forwards[forward["topic"], forward["partition"], origin] += 1
        for stored in (stored for records in inputs for stored in records):
            self.findings.verified["inputs"] += stored.value is not None
            if stored.origin() is not None:
                place = (stored.topic, self.partition, stored.origin())
                self.findings.forwarded[place] += 1


def audited(job):
    """The findings of one partition, in a process of its own."""
    place, partition, partitions, remembered = job
    return Audit(opened(*place), partition, partitions, remembered).run()


class TrustAudit:
    """The trust updates, in their order, and the scores that follow."""

    def __init__(self, topics, partitions):
        self.topics, self.schemas, self.partitions = topics, topics.schemas, partitions
        self.findings = Findings()

    def run(self, expected):
        places = [("trust-updates", p) for p in range(self.partitions)]
        found = self.topics.read([*places, *((table, 0) for table in TABLES)])
        agents = tables_of(self.schemas, found).agents
        wanted = Counter(said(update, TAUGHT) for update in expected)
        updates, scores = Counter(), {}
        for place in places:
            folder = Folder(self.schemas, place[1], self.partitions)
            for stored in found[place]:
                update = self.schemas["TrustUpdate"].decode(stored.value[10:])
                updates[said(update, TAUGHT)] += 1
                self.row(update, agents)
                scores |= folder.scores(stored, update)
        self.findings.same("trust updates", wanted, updates)
        self.compare(scores, found["trust", 0])
        return self.findings

    def row(self, update, agents):
        """The row its reporter was judged by: the last one appended by then that could be read."""
        row, time = update["agents_offset"], update["result_time"]
        first, last = agents.offset_at(time - UNSEEN), agents.offset_at(time)
        self.findings.check(
            "rows of reporters",
            first <= row <= last,
            f"{update['result_id']}: {row} for {first} to {last}",
        )

    def compare(self, scores, records):
        for stored in records:
            if stored.value is None:
                continue
            score = self.schemas["TrustScore"].decode(stored.value[10:])
            expected = scores.pop(place_of(score), None)
            self.findings.check(
                "trust scores",
                expected == score,
                f"{place_of(score)}: {differences(expected or {}, score)}",
            )
        self.findings.broken += [f"trust scores missing: {place}" for place in scores]


class Folder(Partition):
    """A partition that only folds."""

    def scores(self, stored, update):
        """{where it comes from: score} of one update."""
        record = Record("trust-updates", stored.offset, stored.timestamp, stored.key)
        record.body, self.out = update, []
        Afterwards.fold(self, record)
        return {place_of(score): score for _, score in self.out if "trust" in score}


def place_of(score):
    names = ("trust_domain", "agent_id", "update_partition", "update_offset")
    return tuple(score[name] for name in names)


def chosen(openings, letters):
    """{offset of a proposal: what whoever judged it had read}."""
    read = {}
    for letter in letters:
        if letter["topic"] == "proposals":
            read[letter["offset"]] = (letter["judged_by"], 0)
    for opening in openings.values():
        read[opening["proposal_offset"]] = (opening["pins"], opening["responses_time"])
    return read


def said(value, names):
    """Some fields of a value, so that they can be counted."""
    return tuple((name, hashable(value[name])) for name in names)


def asked_of(package):
    approvals = [judged["reviewer"] for judged in package["approvals"]]
    return said(dict(package, approvals=approvals), ASKED)


def hashable(value):
    return repr(to_json(value)) if isinstance(value, (dict, list, bytes)) else value


def differences(expected, found, where=""):
    """What differs, a text each."""
    if expected == found:
        return []
    if isinstance(expected, dict) and isinstance(found, dict):
        names = sorted(expected.keys() | found.keys())
        parts = (differences(expected.get(n), found.get(n), f"{where}.{n}") for n in names)
        return [text for part in parts for text in part]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found))
        parts = (differences(one, other, f"{where}[{at}]") for at, (one, other) in pairs)
        return [text for part in parts for text in part]
    return [f"{where[1:]} should be {to_json(expected)}, is {to_json(found)}"]
