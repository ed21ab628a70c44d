"""The records of a blackboard, read by plain SQL (docs/blackboard.md)."""

import json
import pathlib
import sqlite3

from .stored import Stored

READ = """SELECT "offset", time, key, value, headers FROM records
    WHERE topic = ? AND partition = ? ORDER BY "offset\""""


class Board:
    """A log in a file of SQLite, whose values are in single-object framing as they lie."""

    def __init__(self, path, schemas):
        # Whoever only reads makes no file where there is none.
        self.file = sqlite3.connect(f"{pathlib.Path(path).resolve().as_uri()}?mode=rw", uri=True)
        self.file.execute("PRAGMA query_only = on")
        self.schemas = schemas

    def partitions(self):
        """How many partitions the round-keyed topics have."""
        count = "SELECT count(*) FROM partitions WHERE topic = 'proposals'"
        return self.file.execute(count).fetchone()[0]

    def read(self, places):
        """{(topic, partition): records} of these places, each to its end, all at one time."""
        self.file.execute("BEGIN")
        rows = {place: self.file.execute(READ, place) for place in places}
        found = {place: [stored(place, row) for row in rows[place]] for place in places}
        self.file.execute("COMMIT")
        return found

    def ends(self):
        """{(topic, partition): the offset after the last record}."""
        rows = self.file.execute("SELECT topic, partition, next FROM partitions")
        return {(topic, partition): after for topic, partition, after in rows}


def stored(place, row):
    offset, when, key, value, headers = row
    headers = {name: text.encode() for name, text in json.loads(headers or "{}").items()}
    return Stored(*place, offset, when, key, value, headers, value)
