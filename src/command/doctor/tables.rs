//! The tables: every processor reads them whole and passes over what is unsound, so somebody has
//! to name it. What a later record of the same key has mended is not held against them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use quorate_core::ids::{Millis, Offset, Timestamp};
use quorate_core::records::{Agent, Policy, SchemaEntry};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;

use super::Findings;
use crate::engine::Tables;
use crate::transport::{Error, Reading, Stored, TRUST_LAG};
use crate::wire::{Codec, schemas};

const CHECK: &str = "tables";
const DAY: Millis = Millis(24 * 60 * 60 * 1_000);
const TABLES: [Topic; 4] = [Topic::Agents, Topic::Policies, Topic::Schemas, Topic::Trust];

/// A table as it was read.
#[derive(Debug, Default)]
struct Read {
    sound: usize,
    /// Offset and why, by key.
    unsound: BTreeMap<Vec<u8>, (i64, String)>,
    /// The first record whose time is its sender's.
    unstamped: Option<i64>,
}

/// Reads every table, and names what is passed over; the newest append time is kept.
pub(super) fn look(
    found: &mut Findings,
    reader: &dyn Reading,
    name: &dyn Fn(Topic) -> String,
    codec: &Codec,
    newest: &mut Option<Timestamp>,
) -> Result<(), Error> {
    let mut tables = Tables::default();
    let mut deadlines = BTreeMap::new();
    for topic in TABLES {
        let mut read = Read::default();
        let (start, end) = reader.ends(topic, 0)?;
        reader.read_to(topic, 0, start, end, &mut |stored| {
            *newest = (*newest).max(stored.timestamp);
            let taken = take(&mut tables, codec, &stored);
            if taken.is_ok()
                && let Some(policy) = policy(codec, &stored)
            {
                deadlines.insert(policy.pattern, policy.deadline_max);
            }
            read.take(&stored, taken);
            Ok(ControlFlow::Continue(()))
        })?;
        read.say(found, &name(topic));
    }
    lag(found, &deadlines);
    Ok(())
}

/// Takes a record as a processor does; why not.
fn take(tables: &mut Tables, codec: &Codec, stored: &Stored) -> Result<(), String> {
    let Stored { topic, offset, .. } = *stored;
    let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
    if topic == Topic::Schemas {
        return entry(codec, stored).map_err(|reject| reject.to_string());
    }
    // Judged with some time, so that what else is wrong with it is told too.
    let time = stored.timestamp.unwrap_or(Timestamp(0));
    let taken = tables.apply(codec, topic, Offset(offset), time, key, value);
    taken.map_err(|reject| match unsound(codec, stored) {
        Some(why) => format!("{reject}: {why}"),
        None => reject.to_string(),
    })
}

fn entry(codec: &Codec, stored: &Stored) -> Result<(), Reject> {
    let Some(value) = stored.value.as_deref() else {
        return Ok(());
    };
    let (entry, _) = codec
        .decode::<SchemaEntry>(value)
        .map_err(|error| error.reject())?;
    if stored.key.as_deref() != Some(entry.subject.as_bytes()) {
        return Err(Reject::KeyMismatch);
    }
    let print = schemas::fingerprint_of(&entry.schema).map_err(|error| error.reject())?;
    if print[..] == entry.fingerprint.0 {
        Ok(())
    } else {
        Err(Reject::DigestMismatch)
    }
}

/// What an agent or policy says that it may not, in words.
fn unsound(codec: &Codec, stored: &Stored) -> Option<String> {
    let value = stored.value.as_deref()?;
    let checked = match stored.topic {
        Topic::Agents => codec.decode::<Agent>(value).map(|(agent, _)| agent.check()),
        Topic::Policies => codec
            .decode::<Policy>(value)
            .map(|(policy, _)| policy.check()),
        _ => return None,
    };
    match checked {
        Ok(Ok(())) => None,
        Ok(Err(unsound)) => Some(unsound.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

fn policy(codec: &Codec, stored: &Stored) -> Option<Policy> {
    if stored.topic != Topic::Policies {
        return None;
    }
    let decoded = codec.decode::<Policy>(stored.value.as_deref()?);
    decoded.ok().map(|(policy, _)| policy)
}

impl Read {
    fn take(&mut self, stored: &Stored, taken: Result<(), String>) {
        if stored.timestamp.is_none() {
            self.unstamped.get_or_insert(stored.offset);
        }
        let key = stored.key.clone().unwrap_or_default();
        match taken {
            Ok(()) => {
                self.unsound.remove(&key);
                self.sound += 1;
            }
            Err(why) => {
                self.unsound.insert(key, (stored.offset, why));
            }
        }
    }

    fn say(&self, found: &mut Findings, name: &str) {
        if let Some(offset) = self.unstamped {
            let what = format!("`{name}`@{offset} has its sender's time, not the broker's");
            let mend = "no processor starts on it: run `quorate topics apply`, then use a new \
                        prefix or delete what lies up to there";
            found.why(CHECK, what, mend);
        }
        for (key, (offset, why)) in &self.unsound {
            let key = String::from_utf8_lossy(key);
            let what = format!("`{name}`@{offset} (key `{}`) {why}", key.escape_debug());
            let mend = "it is passed over; write a sound record of that key";
            found.why(CHECK, what, mend);
        }
        if self.unstamped.is_none() && self.unsound.is_empty() {
            found.ok(CHECK, format!("`{name}`: {} records read", self.sound));
        }
    }
}

/// Names policies whose rounds may outlive the trust scores they pinned.
fn lag(found: &mut Findings, deadlines: &BTreeMap<String, Millis>) {
    for (pattern, longest) in deadlines {
        if longest.0.saturating_add(DAY.0) > TRUST_LAG.0 {
            let what = format!(
                "policy `{}` allows deadlines of {} ms, but scores they pinned may be compacted \
                 away after {} ms",
                pattern.escape_debug(),
                longest.0,
                TRUST_LAG.0
            );
            found.why(CHECK, what, "lower its `deadline_max` to 8 days or less");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(key: &str, offset: i64) -> Stored {
        Stored {
            topic: Topic::Agents,
            partition: 0,
            offset,
            timestamp: Some(Timestamp(1)),
            key: Some(key.into()),
            value: None,
            control: false,
            forwarded: false,
            headers: Vec::new(),
            traceparent: None,
        }
    }

    #[test]
    fn a_record_is_named_until_a_sound_one_of_its_key_follows() {
        let mut read = Read::default();
        read.take(&stored("a", 0), Err("is bad".to_owned()));
        read.take(&stored("b", 1), Err("is worse".to_owned()));
        read.take(&stored("a", 2), Ok(()));
        let mut found = Findings::default();
        read.say(&mut found, "acp.agents");
        assert_eq!(found.0.len(), 1);
        assert_eq!(found.0[0].what, "`acp.agents`@1 (key `b`) is worse");
    }

    #[test]
    fn a_policy_that_outlives_the_scores_is_named() {
        let mut found = Findings::default();
        let of = |days: i64| Millis(days * DAY.0);
        lag(
            &mut found,
            &[("a".to_owned(), of(8)), ("b".to_owned(), of(9))].into(),
        );
        assert_eq!(found.0.len(), 1);
        assert!(found.0[0].what.contains("`b`"));
    }
}
