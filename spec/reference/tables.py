"""The tables: agents, policies and trust, each as of an offset (chapters 2, 3 and 5)."""

from bisect import bisect_right

from . import electorate, policy


KNOWN = 16


class Rows(dict):
    """{key: value}, with room for what was worked out of it before."""

    def __init__(self, rows=()):
        super().__init__(rows)
        self.memo = {}

    def once(self, name, work):
        if name not in self.memo:
            self.memo[name] = work()
        return self.memo[name]


class Table:
    """Every record of a table, with what is sound of it."""

    def __init__(self, key_of, sound, name_of=None):
        self.key_of, self.sound, self.name_of = key_of, sound, name_of or key_of
        self.records = []  # (offset, append time, key, sound value or None)
        self.offsets = []
        self.times = []  # the latest append time up to each record
        self.known = {0: Rows()}  # {count: what the first so many records come to}

    def read(self, offset, timestamp, key, value):
        """Takes the next record; `value` is None where it does not decode."""
        fits = value is not None and key == self.key_of(value).encode()
        sound = self.sound(value) if fits else None
        self.records.append((offset, timestamp, fits and self.name_of(value), sound))
        self.offsets.append(offset)
        self.times.append(max([timestamp, *self.times[-1:]]))

    def pin(self):
        return self.records[-1][0] if self.records else -1

    def as_of(self, offset):
        """{key: value} of the sound records up to an offset, inclusive."""
        return self.after(bisect_right(self.offsets, offset))

    def no_later_than(self, timestamp):
        """{key: value} up to the last record appended no later than a time."""
        return self.after(bisect_right(self.times, timestamp))

    def offset_at(self, timestamp):
        """The offset of the last record appended no later than a time; -1 before all."""
        count = bisect_right(self.times, timestamp)
        return self.offsets[count - 1] if count else -1

    def after(self, count):
        """{key: value} of the sound ones of the first so many records."""
        if count not in self.known:
            nearest = max(known for known in self.known if known < count)
            rows = Rows(self.known[nearest])
            for _, _, name, value in self.records[nearest:count]:
                if value is not None:
                    rows[name] = value
            self.remember(count, rows)
        return self.known[count]

    def remember(self, count, rows):
        """Keeps the newest few; whoever asks goes on from where somebody asked before."""
        self.known[count] = rows
        if len(self.known) > KNOWN:
            oldest = iter(self.known)
            next(oldest)
            del self.known[next(oldest)]


class Tables:
    """The three that rounds are pinned to."""

    def __init__(self):
        self.agents = Table(lambda r: r["agent_id"], electorate.sound)
        self.policies = Table(lambda r: r["pattern"], policy.sound)
        self.trust = Table(
            lambda r: f"{r['trust_domain']}:{r['agent_id']}",
            lambda r: r,
            lambda r: (r["trust_domain"], r["agent_id"]),
        )

    def pins(self):
        return {
            "agents": self.agents.pin(),
            "policies": self.policies.pin(),
            "trust": self.trust.pin(),
        }

    def scores(self, offset):
        """{(trust domain, agent): score} at a pin."""
        return self.trust.as_of(offset)
