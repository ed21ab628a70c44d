//! Asks the registry for schemas that records name and nobody recorded in `acp.schemas`.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use tokio::runtime::Handle;

use super::Registry;
use super::read::Stored;
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
}

impl Lookup {
    /// Asks on a thread of its own until there is an answer or patience ends; whether the codec
    /// knows the schema now.
    pub(super) fn ask(&self, codec: &Arc<Codec>, asked: Asked) -> Receiver<bool> {
        let (sender, receiver) = channel();
        let (lookup, codec) = (self.clone(), Arc::clone(codec));
        let until = Instant::now() + self.patience;
        thread::spawn(move || {
            let mut known = lookup.once(&codec, asked);
            while !known && Instant::now() < until {
                thread::sleep(PAUSE);
                known = lookup.once(&codec, asked);
            }
            // Nobody listens any more if the partition has been taken away.
            let _unheard = sender.send(known);
        });
        receiver
    }

    /// Asks until patience ends, on this thread.
    pub(super) fn insist(&self, codec: &Codec, asked: Asked) {
        let until = Instant::now() + self.patience;
        while !self.once(codec, asked) && Instant::now() < until {
            thread::sleep(PAUSE);
        }
    }

    fn once(&self, codec: &Codec, (kind, id): Asked) -> bool {
        let schema = match self.runtime.block_on(self.registry.schema(id)) {
            Ok(schema) => schema,
            Err(error) => {
                tracing::warn!(%kind, id, %error, "schema not found in the registry");
                return false;
            }
        };
        match codec.learn(kind, id, &schema) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%kind, id, %error, "schema of the registry cannot be read");
                false
            }
        }
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
