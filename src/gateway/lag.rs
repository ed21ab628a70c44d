//! How far behind processors are: asked by one at a time, and not for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::desk::Desk;
use crate::transport::{Error, Handle, Reading};

/// The inputs that are looked at.
const LOOKED_AT: [Topic; 2] = [Topic::Proposals, Topic::Responses];
/// For how long an answer is given again.
const FRESH: Duration = Duration::from_secs(1);
/// How long the log may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How far behind processors are in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lag {
    pub(super) topic: Topic,
    pub(super) partition: i32,
    /// Records that lie before them.
    pub(super) records: i64,
    /// Whether none ever read it.
    pub(super) is_new: bool,
}

/// What was said of it last; whoever asks again waits for the one who asks.
#[derive(Default)]
pub(super) struct Lags(Arc<Mutex<Last>>);

#[derive(Default)]
struct Last {
    reader: Option<Box<dyn Reading + Send>>,
    told: Option<(Instant, Arc<[Lag]>)>,
}

impl Desk {
    /// How far behind processors are in each partition of proposals and responses.
    ///
    /// # Errors
    /// Why that is not known, in words, within five seconds.
    pub(super) async fn lags(&self) -> Result<Arc<[Lag]>, String> {
        self.behind.ask(self.handle(), self.partitions()).await
    }
}

impl Lags {
    async fn ask(&self, handle: Arc<dyn Handle>, partitions: i32) -> Result<Arc<[Lag]>, String> {
        let look = async {
            let mut last = Arc::clone(&self.0).lock_owned().await;
            // Whoever does not wait any more leaves it to go on, and nobody asks beside it.
            let look = spawn_blocking(move || last.look(handle.as_ref(), partitions));
            look.await.map_err(|error| error.to_string())
        };
        match timeout(PATIENCE, look).await {
            Ok(told) => told?.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer in {} seconds", PATIENCE.as_secs())),
        }
    }
}

impl Last {
    fn look(&mut self, handle: &dyn Handle, partitions: i32) -> Result<Arc<[Lag]>, Error> {
        if let Some((asked, told)) = &self.told
            && asked.elapsed() < FRESH
        {
            return Ok(Arc::clone(told));
        }
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => handle.reader()?,
        };
        let mut lags = Vec::new();
        for topic in LOOKED_AT {
            for partition in 0..partitions {
                // ORDER: the end is asked for last, so that it is never before them.
                let committed = handle.committed(topic, partition)?;
                let (start, end) = reader.ends(topic, partition)?;
                let records = end - committed.unwrap_or(start).max(start);
                lags.push(Lag {
                    topic,
                    partition,
                    records: records.max(0),
                    is_new: committed.is_none(),
                });
            }
        }
        // A reader that failed is not asked again.
        self.reader = Some(reader);
        let told: Arc<[Lag]> = lags.into();
        self.told = Some((Instant::now(), Arc::clone(&told)));
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::gateway::told::Fake;

    #[test]
    fn processors_are_behind_by_what_lies_before_them() {
        let fake = Fake::default();
        let mut last = Last::default();
        let records = |last: &mut Last| -> Vec<_> {
            last.told = None;
            let lags = last.look(&fake, 2).unwrap();
            lags.iter().map(|lag| lag.records).collect()
        };
        fake.end.store(9, Ordering::SeqCst);
        fake.committed.store(4, Ordering::SeqCst);
        assert_eq!(records(&mut last), [5; 4], "two partitions of two topics");
        fake.committed.store(9, Ordering::SeqCst);
        assert_eq!(records(&mut last), [0; 4]);
        // What was told is told again, for a second.
        let told = last.told.clone().unwrap().1;
        last.told = Some((Instant::now() + FRESH, Arc::clone(&told)));
        fake.end.store(99, Ordering::SeqCst);
        assert_eq!(last.look(&fake, 2).unwrap(), told);
    }
}
