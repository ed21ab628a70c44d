//! The first fields of a record, read without a look at those after them.
//!
//! An outcome says who was right before it says what everybody said, a round how it was opened
//! before how it closed: whoever goes through millions of them reads no further than needed. The
//! datum's beginning is read by the built-in schema's; a record of any other schema is not read,
//! nor is anybody told whether the rest is sound.

use serde::Deserialize;
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
use serde_json::Value;

use super::{Error, Kind, schemas};

/// How the beginning of a kind's records is read.
#[derive(Debug)]
pub struct Head {
    schema: Schema,
    /// What values begin with that were written by the built-in schema.
    headers: Vec<Vec<u8>>,
}

impl Head {
    /// Of a kind, up to the field at a path, which is read, too. The registry's id is that of the
    /// built-in schema, if there is one.
    ///
    /// # Errors
    /// [`Error::UnknownSchema`] if there is no such field.
    pub fn of(kind: Kind, last: &[&str], id: Option<i32>) -> Result<Self, Error> {
        let mut json = schemas::shape(kind).json.clone();
        cut(&mut json, last).ok_or_else(|| Error::unknown(format!("{kind} has no {last:?}")))?;
        let named = [&[0xC3, 0x01][..], &schemas::fingerprint(kind)].concat();
        let issued = id.map(|id| [&[0][..], &id.to_be_bytes()].concat());
        Ok(Self {
            schema: json.to_string().parse().map_err(Error::unknown)?,
            headers: issued.into_iter().chain([named]).collect(),
        })
    }

    /// The fields a part has, if a value was written by the built-in schema and is sound so far.
    #[must_use]
    pub fn read<'a, P: Deserialize<'a>>(&self, value: &'a [u8]) -> Option<P> {
        let named = |header: &Vec<u8>| value.strip_prefix(&**header);
        let datum = self.headers.iter().find_map(named)?;
        let mut config = DeserializerConfig::new(&self.schema);
        config.max_seq_size = datum.len();
        let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
        P::deserialize(state.deserializer()).ok()
    }
}

/// Takes away what comes after a field.
fn cut(record: &mut Value, last: &[&str]) -> Option<()> {
    let (name, rest) = last.split_first()?;
    let fields = record.get_mut("fields")?.as_array_mut()?;
    let named = |field: &Value| field.get("name").and_then(Value::as_str) == Some(name);
    let at = fields.iter().position(named)?;
    fields.truncate(at + 1);
    if rest.is_empty() {
        return Some(());
    }
    cut(fields.last_mut()?.get_mut("type")?, rest)
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::ProposalId;
    use quorate_core::records::{Outcome, Pins, Reason, Round, Status};

    use super::super::Codec;
    use super::super::samples::{Dice, framed, sample};
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct OfOutcome {
        proposal_id: ProposalId,
        resolution: i32,
        decision: OfDecision,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct OfDecision {
        status: Status,
        reasons: Vec<Reason>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct OfRound {
        proposal_id: ProposalId,
        opening: OfOpening,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct OfOpening {
        pins: Pins,
    }

    #[test]
    fn a_head_says_what_the_record_says() {
        let codec = Codec::single_object();
        let of_outcome = Head::of(Kind::Outcome, &["decision", "reasons"], Some(7)).unwrap();
        let of_round = Head::of(Kind::Round, &["opening", "pins"], None).unwrap();
        for seed in 0..100 {
            let value = framed(Kind::Outcome, sample(Kind::Outcome, &mut Dice(seed)));
            let whole = codec.decode_part::<Outcome, OfOutcome>(&value).unwrap();
            assert_eq!(of_outcome.read(&value), Some(whole));
            let issued = [&[0, 0, 0, 0, 7], &value[10..]].concat();
            assert_eq!(
                of_outcome.read::<OfOutcome>(&issued),
                of_outcome.read(&value)
            );
            let value = framed(Kind::Round, sample(Kind::Round, &mut Dice(seed)));
            let whole = codec.decode_part::<Round, OfRound>(&value).unwrap();
            assert_eq!(of_round.read(&value), Some(whole));
        }
    }

    #[test]
    fn what_another_schema_wrote_has_no_head_and_half_a_head_is_none() {
        let head = Head::of(Kind::Outcome, &["decision", "reasons"], Some(7)).unwrap();
        let value = framed(Kind::Outcome, sample(Kind::Outcome, &mut Dice(1)));
        let other = [&[0, 0, 0, 0, 8], &value[10..]].concat();
        for unread in [&other[..], &value[..60], b"\xC3", b""] {
            assert_eq!(head.read::<OfOutcome>(unread), None, "{unread:?}");
        }
        assert!(Head::of(Kind::Outcome, &["decision", "reason"], None).is_err());
    }
}
