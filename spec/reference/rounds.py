"""One partition: records in, records out, time as a value (chapters 3, 4, 7 and 8).

Outputs are (kind, value) pairs. An early close is a choice that is checked, not made here: the
caller names the rounds that close early and by which response.
"""

import heapq
import itertools
import re
from bisect import bisect_right
from dataclasses import dataclass, field

from . import electorate, package, resolve
from .afterwards import DAY, Afterwards, needed
from .avro import Malformed, UnknownSchema, encode, sha256
from .early import overturned
from .log import SCHEMA, Refused, decode, murmur2, tick_of
from .numbers import BadNumber, admit, is_blank
from .policy import governing
from .tables import Tables

GRACE = 10_000
UUID7 = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z", re.ASCII
)
NEVER = -(2**62)


@dataclass
class Round:
    """A round from its opening to its tombstone."""

    pid: str
    proposal: dict
    datum: bytes
    digest: bytes
    time: int
    deadline: int
    pins: dict
    policy: dict
    agents: dict
    scores: dict
    state: str = "OPEN"
    responses: list = field(default_factory=list)
    digests: set = field(default_factory=set)
    qualified: set = field(default_factory=set)
    observers: set = field(default_factory=set)
    suspended: set = field(default_factory=set)
    pattern_suspended: bool = False
    input_lost: bool = False
    closing: tuple | None = None  # (offset, time, early)
    decision: dict | None = None
    package: dict | None = None
    package_digest: bytes | None = None
    tier: int = 0
    timed_out: bool = False
    approvals: list = field(default_factory=list)
    parked: list = field(default_factory=list)
    settlement: tuple | None = None  # (result id, RIGHT or WRONG)

    def case(self):
        return resolve.Case(
            self.proposal,
            self.digest,
            self.policy,
            self.agents,
            self.scores,
            self.responses,
            self.suspended,
            self.pattern_suspended,
            self.input_lost,
        )

    def due(self):
        """When the present tier of reviewers ends."""
        return self.closing[1] + self.tier * self.policy["decision_deadline"]

    def last_result(self):
        """Until when results are taken."""
        return self.closing[1] + self.policy["result_window"]

    def still_open_at(self, timestamp):
        """Whether a decision or result appended then is for an open round."""
        if self.state == "OPEN":
            return True
        _, closing_time, early = self.closing
        return timestamp < closing_time if early else timestamp <= self.deadline


class Partition(Afterwards):
    """The state of one partition and its step."""

    def __init__(self, schemas, partition=0, partitions=1, tried=20_000):
        self.schemas, self.partition, self.partitions = schemas, partition, partitions
        self.tried = tried  # at most, to check that a round could close early
        self.tables = Tables()
        self.times = dict.fromkeys(["proposals", "responses", "decisions", "results"], NEVER)
        self.judged_time = NEVER  # stream time of the decisions judged so far
        self.rounds = {}
        self.open_ones = {}
        self.dues = []  # a heap of (when a tier ends, proposal id)
        self.closed = []  # a heap of (when it is forgotten, proposal id)
        self.waiting = {}  # {offset: response} of those whose proposal is not known
        self.awaited = {}  # {proposal id: their offsets}
        self.running = {}  # {proposer: deadlines} as far as `proposals` has not passed them
        self.queues = {"decisions": [], "results": []}
        self.controls = []
        self.offsets, self.passed = [], []  # offset and stream time of every responses record
        self.gaps = []  # [stream time before, stream time after or None]
        self.states = {}  # {trust domain: {agent: State}}
        self.out = []
        self.early = {}

    def step(self, record, early=None):
        """Takes one record; `early` is {proposal id: offset} of rounds that close early by it."""
        self.out, self.early = [], early or {}
        if record.topic in self.times:
            self.input(record)
        elif record.topic == "trust-updates":
            self.fold(record)
        else:
            self.table(record)
        return self.out

    def lost(self, topic, below):
        """Records of a topic below an offset are gone, unread."""
        self.out = []
        if topic == "responses" and below > self.next_response():
            self.gaps.append([self.times["responses"], None])
        return self.out

    def next_response(self):
        return self.offsets[-1] + 1 if self.offsets else 0

    # Reading

    def table(self, record):
        body = record.body
        if body is None:
            try:
                schema = self.schemas[SCHEMA[record.topic]]
                body = schema.decode(schema.unframe(record.value or b""))
            except (Malformed, UnknownSchema):
                body = None
        table = getattr(self.tables, record.topic)
        table.read(record.offset, record.timestamp, record.key, body)

    def input(self, record):
        topic = record.topic
        record.time = self.times[topic] = max(self.times[topic], record.timestamp)
        self.passing(record)
        body = self.decoded(record)
        if topic in self.queues:
            self.queues[topic].append(record if body else tick_of(record))
        elif body and record.control:
            self.attempt(record, self.control)
        elif body:
            self.attempt(record, self.propose if topic == "proposals" else self.respond)
        self.judge_decisions()
        self.judge_results()
        self.bury()

    def passing(self, record):
        """What the stream time causes before the record is judged."""
        if record.topic == "responses":
            self.offsets.append(record.offset)
            self.passed.append(record.time)
            for gap in self.gaps:
                gap[1] = record.time if gap[1] is None else gap[1]
            due = [r for r in self.open_ones.values() if r.deadline < record.time]
            for round_ in sorted(due, key=lambda r: (r.deadline, r.pid)):
                self.close(round_, record.offset, record.time, False)
        if record.topic == "proposals":
            waiting = self.waiting.values()
            late = itertools.takewhile(lambda r: r.time + GRACE < record.time, waiting)
            for response in list(late):
                del self.waiting[response.offset]
                self.refuse(response, "unknown_proposal")

    def decoded(self, record):
        """The record's body, kept in it; None if it is a tick, misplaced or refused."""
        if record.value is None:
            return None
        try:
            decode(self.schemas, record)
        except Refused as refused:
            self.refuse(record, str(refused))
            return None
        stray = not record.control and not record.forwarded
        if stray and self.home(record.key) != self.partition:
            self.forward(record)
            return None
        return record.body

    def forward(self, record):
        home = self.home(record.key)
        place = {"topic": record.topic, "partition": home, "offset": record.offset}
        self.put("forward", place)

    def home(self, key):
        """The partition a key belongs on."""
        return murmur2(key) % self.partitions if self.partitions > 1 else self.partition

    def attempt(self, record, judge):
        try:
            judge(record)
        except Refused as refused:
            self.refuse(record, str(refused))

    def refuse(self, record, code):
        place = {"topic": record.topic, "offset": record.offset, "reason": code}
        self.put("dead_letter", place)

    def put(self, kind, value):
        self.out.append((kind, value))

    # Proposals

    def propose(self, record):
        proposal, now = record.body, record.time
        number(proposal)
        if not UUID7.match(proposal["proposal_id"]):
            raise Refused("bad_id")
        if not now - DAY <= int(proposal["proposal_id"].replace("-", "")[:12], 16) <= now + 300_000:
            raise Refused("stale_id")
        known = self.rounds.get(proposal["proposal_id"])
        if known is not None:
            if known.digest != record.digest:
                raise Refused("proposal_conflict")
            return
        self.open(record, *self.admitted(record))

    def read_so_far(self, record):
        """What whoever judges a proposal has read: the tables, and the time of the responses."""
        return self.tables.pins(), self.times["responses"]

    def admitted(self, record):
        """(policy, deadline, pins) of a proposal that may open a round."""
        proposal, now = record.body, record.time
        pins, responses_time = self.read_so_far(record)
        participant(self.tables.agents.as_of(pins["agents"]), proposal["proposer"])
        policy = governing(self.tables.policies.as_of(pins["policies"]), proposal["domain"])
        if policy is None:
            raise Refused("no_policy")
        if policy["action_types"] is not None:
            if proposal["action"]["type"] not in policy["action_types"]:
                raise Refused("action_type_not_allowed")
        deadline = proposal["deadline"]
        if deadline is None:
            deadline = max(now, responses_time) + policy["deadline_default"]
        elif deadline < now:
            raise Refused("deadline_passed")
        elif not policy["deadline_min"] <= deadline - now <= policy["deadline_max"]:
            raise Refused("deadline_bounds")
        deadlines = self.running.get(proposal["proposer"], [])
        if sum(passes >= now for passes in deadlines) >= policy["max_open_per_proposer"]:
            raise Refused("proposer_over_limit")
        return policy, deadline, pins

    def open(self, record, policy, deadline, pins):
        pid = record.body["proposal_id"]
        round_ = self.rounds[pid] = self.open_ones[pid] = Round(
            pid,
            record.body,
            record.value[10:],
            record.digest,
            record.time,
            deadline,
            pins,
            policy,
            self.tables.agents.as_of(pins["agents"]),
            self.tables.scores(pins["trust"]),
        )
        self.put_round(round_)
        for control in self.controls:
            if control.time <= deadline:
                obey(control.body, round_)
        # Not those that closed by then: how far the responses are read must not decide.
        proposer = record.body["proposer"]
        running = [d for d in self.running.get(proposer, []) if d >= record.time]
        self.running[proposer] = [*running, deadline]
        for offset in self.awaited.pop(pid, []):
            if offset in self.waiting:
                self.attempt(self.waiting.pop(offset), self.respond)
        if round_.state == "OPEN" and self.times["responses"] > deadline:
            at = bisect_right(self.passed, deadline)
            self.close(round_, self.offsets[at], self.passed[at], False)

    # Responses

    def respond(self, record):
        response = record.body
        round_ = self.rounds.get(response["proposal_id"])
        if round_ is None:
            if record.time + GRACE < self.times["proposals"]:
                raise Refused("unknown_proposal")
            self.waiting[record.offset] = record
            self.awaited.setdefault(response["proposal_id"], []).append(record.offset)
            return
        if record.time + GRACE < round_.time:
            raise Refused("unknown_proposal")
        number(response)
        agent = participant(round_.agents, response["agent_id"])
        if response["verdict"] == "CHALLENGE" and is_blank(response["reasoning"]):
            raise Refused("reasoning_missing")
        if round_.state != "OPEN" or record.time > round_.deadline:
            raise Refused("forwarded_late" if record.forwarded else "round_closed")
        if response["proposal_digest"] not in (None, round_.digest):
            raise Refused("digest_mismatch")
        if record.digest in round_.digests:
            return
        take_seat(round_, agent)
        round_.digests.add(record.digest)
        round_.responses.append((response, record.digest))
        if self.early.get(round_.pid) == record.offset:
            self.close(round_, record.offset, record.time, True)

    def control(self, record):
        control = record.body
        if not self.in_force(control, record.time):
            raise Refused("control_refused")
        self.controls.append(record)
        for round_ in self.open_ones.values():
            obey(control, round_)

    def in_force(self, control, time):
        agent, pattern, at = control["agent_id"], control["pattern"], control["table_offset"]
        if (agent is None) == (pattern is None):
            return False
        table = self.tables.policies if agent is None else self.tables.agents
        if at > table.offset_at(time):
            return False
        row = table.as_of(at).get(pattern if agent is None else agent)
        return row is not None and (row["mode"] == "suspended" if agent is None else suspended(row))

    # Closing

    def close(self, round_, offset, time, early):
        del self.open_ones[round_.pid]
        round_.closing = (offset, time, early)
        round_.input_lost = self.has_lost(round_)
        changed = overturned(round_.case(), self.tried) if early else None
        if changed is not None:
            self.too_early(round_, changed)
        round_.decision = resolve.resolve(round_.case())
        escalated = round_.decision["status"] == "ESCALATED"
        round_.state = "ESCALATED" if escalated else "CLOSED"
        digest = self.put_outcome(round_, round_.decision, 1)
        if escalated:
            round_.tier = 1
            round_.package = package.content(round_, round_.decision, digest)
            kind = self.schemas["DecisionPackage"].type_of("PackageContent")
            round_.package_digest = sha256(encode(kind, round_.package))
            self.put_escalation(round_)
        else:
            self.keep(round_)
        self.put_round(round_)

    def too_early(self, round_, changed):
        """A round closed early that somebody unheard could have changed."""
        raise AssertionError(f"`{round_.pid}` closed early, but for {changed}")

    def has_lost(self, round_):
        """Whether what was lost, between two stream times, may have lain in a round's span."""
        return any(
            before <= round_.deadline and (after is None or round_.time - GRACE <= after)
            for before, after in self.gaps
        )

    def put_outcome(self, round_, decision, resolution):
        part = resolve.publish(decision)
        kind = self.schemas["Outcome"].type_of("DecisionPart")
        digest = sha256(encode(kind, part))
        offset, time, early = round_.closing
        _, superseded = resolve.chosen(round_.case())
        outcome = {
            "proposal_id": round_.pid,
            "resolution": resolution,
            "final": decision["status"] != "ESCALATED",
            "decision": part,
            "decision_digest": digest,
            "closing_offset": offset,
            "closing_time": time,
            "closed_early": early,
            "superseded": [
                {
                    "agent_id": agent,
                    "response_digests": superseded[agent][:16],
                    "further": max(0, len(superseded[agent]) - 16),
                }
                for agent in sorted(superseded, key=str.encode)
            ],
        }
        self.put("outcome", outcome)
        return digest

    def put_escalation(self, round_):
        heapq.heappush(self.dues, (round_.due(), round_.pid))
        content = round_.package
        escalation = {
            "proposal_id": round_.pid,
            "tier": round_.tier,
            "due": round_.due(),
            "package_digest": round_.package_digest,
            "approvals": list(round_.approvals),
            "approvals_needed": needed(round_),
            "content": content,
        }
        self.put("escalation", escalation)

    def put_round(self, round_):
        view = {
            "proposal_id": round_.pid,
            "state": round_.state,
            "deadline": round_.deadline,
            "pins": round_.pins,
        }
        self.put("round", view)

def number(body):
    try:
        admit(body["confidence"])
    except BadNumber:
        raise Refused("bad_number") from None


def participant(agents, name):
    agent = agents.get(name)
    if agent is None:
        raise Refused("agent_not_listed")
    if not electorate.active(agent):
        raise Refused("agent_not_active")
    return agent


def take_seat(round_, agent):
    """Counts an agent that responds, unless the round is full."""
    policy, name = round_.policy, agent["agent_id"]
    grant = electorate.qualification(agent, round_.proposal["domain"], policy["required_domains"])
    muted = name == round_.proposal["proposer"] and not policy["proposer_counts"]
    observes = grant is None or muted
    seats, most = (round_.observers, 500) if observes else (round_.qualified, 2000)
    if name not in seats and len(seats) >= most:
        raise Refused("round_full")
    seats.add(name)


def suspended(agent):
    return agent["status"] == "SUSPENDED"


def obey(control, round_):
    """Applies a control to a round whose pin lies below it."""
    at = control["table_offset"]
    if control["agent_id"] is not None and round_.pins["agents"] < at:
        round_.suspended.add(control["agent_id"])
    if control["pattern"] is not None and round_.pins["policies"] < at:
        round_.pattern_suspended |= round_.policy["pattern"] == control["pattern"]
