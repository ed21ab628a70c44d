//! JSON with Avro's names: bytes are hexadecimal text, timestamps and spans milliseconds.
//!
//! For people, files and vectors, never for a digest. Reading is strict: a key that is not the
//! record's is refused, at any depth, with the nearest that is.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use serde_json::{Serializer, Value};

use super::schemas::Shape;
use super::{Datum, Error};

/// One line of JSON.
///
/// # Errors
/// [`Error::Malformed`] if the value has no JSON form, which none of the records does.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, Error> {
    write(value, CompactFormatter)
}

/// JSON for people: indented by two spaces.
///
/// # Errors
/// As [`to_string`].
pub fn to_string_pretty<T: Serialize>(value: &T) -> Result<String, Error> {
    write(value, PrettyFormatter::new())
}

/// The JSON of a record, to be put into another.
///
/// # Errors
/// As [`to_string`].
pub fn to_value<T: Serialize>(value: &T) -> Result<Value, Error> {
    serde_json::from_str(&to_string(value)?).map_err(Error::malformed)
}

/// Reads a record; fields that have a default may be left out.
///
/// # Errors
/// [`Error::Malformed`] with the place of an unknown key and the nearest known one, or with what
/// else is wrong.
pub fn from_str_strict<'a, T: Datum + Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    let value = serde_json::from_str(text).map_err(Error::malformed)?;
    check(&value, T::shape())?;
    // From the text again: a key given twice is noticed only there.
    serde_json::from_str(text).map_err(Error::malformed)
}

/// As [`from_str_strict`], of what was read already.
///
/// # Errors
/// As [`from_str_strict`].
pub fn from_value_strict<'a, T: Datum + Deserialize<'a>>(value: &'a Value) -> Result<T, Error> {
    check(value, T::shape())?;
    T::deserialize(value).map_err(Error::malformed)
}

/// The confidence that a probability of being right stands for, to the millionth, which is what is
/// counted; none for what is more likely wrong than right, or is no probability.
#[must_use]
pub fn confidence_of(probability: f64) -> Option<f64> {
    let is_one = (0.5..=1.0).contains(&probability);
    is_one.then(|| ((2.0 * probability - 1.0) * 1e6).round() / 1e6)
}

fn write<T: Serialize, F: Formatter>(value: &T, formatter: F) -> Result<String, Error> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, Hexadecimal(formatter));
    value.serialize(&mut serializer).map_err(Error::malformed)?;
    String::from_utf8(text).map_err(Error::malformed)
}

/// Refuses a key that the schema does not have.
fn check(value: &Value, shape: &Shape) -> Result<(), Error> {
    unknown_key(value, &shape.json, shape, "").map_or(Ok(()), |why| Err(Error::malformed(why)))
}

/// The first unknown key, in words.
fn unknown_key(value: &Value, schema: &Value, shape: &Shape, path: &str) -> Option<String> {
    match (value, schema) {
        (_, Value::String(name)) => {
            let definition = shape.names.get(name)?;
            unknown_key(value, definition, shape, path)
        }
        (_, Value::Array(branches)) => branches
            .iter()
            .find_map(|branch| unknown_key(value, branch, shape, path)),
        (Value::Array(items), Value::Object(array)) => {
            let schema = array.get("items")?;
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| unknown_key(item, schema, shape, &format!("{path}[{at}]")))
        }
        (Value::Object(object), Value::Object(record)) => {
            let fields = record.get("fields")?.as_array()?;
            let name = |field: &'_ Value| field.get("name")?.as_str().map(str::to_owned);
            object.iter().find_map(|(key, value)| {
                let place = format!("{path}.{key}");
                match fields
                    .iter()
                    .find(|field| name(field).as_ref() == Some(key))
                {
                    Some(field) => unknown_key(value, field.get("type")?, shape, &place),
                    None => {
                        let known = fields.iter().filter_map(name);
                        let near = known.max_by(|a, b| closer(a, b, key))?;
                        let place = place.trim_start_matches('.');
                        Some(format!("unknown key `{place}`; the nearest is `{near}`"))
                    }
                }
            })
        }
        _ => None,
    }
}

/// Which of two names is more like what was written.
fn closer(a: &str, b: &str, written: &str) -> std::cmp::Ordering {
    let likeness = |name| strsim::jaro_winkler(name, written);
    likeness(a).total_cmp(&likeness(b))
}

/// A formatter that writes bytes as hexadecimal text.
struct Hexadecimal<F>(F);

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*);)+) => {
        $(
            fn $method<W: io::Write + ?Sized>(
                &mut self,
                writer: &mut W,
                $($argument: $type),*
            ) -> io::Result<()> {
                self.0.$method(writer, $($argument),*)
            }
        )+
    };
}

impl<F: Formatter> Formatter for Hexadecimal<F> {
    fn write_byte_array<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        write!(writer, "\"{}\"", hex::encode(bytes))
    }

    forward! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::{Bytes, Digest, Offset, Timestamp};
    use quorate_core::records::{Agent, DeadLetter, Outcome, Pins, Proposal, Stakes};
    use quorate_core::reject::Reject;

    use super::super::samples::Dice;
    use super::*;

    const PROPOSAL: &str = r#"{
        "proposal_id": "0192f0c1-2345-7abc-8def-0123456789ab", "proposer": "a",
        "domain": "fraud", "confidence": 0.9,
        "action": {"type": "payment.block", "subject": "4711"}}"#;

    #[test]
    fn what_has_a_default_may_be_left_out() {
        let proposal: Proposal = from_str_strict(PROPOSAL).unwrap();
        assert_eq!(proposal.stakes, Stakes::Critical);
        assert_eq!(proposal.deadline, None);
        assert!(proposal.labels.is_empty() && proposal.action.parameters.is_empty());
        let text = PROPOSAL.replace("\"proposer\": \"a\",", "");
        assert!(from_str_strict::<Proposal>(&text).is_err());
    }

    #[test]
    fn bytes_are_hexadecimal() {
        let letter = DeadLetter {
            topic: "proposals".to_owned(),
            partition: 3,
            offset: Offset(9),
            timestamp: Timestamp(1),
            key: Some(Bytes(vec![0, 0xAB])),
            value: None,
            reason: "malformed".to_owned(),
            detail: "a \"quote\"".to_owned(),
            judged_by: Pins::NONE,
        };
        let text = to_string(&letter).unwrap();
        assert_eq!(
            text,
            r#"{"topic":"proposals","partition":3,"offset":9,"timestamp":1,"key":"00ab","#
                .to_owned()
                + r#""value":null,"reason":"malformed","detail":"a \"quote\"","#
                + r#""judged_by":{"agents":-1,"policies":-1,"trust":-1}}"#
        );
        assert_eq!(from_str_strict::<DeadLetter>(&text), Ok(letter));
        for wrong in ["\"00a\"", "\"0g\"", "[0, 171]"] {
            let text = text.replace("\"00ab\"", wrong);
            assert!(from_str_strict::<DeadLetter>(&text).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        assert_eq!(
            to_string(&Digest([0xA0; 32])).unwrap(),
            format!("\"{}\"", "a0".repeat(32))
        );
        assert!(serde_json::from_str::<Digest>(&format!("\"{}\"", "a0".repeat(31))).is_err());
    }

    fn refusal<'a, T: Datum + Deserialize<'a>>(text: &'a str) -> String {
        match from_str_strict::<T>(text) {
            Err(error) => {
                assert_eq!(error.reject(), Reject::Malformed);
                error.to_string()
            }
            Ok(_) => panic!("{text} was read"),
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place_and_the_nearest() {
        let top = PROPOSAL.replace("\"domain\"", "\"domian\": 1, \"domain\"");
        assert_eq!(
            refusal::<Proposal>(&top),
            "unknown key `domian`; the nearest is `domain`"
        );
        let nested = PROPOSAL.replace("\"subject\"", "\"subjects\": 1, \"subject\"");
        assert_eq!(
            refusal::<Proposal>(&nested),
            "unknown key `action.subjects`; the nearest is `subject`"
        );
        let listed = r#"{"agent_id": "a", "domains": [
            {"domain": "x", "authority": 1}, {"domain": "y", "authority": 1,
             "prior": {"right": 2, "wrong": 1, "sources": "?"}}]}"#;
        assert_eq!(
            refusal::<Agent>(listed),
            "unknown key `domains[1].prior.sources`; the nearest is `source`"
        );
        let far = r#"{"decision": {"ballots": [{"wieght": 1}]}}"#;
        assert_eq!(
            refusal::<Outcome>(far),
            "unknown key `decision.ballots[0].wieght`; the nearest is `weight`"
        );
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let twice = PROPOSAL.replace("\"domain\"", "\"domain\": \"x\", \"domain\"");
        assert!(refusal::<Proposal>(&twice).contains("duplicate field `domain`"));
    }

    #[test]
    fn a_number_is_read_to_the_last_bit() {
        let mut dice = Dice(1);
        for _ in 0..10_000 {
            let text = format!("0.{:017}", dice.roll(10_u64.pow(17)));
            let number: f64 = serde_json::from_str(&text).unwrap();
            let exact: f64 = text.parse().unwrap();
            assert_eq!(number.to_bits(), exact.to_bits(), "{text}");
        }
    }
}
