//! What every edge does with the log: append what was said, ask how far it goes, and find out what
//! became of what was appended.

mod fate;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::ids::Millis;
use quorate_core::topic::Topic;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::claims::{self, Claims};
use super::draft::Draft;
use super::follow::follow;
use super::guests;
use super::lag::Lags;
use super::refusal::{Refusal, Sort};
use super::view::{Known, Memory, View};
use crate::transport::{Appended, Entry, Error, Handle, Reading, Shared};
use crate::wire::{Codec, partition_of};
use fate::Passed;

pub use fate::Fate;

/// The log as an edge has it.
pub struct Desk {
    handle: Arc<dyn Handle>,
    partitions: i32,
    view: Arc<View>,
    claims: Arc<Claims>,
    /// How long a claim stands.
    claims_last: Millis,
    /// What asks for ends, once somebody wants to know.
    asks: Arc<Mutex<Option<Box<dyn Reading + Send>>>>,
    /// How far processors were when last asked; whoever asks again waits for the one who asks.
    asked: BTreeMap<(Topic, i32), tokio::sync::Mutex<Option<Passed>>>,
    /// How far behind processors are in all of it.
    pub(super) behind: Lags,
    /// Guests are listed a few at once.
    welcoming: Semaphore,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let partitions = &self.partitions;
        f.debug_struct("Desk")
            .field("partitions", partitions)
            .finish_non_exhaustive()
    }
}

impl Desk {
    /// The desk of a log.
    ///
    /// # Errors
    /// As [`Handle::partitions`].
    pub fn open(handle: Arc<dyn Handle>) -> Result<Self, Error> {
        Self::remembering(handle, Memory::default())
    }

    /// The desk of a log, which remembers so much of it.
    ///
    /// # Errors
    /// As [`Handle::partitions`].
    pub fn remembering(handle: Arc<dyn Handle>, memory: Memory) -> Result<Self, Error> {
        let partitions = handle.partitions()?;
        let inputs = [Topic::Proposals, Topic::Responses];
        let places = inputs
            .into_iter()
            .flat_map(|topic| (0..partitions).map(move |partition| (topic, partition)));
        Ok(Self {
            asked: places.map(|place| (place, Default::default())).collect(),
            handle,
            partitions,
            view: Arc::new(View::within(memory)),
            claims: Arc::default(),
            claims_last: claims::LASTS,
            asks: Arc::default(),
            behind: Lags::default(),
            welcoming: Semaphore::new(guests::AT_ONCE),
        })
    }

    /// The same, where claims to escalations stand for so long.
    #[must_use]
    pub fn with_claims_for(self, claims_last: Millis) -> Self {
        Self {
            claims_last,
            ..self
        }
    }

    /// Keeps what is known of the log up to date until `stop` is set; for a thread of its own.
    pub fn follow(&self, stop: &AtomicBool) {
        let ended = Arc::new(AtomicBool::new(false));
        let (claims, view) = (&self.claims, &self.view);
        let listening = claims::listen(claims, view, &self.handle, self.partitions, &ended);
        if let Err(error) = listening {
            tracing::error!(%error, "cannot start a thread: nothing can be claimed");
        }
        follow(&self.view, &self.handle, self.partitions, stop);
        ended.store(true, Ordering::Relaxed);
    }

    /// Whether the log was read to its end, and is being followed.
    #[must_use]
    pub fn is_following(&self) -> bool {
        self.view.known().follows()
    }

    /// The log.
    pub(super) fn handle(&self) -> Arc<dyn Handle> {
        Arc::clone(&self.handle)
    }

    /// What reads and writes records.
    #[must_use]
    pub fn codec(&self) -> &Codec {
        self.handle.codec()
    }

    /// Who is at which escalation.
    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// How long a claim stands.
    pub(super) const fn claims_last(&self) -> Millis {
        self.claims_last
    }

    /// Who may list a guest now.
    pub(super) const fn welcoming(&self) -> &Semaphore {
        &self.welcoming
    }

    /// How many partitions the topics routed by proposal have.
    pub(super) const fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Whether the log goes as far as these offsets of a topic's partitions; it is asked where
    /// less is read.
    ///
    /// # Errors
    /// A [`Refusal`] if the log does not answer.
    pub(super) async fn reaches(
        &self,
        topic: Topic,
        offsets: Vec<(i32, i64)>,
    ) -> Result<bool, Refusal> {
        let ahead: Vec<_> = {
            let known = self.view.known();
            let is_ahead =
                |(partition, offset): &(i32, i64)| known.next(topic, *partition) < Some(*offset);
            offsets.into_iter().filter(is_ahead).collect()
        };
        if ahead.iter().all(|(_, offset)| *offset == 0) {
            return Ok(true);
        }
        let (handle, asks) = (Arc::clone(&self.handle), Arc::clone(&self.asks));
        let ask = move || {
            let mut asks = asks.lock().unwrap_or_else(PoisonError::into_inner);
            let reader = reader(handle.as_ref(), &mut asks)?;
            for (partition, offset) in ahead {
                if reader.ends(topic, partition)?.1 < offset {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let answer: Result<bool, Error> = spawn_blocking(ask).await.map_err(ended)?;
        answer.map_err(Refusal::from)
    }

    /// Shares what is escalated with the other gateways that tell a webhook of it.
    pub(super) fn share_escalations(&self, webhook: &str) -> Result<Box<dyn Shared>, Error> {
        let name = format!("webhook-{webhook}");
        self.handle.share(&name, Topic::Escalations)
    }

    /// The first offset there is of a partition, and the one after the last.
    pub(super) fn ends_of(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        reader(self.handle.as_ref(), &mut asks)?.ends(topic, partition)
    }

    /// What is known of the log.
    pub(super) fn view(&self) -> &View {
        &self.view
    }

    /// The same, for whoever tells it something.
    #[cfg(test)]
    pub(super) fn shared_view(&self) -> Arc<View> {
        Arc::clone(&self.view)
    }

    /// Appends a record where its key belongs, and waits until it is there.
    ///
    /// # Errors
    /// A [`Refusal`] if the log does not take it; it may be there all the same.
    pub async fn append(&self, draft: &Draft, trace: Option<String>) -> Result<Appended, Refusal> {
        let (topic, key, value) = (draft.said.topic(), draft.key.clone(), draft.value.clone());
        let partition = partition_of(key.as_bytes(), self.partitions);
        let appended = self.write(topic, partition, key, value, trace).await;
        appended.map_err(|refusal| refusal.about(&draft.id))
    }

    pub(super) async fn write(
        &self,
        topic: Topic,
        partition: i32,
        key: String,
        value: Vec<u8>,
        trace: Option<String>,
    ) -> Result<Appended, Refusal> {
        let handle = Arc::clone(&self.handle);
        let append = move || {
            let trace = trace.as_deref();
            let trace = trace.map(|trace| ("traceparent", trace.as_bytes()));
            let entry = Entry {
                topic,
                partition,
                key: Some(key.as_bytes()),
                value: Some(&value),
                headers: trace.as_slice(),
            };
            let appended = handle.append(&[entry])?;
            let nowhere = || Error::TimedOut("append a record".to_owned());
            appended.into_iter().next().ok_or_else(nowhere)
        };
        let appended = spawn_blocking(append).await.map_err(ended)?;
        appended.map_err(Refusal::from)
    }
}

/// What asks for ends.
fn reader<'a>(
    handle: &dyn Handle,
    asks: &'a mut Option<Box<dyn Reading + Send>>,
) -> Result<&'a dyn Reading, Error> {
    Ok(match asks {
        Some(reader) => &**reader,
        none => &**none.insert(handle.reader()?),
    })
}

fn ended(error: tokio::task::JoinError) -> Refusal {
    tracing::error!(%error, "a task has ended");
    Refusal::new(Sort::Away, "log_unavailable", "it was given up")
}

/// Whether what is known can be told: it is not while the log cannot be followed.
///
/// # Errors
/// A [`Refusal`] to be tried again.
pub(super) fn follows(known: &Known) -> Result<(), Refusal> {
    if known.follows() {
        return Ok(());
    }
    let detail = "the log is not read to its end yet, or was not heard of lately";
    Err(Refusal::new(Sort::Away, "log_unavailable", detail))
}
