//! Keeps an engine's tables read: from the beginning to the end before anything is opened, then on.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use quorate_core::ids::Offset;
use quorate_core::records::Pins;
use quorate_core::topic::Topic;

use super::{Error, Source, Start, Stored};
use crate::engine::Tables;
use crate::telemetry::Vitals;
use crate::wire::Codec;

/// How long the end of a table may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// The tables an engine works with.
const FOLLOWED: [Topic; 3] = [Topic::Agents, Topic::Policies, Topic::Trust];

/// The tables, and the consumer that keeps them read.
pub(super) struct Follower<'a, S> {
    source: S,
    codec: Arc<Codec>,
    vitals: Arc<Vitals>,
    tables: Tables,
    next: BTreeMap<Topic, i64>,
    /// By input: the offset below which every record was appended before the tables' ends were
    /// last asked for.
    covered: BTreeMap<(i32, Topic), i64>,
    /// Whether to wait for nothing any more.
    stop: &'a AtomicBool,
}

impl<'a, S: Source> Follower<'a, S> {
    /// Reads every table from its beginning to its end.
    pub(super) fn open(
        source: S,
        codec: &Arc<Codec>,
        vitals: &Arc<Vitals>,
        stop: &'a AtomicBool,
    ) -> Result<Self, Error> {
        let mut follower = Self {
            source,
            codec: Arc::clone(codec),
            vitals: Arc::clone(vitals),
            tables: Tables::default(),
            next: BTreeMap::new(),
            covered: BTreeMap::new(),
            stop,
        };
        for topic in FOLLOWED {
            follower.read_whole(topic)?;
        }
        let places: Vec<_> = follower
            .next
            .iter()
            .map(|(&topic, &next)| (topic, 0, Start::At(next)))
            .collect();
        follower.source.go_to(&places)?;
        Ok(follower)
    }

    fn read_whole(&mut self, topic: Topic) -> Result<(), Error> {
        let (start, end) = self.source.ends(topic, 0)?;
        let Self {
            source,
            codec,
            vitals,
            tables,
            stop,
            ..
        } = self;
        source.read_to(topic, 0, start, end, &mut |stored| {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            take(tables, codec, vitals, &stored).map(ControlFlow::Continue)
        })?;
        self.next.insert(topic, end);
        Ok(())
    }

    /// The tables as far as they are read.
    pub(super) const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Takes what has come since.
    pub(super) fn follow(&mut self) -> Result<(), Error> {
        while let Some(stored) = self.source.next(Duration::ZERO)? {
            self.take(&stored)?;
        }
        Ok(())
    }

    /// Sees to it that the tables are read to an end asked for after a record was appended.
    ///
    /// ORDER: first where the record's own topic ends, then where the tables do: every record
    /// before that end is covered, and nobody asks again for it.
    pub(super) fn cover(
        &mut self,
        partition: i32,
        topic: Topic,
        offset: Offset,
    ) -> Result<(), Error> {
        let covered = self.covered.get(&(partition, topic));
        if covered.is_some_and(|end| offset.0 < *end) {
            return Ok(());
        }
        let (_, end) = self.source.ends(topic, partition)?;
        self.reach_end()?;
        let end = end.max(offset.0 + 1);
        self.covered.insert((partition, topic), end);
        Ok(())
    }

    /// Reads on to an end of `acp.agents` and `acp.policies` asked for now.
    fn reach_end(&mut self) -> Result<(), Error> {
        for topic in [Topic::Agents, Topic::Policies] {
            let (_, end) = self.source.ends(topic, 0)?;
            self.read_until(topic, |follower| follower.read_up_to(topic) >= end)?;
        }
        Ok(())
    }

    /// Reads on until rounds pinned there can be resolved.
    pub(super) fn reach(&mut self, pins: Pins) -> Result<(), Error> {
        self.read_until(Topic::Trust, |follower| follower.tables.pins().covers(pins))
    }

    fn read_until(&mut self, topic: Topic, done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            if Instant::now() > until {
                return Err(Error::TimedOut(format!("read the table `{topic}`")));
            }
            if let Some(stored) = self.source.next(Duration::from_millis(5))? {
                self.take(&stored)?;
            }
        }
        Ok(())
    }

    /// The offset to read next, past transaction markers too.
    fn read_up_to(&self, topic: Topic) -> i64 {
        let next = self.next.get(&topic).copied().unwrap_or_default();
        next.max(self.source.position(topic, 0).unwrap_or_default())
    }

    fn take(&mut self, stored: &Stored) -> Result<(), Error> {
        take(&mut self.tables, &self.codec, &self.vitals, stored)?;
        self.next.insert(stored.topic, stored.offset + 1);
        Ok(())
    }
}

/// Takes a table's next record; one that is unsound is passed over.
fn take(tables: &mut Tables, codec: &Codec, vitals: &Vitals, stored: &Stored) -> Result<(), Error> {
    let Stored { topic, offset, .. } = *stored;
    let timestamp = stored.timestamp.ok_or_else(|| {
        Error::Unfit(format!(
            "table `{topic}` does not take its time from the broker; \
             run `quorate topics apply`"
        ))
    })?;
    let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
    let taken = tables.apply(codec, topic, Offset(offset), timestamp, key, value);
    if let Err(reject) = taken {
        tracing::warn!(%topic, offset, %reject, "table record passed over");
        vitals.passed_over(topic);
    }
    Ok(())
}
