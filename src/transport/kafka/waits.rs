//! Partitions that wait until the registry has said what a schema is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::lookup::{Answer, Asked, Lookup, unknown_in};
use crate::engine::Record;
use crate::wire::Codec;

/// What is asked, and who waits.
#[derive(Debug, Default)]
pub(super) struct Waits {
    asked: BTreeMap<Asked, Receiver<Answer>>,
    waiting: BTreeMap<i32, Asked>,
}

impl Waits {
    /// The schema a record names, if it is not known and may yet be.
    pub(super) fn wants(lookup: &Lookup, codec: &Codec, record: &Record<'_>) -> Option<Asked> {
        let unknown = unknown_in(codec, record.topic, record.headers.control, record.value);
        unknown.filter(|asked| !lookup.refuses(*asked))
    }

    /// Whether a partition waits.
    pub(super) fn is_waiting(&self, partition: i32) -> bool {
        self.waiting.contains_key(&partition)
    }

    /// Notes that a partition waits for a schema, and asks for it.
    pub(super) fn wait(
        &mut self,
        lookup: &Lookup,
        codec: &Arc<Codec>,
        partition: i32,
        asked: Asked,
    ) {
        let (kind, id) = asked;
        tracing::info!(partition, %kind, id, "waiting for a schema");
        self.asked
            .entry(asked)
            .or_insert_with(|| lookup.ask(codec, asked));
        lookup
            .vitals
            .waiting(partition, format!("schema {id} of a {kind}"));
        self.waiting.insert(partition, asked);
    }

    /// Forgets who waits.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The partitions that need not wait any more, since the schema was found or will not be.
    pub(super) fn answered(&mut self, lookup: &Lookup, codec: &Arc<Codec>) -> Vec<i32> {
        let mut free = Vec::new();
        for (asked, answer) in self.answers() {
            if answer == Answer::Silence {
                // A registry that is away refuses nothing: the partition waits for it.
                self.asked.insert(asked, lookup.ask(codec, asked));
                continue;
            }
            self.asked.remove(&asked);
            let waits_for = |(_, waits): &(&i32, &Asked)| **waits == asked;
            free.extend(self.waiting.iter().filter(waits_for).map(|(p, _)| *p));
            self.waiting.retain(|_, waits| *waits != asked);
            free.iter()
                .for_each(|partition| lookup.vitals.live(*partition));
        }
        free
    }

    fn answers(&self) -> Vec<(Asked, Answer)> {
        let answered = |receiver: &Receiver<Answer>| match receiver.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Answer::Silence),
        };
        let asked = self.asked.iter();
        asked
            .filter_map(|(&asked, receiver)| Some((asked, answered(receiver)?)))
            .collect()
    }
}
