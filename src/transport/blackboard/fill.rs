//! Fills a blackboard in which nothing ever was with a history that lay elsewhere: each record at
//! its own offset, with its own append time. All of it, or nothing.

use std::collections::BTreeMap;

use quorate_core::topic::Topic;
use rusqlite::{Connection, TransactionBehavior, params};

use super::Blackboard;
use super::open::sql;
use crate::transport::{Error, Header, Stored};

impl Blackboard {
    /// Puts in what `feed` gives to the function it is given, then sets where each partition goes
    /// on: at these offsets, or after its last record; how many records there are.
    ///
    /// # Errors
    /// [`Error::Unfit`] if records were ever in it; [`Error::Log`]; or what `feed` says.
    pub fn fill<E: From<Error>>(
        &self,
        ends: &BTreeMap<(Topic, i32), i64>,
        feed: impl FnOnce(&mut dyn FnMut(&Stored) -> Result<(), Error>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let mut file = self.writer()?;
        let filling = || sql("fill the tables");
        let transaction = file.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(filling())?;
        let ever = "SELECT coalesce(max(next), 0) FROM partitions";
        let ever: i64 = transaction
            .query_row(ever, [], |row| row.get(0))
            .map_err(filling())?;
        if ever > 0 {
            let path = self.path().display();
            let why = format!(
                "`{path}` has records of its own (board_not_empty); a history keeps its offsets, \
                 so it goes into a blackboard in which nothing ever was"
            );
            return Err(Error::Unfit(why).into());
        }
        let mut next = ends.clone();
        let (mut count, mut time) = (0, 0);
        feed(&mut |stored| {
            // Where the topic did not stamp it, nobody knows when it was.
            let at = stored.timestamp.map_or(0, |at| at.0);
            put(&transaction, stored, at).map_err(sql("put a record into the tables"))?;
            time = time.max(at);
            let end = next.entry((stored.topic, stored.partition)).or_default();
            *end = (*end).max(stored.offset + 1);
            count += 1;
            Ok(())
        })?;
        let finish = || -> rusqlite::Result<()> {
            let set = "UPDATE partitions SET next = ?3 WHERE topic = ?1 AND partition = ?2";
            for ((topic, partition), end) in next {
                transaction.execute(set, params![topic.name(), partition, end])?;
            }
            transaction.execute("UPDATE state SET time = max(time, ?1)", [time])?;
            Ok(())
        };
        finish().map_err(filling())?;
        transaction.commit().map_err(filling())?;
        // What was recorded of schemas is known from now on.
        self.schemas.look(&self.reader()?)?;
        Ok(count)
    }
}

fn put(file: &Connection, stored: &Stored, at: i64) -> rusqlite::Result<()> {
    let insert = r#"INSERT INTO records (topic, partition, "offset", time, key, value, headers)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"#;
    let mut insert = file.prepare_cached(insert)?;
    insert.execute(params![
        stored.topic.name(),
        stored.partition,
        stored.offset,
        at,
        stored.key,
        stored.value,
        headers(&stored.headers)
    ])?;
    Ok(())
}

/// Headers as this file has them: each name once, the last of its values, as text.
fn headers(headers: &[Header]) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    let text = |header: &Header| {
        let value = header.value.as_deref().unwrap_or_default();
        let value = String::from_utf8_lossy(value).into_owned();
        (header.key.clone(), serde_json::Value::String(value))
    };
    let object: serde_json::Map<_, _> = headers.iter().map(text).collect();
    Some(serde_json::Value::Object(object).to_string())
}
