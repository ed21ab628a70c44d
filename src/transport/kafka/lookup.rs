//! Asks the registry for schemas that records name and nobody recorded in `acp.schemas`.
//!
//! A registry that is silent (away, failing, answering with anything but a registry's words) is
//! waited for without end. One that is reachable and does not know an id is given time to learn of
//! it; each id refused of late halves that time, so that ids made up one after the other cannot
//! hold a partition for long.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use tokio::runtime::Handle;

use super::{Error, Registry, Stored};
use crate::telemetry::Vitals;
use crate::transport::error::chain;
use crate::wire::{Codec, Kind};

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(500);
/// For how long nobody else asks a registry that was silent, if he has better to do than to wait.
const JUST_NOW: Duration = Duration::from_secs(1);
/// How long a refusal holds before the registry is asked anew: longer than it takes to read the
/// record again that waited.
const STANDS: Duration = Duration::from_secs(3);
/// How long a refusal makes us less patient.
const OF_LATE: Duration = Duration::from_secs(600);
/// A schema's id, and the kind it is to be read as.
pub(super) type Asked = (Kind, i32);

/// A way to ask the registry, from threads; clones share what they know.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    registry: Registry,
    runtime: Handle,
    patience: Duration,
    pub(super) vitals: Arc<Vitals>,
    asked: Arc<Mutex<BTreeMap<Asked, State>>>,
}

/// How far asking for a schema has come.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The registry did not say, at that time.
    Silent(Instant),
    /// It was reachable and has not known it since that time.
    Unknown(Instant),
    /// It was refused, at that time.
    Refused(Instant),
    /// The codec has it from the registry.
    Learned,
}

impl Lookup {
    /// Asks this registry; `patience` is how long it may not know an id that it is asked for.
    pub(super) fn new(
        registry: Registry,
        runtime: Handle,
        patience: Duration,
        vitals: Arc<Vitals>,
    ) -> Self {
        Self {
            registry,
            runtime,
            patience,
            vitals,
            asked: Arc::default(),
        }
    }

    /// Asks on a thread of its own until the registry has the schema or patience ends; what it said
    /// last. [`Answer::Silence`] is for asking again.
    pub(super) fn ask(&self, codec: &Arc<Codec>, asked: Asked) -> Receiver<Answer> {
        let (sender, receiver) = channel();
        let (lookup, codec) = (self.clone(), Arc::clone(codec));
        let until = Instant::now() + self.patience;
        thread::spawn(move || {
            let mut answer = lookup.once(&codec, asked);
            // Whoever is no longer there to hear it is not waited for without end.
            while answer == Answer::NotYet || answer == Answer::Silence && Instant::now() < until {
                thread::sleep(PAUSE);
                answer = lookup.once(&codec, asked);
            }
            if sender.send(answer).is_err() {
                // The engine is gone: nothing waits, unless somebody else asks and says so.
                lookup.vitals.waiting_for_registry(false);
            }
        });
        receiver
    }

    /// Asks, on this thread, for a schema by which a partition's records were read before: they
    /// must be read so again. Whether it is known; if not, this is to be asked again.
    ///
    /// # Errors
    /// [`Error::Halted`] if the registry does not have it any more.
    pub(super) fn recall(
        &self,
        codec: &Codec,
        partition: i32,
        asked: Asked,
    ) -> Result<bool, Error> {
        let state = self.asked().get(&asked).copied();
        if matches!(state, Some(State::Silent(at)) if at.elapsed() < JUST_NOW) {
            return Ok(false);
        }
        match self.once(codec, asked) {
            Answer::Known => Ok(true),
            Answer::Unknown | Answer::Unfit => {
                let why = "by which records of open rounds were read, is gone from the registry \
                           or another there; restore the registry, then start again";
                let why = format!("schema id {} of {}, {why}", asked.1, asked.0);
                Err(Error::halted(partition, why))
            }
            Answer::NotYet | Answer::Silence => Ok(false),
        }
    }

    /// The schema a record names, if only the registry vouches for it: whether it was known when
    /// the record was read first is then to be looked up.
    pub(super) fn doubtful(&self, codec: &Codec, stored: &Stored) -> Option<Asked> {
        let value = stored.value.as_deref();
        let asked = named(stored.topic, stored.control, value)?;
        let doubtful = !codec.knows(asked.0, asked.1) || self.asked().contains_key(&asked);
        doubtful.then_some(asked)
    }

    /// Whether records that name this schema are refused for now, without asking.
    pub(super) fn refuses(&self, asked: Asked) -> bool {
        let state = self.asked().get(&asked).copied();
        matches!(state, Some(State::Refused(at)) if at.elapsed() < STANDS)
    }

    fn asked(&self) -> MutexGuard<'_, BTreeMap<Asked, State>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn once(&self, codec: &Codec, asked: Asked) -> Answer {
        let (kind, id) = asked;
        let answer = self.runtime.block_on(self.registry.schema(id));
        self.vitals.waiting_for_registry(answer.is_err());
        let schema = match answer {
            Ok(Some(schema)) => schema,
            Ok(None) => return self.unknown(asked),
            Err(error) => {
                let why = chain(&error);
                if matches!(self.asked().get(&asked), Some(State::Silent(_))) {
                    tracing::debug!(%kind, id, why, "the registry still does not answer");
                } else {
                    tracing::warn!(%kind, id, why, "the registry does not answer; waiting");
                }
                self.note(asked, State::Silent(Instant::now()));
                return Answer::Silence;
            }
        };
        match codec.learn(kind, id, &schema) {
            Ok(()) => {
                self.note(asked, State::Learned);
                Answer::Known
            }
            Err(error) => {
                tracing::error!(%kind, id, %error, "schema of the registry is not to be used");
                self.note(asked, State::Refused(Instant::now()));
                Answer::Unfit
            }
        }
    }

    fn note(&self, asked: Asked, state: State) {
        self.asked().insert(asked, state);
    }

    /// What it means that the registry does not know an id.
    fn unknown(&self, asked: Asked) -> Answer {
        let now = Instant::now();
        let mut all = self.asked();
        let of_late = |state: &State| match state {
            State::Refused(at) => now.duration_since(*at) < OF_LATE,
            _ => false,
        };
        let refusals = u32::try_from(all.values().filter(|state| of_late(state)).count());
        let halvings = refusals.unwrap_or(u32::MAX).min(16);
        let (state, answer) = match all.get(&asked) {
            Some(State::Refused(_)) => (State::Refused(now), Answer::Unknown),
            Some(&State::Unknown(since)) if now - since >= self.patience / (1 << halvings) => {
                (State::Refused(now), Answer::Unknown)
            }
            Some(&State::Unknown(since)) => (State::Unknown(since), Answer::NotYet),
            _ => (State::Unknown(now), Answer::NotYet),
        };
        all.insert(asked, state);
        all.retain(|_, state| of_late(state) || !matches!(state, State::Refused(_)));
        drop(all);
        let (kind, id) = asked;
        if answer == Answer::Unknown {
            tracing::warn!(%kind, id, "the registry has no such schema; it is refused");
        } else {
            tracing::debug!(%kind, id, "the registry has no such schema yet");
        }
        answer
    }
}

/// What asking once came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The codec knows the schema.
    Known,
    /// The registry does not have it, and has had the time.
    Unknown,
    /// The registry does not have it; it may yet.
    NotYet,
    /// The registry has it, and it is not one of that kind, or not the one recorded for the id.
    Unfit,
    /// The registry did not say.
    Silence,
}

/// The schema a record names, if the codec does not know it.
pub(super) fn unknown_in(
    codec: &Codec,
    topic: Topic,
    control: bool,
    value: Option<&[u8]>,
) -> Option<Asked> {
    let (kind, id) = named(topic, control, value)?;
    (!codec.knows(kind, id)).then_some((kind, id))
}

fn named(topic: Topic, control: bool, value: Option<&[u8]>) -> Option<Asked> {
    let id = Codec::schema_id(value?)?;
    let kind = match topic {
        Topic::Responses if control => Kind::Control,
        _ => Kind::of(topic),
    };
    Some((kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Asked = (Kind::Response, 901);
    const OTHER: Asked = (Kind::Response, 902);

    fn lookup(patience: Duration) -> Lookup {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let registry = Registry::new("http://127.0.0.1:1", "", None).unwrap();
        let vitals = Arc::new(Vitals::new(Duration::ZERO));
        Lookup::new(
            registry,
            runtime.unwrap().handle().clone(),
            patience,
            vitals,
        )
    }

    #[test]
    fn an_id_is_given_time_and_silence_gives_it_anew() {
        let patient = lookup(Duration::from_secs(3600));
        assert_eq!(patient.unknown(ONE), Answer::NotYet);
        assert_eq!(patient.unknown(ONE), Answer::NotYet);
        assert!(!patient.refuses(ONE));
        let hasty = lookup(Duration::ZERO);
        assert_eq!(hasty.unknown(ONE), Answer::NotYet);
        hasty.note(ONE, State::Silent(Instant::now()));
        assert_eq!(hasty.unknown(ONE), Answer::NotYet);
        assert_eq!(hasty.unknown(ONE), Answer::Unknown);
        assert!(hasty.refuses(ONE));
        assert!(!hasty.refuses(OTHER));
    }

    #[test]
    fn every_id_refused_of_late_makes_it_less_patient() {
        let lookup = lookup(Duration::from_secs(3600));
        let asked_before = Instant::now() - Duration::from_secs(60);
        lookup.note(OTHER, State::Unknown(asked_before));
        assert_eq!(lookup.unknown(OTHER), Answer::NotYet);
        for id in 0..6 {
            lookup.note((Kind::Response, id), State::Refused(Instant::now()));
        }
        // 3600 s, halved six times, is less than the minute it has been asked for.
        assert_eq!(lookup.unknown(OTHER), Answer::Unknown);
        assert_eq!(lookup.unknown(ONE), Answer::NotYet);
    }
}
