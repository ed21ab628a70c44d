//! Schemas of other writers, as `schemas` has them: whoever writes by one that is not built in, nor
//! was released, records it there first.
//!
//! A record that names a schema nobody had recorded by the time it was read is refused, and stays
//! so, whatever is recorded later.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::ids::Bytes;
use quorate_core::records::SchemaEntry;
use quorate_core::topic::Topic;
use rusqlite::Connection;

use super::open::sql;
use crate::transport::{Entry, Error, Handle, Stored};
use crate::wire::{self, Codec, Kind, schemas};

/// The subjects of a file's topics have no prefix.
const PREFIX: &str = "";

/// What is known of schemas, by everybody in this process who has the same file open.
#[derive(Debug)]
pub(super) struct Schemas {
    codec: Arc<Codec>,
    /// The offset of `schemas` to look at next.
    next: Mutex<i64>,
}

impl Default for Schemas {
    fn default() -> Self {
        Self {
            // There is no registry whose ids could be written.
            codec: Arc::new(Codec::single_object()),
            next: Mutex::default(),
        }
    }
}

impl Schemas {
    /// What records are written with, and read with.
    pub(super) const fn codec(&self) -> &Arc<Codec> {
        &self.codec
    }

    /// Learns what records name that is not of ours, if it was recorded.
    pub(super) fn meet<'a>(
        &self,
        file: &Connection,
        mut records: impl Iterator<Item = &'a Stored>,
    ) -> Result<(), Error> {
        if records.any(Stored::is_foreign) {
            self.look(file)?;
        }
        Ok(())
    }

    /// Learns what was recorded since it was last looked at.
    pub(super) fn look(&self, file: &Connection) -> Result<(), Error> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || -> rusqlite::Result<Vec<(i64, Option<Vec<u8>>)>> {
            let recorded = r#"SELECT "offset", value FROM records
                WHERE topic = ?1 AND partition = 0 AND "offset" >= ?2 ORDER BY "offset""#;
            let mut recorded = file.prepare_cached(recorded)?;
            let rows = recorded.query_map((Topic::Schemas.name(), *next), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect()
        };
        for (offset, value) in read().map_err(sql("read the schemas"))? {
            *next = offset + 1;
            let Some(value) = value else { continue };
            if let Err(error) = self.learn(&value) {
                tracing::warn!(offset, %error, "recorded schema cannot be used");
            }
        }
        Ok(())
    }
}

impl Schemas {
    fn learn(&self, value: &[u8]) -> Result<(), wire::Error> {
        let entry = Codec::schema_entry(value)?;
        let is_imported = entry.schema_id != 0;
        let kind = match is_imported {
            true => {
                Kind::of_subject(PREFIX, &entry.subject).ok_or_else(|| unknown(&entry.subject))?
            }
            false => kind(&entry.subject)?,
        };
        if schemas::fingerprint_of(&entry.schema)?[..] != entry.fingerprint.0 {
            let why = "its fingerprint is that of another schema";
            return Err(wire::Error::unknown(why));
        }
        match is_imported {
            true => self.codec.learn(kind, entry.schema_id, &entry.schema),
            false => self.codec.learn_named(kind, &entry.schema),
        }
    }
}

/// What records under a subject are read as.
fn kind(subject: &str) -> Result<Kind, wire::Error> {
    let mut kinds = Kind::ALL.iter();
    let named = kinds.find(|kind| kind.subject(PREFIX) == subject);
    named.copied().ok_or_else(|| unknown(subject))
}

fn unknown(subject: &str) -> wire::Error {
    wire::Error::unknown(format!("`{subject}` is no subject"))
}

/// Records a writer's schema under a subject, as `responses-value`, so that what is written by it
/// from now on is read; whether it was not there before.
///
/// # Errors
/// [`Error::Codec`] if there is no such subject, or if not every record of the schema can be read
/// as its kind; [`Error::Log`].
pub fn record(handle: &dyn Handle, subject: &str, schema: &str) -> Result<bool, Error> {
    let unfit = || Error::codec(format!("records under `{subject}`"));
    let kind = kind(subject).map_err(unfit())?;
    let fingerprint = schemas::fingerprint_of(schema).map_err(unfit())?;
    Codec::single_object()
        .learn_named(kind, schema)
        .map_err(unfit())?;
    let entry = SchemaEntry {
        subject: subject.to_owned(),
        // Nobody issues ids.
        schema_id: 0,
        fingerprint: Bytes(fingerprint.to_vec()),
        schema: schema.to_owned(),
    };
    let value = handle.codec().encode(&entry).map_err(unfit())?;
    let reader = handle.reader()?;
    let (start, end) = reader.ends(Topic::Schemas, 0)?;
    let mut is_there = false;
    reader.read_to(Topic::Schemas, 0, start, end, &mut |stored| {
        is_there |= stored.value.as_ref() == Some(&value);
        Ok(ControlFlow::Continue(()))
    })?;
    if !is_there {
        handle.append(&[Entry {
            topic: Topic::Schemas,
            partition: 0,
            key: Some(subject.as_bytes()),
            value: Some(&value),
            headers: &[],
        }])?;
    }
    Ok(!is_there)
}
