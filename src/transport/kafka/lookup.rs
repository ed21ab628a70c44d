//! Asks the registry for schemas that records name and nobody recorded in `acp.schemas`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use tokio::runtime::Handle;

use super::{Error, Registry, Stored};
use crate::telemetry::Vitals;
use crate::wire::{Codec, Kind};

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(500);

/// A schema's id, and the kind it is to be read as.
pub(super) type Asked = (Kind, i32);

/// A way to ask the registry, from threads.
#[derive(Clone, Debug)]
pub(super) struct Lookup {
    pub(super) registry: Registry,
    pub(super) runtime: Handle,
    pub(super) patience: Duration,
    pub(super) vitals: Arc<Vitals>,
}

impl Lookup {
    /// Asks on a thread of its own until the registry has the schema or patience ends; what it said
    /// last.
    pub(super) fn ask(&self, codec: &Arc<Codec>, asked: Asked) -> Receiver<Answer> {
        let (sender, receiver) = channel();
        let (lookup, codec) = (self.clone(), Arc::clone(codec));
        let until = Instant::now() + self.patience;
        thread::spawn(move || {
            let mut answer = lookup.once(&codec, asked);
            while answer.may_change() && Instant::now() < until {
                thread::sleep(PAUSE);
                answer = lookup.once(&codec, asked);
            }
            // Nobody listens any more if the partition has been taken away.
            let _unheard = sender.send(answer);
        });
        receiver
    }

    /// Asks until the registry answers, on this thread.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it does not while patience lasts.
    pub(super) fn insist(&self, codec: &Codec, asked: Asked) -> Result<(), Error> {
        let until = Instant::now() + self.patience;
        while self.once(codec, asked) == Answer::Silence {
            if Instant::now() > until {
                return Err(Error::TimedOut(format!("fetch schema {}", asked.1)));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn once(&self, codec: &Codec, (kind, id): Asked) -> Answer {
        let answer = self.runtime.block_on(self.registry.schema(id));
        self.vitals.waiting_for_registry(answer.is_err());
        let schema = match answer {
            Ok(Some(schema)) => schema,
            Ok(None) => {
                tracing::warn!(%kind, id, "the registry has no such schema");
                return Answer::Unknown;
            }
            Err(error) => {
                tracing::warn!(%kind, id, %error, "the registry does not answer");
                return Answer::Silence;
            }
        };
        match codec.learn(kind, id, &schema) {
            Ok(()) => Answer::Known,
            Err(error) => {
                tracing::warn!(%kind, id, %error, "schema of the registry cannot be read");
                Answer::Unfit
            }
        }
    }
}

/// What asking once came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The codec knows the schema.
    Known,
    /// The registry does not have it (yet).
    Unknown,
    /// The registry has it, and it is not one of that kind: it never will be.
    Unfit,
    /// The registry did not say.
    Silence,
}

impl Answer {
    /// Whether asking again may come to something else.
    const fn may_change(self) -> bool {
        matches!(self, Self::Unknown | Self::Silence)
    }
}

/// The schema an input names, if the codec does not know it.
pub(super) fn unknown(codec: &Codec, stored: &Stored) -> Option<Asked> {
    unknown_in(codec, stored.topic, stored.control, stored.value.as_deref())
}

/// As [`unknown`], of a record still with the client.
pub(super) fn unknown_in(
    codec: &Codec,
    topic: Topic,
    control: bool,
    value: Option<&[u8]>,
) -> Option<Asked> {
    let id = Codec::schema_id(value?)?;
    let kind = match topic {
        Topic::Responses if control => Kind::Control,
        _ => Kind::of(topic),
    };
    (!codec.knows(kind, id)).then_some((kind, id))
}
