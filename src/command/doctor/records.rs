//! What lies on the log: whether all of it may be read, and whether it lies where it should.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::ids::Timestamp;
use quorate_core::records::{Proposal, Response};
use quorate_core::topic::Topic;

use super::Findings;
use crate::config::Config;
use crate::transport::kafka::{Cluster, Connection, Ends, Gauge};
use crate::transport::{Error, Reading, Stored};
use crate::wire::{Codec, partition_of};

/// What senders other than processors append to.
const INPUTS: [Topic; 4] = [
    Topic::Proposals,
    Topic::Responses,
    Topic::Decisions,
    Topic::Results,
];
/// How long beyond its timeout a transaction may take to be given up: brokers look now and then.
const GRACE: Duration = Duration::from_secs(15);
/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(250);
/// Most senders to name.
const NAMED: usize = 5;

pub(super) fn partitions(cluster: &Cluster) -> i32 {
    let count = cluster.partitions.get(&Topic::Responses);
    count.copied().unwrap_or_default()
}

/// Says of every partition that engines read whether its last stable offset moves.
pub(super) fn stable(
    found: &mut Findings,
    connection: &Connection,
    cluster: &Cluster,
    config: &Config,
) -> Result<(), Error> {
    let gauge = Gauge::open(connection)?;
    let mut held = BTreeMap::new();
    for topic in INPUTS.into_iter().chain([Topic::TrustUpdates]) {
        for partition in 0..partitions(cluster) {
            let ends = gauge.ends(topic, partition)?;
            if ends.is_held() {
                held.insert((topic, partition), ends);
            }
        }
    }
    let patience = Duration::from_millis(config.run.transaction_timeout_ms) + GRACE;
    let until = Instant::now() + patience;
    while !held.is_empty() && Instant::now() < until {
        thread::sleep(PAUSE);
        held = still(held, |topic, partition| gauge.ends(topic, partition))?;
    }
    say_held(found, connection, &held, patience);
    Ok(())
}

/// Those of the partitions that still stand where they stood.
fn still<E>(
    held: BTreeMap<(Topic, i32), Ends>,
    ends: impl Fn(Topic, i32) -> Result<Ends, E>,
) -> Result<BTreeMap<(Topic, i32), Ends>, E> {
    let mut left = BTreeMap::new();
    for ((topic, partition), before) in held {
        let now = ends(topic, partition)?;
        if now.is_held() && now.stable == before.stable {
            left.insert((topic, partition), now);
        }
    }
    Ok(left)
}

fn say_held(
    found: &mut Findings,
    connection: &Connection,
    held: &BTreeMap<(Topic, i32), Ends>,
    patience: Duration,
) {
    let check = "last stable offset";
    for (&(topic, partition), ends) in held {
        let name = connection.topic(topic);
        let what = format!(
            "`{name}`/{partition} has stood at {} for {} s, {} records behind: a transaction hangs",
            ends.stable,
            patience.as_secs(),
            ends.high - ends.stable
        );
        let mend = format!(
            "find where it starts by `kafka-transactions describe-producers --topic {name} \
             --partition {partition}` and end it by `kafka-transactions abort`, as in \
             docs/operations.md; see who has a TransactionalId ACL"
        );
        found.why(check, what, &mend);
    }
    if held.is_empty() {
        found.ok(check, "nothing is held back on any partition that is read");
    }
}

/// What the newest records of the inputs showed.
#[derive(Debug, Default)]
struct Seen {
    records: usize,
    misplaced: usize,
    senders: BTreeSet<String>,
    unstamped: BTreeSet<Topic>,
}

/// What lies on a log of either kind.
pub(super) struct Lying<'a> {
    pub(super) reader: &'a dyn Reading,
    /// What its topics are called.
    pub(super) name: &'a dyn Fn(Topic) -> String,
    /// How many partitions the inputs have.
    pub(super) partitions: i32,
    pub(super) codec: &'a Codec,
    /// What to do about records on a wrong partition.
    pub(super) mend: &'a str,
}

/// Looks at the newest records of every input; the newest append time is kept.
pub(super) fn recent(
    found: &mut Findings,
    lying: &Lying<'_>,
    count: u32,
    newest: &mut Option<Timestamp>,
) -> Result<(), Error> {
    let (reader, partitions) = (lying.reader, lying.partitions);
    let mut seen = Seen::default();
    for topic in INPUTS {
        for partition in 0..partitions {
            let (start, end) = reader.ends(topic, partition)?;
            let from = start.max(end - i64::from(count));
            reader.read_to(topic, partition, from, end, &mut |stored| {
                *newest = (*newest).max(stored.timestamp);
                seen.take(lying.codec, &stored, partitions);
                Ok(ControlFlow::Continue(()))
            })?;
        }
    }
    seen.say(found, lying);
    Ok(())
}

impl Seen {
    fn take(&mut self, codec: &Codec, stored: &Stored, partitions: i32) {
        if stored.timestamp.is_none() {
            self.unstamped.insert(stored.topic);
        }
        let (Some(key), false) = (&stored.key, stored.control) else {
            return;
        };
        self.records += 1;
        // One that was forwarded lies right now, and did not before.
        if stored.forwarded || partition_of(key, partitions) != stored.partition {
            self.misplaced += 1;
            self.senders.extend(sender(codec, stored));
        }
    }

    fn say(&self, found: &mut Findings, lying: &Lying<'_>) {
        for &topic in &self.unstamped {
            let name = (lying.name)(topic);
            let what = format!("`{name}` has recent records with their sender's time");
            let mend = "run `quorate topics apply`: they cannot be judged";
            found.why("append times", what, mend);
        }
        if self.unstamped.is_empty() {
            let what = format!("{} recent records have the log's time", self.records);
            found.ok("append times", what);
        }
        let check = "partitioners";
        if self.misplaced == 0 {
            let what = format!("{} recent records lie where they should", self.records);
            return found.ok(check, what);
        }
        let some: Vec<_> = self.senders.iter().take(NAMED).cloned().collect();
        let who = if some.is_empty() {
            String::new()
        } else {
            format!(" ({})", some.join(", "))
        };
        let what = format!(
            "some sender's partitioner is not murmur2{who}: {} of {} recent records lay on a wrong \
             partition and had to be forwarded",
            self.misplaced, self.records
        );
        found.why(check, what, lying.mend);
    }
}

/// Who sent a record, as it says of itself.
fn sender(codec: &Codec, stored: &Stored) -> Option<String> {
    let value = stored.value.as_deref()?;
    let id = match stored.topic {
        Topic::Proposals => codec.decode::<Proposal>(value).ok()?.0.proposer.to_string(),
        Topic::Responses => codec
            .decode::<Response<'_>>(value)
            .ok()?
            .0
            .agent_id
            .to_string(),
        _ => return None,
    };
    Some(format!("`{}`", id.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_stuck_only_while_it_stands_still() {
        let ends = |stable, high| Ends { stable, high };
        let held = BTreeMap::from([
            ((Topic::Responses, 0), ends(5, 9)),
            ((Topic::Responses, 1), ends(5, 9)),
            ((Topic::Responses, 2), ends(5, 9)),
        ]);
        let now = |_, partition| {
            Ok::<_, ()>(match partition {
                0 => ends(5, 12),
                1 => ends(6, 12),
                _ => ends(12, 12),
            })
        };
        let left = still(held, now).unwrap();
        assert_eq!(left, BTreeMap::from([((Topic::Responses, 0), ends(5, 12))]));
        let connection = Connection::new("b:1", "acp.", BTreeMap::new()).unwrap();
        let mut found = Findings::default();
        say_held(&mut found, &connection, &left, GRACE);
        let what = &found.0[0].what;
        assert!(
            what.starts_with("`acp.responses`/0 has stood at 5"),
            "{what}"
        );
    }
}
