//! Avro in either framing: single-object (`C3 01`, fingerprint) or Confluent's (`00`, id).
//!
//! A codec writes one framing and reads both. Memory is bounded by construction: text and bytes
//! are cut from the input, an array may not announce more items than the datum has bytes, and
//! each item takes at least one byte. The dearest item for its byte is an empty agent id in a
//! list, some 80 bytes, so a record takes less than a hundred times its length, which is limited.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::sync::{Arc, PoisonError, RwLock};

use quorate_core::ids::Digest;
use quorate_core::records::SchemaEntry;
use serde::Deserialize;
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};

use super::digest::{datum, sha256};
use super::schemas::{self, Shape};
use super::{Error, Kind, Record, resolution};

/// Longest datum of an input (a proposal, response, control record, decision or result), in bytes.
pub const MAX_INPUT: usize = 64 * 1024;
/// Longest datum of any other kind, in bytes: a round of 2,500 ballots with its package takes less
/// than half of it.
pub const MAX_OUTPUT: usize = 8 * 1024 * 1024;
/// Room for most of what a processor writes, so that it does not move while it grows, in bytes.
pub(super) const USUAL: usize = 4 * 1024;
/// The same of what others write, who may keep many.
const USUAL_INPUT: usize = 512;
/// Deepest nesting followed; the deepest of the built-in schemas is half of it.
const MAX_DEPTH: usize = 24;
/// What single-object encoding begins with.
const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];

/// Encodes and decodes records; shared between threads.
#[derive(Debug)]
pub struct Codec {
    /// The registry's ids of the built-in schemas; empty: single-object framing is written.
    ids: BTreeMap<Kind, i32>,
    /// The framing written.
    framing: Framing,
    /// Writers' schemas that are not the built-in ones.
    writers: RwLock<Writers>,
}

/// What is put before a datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    SingleObject,
    Confluent,
}

#[derive(Debug, Default)]
struct Writers {
    by_id: BTreeMap<i32, Writer>,
    by_fingerprint: BTreeMap<(Kind, [u8; 8]), Writer>,
}

/// A schema that records of a kind were written with.
#[derive(Clone, Debug)]
struct Writer {
    kind: Kind,
    fingerprint: [u8; 8],
    schema: Arc<Schema>,
}

/// What a value's header names its schema by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Fingerprint([u8; 8]),
    Id(i32),
}

impl Codec {
    /// A codec without a registry: it writes single-object framing by the built-in schemas.
    #[must_use]
    pub fn single_object() -> Self {
        Self::new(Framing::SingleObject, BTreeMap::new())
    }

    /// A codec for a registry that has the built-in schemas under these ids: it writes
    /// Confluent's framing, and cannot write a kind that has no id.
    #[must_use]
    pub fn confluent(ids: impl IntoIterator<Item = (Kind, i32)>) -> Self {
        Self::new(Framing::Confluent, ids.into_iter().collect())
    }

    /// An entry of the table of schemas: by the built-in schema whatever id it carries, since the
    /// entry that vouches for that id is among them.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    pub fn schema_entry(value: &[u8]) -> Result<SchemaEntry, Error> {
        let codec = match Self::schema_id(value) {
            Some(id) => Self::confluent([(Kind::SchemaEntry, id)]),
            None => Self::single_object(),
        };
        Ok(codec.decode(value)?.0)
    }

    /// A codec for what was recorded of schemas under a prefix: it reads what they vouch for, and
    /// writes Confluent's framing where a registry issued ids. An entry that cannot be read as its
    /// kind is a newer program's, perhaps: records of it are refused one by one.
    #[must_use]
    pub fn recorded(prefix: &str, entries: &[SchemaEntry]) -> Self {
        let ids = built_in_ids(prefix, entries);
        let codec = match ids.is_empty() {
            true => Self::single_object(),
            false => Self::confluent(ids),
        };
        for entry in entries {
            codec.learn_recorded(prefix, entry);
        }
        codec
    }

    /// Makes known what was recorded of a schema, if it can be read as its kind.
    pub fn learn_recorded(&self, prefix: &str, entry: &SchemaEntry) {
        let Some(kind) = Kind::of_subject(prefix, &entry.subject) else {
            return;
        };
        let learned = match entry.schema_id {
            0 => self.learn_named(kind, &entry.schema),
            id => self.learn(kind, id, &entry.schema),
        };
        if let Err(error) = learned {
            let (subject, id) = (&entry.subject, entry.schema_id);
            tracing::warn!(%subject, id, %error, "recorded schema cannot be read");
        }
    }

    fn new(framing: Framing, ids: BTreeMap<Kind, i32>) -> Self {
        Self {
            ids,
            framing,
            writers: RwLock::default(),
        }
    }

    /// Makes a writer's schema known for a kind, by the registry's id and by its fingerprint.
    ///
    /// # Errors
    /// [`Error::UnknownSchema`] if not every record of it can be read as the kind, or if the id
    /// is known for another schema: a registry does not re-issue ids.
    pub fn learn(&self, kind: Kind, id: i32, schema: &str) -> Result<(), Error> {
        let writer = Writer::of(kind, schema)?;
        let fingerprint = writer.fingerprint;
        let taken = || Error::unknown(format!("schema id {id} is known for another schema"));
        let built_in = self.ids.iter().find(|&(_, &known)| known == id);
        if built_in.is_some_and(|(&of, _)| (of, schemas::fingerprint(of)) != (kind, fingerprint)) {
            return Err(taken());
        }
        let mut writers = self.writers.write().unwrap_or_else(PoisonError::into_inner);
        if writers
            .by_id
            .get(&id)
            .is_some_and(|known| !known.is(&writer))
        {
            return Err(taken());
        }
        writers.by_id.insert(id, writer.clone());
        writers.by_fingerprint.insert((kind, fingerprint), writer);
        Ok(())
    }

    /// Makes a writer's schema known for a kind by its fingerprint alone, where nobody issues ids.
    ///
    /// # Errors
    /// [`Error::UnknownSchema`] if not every record of it can be read as the kind.
    pub fn learn_named(&self, kind: Kind, schema: &str) -> Result<(), Error> {
        let writer = Writer::of(kind, schema)?;
        let mut writers = self.writers.write().unwrap_or_else(PoisonError::into_inner);
        let named = (kind, writer.fingerprint);
        writers.by_fingerprint.insert(named, writer);
        Ok(())
    }

    /// Whether a value names, by its fingerprint, a schema that is neither the built-in one of a
    /// kind nor was ever released: whoever wrote it has to have made that known.
    #[must_use]
    pub fn is_foreign(kind: Kind, value: &[u8]) -> bool {
        let Ok((Name::Fingerprint(fingerprint), _)) = split(value) else {
            return false;
        };
        fingerprint != schemas::fingerprint(kind) && schemas::released(kind, fingerprint).is_none()
    }

    /// The registry's id in a value's header; none in single-object framing.
    #[must_use]
    pub fn schema_id(value: &[u8]) -> Option<i32> {
        match split(value) {
            Ok((Name::Id(id), _)) => Some(id),
            _ => None,
        }
    }

    /// Whether records of a kind can be read under the registry's id.
    #[must_use]
    pub fn knows(&self, kind: Kind, id: i32) -> bool {
        self.ids.get(&kind) == Some(&id) || self.learned(kind, Name::Id(id)).is_some()
    }

    /// Whether records of a kind can be written.
    #[must_use]
    pub fn writes(&self, kind: Kind) -> bool {
        self.framing == Framing::SingleObject || self.ids.contains_key(&kind)
    }

    /// Encodes a record in this codec's framing, by the built-in schema.
    ///
    /// # Errors
    /// [`Error::TooLarge`] past the kind's limit; [`Error::UnknownSchema`] if the kind has no id.
    pub fn encode<T: Record>(&self, record: &T) -> Result<Vec<u8>, Error> {
        self.encode_by::<T>(|into| datum(record, into))
    }

    /// As [`Codec::encode`], by what appends the record's datum.
    pub(super) fn encode_by<T: Record>(
        &self,
        datum: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, Error>,
    ) -> Result<Vec<u8>, Error> {
        let usual = if T::KIND.is_input() {
            USUAL_INPUT
        } else {
            USUAL
        };
        let mut value = Vec::with_capacity(usual);
        match self.framing {
            Framing::SingleObject => {
                value.extend(SINGLE_OBJECT);
                value.extend(T::shape().avro.rabin_fingerprint());
            }
            Framing::Confluent => {
                let id = self.ids.get(&T::KIND).ok_or_else(|| {
                    Error::unknown(format!("the registry has no id for {}", T::KIND))
                })?;
                value.push(0);
                value.extend(id.to_be_bytes());
            }
        }
        let value = datum(value)?;
        within_limit(T::KIND, &value)?;
        Ok(value)
    }

    /// Decodes a record in either framing, and the digest of its datum.
    ///
    /// # Errors
    /// [`Error::TooLarge`] past the kind's limit; [`Error::UnknownSchema`] if the header names a
    /// schema not known for the kind; [`Error::Malformed`] for anything else, bytes left over
    /// included.
    pub fn decode<'a, T>(&self, value: &'a [u8]) -> Result<(T, Digest), Error>
    where
        T: Record + Deserialize<'a>,
    {
        let record = self.decode_part::<T, T>(value)?;
        Ok((record, sha256(unframed(value)?)))
    }

    /// Decodes what a part has the fields for of a record of a kind; nothing is digested.
    ///
    /// # Errors
    /// As [`Codec::decode`], but for what is in other fields.
    pub fn decode_part<'a, T, P>(&self, value: &'a [u8]) -> Result<P, Error>
    where
        T: Record,
        P: Deserialize<'a>,
    {
        within_limit(T::KIND, value)?;
        let (name, datum) = split(value)?;
        if self.is_built_in(T::KIND, T::shape(), name) {
            return read(datum, &T::shape().avro);
        }
        let unknown = || Error::unknown(format!("{name} is not known for {}", T::KIND));
        read(datum, &*self.learned(T::KIND, name).ok_or_else(unknown)?)
    }

    /// Whether a header names the built-in schema.
    fn is_built_in(&self, kind: Kind, shape: &Shape, name: Name) -> bool {
        match name {
            Name::Fingerprint(fingerprint) => fingerprint == *shape.avro.rabin_fingerprint(),
            Name::Id(id) => self.ids.get(&kind) == Some(&id),
        }
    }

    /// The writer's schema that a header names, among those learned and released.
    fn learned(&self, kind: Kind, name: Name) -> Option<Arc<Schema>> {
        let writers = self.writers.read().unwrap_or_else(PoisonError::into_inner);
        let writer = match name {
            Name::Fingerprint(fingerprint) => writers.by_fingerprint.get(&(kind, fingerprint)),
            Name::Id(id) => writers.by_id.get(&id).filter(|writer| writer.kind == kind),
        };
        let learned = writer.map(|writer| Arc::clone(&writer.schema));
        learned.or_else(|| match name {
            Name::Fingerprint(fingerprint) => schemas::released(kind, fingerprint),
            Name::Id(_) => None,
        })
    }
}

/// The registry's ids of the built-in schemas, as they were recorded: an entry counts if subject
/// and fingerprint both agree.
#[must_use]
pub fn built_in_ids(prefix: &str, entries: &[SchemaEntry]) -> BTreeMap<Kind, i32> {
    let built_in = |kind: Kind| {
        let fingerprint = schemas::fingerprint(kind);
        let ours = |entry: &&SchemaEntry| {
            let of_kind = Kind::of_subject(prefix, &entry.subject) == Some(kind);
            of_kind && entry.fingerprint.0 == fingerprint
        };
        let entry = entries.iter().rev().find(ours)?;
        (entry.schema_id != 0).then_some((kind, entry.schema_id))
    };
    Kind::ALL.iter().copied().filter_map(built_in).collect()
}

impl Writer {
    /// The writer of a schema, every record of which can be read as a kind.
    fn of(kind: Kind, schema: &str) -> Result<Self, Error> {
        let fingerprint = schemas::fingerprint_of(schema)?;
        let schema = Arc::new(resolution::resolve(schema, &schemas::shape(kind).reader)?);
        Ok(Self {
            kind,
            fingerprint,
            schema,
        })
    }

    fn is(&self, other: &Self) -> bool {
        (self.kind, self.fingerprint) == (other.kind, other.fingerprint)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fingerprint(bytes) => write!(f, "schema {:016x}", u64::from_le_bytes(*bytes)),
            Self::Id(id) => write!(f, "schema id {id}"),
        }
    }
}

/// The framing header does not count: a record is the same on every transport, so it must not be
/// too large on one of them only.
fn within_limit(kind: Kind, value: &[u8]) -> Result<(), Error> {
    let limit = if kind.is_input() {
        MAX_INPUT
    } else {
        MAX_OUTPUT
    };
    let length = unframed(value).map_or(value.len(), <[u8]>::len);
    if length > limit {
        return Err(Error::TooLarge { length, limit });
    }
    Ok(())
}

/// The datum of a value: what lies after its framing header, and what digests cover.
///
/// # Errors
/// [`Error::Malformed`] if there is no header.
pub fn unframed(value: &[u8]) -> Result<&[u8], Error> {
    split(value).map(|(_, datum)| datum)
}

/// A value's header and datum.
fn split(value: &[u8]) -> Result<(Name, &[u8]), Error> {
    if let Some((&[0, a, b, c, d], datum)) = value.split_first_chunk() {
        return Ok((Name::Id(i32::from_be_bytes([a, b, c, d])), datum));
    }
    if let Some(rest) = value.strip_prefix(&SINGLE_OBJECT)
        && let Some((&fingerprint, datum)) = rest.split_first_chunk()
    {
        return Ok((Name::Fingerprint(fingerprint), datum));
    }
    Err(Error::malformed("value has no header that names a schema"))
}

/// Reads one datum, all of it.
fn read<'a, T: Deserialize<'a>>(datum: &'a [u8], schema: &Schema) -> Result<T, Error> {
    let mut config = DeserializerConfig::new(schema);
    config.max_seq_size = datum.len();
    config.allowed_depth = MAX_DEPTH;
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let record = T::deserialize(state.deserializer()).map_err(Error::malformed)?;
    match state.into_reader().fill_buf() {
        Ok([]) => Ok(record),
        Ok(rest) => Err(Error::malformed(format!(
            "{} bytes are left over",
            rest.len()
        ))),
        Err(error) => Err(Error::malformed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use quorate_core::records::{Response, Verdict};

    use super::*;

    fn response() -> Response<'static> {
        Response {
            response_id: "r-1".into(),
            proposal_id: "0192f0c1-2345-7abc-8def-0123456789ab".into(),
            proposal_digest: Some(Digest([7; 32])),
            agent_id: "fraud-1".into(),
            verdict: Verdict::Challenge,
            confidence: 0.8,
            reasoning: "seen before".into(),
            evidence: vec!["case 12".to_owned()],
        }
    }

    #[test]
    fn a_response_is_borrowed_from_its_bytes() {
        let codec = Codec::single_object();
        let value = codec.encode(&response()).unwrap();
        let (back, digest) = codec.decode::<Response<'_>>(&value).unwrap();
        assert_eq!(back, response());
        assert_eq!(digest, super::super::digest_of(&response()).unwrap());
        for text in [
            back.response_id,
            back.proposal_id,
            back.agent_id,
            back.reasoning,
        ] {
            assert!(matches!(text, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn both_framings_have_one_digest_and_are_read_by_either_codec() {
        let single = Codec::single_object();
        let confluent = Codec::confluent([(Kind::Response, 7)]);
        let by_fingerprint = single.encode(&response()).unwrap();
        let by_id = confluent.encode(&response()).unwrap();
        assert_eq!(by_id[..5], [0, 0, 0, 0, 7]);
        assert_eq!(by_id[5..], by_fingerprint[10..]);
        single
            .learn(Kind::Response, 7, Kind::Response.schema())
            .unwrap();
        for codec in [&single, &confluent] {
            let (one, first) = codec.decode::<Response<'_>>(&by_fingerprint).unwrap();
            let (two, second) = codec.decode::<Response<'_>>(&by_id).unwrap();
            assert_eq!((one, first), (two, second));
        }
        assert_eq!(Codec::schema_id(&by_id), Some(7));
        assert_eq!(Codec::schema_id(&by_fingerprint), None);
    }
}
