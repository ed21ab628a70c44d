-- The log in one file: `docs/blackboard.md` is for whoever writes or reads it by SQL. The views,
-- one a topic, are made by the program: rows put into one are appended to that topic.

-- How long a topic's records are kept, in milliseconds; -1: for ever. Of rounds and trust the last
-- record of every key is kept.
CREATE TABLE topics (
  topic TEXT PRIMARY KEY,
  retention_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each partition of each topic has come.
CREATE TABLE partitions (
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  next INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (topic, partition)
) WITHOUT ROWID;

-- One row: the last append time, which never goes back, and the last epoch given to a processor.
CREATE TABLE state (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  time INTEGER NOT NULL DEFAULT 0,
  epoch INTEGER NOT NULL DEFAULT 0
);
INSERT INTO state (one) VALUES (1);

-- Every record; `id` grows over all topics. Times are milliseconds since 1970.
CREATE TABLE records (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  "offset" INTEGER NOT NULL,
  time INTEGER NOT NULL,
  key BLOB,
  value BLOB,
  headers TEXT CHECK (headers IS NULL OR json_type(headers) = 'object'),
  UNIQUE (topic, partition, "offset")
);
-- Finds the records that a later one of their key replaces.
CREATE INDEX by_key ON records (topic, partition, key, "offset") WHERE topic IN ('rounds', 'trust');
CREATE TRIGGER "records stay as they are" BEFORE UPDATE ON records BEGIN
  SELECT RAISE(ABORT, 'a record is never changed');
END;

-- How far processors have read, committed with what followed from it.
CREATE TABLE positions (
  topic TEXT NOT NULL,
  partition INTEGER NOT NULL,
  next INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (topic, partition)
) WITHOUT ROWID;

-- The engines that are there, when they were last seen, for how long each may go unseen (both in
-- milliseconds), and which of them owns a partition.
CREATE TABLE members (
  name TEXT PRIMARY KEY,
  epoch INTEGER NOT NULL,
  seen INTEGER NOT NULL,
  session INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE owners (
  partition INTEGER PRIMARY KEY,
  member TEXT,
  epoch INTEGER
);
