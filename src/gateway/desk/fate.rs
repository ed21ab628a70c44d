//! What became of a record: admitted once processors have passed it, unless they refused it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::ids::Offset;
use quorate_core::records::RoundState;
use quorate_core::topic::Topic;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Desk, reader};
use crate::gateway::draft::{Draft, Said};
use crate::gateway::refusal::{Refusal, Sort};
use crate::gateway::view::{Place, Seen};
use crate::transport::{Appended, Error, Handle, Reading};

/// How often processors are asked how far they are, whoever wants to know.
const POLL: Duration = Duration::from_millis(50);

/// How far processors had read an input when they were asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Passed {
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::gateway::told::{Fake, ID, Told};

    /// A desk whose log is told what to say.
    struct Place {
        desk: Desk,
        told: Told,
        committed: Arc<AtomicI64>,
        letters: Arc<AtomicI64>,
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
