//! Forgets what nobody needs any more: old records where a topic has a retention, and those of
//! rounds and trust that later ones of their keys replace. A little at a time, since whoever writes
//! waits meanwhile.
//!
//! Inputs are never deleted before the engine is done with them, however old they are.

use quorate_core::topic::Topic;
use rusqlite::{Connection, params};

use super::file::{NOW, all_or_nothing, committed, is_deleted};
use super::open::sql;
use crate::transport::{Error, INPUTS, TRUST_LAG, positions};

/// Records looked at, of each topic of a partition, at a time.
const AT_ONCE: i64 = 1_000;
/// How long it stays known that a round is forgotten, in milliseconds: nobody who reads is slower.
const TOMBSTONE: i64 = 24 * 3_600_000;

/// Where looking for replaced records goes on, in the rounds and in trust.
#[derive(Debug, Default)]
pub(super) struct Broom {
    rounds: i64,
    trust: i64,
}

impl Broom {
    /// Cleans a partition a little; how many records went.
    pub(super) fn sweep(&mut self, file: &mut Connection, partition: i32) -> Result<usize, Error> {
        let Self { rounds, trust } = self;
        let swept = all_or_nothing(file, |file| {
            let mut gone = 0;
            for topic in Topic::ALL.iter().filter(|topic| is_deleted(**topic)) {
                gone += delete_old(file, *topic, partition)?;
            }
            gone += compact(file, Topic::Rounds, partition, 0, rounds)?;
            if partition == 0 {
                gone += compact(file, Topic::Trust, 0, TRUST_LAG.0, trust)?;
            }
            Ok(gone)
        });
        swept.map_err(sql("forget old records"))
    }
}

/// Deletes what a topic's retention is over for.
fn delete_old(file: &Connection, topic: Topic, partition: i32) -> rusqlite::Result<usize> {
    let done = match INPUTS.contains(&topic) {
        true => low(file, topic, partition)?,
        false => i64::MAX,
    };
    let old = format!(
        r#"DELETE FROM records WHERE id IN (
          SELECT id FROM records JOIN topics USING (topic)
          WHERE topic = ?1 AND partition = ?2 AND "offset" < ?3
            AND retention_ms >= 0 AND time < {NOW} - retention_ms
          ORDER BY "offset" LIMIT ?4)"#
    );
    let mut old = file.prepare_cached(&old)?;
    old.execute(params![topic.name(), partition, done, AT_ONCE])
}

/// From where an engine may read an input again.
fn low(file: &Connection, topic: Topic, partition: i32) -> rusqlite::Result<i64> {
    let found = committed(file, topic, partition)?;
    let read = found.and_then(|(next, metadata)| positions::read(next, &metadata));
    Ok(read.map_or(0, |(position, _)| position.low.0))
}

/// Deletes records that a later one of their key has replaced for so long, and tombstones in their
/// time; from a place on, which moves on, and starts over at the end.
fn compact(
    file: &Connection,
    topic: Topic,
    partition: i32,
    lag: i64,
    from: &mut i64,
) -> rusqlite::Result<usize> {
    let last = r#"SELECT max("offset") FROM (SELECT "offset" FROM records
        WHERE topic = ?1 AND partition = ?2 AND "offset" >= ?3 ORDER BY "offset" LIMIT ?4)"#;
    let mut last = file.prepare_cached(last)?;
    let last: Option<i64> = last
        .query_row(params![topic.name(), partition, *from, AT_ONCE], |row| {
            row.get(0)
        })?;
    let Some(last) = last else {
        *from = 0;
        return Ok(0);
    };
    let replaced = format!(
        r#"DELETE FROM records WHERE id IN (
          SELECT old.id FROM records AS old
          WHERE old.topic = ?1 AND old.partition = ?2 AND old."offset" BETWEEN ?3 AND ?4
            AND (EXISTS (SELECT 1 FROM records AS new
                WHERE new.topic = old.topic AND new.topic IN ('rounds', 'trust')
                  AND new.partition = old.partition AND new.key = old.key
                  AND new."offset" > old."offset" AND new.time <= {NOW} - ?5)
              OR old.value IS NULL AND old.time < {NOW} - {TOMBSTONE}))"#
    );
    let mut replaced = file.prepare_cached(&replaced)?;
    let gone = replaced.execute(params![topic.name(), partition, *from, last, lag])?;
    *from = last + 1;
    Ok(gone)
}

#[cfg(test)]
mod tests {
    use quorate_core::records::Pins;

    use super::super::file::append;
    use super::super::{Blackboard, Reader};
    use super::*;
    use crate::engine::Position;
    use crate::transport::{Entry, Reading as _};

    fn put(file: &Connection, topic: Topic, key: &str, value: Option<&[u8]>) {
        let entry = Entry {
            topic,
            partition: 0,
            key: Some(key.as_bytes()),
            value,
            headers: &[],
        };
        append(file, &entry, None).unwrap();
    }

    fn left(file: &Connection, topic: Topic) -> Vec<i64> {
        let left = r#"SELECT "offset" FROM records WHERE topic = ?1 ORDER BY 1"#;
        let mut left = file.prepare(left).unwrap();
        let left = left.query_map([topic.name()], |row| row.get(0)).unwrap();
        left.map(Result::unwrap).collect()
    }

    /// A board that keeps records for so long, and a connection to it.
    fn board(folder: &tempfile::TempDir, retention_ms: i64) -> (Blackboard, Connection) {
        let path = folder.path().join("log.db");
        let (board, _) = Blackboard::make(&path, 1, retention_ms).unwrap();
        let file = board.writer().unwrap();
        (board, file)
    }

    /// Lets time pass: the records there are by now are an hour old.
    fn age(file: &Connection) {
        file.execute_batch(
            r#"DROP TRIGGER "records stay as they are"; UPDATE records SET time = time - 3600000"#,
        )
        .unwrap();
    }

    #[test]
    fn old_records_go_but_inputs_only_when_the_engine_is_done_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let (board, mut file) = board(&folder, 60_000);
        for topic in [Topic::Responses, Topic::Outcomes, Topic::Agents] {
            for _ in 0..3 {
                put(&file, topic, "k", Some(b"v"));
            }
        }
        age(&file);
        put(&file, Topic::Outcomes, "k", Some(b"v"));
        Broom::default().sweep(&mut file, 0).unwrap();
        assert_eq!(left(&file, Topic::Outcomes), [3]);
        assert_eq!(left(&file, Topic::Agents), [0, 1, 2]);
        assert_eq!(left(&file, Topic::Responses), [0, 1, 2]);
        let position = Position {
            low: quorate_core::ids::Offset(2),
            ..Position::default()
        };
        let metadata = positions::write(&position, Pins::NONE);
        let read = "INSERT INTO positions VALUES ('responses', 0, 3, ?1)";
        file.execute(read, [metadata]).unwrap();
        Broom::default().sweep(&mut file, 0).unwrap();
        assert_eq!(left(&file, Topic::Responses), [2]);
        let ends = Reader::open(&board).unwrap().ends(Topic::Responses, 0);
        assert_eq!(ends.unwrap(), (2, 3));
    }

    #[test]
    fn without_a_retention_nothing_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut file) = board(&folder, -1);
        put(&file, Topic::Outcomes, "k", Some(b"v"));
        age(&file);
        assert_eq!(Broom::default().sweep(&mut file, 0).unwrap(), 0);
    }

    #[test]
    fn the_last_record_of_a_round_stays_and_a_tombstone_for_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let (_, mut file) = board(&folder, -1);
        for (key, value) in [
            ("a", Some(&b"1"[..])),
            ("b", Some(b"1")),
            ("a", Some(b"2")),
            ("b", None),
        ] {
            put(&file, Topic::Rounds, key, value);
            put(&file, Topic::Trust, key, value);
        }
        let mut broom = Broom::default();
        assert_eq!(broom.sweep(&mut file, 0).unwrap(), 2);
        assert_eq!(left(&file, Topic::Rounds), [2, 3]);
        // Rounds that are open may have pinned the scores that were replaced.
        assert_eq!(left(&file, Topic::Trust), [0, 1, 2, 3]);
        age(&file);
        for _ in 0..23 {
            file.execute_batch("UPDATE records SET time = time - 3600000")
                .unwrap();
        }
        // It starts over where it came to the end.
        broom.sweep(&mut file, 0).unwrap();
        broom.sweep(&mut file, 0).unwrap();
        assert_eq!(left(&file, Topic::Rounds), [2]);
    }
}
