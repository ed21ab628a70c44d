//! Automation taken away from running rounds, given back to later ones, on any log.
//!
//! Suspending writes the table first and then, naming its offset, one order to every partition:
//! the table is what authenticates it (protocol section 5). Both halves can be repeated, so that
//! what was cut off in between is completed by doing the same again.

use std::thread;
use std::time::Duration;

use quorate_core::ids::{Millis, Offset, Timestamp};
use quorate_core::records::{Agent, AgentStatus, Control, Mode, Policy};
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;

use super::in_force::{Placed, history, in_force};
use crate::engine::{CONTROL, OPERATOR_HEADER};
use crate::transport::{self, Appended, Entry, Handle};
use crate::wire::{self, Record, seal_policy};

/// How often an order is given to a partition whose leader's clock is behind that of the table's.
const TIMES: usize = 10;
/// Longest wait for a clock that is behind.
const BEHIND: Duration = Duration::from_secs(5);

/// What a table has come to say.
#[derive(Clone, Debug)]
pub struct Row {
    /// The offset from which on it says so.
    pub offset: Offset,
    /// Where that was written just now; none: it said so before.
    pub written: Option<Appended>,
}

/// Why something is not suspended, or not resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody is listed so.
    #[error("no agent `{0}` is listed")]
    NoAgent(String),
    /// There is no such policy.
    #[error("no policy has the pattern `{0}`")]
    NoPolicy(String),
    /// It has left for good.
    #[error("agent `{0}` is retired, not suspended")]
    Retired(String),
    /// It must be said how it goes on.
    #[error("the table no longer has the mode of `{0}` before; it must be said")]
    NoMode(String),
    /// The table was read before what was written to it was there.
    #[error("the table does not have what was written to it")]
    NotThere,
    /// Orders come to lie before what they rest on.
    #[error(
        "the leaders of partitions {0:?} of the responses have clocks far behind that of the \
         table's leader; see `quorate doctor`"
    )]
    Behind(Vec<i32>),
    /// A record cannot be written.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// The log does not answer.
    #[error(transparent)]
    Log(#[from] transport::Error),
}

/// Makes the table say that an agent is suspended; `by`, here and below, is who wants it, and goes
/// with the record as a header.
///
/// # Errors
/// [`Error`] if nobody is listed so, or the log does not take it.
pub fn suspend_agent(log: &dyn Handle, id: &str, by: Option<&str>) -> Result<Row, Error> {
    let Placed {
        offset, mut record, ..
    } = agent(log, id)?;
    if record.status == AgentStatus::Suspended {
        return Ok(Row::unchanged(offset));
    }
    record.status = AgentStatus::Suspended;
    write(log, id, &record, by)
}

/// Makes the table say that an agent takes part again, in rounds opened from now on.
///
/// # Errors
/// [`Error`] if it is not there, or has left for good, or the log does not take it.
pub fn resume_agent(log: &dyn Handle, id: &str, by: Option<&str>) -> Result<Row, Error> {
    let Placed {
        offset, mut record, ..
    } = agent(log, id)?;
    match record.status {
        AgentStatus::Active => Ok(Row::unchanged(offset)),
        AgentStatus::Retired => Err(Error::Retired(id.to_owned())),
        AgentStatus::Suspended => {
            record.status = AgentStatus::Active;
            write(log, id, &record, by)
        }
    }
}

/// Makes the table say that a policy is suspended.
///
/// # Errors
/// [`Error`] if there is none, or the log does not take it.
pub fn suspend_pattern(log: &dyn Handle, pattern: &str, by: Option<&str>) -> Result<Row, Error> {
    let (placed, _) = policy(log, pattern)?;
    let Placed {
        offset, mut record, ..
    } = placed;
    if record.mode == Mode::Suspended {
        return Ok(Row::unchanged(offset));
    }
    record.mode = Mode::Suspended;
    seal_policy(&mut record)?;
    write(log, pattern, &record, by)
}

/// Makes the table say that a policy is in a mode again, by default the one before it was
/// suspended.
///
/// # Errors
/// [`Error`] if there is none, or nobody knows the mode any more, or the log does not take it.
pub fn resume_pattern(
    log: &dyn Handle,
    pattern: &str,
    mode: Option<Mode>,
    by: Option<&str>,
) -> Result<Row, Error> {
    let (placed, before) = policy(log, pattern)?;
    let Placed {
        offset, mut record, ..
    } = placed;
    if record.mode != Mode::Suspended {
        return Ok(Row::unchanged(offset));
    }
    let mode = mode.or(before);
    record.mode = mode.ok_or_else(|| Error::NoMode(pattern.to_owned()))?;
    seal_policy(&mut record)?;
    write(log, pattern, &record, by)
}

/// Tells every partition of the responses what a table says since an offset; where that lies.
///
/// # Errors
/// [`Error`] if not every partition was told.
pub fn order(log: &dyn Handle, control: &Control) -> Result<Vec<Appended>, Error> {
    let since = match control.agent_id {
        Some(_) => since::<Agent>(log, control.table_offset)?,
        None => since::<Policy>(log, control.table_offset)?,
    };
    let value = log.codec().encode(control)?;
    let headers = [CONTROL];
    let entry = |&partition: &i32| Entry {
        topic: Topic::Responses,
        partition,
        key: None,
        value: Some(&value),
        headers: &headers,
    };
    let order = |partitions: &[i32]| {
        let entries: Vec<_> = partitions.iter().map(entry).collect();
        Ok(log.append(&entries)?)
    };
    let all = (0..log.partitions()?).collect();
    tell_in_time(all, since, order, thread::sleep)
}

impl Row {
    const fn unchanged(offset: Offset) -> Self {
        Self {
            offset,
            written: None,
        }
    }
}

/// Appends a record to its table, with who had it written, if that is known.
fn write<T: Record>(
    log: &dyn Handle,
    key: &str,
    record: &T,
    by: Option<&str>,
) -> Result<Row, Error> {
    let value = log.codec().encode(record)?;
    let operator = by.map(|by| (OPERATOR_HEADER, by.as_bytes()));
    let entry = Entry {
        topic: T::KIND.topic(),
        partition: 0,
        key: Some(key.as_bytes()),
        value: Some(&value),
        headers: operator.as_slice(),
    };
    let written = log.append(&[entry])?.into_iter().next();
    let written = written.ok_or(Error::NotThere)?;
    Ok(Row {
        offset: Offset(written.offset),
        written: Some(written),
    })
}

fn agent(log: &dyn Handle, id: &str) -> Result<Placed<Agent>, Error> {
    let found = in_force::<Agent>(log)?.remove(id);
    found.ok_or_else(|| Error::NoAgent(id.to_owned()))
}

/// The policy in force of a pattern, and the last mode it was not suspended in.
fn policy(log: &dyn Handle, pattern: &str) -> Result<(Placed<Policy>, Option<Mode>), Error> {
    let mut versions = history::<Policy>(log)?.remove(pattern);
    let mut modes = versions
        .iter()
        .flatten()
        .rev()
        .map(|version| version.record.mode);
    let before = modes.find(|mode| *mode != Mode::Suspended);
    let found = versions.as_mut().and_then(Vec::pop);
    let found = found.ok_or_else(|| Error::NoPolicy(pattern.to_owned()))?;
    Ok((found, before))
}

/// The latest time at which a table was appended to, up to an offset.
fn since<T>(log: &dyn Handle, offset: Offset) -> Result<Timestamp, Error>
where
    T: Record + DeserializeOwned,
{
    let versions = history::<T>(log)?.into_values().flatten();
    let by_then = versions.filter(|version| version.offset <= offset);
    by_then
        .map(|version| version.time)
        .max()
        .ok_or(Error::NotThere)
}

/// Orders, and orders again what came to lie at an earlier time than what the table says, as where
/// leaders' clocks differ: it is refused there.
fn tell_in_time(
    partitions: Vec<i32>,
    since: Timestamp,
    mut order: impl FnMut(&[i32]) -> Result<Vec<Appended>, Error>,
    wait: impl Fn(Duration),
) -> Result<Vec<Appended>, Error> {
    let (mut left, mut told) = (partitions, Vec::new());
    for _ in 0..TIMES {
        let mut behind = Millis(0);
        let mut early = Vec::new();
        for place in order(&left)? {
            match place.timestamp.filter(|time| *time < since) {
                Some(time) => {
                    behind = behind.max(since.since(time));
                    early.push(place.partition);
                }
                None => told.push(place),
            }
        }
        left = early;
        if left.is_empty() {
            told.sort_by_key(|place| place.partition);
            return Ok(told);
        }
        wait(Duration::from_millis(behind.0.unsigned_abs()).min(BEHIND));
    }
    Err(Error::Behind(left))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Two partitions, the second one's clock behind; what was ordered in all.
    fn told(behind: i64) -> (Result<Vec<Appended>, Error>, usize) {
        let (clock, mut orders) = (Cell::new(1_000), 0);
        let order = |partitions: &[i32]| {
            orders += partitions.len();
            let place = |&partition: &i32| Appended {
                topic: "acp.responses".to_owned(),
                partition,
                offset: clock.get(),
                timestamp: Some(Timestamp(clock.get() - i64::from(partition) * behind)),
                ahead: None,
            };
            Ok(partitions.iter().map(place).collect())
        };
        let wait = |time: Duration| {
            let millis = i64::try_from(time.as_millis()).unwrap();
            clock.set(clock.get() + millis);
        };
        let told = tell_in_time(vec![0, 1], Timestamp(1_000), order, wait);
        (told, orders)
    }

    #[test]
    fn an_order_is_given_again_where_it_lies_before_what_the_table_says() {
        let (told, orders) = told(300);
        let places: Vec<_> = told
            .unwrap()
            .iter()
            .map(|p| (p.partition, p.offset))
            .collect();
        assert_eq!((places, orders), (vec![(0, 1_000), (1, 1_300)], 3));
    }

    #[test]
    fn a_clock_that_is_too_far_behind_is_said_to_be() {
        let (told, _) = told(3_600_000);
        let why = told.unwrap_err().to_string();
        assert!(why.contains("partitions [1]"), "{why}");
    }
}
