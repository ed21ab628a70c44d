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

    /// Reads on until a partition committed at these pins can be restored.
    ///
    /// ORDER: after the positions were fetched. Orders, decisions and results below them are read
    /// again, which somebody else may have read first, after this member had read the tables; so
    /// they are judged by an end asked for now.
    pub(super) fn take_over(&mut self, pins: Pins) -> Result<(), Error> {
        self.read_until(Topic::Trust, |follower| follower.tables.pins().covers(pins))?;
        self.reach_end()
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

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use quorate_core::ids::Timestamp;

    use super::super::{Committed, Reading};
    use super::*;

    /// A table of agents that grows; the others stay empty.
    #[derive(Clone, Default)]
    struct Shelf {
        rows: Rc<RefCell<Vec<Stored>>>,
        next: Rc<Cell<usize>>,
    }

    impl Shelf {
        fn append(&self) {
            let mut rows = self.rows.borrow_mut();
            let offset = i64::try_from(rows.len()).unwrap();
            rows.push(Stored {
                topic: Topic::Agents,
                partition: 0,
                offset,
                timestamp: Some(Timestamp(offset)),
                key: None,
                value: None,
                control: false,
                forwarded: false,
                traceparent: None,
                headers: Vec::new(),
            });
        }
    }

    impl Reading for Shelf {
        fn ends(&self, topic: Topic, _: i32) -> Result<(i64, i64), Error> {
            let rows = self
                .rows
                .borrow()
                .iter()
                .filter(|row| row.topic == topic)
                .count();
            Ok((0, i64::try_from(rows).unwrap()))
        }

        fn far_ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
            self.ends(topic, partition)
        }

        fn read_to(
            &self,
            _: Topic,
            _: i32,
            from: i64,
            end: i64,
            each: &mut dyn FnMut(Stored) -> Result<ControlFlow<()>, Error>,
        ) -> Result<(), Error> {
            let wanted = |row: &Stored| (from..end).contains(&row.offset);
            let rows = self.rows.borrow().clone();
            for row in rows.into_iter().filter(wanted) {
                if each(row)?.is_break() {
                    break;
                }
            }
            Ok(())
        }

        fn go_to(&self, _: &[(Topic, i32, Start)]) -> Result<(), Error> {
            self.next.set(self.rows.borrow().len());
            Ok(())
        }

        fn next(&self, _: Duration) -> Result<Option<Stored>, Error> {
            let at = self.next.get();
            let row = self.rows.borrow().get(at).cloned();
            self.next.set(at + usize::from(row.is_some()));
            Ok(row)
        }

        fn position(&self, _: Topic, _: i32) -> Option<i64> {
            None
        }
    }

    impl Source for Shelf {
        fn committed(&self, _: &[i32]) -> Result<BTreeMap<i32, Option<Committed>>, Error> {
            Ok(BTreeMap::new())
        }

        fn as_it_was(&self, stored: Stored) -> Result<Option<Stored>, Error> {
            Ok(Some(stored))
        }
    }

    #[test]
    fn a_partition_taken_over_is_restored_by_every_row_there_is_by_then() {
        let shelf = Shelf::default();
        shelf.append();
        let (codec, vitals) = (
            Arc::new(Codec::single_object()),
            Vitals::new(Duration::ZERO),
        );
        let never = AtomicBool::new(false);
        let opened = Follower::open(shelf.clone(), &codec, &Arc::new(vitals), &never);
        let mut follower = opened.unwrap();
        // Whoever had the partition reads this, and what is judged by it, and commits no round.
        shelf.append();
        follower.take_over(Pins::NONE).unwrap();
        assert_eq!(follower.tables().pins().agents, Offset(1));
    }
}
