"""The tables: agents, policies and trust, each as of an offset (chapters 2, 3 and 5)."""

from . import electorate, policy


class Table:
    """Every record of a table, with what is sound of it."""

    def __init__(self, key_of, sound):
        self.key_of, self.sound = key_of, sound
        self.records = []  # (offset, append time, key, sound value or None)
        self.pins = {}

    def read(self, offset, timestamp, key, value):
        """Takes the next record; `value` is None where it does not decode."""
        name = value and self.key_of(value)
        sound = self.sound(value) if value is not None and key == name.encode() else None
        self.records.append((offset, timestamp, name, sound))

    def pin(self):
        return self.records[-1][0] if self.records else -1

    def as_of(self, offset):
        """{key: value} of the sound records up to an offset, inclusive."""
        if offset not in self.pins or offset >= self.pin():
            rows = [row for row in self.records if row[0] <= offset and row[3] is not None]
            self.pins[offset] = {name: value for _, _, name, value in rows}
        return self.pins[offset]

    def no_later_than(self, timestamp):
        """{key: value} up to the last record appended no later than a time."""
        at = [offset for offset, appended, _, _ in self.records if appended <= timestamp]
        return self.as_of(at[-1] if at else -1)


class Tables:
    """The three that rounds are pinned to."""

    def __init__(self):
        self.agents = Table(lambda r: r["agent_id"], electorate.sound)
        self.policies = Table(lambda r: r["pattern"], policy.sound)
        self.trust = Table(lambda r: f"{r['trust_domain']}:{r['agent_id']}", lambda r: r)

    def pins(self):
        return {
            "agents": self.agents.pin(),
            "policies": self.policies.pin(),
            "trust": self.trust.pin(),
        }

    def scores(self, offset):
        """{(trust domain, agent): score} at a pin."""
        rows = self.trust.as_of(offset).values()
        return {(r["trust_domain"], r["agent_id"]): r for r in rows}
