//! Records whose parts were encoded before: a part that has a digest is encoded once, and lies in
//! other records as it was.
//!
//! What Avro writes of a record is what it writes of its fields, one after the other. So a part's
//! datum can be laid into its record's: by a schema in which the part has no fields, whatever
//! writes the record says nothing there, and the datum comes in its place.

use std::cell::RefCell;
use std::io;
use std::sync::LazyLock;

use foldhash::HashMap;
use quorate_core::ids::Digest;
use quorate_core::records::{
    Closed, DecisionPackage, DecisionPart, Outcome, PackageContent, Round,
};
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_avro_fast::ser::SerializerConfig;

use super::digest::datum;
use super::schemas::Shape;
use super::{Codec, Error, Kind, sha256};

const DECISION: &str = "DecisionPart";
const CONTENT: &str = "PackageContent";

static OUTCOME: LazyLock<Shape> = LazyLock::new(|| Shape::hollow(Kind::Outcome, None, &[DECISION]));
static PACKAGE: LazyLock<Shape> =
    LazyLock::new(|| Shape::hollow(Kind::DecisionPackage, None, &[CONTENT]));
static WITHIN: LazyLock<Shape> =
    LazyLock::new(|| Shape::hollow(Kind::DecisionPackage, Some(CONTENT), &[DECISION]));
static ROUND: LazyLock<Shape> =
    LazyLock::new(|| Shape::hollow(Kind::Round, None, &[DECISION, CONTENT]));

/// Bytes of memory that are kept for the next part.
const ROOM_MAX: usize = 1 << 16;
/// How many parts are kept at most: what is beyond is encoded again.
const MOST: usize = 4096;

/// The datums of parts, by their digests.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    datums: HashMap<Digest, Box<[u8]>>,
    /// Where a part is written first.
    room: Vec<u8>,
}

impl Parts {
    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.datums.clear();
    }

    fn room(&mut self) -> Vec<u8> {
        let mut room = std::mem::take(&mut self.room);
        room.clear();
        room.shrink_to(ROOM_MAX);
        room
    }

    /// The digest of a decision part, whose datum is kept.
    ///
    /// # Errors
    /// As [`super::digest_of`].
    pub fn decision(&mut self, decision: &DecisionPart) -> Result<Digest, Error> {
        let room = self.room();
        Ok(self.keep(datum(decision, room)?))
    }

    /// The digest of a package's content, whose datum is kept.
    ///
    /// # Errors
    /// As [`super::digest_of`].
    pub fn content(&mut self, content: &PackageContent) -> Result<Digest, Error> {
        let into = self.room();
        let datum = match self.datums.get(&content.decision_digest) {
            Some(decision) => {
                let sheet = Sheet::new(into);
                let decision = sheet.part(DECISION, decision);
                sheet.write(&WITHIN, &LaidContent { content, decision })?;
                sheet.taken()
            }
            None => datum(content, into)?,
        };
        Ok(self.keep(datum))
    }

    fn keep(&mut self, datum: Vec<u8>) -> Digest {
        let digest = sha256(&datum);
        if self.datums.len() < MOST {
            self.datums.insert(digest, datum.as_slice().into());
        }
        self.room = datum;
        digest
    }

    /// An outcome's value, as [`Codec::encode`] makes it.
    ///
    /// # Errors
    /// As [`Codec::encode`].
    pub fn encode_outcome(&self, codec: &Codec, outcome: &Outcome) -> Result<Vec<u8>, Error> {
        let Some(decision) = self.datums.get(&outcome.decision_digest) else {
            return codec.encode(outcome);
        };
        codec.encode_by::<Outcome>(|into| {
            let sheet = Sheet::new(into);
            let decision = sheet.part(DECISION, decision);
            sheet.write(&OUTCOME, &LaidOutcome { outcome, decision })?;
            Ok(sheet.taken())
        })
    }

    /// A package's value, as [`Codec::encode`] makes it.
    ///
    /// # Errors
    /// As [`Codec::encode`].
    pub fn encode_package(
        &self,
        codec: &Codec,
        package: &DecisionPackage,
    ) -> Result<Vec<u8>, Error> {
        let Some(content) = self.datums.get(&package.package_digest) else {
            return codec.encode(package);
        };
        codec.encode_by::<DecisionPackage>(|into| {
            let sheet = Sheet::new(into);
            let content = sheet.part(CONTENT, content);
            sheet.write(&PACKAGE, &LaidPackage { package, content })?;
            Ok(sheet.taken())
        })
    }

    /// A round's value, as [`Codec::encode`] makes it.
    ///
    /// # Errors
    /// As [`Codec::encode`].
    pub fn encode_round(&self, codec: &Codec, round: &Round) -> Result<Vec<u8>, Error> {
        let parts = round.closed.as_ref();
        let parts = parts.and_then(|closed| Some((closed, self.both(closed)?)));
        let Some((closed, (decision, content))) = parts else {
            return codec.encode(round);
        };
        codec.encode_by::<Round>(|into| {
            let sheet = Sheet::new(into);
            let closed = LaidClosed {
                closed,
                decision: sheet.part(DECISION, decision),
                content: sheet.part(CONTENT, content),
            };
            sheet.write(&ROUND, &LaidRound { round, closed })?;
            Ok(sheet.taken())
        })
    }

    /// What lies in a round that waits for people.
    fn both(&self, closed: &Closed) -> Option<(&[u8], &[u8])> {
        closed.decision.as_ref()?;
        closed.package.as_ref()?;
        let decision = self.datums.get(&closed.decision_digest)?;
        let content = self.datums.get(&closed.package_digest?)?;
        Some((decision, content))
    }
}

/// What is written to, in turns, by what writes the record and by its parts.
struct Sheet(RefCell<Vec<u8>>);

impl Sheet {
    const fn new(into: Vec<u8>) -> Self {
        Self(RefCell::new(into))
    }

    const fn part<'a>(&'a self, name: &'static str, datum: &'a [u8]) -> Part<'a> {
        Part {
            name,
            datum,
            sheet: self,
        }
    }

    /// Appends a record's datum by a schema in which its parts have no fields.
    fn write(&self, shape: &Shape, record: &impl Serialize) -> Result<(), Error> {
        let mut config = SerializerConfig::new(&shape.avro);
        let written = serde_avro_fast::to_datum(record, Pen(self), &mut config);
        written.map(drop).map_err(Error::malformed)
    }

    fn taken(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

struct Pen<'a>(&'a Sheet);

impl io::Write for Pen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A part that is there already, under the name its schema has for it.
struct Part<'a> {
    name: &'static str,
    datum: &'a [u8],
    sheet: &'a Sheet,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // ORDER: a union's branch comes first, and is written here.
        let nothing = serializer.serialize_struct(self.name, 0)?;
        self.sheet.0.borrow_mut().extend_from_slice(self.datum);
        nothing.end()
    }
}

struct LaidOutcome<'a> {
    outcome: &'a Outcome,
    decision: Part<'a>,
}

impl Serialize for LaidOutcome<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outcome = self.outcome;
        let mut to = serializer.serialize_struct("Outcome", 6)?;
        to.serialize_field("proposal_id", &outcome.proposal_id)?;
        to.serialize_field("resolution", &outcome.resolution)?;
        to.serialize_field("final", &outcome.r#final)?;
        to.serialize_field("decision", &self.decision)?;
        to.serialize_field("decision_digest", &outcome.decision_digest)?;
        to.serialize_field("coordinates", &outcome.coordinates)?;
        to.end()
    }
}

struct LaidContent<'a> {
    content: &'a PackageContent,
    decision: Part<'a>,
}

impl Serialize for LaidContent<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let content = self.content;
        let mut to = serializer.serialize_struct("PackageContent", 9)?;
        to.serialize_field("proposal_bytes", &content.proposal_bytes)?;
        to.serialize_field("proposal", &content.proposal)?;
        to.serialize_field("decision", &self.decision)?;
        to.serialize_field("decision_digest", &content.decision_digest)?;
        to.serialize_field("statements", &content.statements)?;
        to.serialize_field("silent", &content.silent)?;
        to.serialize_field("confidences", &content.confidences)?;
        to.serialize_field("strongest_for", &content.strongest_for)?;
        to.serialize_field("strongest_against", &content.strongest_against)?;
        to.end()
    }
}

struct LaidPackage<'a> {
    package: &'a DecisionPackage,
    content: Part<'a>,
}

impl Serialize for LaidPackage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let package = self.package;
        let mut to = serializer.serialize_struct("DecisionPackage", 10)?;
        to.serialize_field("proposal_id", &package.proposal_id)?;
        to.serialize_field("content", &self.content)?;
        to.serialize_field("package_digest", &package.package_digest)?;
        to.serialize_field("tier", &package.tier)?;
        to.serialize_field("due", &package.due)?;
        to.serialize_field("on_decision_timeout", &package.on_decision_timeout)?;
        to.serialize_field("approvals_needed", &package.approvals_needed)?;
        to.serialize_field("approvals", &package.approvals)?;
        to.serialize_field("related", &package.related)?;
        to.serialize_field("coordinates", &package.coordinates)?;
        to.end()
    }
}

struct LaidRound<'a> {
    round: &'a Round,
    closed: LaidClosed<'a>,
}

impl Serialize for LaidRound<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let round = self.round;
        let mut to = serializer.serialize_struct("Round", 5)?;
        to.serialize_field("proposal_id", &round.proposal_id)?;
        to.serialize_field("state", &round.state)?;
        to.serialize_field("opening", &round.opening)?;
        to.serialize_field("closed", &Some(&self.closed))?;
        to.serialize_field("snapshot", &round.snapshot)?;
        to.end()
    }
}

struct LaidClosed<'a> {
    closed: &'a Closed,
    decision: Part<'a>,
    content: Part<'a>,
}

impl Serialize for LaidClosed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let closed = self.closed;
        let mut to = serializer.serialize_struct("Closed", 14)?;
        to.serialize_field("resolution", &closed.resolution)?;
        to.serialize_field("status", &closed.status)?;
        to.serialize_field("resolved_by", &closed.resolved_by)?;
        to.serialize_field("decision", &Some(&self.decision))?;
        to.serialize_field("decision_digest", &closed.decision_digest)?;
        to.serialize_field("stakes", &closed.stakes)?;
        to.serialize_field("coordinates", &closed.coordinates)?;
        to.serialize_field("package", &Some(&self.content))?;
        to.serialize_field("package_digest", &closed.package_digest)?;
        to.serialize_field("tier", &closed.tier)?;
        to.serialize_field("approvals", &closed.approvals)?;
        to.serialize_field("voters", &closed.voters)?;
        to.serialize_field("lessons", &closed.lessons)?;
        to.serialize_field("settlement", &closed.settlement)?;
        to.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Dice, framed, sample};
    use super::super::{Record, digest_of};
    use super::*;

    fn samples<T: Record + for<'a> serde::Deserialize<'a>>() -> impl Iterator<Item = T> {
        let codec = Codec::single_object();
        (0..50).map(move |seed| {
            let value = framed(T::KIND, sample(T::KIND, &mut Dice(seed)));
            codec.decode::<T>(&value).unwrap().0
        })
    }

    /// In either framing.
    fn codecs() -> [Codec; 2] {
        let kinds = Kind::ALL.iter().copied().zip(1..);
        [Codec::single_object(), Codec::confluent(kinds)]
    }

    #[test]
    fn a_part_laid_into_its_record_is_as_if_written_with_it() {
        let mut parts = Parts::default();
        let mut laid = 0;
        for mut outcome in samples::<Outcome>() {
            outcome.decision_digest = parts.decision(&outcome.decision).unwrap();
            assert_eq!(
                outcome.decision_digest,
                digest_of(&outcome.decision).unwrap()
            );
            for codec in codecs() {
                let value = parts.encode_outcome(&codec, &outcome).unwrap();
                assert_eq!(value, codec.encode(&outcome).unwrap());
            }
        }
        for mut package in samples::<DecisionPackage>() {
            let content = &mut package.content;
            content.decision_digest = parts.decision(&content.decision).unwrap();
            package.package_digest = parts.content(content).unwrap();
            assert_eq!(package.package_digest, digest_of(content).unwrap());
            for codec in codecs() {
                let value = parts.encode_package(&codec, &package).unwrap();
                assert_eq!(value, codec.encode(&package).unwrap());
            }
        }
        for mut round in samples::<Round>() {
            if let Some(closed) = &mut round.closed
                && let (Some(decision), Some(content)) = (&closed.decision, &mut closed.package)
            {
                closed.decision_digest = parts.decision(decision).unwrap();
                content.decision_digest = parts.decision(&content.decision).unwrap();
                closed.package_digest = Some(parts.content(content).unwrap());
                assert!(parts.both(closed).is_some());
                laid += 1;
            }
            for codec in codecs() {
                let value = parts.encode_round(&codec, &round).unwrap();
                assert_eq!(value, codec.encode(&round).unwrap());
            }
        }
        assert!(laid >= 3, "{laid} rounds with both parts");
    }

    #[test]
    fn what_is_not_known_is_encoded_all_the_same() {
        let (codec, mut parts) = (Codec::single_object(), Parts::default());
        for outcome in samples::<Outcome>() {
            parts.decision(&outcome.decision).unwrap();
            parts.clear();
            let value = parts.encode_outcome(&codec, &outcome).unwrap();
            assert_eq!(value, codec.encode(&outcome).unwrap());
        }
    }

    #[test]
    fn a_part_lies_where_the_record_has_it_and_nowhere_else() {
        // By the datum that is known under its digest, whatever the record says.
        let (codec, mut parts) = (Codec::single_object(), Parts::default());
        let mut both = samples::<Outcome>().take(2);
        let (mut one, other) = (both.next().unwrap(), both.next().unwrap());
        one.decision_digest = parts.decision(&other.decision).unwrap();
        let value = parts.encode_outcome(&codec, &one).unwrap();
        let (back, _) = codec.decode::<Outcome>(&value).unwrap();
        one.decision = other.decision;
        assert_eq!(back, one);
    }
}
