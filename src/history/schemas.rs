//! What records of a history were written with, as its table of schemas has it.

use std::sync::Arc;

use quorate_core::records::SchemaEntry;
use quorate_core::topic::Topic;

use crate::transport::Stored;
use crate::wire::{Codec, Head, Kind, built_in_ids};

/// The entries of `acp.schemas` as they come, which is before any other record.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    entries: Vec<SchemaEntry>,
}

impl Recorded {
    /// Takes an entry; says whether the record was one.
    pub fn take(&mut self, stored: &Stored) -> bool {
        if stored.topic != Topic::Schemas {
            return false;
        }
        let value = stored.value.as_deref().unwrap_or_default();
        match Codec::schema_entry(value) {
            Ok(entry) => self.entries.push(entry),
            Err(error) => tracing::warn!(%error, offset = stored.offset, "not a schema entry"),
        }
        true
    }

    /// Lets what reads the history's records read what the last entry vouches for, too.
    pub fn teach(&self, prefix: &str, codec: &Codec) {
        if let Some(entry) = self.entries.last() {
            codec.learn_recorded(prefix, entry);
        }
    }

    /// What reads the first fields of the history's records of a kind, up to one of them.
    #[must_use]
    pub fn head(&self, prefix: &str, kind: Kind, last: &[&str]) -> Option<Head> {
        let ids = built_in_ids(prefix, &self.entries);
        Head::of(kind, last, ids.get(&kind).copied()).ok()
    }

    /// What reads the history's records.
    #[must_use]
    pub fn codec(&self, prefix: &str) -> Arc<Codec> {
        Arc::new(Codec::recorded(prefix, &self.entries))
    }
}
