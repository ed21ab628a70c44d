//! Keeps a view read: from the beginning of the log to its end, then on, whatever happens to it.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use quorate_core::topic::Topic;

use super::heard::listen;
use super::view::View;
use crate::transport::{Error, Handle, Reading, Start};

/// What a gateway follows. Rounds come before what is said of them, so that what belongs to old
/// ones is not remembered.
pub const FOLLOWED: [Topic; 12] = [
    Topic::Agents,
    Topic::Policies,
    Topic::Trust,
    Topic::Rounds,
    Topic::Proposals,
    Topic::DeadLetters,
    Topic::Responses,
    Topic::Outcomes,
    Topic::Escalations,
    Topic::Decisions,
    Topic::Results,
    Topic::TrustUpdates,
];
/// How long one look for records takes.
const LOOK: Duration = Duration::from_millis(50);
/// Most records taken before those who wait are told.
const BATCH: usize = 256;
/// How long to wait before a log that failed is read again.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the log until `stop` is set.
pub(super) fn follow(
    view: &Arc<View>,
    handle: &Arc<dyn Handle>,
    partitions: i32,
    stop: &AtomicBool,
) {
    let ended = Arc::new(AtomicBool::new(false));
    if let Err(error) = listen(view, handle, partitions, &ended) {
        tracing::error!(%error, "cannot start a thread: nothing is told of the log");
    }
    while !stop.load(Ordering::Relaxed) {
        let followed = Follower {
            view,
            handle: handle.as_ref(),
            partitions,
            stop,
        }
        .run();
        view.set_follows(false);
        if let Err(error) = followed
            && !stop.load(Ordering::Relaxed)
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the log cannot be followed"
            );
            thread::sleep(PAUSE);
        }
    }
    ended.store(true, Ordering::Relaxed);
}

struct Follower<'a> {
    view: &'a View,
    handle: &'a dyn Handle,
    partitions: i32,
    stop: &'a AtomicBool,
}

impl Follower<'_> {
    /// Reads on from what is known.
    fn run(&self) -> Result<(), Error> {
        let reader = self.handle.reader()?;
        let places: Vec<_> = FOLLOWED
            .into_iter()
            .flat_map(|topic| {
                let count = if topic.is_table() { 1 } else { self.partitions };
                (0..count).map(move |partition| (topic, partition))
            })
            .collect();
        let mut starts = Vec::new();
        for &(topic, partition) in &places {
            let next = self.catch_up(reader.as_ref(), topic, partition)?;
            starts.push((topic, partition, Start::At(next)));
        }
        reader.go_to(&starts)?;
        self.view.set_follows(true);
        self.view.tell();
        while !self.stop.load(Ordering::Relaxed) {
            self.look(reader.as_ref(), &places)?;
        }
        Ok(())
    }

    /// Reads a partition to its end; where that is.
    fn catch_up(&self, reader: &dyn Reading, topic: Topic, partition: i32) -> Result<i64, Error> {
        let (start, end) = reader.ends(topic, partition)?;
        let next = self.view.known().next(topic, partition);
        let from = next.map_or(start, |next| next.max(start));
        self.view.begin(topic, partition, start, next);
        let codec = self.handle.codec();
        reader.read_to(topic, partition, from, end, &mut |stored| {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            self.view.take(codec, &stored);
            Ok(ControlFlow::Continue(()))
        })?;
        self.view.read_to(topic, partition, end);
        Ok(end.max(from))
    }

    /// Takes what has come, and tells those who wait.
    fn look(&self, reader: &dyn Reading, places: &[(Topic, i32)]) -> Result<(), Error> {
        let codec = self.handle.codec();
        let (mut timeout, mut taken) = (LOOK, 0);
        while taken < BATCH
            && let Some(stored) = reader.next(timeout)?
        {
            self.view.take(codec, &stored);
            (timeout, taken) = (Duration::ZERO, taken + 1);
        }
        // Transaction markers leave no record to see.
        let mut moved = false;
        for &(topic, partition) in places
            .iter()
            .filter(|(topic, _)| matches!(topic, Topic::DeadLetters | Topic::Rounds))
        {
            if let Some(next) = reader.position(topic, partition)
                && self.view.known().next(topic, partition) < Some(next)
            {
                self.view.read_to(topic, partition, next);
                moved = true;
            }
        }
        if moved || taken > 0 {
            self.view.tell();
        }
        Ok(())
    }
}
