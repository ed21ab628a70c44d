"""What follows a round's first outcome: decisions, results, trust, tombstones (chapters 7 to 9)."""

import heapq

from . import electorate, resolve, trust
from .log import Refused
from .numbers import publish as to_double, read

DAY = 86_400_000


class Afterwards:
    """The part of a partition that judges decisions and results, and folds trust updates."""

    remembered = 2 * DAY  # how long a closed round is kept at least

    # Decisions

    def judge_decisions(self):
        queue = self.queues["decisions"]
        if not queue:  # a round may have closed behind due times that were passed long since
            self.judged_time = self.times["decisions"]
            self.time_out()
        while queue and self.ripe(queue[0]):
            record = queue.pop(0)
            self.judged_time = max(self.judged_time, record.timestamp)
            self.time_out()
            if record.body is not None:
                self.attempt(record, self.decide)

    def ripe(self, record):
        """Whether the head of a queue can be judged."""
        if self.times["responses"] <= record.timestamp:
            return False
        known = record.body is None or record.body["proposal_id"] in self.rounds
        return known or self.times["proposals"] > record.timestamp

    def time_out(self):
        """Puts out every tier that is over, and ends the rounds whose last one is."""
        while self.dues and self.dues[0][0] < self.judged_time:
            round_ = self.rounds.get(heapq.heappop(self.dues)[1])
            if round_ is None or round_.state != "ESCALATED":
                continue
            if round_.policy["on_decision_timeout"] == "ESCALATE_AGAIN" and round_.tier < 3:
                round_.tier += 1
                self.put_escalation(round_)
                self.put_round(round_)
            else:
                round_.timed_out = True
                self.end(round_, "REJECTED", "DECISION_TIMEOUT", "TIMEOUT")

    def decide(self, record):
        decision = record.body
        round_ = self.rounds.get(decision["proposal_id"])
        if round_ is None or record.timestamp < round_.time:
            raise Refused("unknown_proposal")
        if round_.still_open_at(record.timestamp):
            raise Refused("round_open")
        if round_.timed_out:
            raise Refused("decision_too_late")
        if round_.state == "CLOSED":
            raise Refused("already_decided")
        if decision["package_digest"] != round_.package_digest:
            raise Refused("package_mismatch")
        self.reviewer(round_, decision["reviewer"], record.timestamp)
        if decision["verdict"] == "APPROVE":
            self.approve(round_, decision["reviewer"])
        else:
            sent_back = decision["verdict"] == "SEND_BACK"
            self.end(round_, "REJECTED", "SENT_BACK" if sent_back else "HUMAN_DECISION", "HUMAN")

    def approve(self, round_, reviewer):
        if reviewer in round_.approvals:
            raise Refused("already_approved")
        round_.approvals.append(reviewer)
        if len(round_.approvals) >= needed(round_):
            self.end(round_, "APPROVED", "HUMAN_DECISION", "HUMAN")
        else:
            self.put_round(round_)

    def reviewer(self, round_, name, timestamp):
        agent = self.tables.agents.no_later_than(timestamp).get(name)
        proposer = round_.proposal["proposer"]
        domain, stakes = round_.proposal["domain"], round_.decision["stakes"]
        if (
            not electorate.active(agent)
            or not electorate.may_review(agent, domain, stakes)
            or name == proposer
            or agent["principal"] == round_.agents[proposer]["principal"]
        ):
            raise Refused("reviewer_not_allowed")

    def end(self, round_, status, reason, by):
        """The second and last outcome of an escalated round."""
        last = dict(round_.decision, status=status, reasons=[reason], resolved_by=by)
        round_.state = "CLOSED"
        self.keep(round_)
        self.put_outcome(round_, last, 2)
        self.put_round(round_)
        parked, round_.parked = round_.parked, []
        for record in parked:
            self.attempt(record, self.settle)

    # Results

    def judge_results(self):
        queue = self.queues["results"]
        while queue and self.ripe(queue[0]):
            record = queue.pop(0)
            if record.body is not None:
                self.attempt(record, self.report)

    def report(self, record):
        round_ = self.rounds.get(record.body["proposal_id"])
        if round_ is None or record.timestamp < round_.time:
            raise Refused("unknown_proposal")
        if round_.still_open_at(record.timestamp):
            raise Refused("round_open")
        if record.timestamp > round_.last_result():
            raise Refused("result_too_late")
        if round_.state == "ESCALATED":
            round_.parked.append(record)
        else:
            self.settle(record)

    def settle(self, record):
        result = record.body
        round_ = self.rounds[result["proposal_id"]]
        self.reporter(round_, result["reporter"], record.timestamp)
        value, corrects, taken_back = result["result"], result["corrects"], None
        if corrects is not None:
            if round_.settlement is None or round_.settlement[0] != corrects:
                raise Refused("not_in_force")
            if round_.settlement[1] == value:
                raise Refused("not_in_force")
            taken_back = {"result_id": corrects, "result": round_.settlement[1]}
        elif round_.settlement is not None:
            raise Refused("already_settled")
        elif value == "UNKNOWN":
            return
        round_.settlement = None if value == "UNKNOWN" else (result["result_id"], value)
        self.put_update(round_, result, taken_back)
        self.put_round(round_)

    def reporter(self, round_, name, timestamp):
        agent = self.tables.agents.no_later_than(timestamp).get(name)
        listed = round_.policy["reporters"]
        fits = electorate.active(agent) and (
            agent["kind"] in ("REPORTER", "HUMAN") if listed is None else name in listed
        )
        if fits and not round_.policy["self_report"]:
            voters = {b.agent_id for b in round_.decision["ballots"] if b.counted}
            voters.add(round_.proposal["proposer"])
            principals = {round_.agents[v]["principal"] for v in voters}
            fits = name not in voters and agent["principal"] not in principals
        if not fits:
            raise Refused("reporter_not_allowed")

    def put_update(self, round_, result, taken_back):
        lessons = resolve.lessons(round_.decision["ballots"])
        for lesson in lessons:
            lesson["confidence"] = to_double(lesson["confidence"])
            lesson["authority"] = to_double(lesson["authority"])
        update = {
            "trust_domain": round_.policy["trust_domain"],
            "proposal_id": round_.pid,
            "result_id": result["result_id"],
            "result": result["result"],
            "corrects": taken_back,
            "half_life": round_.policy["half_life"],
            "ballots": lessons,
        }
        self.put("trust_update", update)

    # Trust

    def fold(self, record):
        if self.home(record.key) != self.partition and not record.forwarded:
            self.forward(record)
            return
        update = record.body
        if update is None:
            schema = self.schemas["TrustUpdate"]
            update = schema.decode(schema.unframe(record.value))
        domain = update["trust_domain"]
        states = self.states.setdefault(domain, {})
        lessons = [
            dict(x, confidence=read(x["confidence"]), authority=read(x["authority"]))
            for x in update["ballots"]
        ]
        for agent, state in trust.fold(states, dict(update, ballots=lessons)):
            score = {
                "trust_domain": domain,
                "agent_id": agent,
                "trust": to_double(state.trust()),
                "a": state.a,
                "b": state.b,
                "ln_m": state.ln_m,
                "a0": state.a0,
                "b0": state.b0,
                "revision": state.revision,
                "update_partition": self.partition,
                "update_offset": record.offset,
            }
            self.put("trust_score", score)

    # Tombstones

    def keep(self, round_):
        """Keeps a closed round until its time is over."""
        window = max(round_.policy["result_window"], self.remembered)
        heapq.heappush(self.closed, (round_.closing[1] + window, round_.pid))

    def bury(self):
        now, awaited = min(self.times["proposals"], self.times["results"]), []
        while self.closed and self.closed[0][0] < now:
            entry = heapq.heappop(self.closed)
            if entry[1] in self.waited_for():
                awaited.append(entry)
            else:
                self.forget(self.rounds.pop(entry[1]))
        for entry in awaited:
            heapq.heappush(self.closed, entry)

    def forget(self, round_):
        self.put("tombstone", round_.pid)

    def waited_for(self):
        """The rounds that a decision or result in a queue is for."""
        queued = (record for queue in self.queues.values() for record in queue)
        return {record.body["proposal_id"] for record in queued if record.body is not None}


def needed(round_):
    return round_.policy["approvals_needed"][round_.decision["stakes"]]
