//! Which schema ids are ours: as `acp.schemas` has them, so that a registry that is down does not
//! stop a start, and one that lost or re-issued its ids is noticed.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::ids::Bytes;
use quorate_core::records::SchemaEntry;
use quorate_core::topic::Topic;

use super::{Appender, Connection, Error, Reader, Registry};
use crate::wire::{Codec, Kind, built_in_ids, schemas};

/// The schemas that were registered, and the codec for them.
#[derive(Clone, Debug)]
pub struct Schemas {
    entries: Vec<SchemaEntry>,
    codec: Arc<Codec>,
}

/// What registering a kind's schema came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The registry's subject.
    pub subject: String,
    /// The registry's id.
    pub id: i32,
    /// Whether it was not in `acp.schemas` before.
    pub recorded: bool,
}

impl Schemas {
    /// Reads `acp.schemas` to its end.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the built-in schema of a kind there must be was never registered;
    /// [`Error::Log`].
    pub fn load(connection: &Connection) -> Result<Self, Error> {
        let entries = entries(connection)?;
        let ids = built_in_ids(connection.prefix(), &entries);
        let lacks = |kind: &&Kind| !ids.contains_key(kind) && !kind.topic().is_optional();
        if let Some(kind) = Kind::ALL.iter().find(lacks) {
            let subject = kind.subject(connection.prefix());
            let topic = connection.topic(Topic::Schemas);
            return Err(Error::Unfit(format!(
                "`{topic}` has no entry for this program's schema of `{subject}`; \
                 run `quorate schemas register`"
            )));
        }
        let codec = Codec::recorded(connection.prefix(), &entries);
        Ok(Self {
            entries,
            codec: Arc::new(codec),
        })
    }

    /// The codec that writes what was registered, and reads all of it.
    #[must_use]
    pub const fn codec(&self) -> &Arc<Codec> {
        &self.codec
    }

    /// Every entry of `acp.schemas`, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[SchemaEntry] {
        &self.entries
    }
}

/// The table's records.
///
/// # Errors
/// [`Error`] if the table cannot be read.
pub fn entries(connection: &Connection) -> Result<Vec<SchemaEntry>, Error> {
    let reader = Reader::open(connection)?;
    let (start, end) = reader.ends(Topic::Schemas, 0)?;
    let mut entries = Vec::new();
    reader.read_to(Topic::Schemas, 0, start, end, |stored| {
        let Some(value) = stored.value else {
            return Ok(());
        };
        match Codec::schema_entry(&value) {
            Ok(entry) => entries.push(entry),
            Err(error) => tracing::warn!(%error, offset = stored.offset, "not a schema entry"),
        }
        Ok(())
    })?;
    Ok(entries)
}

/// Registers the built-in schema of every kind, and records in `acp.schemas` what was not there.
///
/// # Errors
/// [`Error::Registry`] if the registry does not take one; [`Error::Unfit`] if what it gives or is
/// given contradicts `acp.schemas`: nothing is recorded then.
pub async fn register(
    connection: &Connection,
    registry: &Registry,
) -> Result<Vec<Registered>, Error> {
    let known = entries(connection)?;
    for entry in &known {
        let given = registry.schema(entry.schema_id).await?;
        if let Some(given) = given
            && !is_of(entry, &given)
        {
            return Err(contradicted(entry));
        }
    }
    let mut fresh = Vec::new();
    let mut done = Vec::new();
    let mut ids = BTreeMap::new();
    for &kind in Kind::ALL {
        let subject = kind.subject(connection.prefix());
        let id = registry.register(&subject, kind.schema()).await?;
        ids.insert(kind, id);
        let entry = SchemaEntry {
            subject: subject.clone(),
            schema_id: id,
            fingerprint: Bytes(schemas::fingerprint(kind).to_vec()),
            schema: kind.schema().to_owned(),
        };
        let same_id = known.iter().find(|known| known.schema_id == id);
        if let Some(known) = same_id.filter(|known| known.fingerprint != entry.fingerprint) {
            return Err(contradicted(known));
        }
        let recorded = !known.contains(&entry);
        if recorded {
            fresh.push(entry);
        }
        done.push(Registered {
            subject,
            id,
            recorded,
        });
    }
    record(connection, &Codec::confluent(ids), &fresh)?;
    Ok(done)
}

/// Appends entries to `acp.schemas`.
fn record(connection: &Connection, codec: &Codec, fresh: &[SchemaEntry]) -> Result<(), Error> {
    let appender = Appender::open(connection)?;
    for entry in fresh {
        let value = codec.encode(entry);
        let value = value.map_err(Error::codec("a schema entry"))?;
        let key = Some(entry.subject.as_bytes());
        appender.append(Topic::Schemas, 0, key, Some(&value), &[])?;
    }
    appender.settle().map(drop)
}

/// Whether a text is the schema that an entry is for.
pub(super) fn is_of(entry: &SchemaEntry, text: &str) -> bool {
    schemas::fingerprint_of(text).is_ok_and(|of| of[..] == entry.fingerprint.0)
}

fn contradicted(entry: &SchemaEntry) -> Error {
    let SchemaEntry {
        subject, schema_id, ..
    } = entry;
    Error::Unfit(format!(
        "the registry gives id {schema_id} to another schema than `acp.schemas` recorded for \
         `{subject}`: it has lost or issued anew its ids; restore it first"
    ))
}
