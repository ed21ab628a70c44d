//! What every edge does with the log: append what was said, and find out what became of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::ids::{Millis, Offset};
use quorate_core::records::RoundState;
use quorate_core::topic::Topic;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::claims::{self, Claims};
use super::draft::{Draft, Said};
use super::follow::follow;
use super::guests;
use super::lag::Lags;
use super::refusal::{Refusal, Sort};
use super::view::{Known, Memory, Place, Seen, View};
use crate::transport::{Appended, Entry, Error, Handle, Reading, Shared};
use crate::wire::{Codec, partition_of};

/// How often processors are asked how far they are, whoever wants to know.
const POLL: Duration = Duration::from_millis(50);

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

/// How far processors had read an input when they were asked.
#[derive(Clone, Copy, Debug)]
struct Passed {
    asked: Instant,
    committed: Option<i64>,
    /// What they refused by then lies before it.
    letters: i64,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is admitted.
    Admitted,
    /// It was refused.
    Refused(Refusal),
    /// Neither, by now.
    Pending,
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

    /// What becomes of a record within a time.
    pub async fn fate(&self, draft: &Draft, appended: &Appended, span: Duration) -> Fate {
        let fate = timeout(span, self.await_fate(draft, appended)).await;
        fate.unwrap_or(Fate::Pending)
    }

    async fn await_fate(&self, draft: &Draft, appended: &Appended) -> Fate {
        let place = (draft.said.topic(), appended.partition, appended.offset);
        let mut news = self.view.news();
        let mut hope: Option<Instant> = None;
        // Up to where dead letters must be read, once processors have passed the record.
        let mut letters: Option<i64> = None;
        loop {
            news.borrow_and_update();
            match self.look(draft, &place, letters) {
                Some(Look::Over(fate)) => return fate,
                Some(Look::Hope) => hope = hope.or_else(|| Some(Instant::now())),
                None => (hope, letters) = (None, None),
            }
            if let Some(since) = hope
                && letters.is_none()
            {
                let passed = self.passed(&place, since).await;
                let passed = passed.filter(|passed| passed.committed > Some(appended.offset));
                letters = passed.map(|passed| passed.letters);
                if letters.is_some() {
                    continue;
                }
            }
            let asks_again = hope.is_some() && letters.is_none();
            let patience = if asks_again { POLL } else { Duration::MAX };
            // Whether something came or not: it is looked again.
            let _came = timeout(patience, news.changed()).await;
        }
    }

    fn look(&self, draft: &Draft, place: &Place, letters: Option<i64>) -> Option<Look> {
        let known = self.view.known();
        if let Some(letter) = known.letter(place) {
            let refusal = Refusal::new(Sort::Refused, &*letter.reason, &*letter.detail);
            return Some(Look::Over(Fate::Refused(refusal.about(&draft.id))));
        }
        let seen = known.round(&draft.round()?)?;
        look_at(draft.said, seen, place.2)?;
        let is_read = |end| known.next(Topic::DeadLetters, place.1).unwrap_or(0) >= end;
        let is_read = |end| is_read(end) && !known.may_be_forgotten(place);
        let is_over = letters.is_some_and(is_read) || is_told(draft.said, seen, place.2);
        Some(if is_over {
            Look::Over(Fate::Admitted)
        } else {
            Look::Hope
        })
    }

    /// How far processors are, asked no earlier than at a time; none if nobody says.
    async fn passed(&self, place: &Place, since: Instant) -> Option<Passed> {
        let (topic, partition, _) = *place;
        let mut last = self.asked.get(&(topic, partition))?.lock().await;
        let is_fresh = |last: &Passed| last.asked >= since && last.asked.elapsed() < POLL;
        if let Some(last) = last.filter(is_fresh) {
            return Some(last);
        }
        let (handle, asks) = (Arc::clone(&self.handle), Arc::clone(&self.asks));
        let ask = move || ask(handle.as_ref(), &asks, topic, partition);
        match spawn_blocking(ask).await.ok()? {
            Ok(passed) => {
                *last = Some(passed);
                Some(passed)
            }
            Err(error) => {
                tracing::debug!(%error, "cannot ask how far processors are");
                None
            }
        }
    }
}

/// What a look at a record gives.
enum Look {
    Over(Fate),
    /// It may be admitted once processors have passed it.
    Hope,
}

/// Whether a record may be admitted, once processors have passed it: not while it waits for its
/// round, nor if the round closed before it.
fn look_at(said: Said, seen: &Seen, offset: i64) -> Option<()> {
    let held = seen.round.as_ref()?;
    let closed = held.closing_offset.is_some_and(|at| at < Offset(offset));
    let is_late = held.state != RoundState::Open && closed;
    (said != Said::Response || !is_late).then_some(())
}

/// Whether a round itself tells that a record was admitted.
fn is_told(said: Said, seen: &Seen, offset: i64) -> bool {
    let Some(held) = &seen.round else {
        return false;
    };
    let offset = Offset(offset);
    match said {
        Said::Proposal => held.proposal_offset == offset,
        Said::Response => false,
        Said::Decision => held.judged.contains(&offset),
        Said::Result => held.settled == Some(offset),
    }
}

/// ORDER: the dead letters' end is asked for after the position, so that it has what was refused
/// by then; the far one, since a transaction's end may come to them later than to the position.
fn ask(
    handle: &dyn Handle,
    asks: &Mutex<Option<Box<dyn Reading + Send>>>,
    topic: Topic,
    partition: i32,
) -> Result<Passed, Error> {
    let asked = Instant::now();
    let committed = handle.committed(topic, partition)?;
    let mut asks = asks.lock().unwrap_or_else(PoisonError::into_inner);
    let reader = reader(handle, &mut asks)?;
    let (_, letters) = reader.far_ends(Topic::DeadLetters, partition)?;
    Ok(Passed {
        asked,
        committed,
        letters,
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::told::{Fake, ID, Told};

    /// A desk whose log is told what to say.
    struct Place {
        desk: Desk,
        told: Told,
        committed: Arc<std::sync::atomic::AtomicI64>,
        letters: Arc<std::sync::atomic::AtomicI64>,
    }

    impl Place {
        fn new() -> Self {
            let fake = Fake::default();
            let (committed, letters) = (Arc::clone(&fake.committed), Arc::clone(&fake.letters));
            let desk = Desk::open(Arc::new(fake)).unwrap();
            let told = Told::to(Arc::clone(&desk.view));
            Self {
                desk,
                told,
                committed,
                letters,
            }
        }

        fn passed(&self, committed: i64, letters: i64) {
            self.committed.store(committed, Ordering::SeqCst);
            self.letters.store(letters, Ordering::SeqCst);
        }

        /// What becomes of a response at an offset, however long a busy machine takes.
        fn fate(&self, offset: i64) -> Fate {
            self.fate_within(offset, Duration::from_secs(60))
        }

        /// Nothing becomes of it where processors are asked for several times.
        fn is_pending(&self, offset: i64) -> bool {
            self.fate_within(offset, Duration::from_millis(120)) == Fate::Pending
        }

        fn fate_within(&self, offset: i64, span: Duration) -> Fate {
            let draft = Draft {
                said: Said::Response,
                id: "r".to_owned(),
                key: ID.to_string(),
                value: Vec::new(),
            };
            let appended = Appended {
                topic: "responses".to_owned(),
                partition: 0,
                offset,
                timestamp: None,
                ahead: None,
            };
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().build().unwrap();
            runtime.block_on(self.desk.fate(&draft, &appended, span))
        }
    }

    #[test]
    fn what_processors_have_not_passed_is_pending() {
        let mut place = Place::new();
        place.told.round(ID, RoundState::Open, 1);
        place.passed(7, 0);
        assert!(place.is_pending(7));
        place.passed(8, 0);
        assert_eq!(place.fate(7), Fate::Admitted);
    }

    #[test]
    fn what_has_no_round_yet_may_be_waiting_for_it() {
        let mut place = Place::new();
        place.passed(8, 0);
        assert!(place.is_pending(7));
        place.told.round(ID, RoundState::Open, 1);
        assert_eq!(place.fate(7), Fate::Admitted);
    }

    #[test]
    fn what_came_after_its_round_closed_is_not_admitted() {
        let mut place = Place::new();
        place.told.round_closed(ID, RoundState::Closed, 1, Some(6));
        place.passed(9, 0);
        assert!(place.is_pending(7));
        assert_eq!(place.fate(6), Fate::Admitted, "it is what closed it");
    }

    #[test]
    fn nothing_is_admitted_before_the_dead_letters_are_read() {
        let mut place = Place::new();
        place.told.round(ID, RoundState::Open, 1);
        let letter = place.told.offset;
        place.passed(8, letter + 1);
        assert!(place.is_pending(7));
        place.told.refuse(7, 2);
        let Fate::Refused(refusal) = place.fate(7) else {
            panic!("not refused");
        };
        assert_eq!(refusal.code, "reasoning_missing");
        assert_eq!(place.fate(6), Fate::Admitted);
    }

    #[test]
    fn what_was_asked_before_the_round_was_known_does_not_count() {
        let mut place = Place::new();
        place.told.round(ID, RoundState::Open, 1);
        place.passed(8, 0);
        assert_eq!(place.fate(6), Fate::Admitted);
        // At once, so that what was asked is still fresh.
        place.passed(8, place.told.offset + 1);
        assert!(place.is_pending(7));
    }
}
