//! Keeps an engine's tables read: from the beginning to the end before anything is opened, then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::ids::Offset;
use quorate_core::records::Pins;
use quorate_core::topic::Topic;

use super::connection::PATIENCE;
use super::read::{Start, Stored};
use super::{Connection, Error, Reader};
use crate::engine::Tables;
use crate::wire::Codec;

/// The tables an engine works with.
const FOLLOWED: [Topic; 3] = [Topic::Agents, Topic::Policies, Topic::Trust];

/// The tables, and the consumer that keeps them read.
pub(super) struct Follower {
    reader: Reader,
    codec: Arc<Codec>,
    tables: Tables,
    next: BTreeMap<Topic, i64>,
}

impl Follower {
    /// Reads every table from its beginning to its end.
    pub(super) fn open(connection: &Connection, codec: Arc<Codec>) -> Result<Self, Error> {
        let mut follower = Self {
            reader: Reader::open(connection)?,
            codec,
            tables: Tables::default(),
            next: BTreeMap::new(),
        };
        for topic in FOLLOWED {
            let reader = Reader::open(connection)?;
            let (start, end) = reader.ends(topic, 0)?;
            reader.read_to(topic, 0, start, end, |stored| follower.take(&stored))?;
            follower.next.insert(topic, end);
        }
        let places: Vec<_> = follower
            .next
            .iter()
            .map(|(&topic, &next)| (topic, 0, Start::At(next)))
            .collect();
        follower.reader.go_to(&places)?;
        Ok(follower)
    }

    /// The tables as far as they are read.
    pub(super) const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Takes what has come since.
    pub(super) fn follow(&mut self) -> Result<(), Error> {
        while let Some(stored) = self.reader.next(Duration::ZERO)? {
            self.take(&stored)?;
        }
        Ok(())
    }

    /// Reads on to an end of `acp.agents` and `acp.policies` asked for now.
    pub(super) fn reach_end(&mut self) -> Result<(), Error> {
        for topic in [Topic::Agents, Topic::Policies] {
            let (_, end) = self.reader.ends(topic, 0)?;
            self.read_until(topic, |follower| follower.read_up_to(topic) >= end)?;
        }
        Ok(())
    }

    /// Reads on until rounds pinned there can be resolved.
    pub(super) fn reach(&mut self, pins: Pins) -> Result<(), Error> {
        self.read_until(Topic::Trust, |follower| follower.tables.pins().covers(pins))
    }

    fn read_until(&mut self, topic: Topic, done: impl Fn(&Self) -> bool) -> Result<(), Error> {
        let until = Instant::now() + PATIENCE * 2;
        while !done(self) {
            if Instant::now() > until {
                return Err(Error::TimedOut(format!("read the table `{topic}`")));
            }
            if let Some(stored) = self.reader.next(Duration::from_millis(5))? {
                self.take(&stored)?;
            }
        }
        Ok(())
    }

    /// The offset to read next, past transaction markers too.
    fn read_up_to(&self, topic: Topic) -> i64 {
        let next = self.next.get(&topic).copied().unwrap_or_default();
        next.max(self.reader.position(topic, 0).unwrap_or_default())
    }

    fn take(&mut self, stored: &Stored) -> Result<(), Error> {
        let Stored { topic, offset, .. } = *stored;
        let timestamp = stored.timestamp.ok_or_else(|| {
            Error::Unfit(format!(
                "table `{topic}` does not take its time from the broker; \
                 run `quorate topics apply`"
            ))
        })?;
        let taken = self.tables.apply(
            &self.codec,
            topic,
            Offset(offset),
            timestamp,
            stored.key.as_deref(),
            stored.value.as_deref(),
        );
        if let Err(reject) = taken {
            tracing::warn!(%topic, offset, %reject, "table record passed over");
        }
        self.next.insert(topic, offset + 1);
        Ok(())
    }
}
