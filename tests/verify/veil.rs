//! A log of which something cannot be read yet, or not at all, and who follows it all the same.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate::transport::{
    Appended, Committed, Entry, Error, Handle, Reading, Shared, Start, Stored,
};
use quorate::verify::{Depth, Finding, Follower, Options, Standing};
use quorate::wire::Codec;
use quorate_core::ids::{Millis, Timestamp};
use quorate_core::topic::Topic;

/// What of a log cannot be read yet, or not at all.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// Where topics seem to end, by topic and partition: something there is not committed.
    pub(super) ends: BTreeMap<(Topic, i32), i64>,
    /// Records that are gone.
    pub(super) gone: Vec<(Topic, i32, i64)>,
    /// What processors have committed, if not all they have.
    pub(super) positions: Option<BTreeMap<i32, Committed>>,
}

/// A log of which something is hidden.
pub(super) struct Veiled {
    pub(super) edge: Box<dyn Handle>,
    pub(super) hidden: Arc<Mutex<Hidden>>,
}

impl Veiled {
    pub(super) fn hide(&self, hidden: Hidden) {
        *self.hidden.lock().unwrap() = hidden;
    }

    /// Hides the second halves of topics.
    pub(super) fn halve(&self, topics: &[Topic]) {
        let reader = self.edge.reader().unwrap();
        let partitions = self.edge.partitions().unwrap();
        let of = |topic: &Topic| 0..(if topic.is_table() { 1 } else { partitions });
        let places = topics
            .iter()
            .flat_map(|topic| of(topic).map(|partition| (*topic, partition)));
        let half = |(topic, partition)| {
            let (start, end) = reader.ends(topic, partition).unwrap();
            ((topic, partition), (start + end) / 2)
        };
        self.hide(Hidden {
            ends: places.map(half).collect(),
            ..Hidden::default()
        });
    }
}

impl Handle for Veiled {
    fn partitions(&self) -> Result<i32, Error> {
        self.edge.partitions()
    }

    fn codec(&self) -> &Arc<Codec> {
        self.edge.codec()
    }

    fn append(&self, entries: &[Entry<'_>]) -> Result<Vec<Appended>, Error> {
        self.edge.append(entries)
    }

    fn lacks(&self, topic: Topic) -> Result<Option<String>, Error> {
        self.edge.lacks(topic)
    }

    fn reader(&self) -> Result<Box<dyn Reading + Send>, Error> {
        Ok(Box::new(Veil {
            reader: self.edge.reader()?,
            hidden: Arc::clone(&self.hidden),
        }))
    }

    fn share(&self, name: &str, topic: Topic) -> Result<Box<dyn Shared>, Error> {
        self.edge.share(name, topic)
    }

    fn committed(&self, topic: Topic, partition: i32) -> Result<Option<i64>, Error> {
        self.edge.committed(topic, partition)
    }

    fn positions(&self) -> Result<BTreeMap<i32, Committed>, Error> {
        let told = self.hidden.lock().unwrap().positions.clone();
        told.map_or_else(|| self.edge.positions(), Ok)
    }
}

/// Reads what is not hidden.
struct Veil {
    reader: Box<dyn Reading + Send>,
    hidden: Arc<Mutex<Hidden>>,
}

impl Reading for Veil {
    fn ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        let (start, end) = self.reader.ends(topic, partition)?;
        let hidden = self.hidden.lock().unwrap();
        let seems = hidden.ends.get(&(topic, partition)).copied();
        Ok((start, seems.unwrap_or(end)))
    }

    fn far_ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        self.reader.far_ends(topic, partition)
    }

    fn read_to(
        &self,
        topic: Topic,
        partition: i32,
        from: i64,
        end: i64,
        each: &mut dyn FnMut(Stored) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let gone = self.hidden.lock().unwrap().gone.clone();
        let each = &mut |stored: Stored| match gone.contains(&place(&stored)) {
            true => Ok(ControlFlow::Continue(())),
            false => each(stored),
        };
        self.reader.read_to(topic, partition, from, end, each)
    }

    fn go_to(&self, places: &[(Topic, i32, Start)]) -> Result<(), Error> {
        self.reader.go_to(places)
    }

    fn next(&self, timeout: Duration) -> Result<Option<Stored>, Error> {
        self.reader.next(timeout)
    }

    fn position(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.reader.position(topic, partition)
    }
}

pub(super) const fn place(stored: &Stored) -> (Topic, i32, i64) {
    (stored.topic, stored.partition, stored.offset)
}

/// Follows for some readings, at a time; how it stands, and what it called broken.
pub(super) fn go_on(
    follower: &mut Follower<'_>,
    readings: usize,
    at: i64,
) -> (Standing, Vec<Finding>) {
    let (stop, mut standing) = (AtomicBool::new(false), Standing::default());
    for _ in 0..readings {
        standing = follower.go_on(Timestamp(at), &stop).unwrap();
    }
    let (broken, not_evaluated) = follower.report().take();
    assert!(not_evaluated.is_empty(), "{not_evaluated:#?}");
    (standing, broken)
}

pub(super) fn open(veiled: &Veiled, grace: Millis) -> Follower<'_> {
    let options = Options {
        depth: Depth::Tables,
        grace,
        round: None,
    };
    Follower::open(veiled, String::new(), options).unwrap()
}
