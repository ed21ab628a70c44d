"""One partition replayed from its log: what must have come of it."""

import heapq

from ..log import Record
from ..rounds import Partition
from ..tables import Tables

INPUTS = ["proposals", "responses", "decisions", "results"]


class Replay(Partition):
    """A partition stepped through its inputs by append time; the tables have been read whole.

    Topics race, and the order in which they are read must not decide: this one is as good as the
    one in which a processor read them.
    """

    def __init__(self, schemas, partition, partitions, tables, chosen, remembered, tried=40):
        super().__init__(schemas, partition, partitions, tried)
        self.tables = tables
        self.chosen = chosen  # {offset of a proposal: (pins, time of the responses)}
        self.remembered = remembered
        self.forgotten = {}  # {proposal id: round}
        self.results = {}  # {kind: [what was put out]}

    def read_so_far(self, record):
        last = (self.tables.pins(), self.times["responses"])
        return self.chosen.get(record.offset, last)

    def too_early(self, round_, changed):
        self.put("too_early", f"`{round_.pid}`, but for {changed}")

    def forget(self, round_):
        super().forget(round_)
        self.forgotten[round_.pid] = round_

    def report(self, record):
        if record.body["proposal_id"] in self.forgotten:
            self.put("too_late", record.offset)
        super().report(record)

    def round(self, pid):
        """One that was opened, even if it is forgotten."""
        return self.rounds.get(pid) or self.forgotten[pid]

    def every_round(self):
        """{proposal id: round} of all that were ever opened."""
        return self.forgotten | self.rounds

    def put(self, kind, value):
        self.results.setdefault(kind, []).append(value)

    def run(self, inputs, early):
        """Steps through the records of all inputs; `early` as in `step`."""
        for _, _, _, stored in heapq.merge(*map(stamped, inputs)):
            record = Record(
                stored.topic,
                stored.offset,
                stored.timestamp,
                stored.key,
                stored.value,
                stored.control(),
                stored.origin() is not None,
            )
            # Nobody appends to the responses in a transaction: an offset left out is a record gone.
            if record.topic == "responses" and record.offset > self.next_response():
                self.lost("responses", record.offset)
            self.step(record, early)

    def left(self):
        """What waits still: responses without a proposal, and what is not judged yet."""
        queued = [r for q in self.queues.values() for r in q if r.body is not None]
        return [*self.waiting.values(), *queued]


def stamped(records):
    """A topic's records, each with the stream time at its offset."""
    now = 0
    for stored in records:
        now = max(now, stored.timestamp)
        yield now, INPUTS.index(stored.topic), stored.offset, stored


def tables_of(schemas, found):
    """The tables as they were read, to their ends."""
    tables, reader = Tables(), Partition(schemas)
    reader.tables = tables
    for topic in ("agents", "policies", "trust"):
        for stored in found[topic, 0]:
            record = Record(topic, stored.offset, stored.timestamp, stored.key, stored.value)
            reader.table(record)
    return tables
