//! JSON with Avro's names: bytes are hexadecimal text, timestamps and spans milliseconds.
//!
//! For people, files and vectors, never for a digest. Reading is strict at any depth: a key that
//! is not the record's is refused with the nearest that is, a symbol that is not the enum's with
//! those that are, and a key given twice. The defaults of enums are for what other programs write
//! as Avro.

use std::{fmt, io};

use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use serde_json::{Map, Serializer, Value};

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
/// [`Error::Malformed`] with the place of an unknown key and the nearest known one, with that of an
/// unknown symbol and those there are, with a key given twice, or with what else is wrong.
pub fn from_str_strict<'a, T: Datum + Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    check(&parse_strict(text.as_bytes())?, T::shape())?;
    // From the text again: a record may borrow from it.
    serde_json::from_str(text).map_err(Error::malformed)
}

/// Reads JSON of which more is to be made before it is a record, by [`from_value_strict`].
///
/// # Errors
/// [`Error::Malformed`] with a key given twice and where, as a [`Value`] cannot tell any more, or
/// with what else is wrong.
pub fn parse_strict(text: &[u8]) -> Result<Value, Error> {
    let Once(value) = serde_json::from_slice(text).map_err(Error::malformed)?;
    Ok(value)
}

/// As [`from_str_strict`], of what was read already, best by [`parse_strict`].
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

/// Refuses what the schema does not have.
fn check(value: &Value, shape: &Shape) -> Result<(), Error> {
    flaw(value, &shape.json, shape, "").map_or(Ok(()), |why| Err(Error::malformed(why)))
}

/// The first unknown key or symbol, or list in a record's place, in words.
fn flaw(value: &Value, schema: &Value, shape: &Shape, path: &str) -> Option<String> {
    let definition = match schema {
        Value::String(name) => return flaw(value, shape.names.get(name)?, shape, path),
        Value::Array(branches) => {
            let mut branches = branches.iter();
            return branches.find_map(|branch| flaw(value, branch, shape, path));
        }
        definition => definition,
    };
    match (definition.get("type")?.as_str()?, value) {
        // Whether there may be none is the record's to say.
        ("enum", Value::Null) => None,
        ("enum", given) => unknown_symbol(given, definition.get("symbols")?.as_array()?, path),
        ("array", Value::Array(items)) => {
            let schema = definition.get("items")?;
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| flaw(item, schema, shape, &format!("{path}[{at}]")))
        }
        ("record", Value::Object(object)) => {
            let fields = definition.get("fields")?.as_array()?;
            let mut entries = object.iter();
            entries.find_map(|(key, value)| {
                let place = format!("{path}.{key}");
                match fields.iter().find(|field| name(field) == Some(key)) {
                    Some(field) => flaw(value, field.get("type")?, shape, &place),
                    None => unknown_key(key, fields, &place),
                }
            })
        }
        // Its fields would be taken by their order, unnamed.
        ("record", Value::Array(_)) => Some(format!("`{}` is a list, not an object", shown(path))),
        _ => None,
    }
}

/// A key that none of a record's fields has, in words.
fn unknown_key(key: &str, fields: &[Value], path: &str) -> Option<String> {
    let known = fields.iter().filter_map(name);
    let near = known.max_by(|a, b| closer(a, b, key))?;
    let place = shown(path);
    Some(format!("unknown key `{place}`; the nearest is `{near}`"))
}

/// What is none of an enum's symbols, in words.
fn unknown_symbol(given: &Value, symbols: &[Value], path: &str) -> Option<String> {
    if symbols.contains(given) {
        return None;
    }
    let symbols: Vec<_> = symbols.iter().filter_map(Value::as_str).collect();
    let (place, symbols) = (shown(path), symbols.join(", "));
    // What was given comes last: it may be too long to be told.
    Some(format!("`{place}` is one of {symbols}, not {given}"))
}

/// The name of a schema's field.
fn name(field: &Value) -> Option<&str> {
    field.get("name")?.as_str()
}

/// A place as people are shown it.
fn shown(path: &str) -> &str {
    match path {
        "" => ".",
        path => path.trim_start_matches('.'),
    }
}

/// Which of two names is more like what was written.
fn closer(a: &str, b: &str, written: &str) -> std::cmp::Ordering {
    let likeness = |name| strsim::jaro_winkler(name, written);
    likeness(a).total_cmp(&likeness(b))
}

/// Up to here every whole number is a floating point number.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// JSON of any form, in which no key is given twice.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

/// Builds what [`Once`] holds.
struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, given: bool) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_i64<E>(self, given: i64) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_u64<E>(self, given: u64) -> Result<Value, E> {
        Ok(given.into())
    }

    /// `7.0` is an integer, as JSON Schema has it: not every program that writes JSON tells the two
    /// apart.
    fn visit_f64<E>(self, given: f64) -> Result<Value, E> {
        let is_whole = given.fract() == 0.0 && given.abs() <= WHOLE_MAX;
        let is_exact = is_whole && given.to_bits() != (-0.0_f64).to_bits();
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole, and not too large"
        )]
        let whole = is_exact.then_some(given as i64);
        Ok(whole.map_or_else(|| given.into(), Value::from))
    }

    fn visit_str<E>(self, given: &str) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_string<E>(self, given: String) -> Result<Value, E> {
        Ok(given.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut given: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Once(item)) = given.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = given.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(de::Error::custom(format!("key `{key}` is given twice")));
            }
            let Once(value) = given.next_value()?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
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
    use quorate_core::records::{Agent, DeadLetter, Outcome, Pins, Proposal, Response, Stakes};
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
    fn a_whole_number_is_one_however_it_is_written() {
        for (written, deadline) in [("7", 7), ("7.0", 7), ("-7e0", -7), ("7e3", 7000)] {
            let text = PROPOSAL.replace("\"a\",", &format!("\"a\", \"deadline\": {written},"));
            let value = parse_strict(text.as_bytes()).unwrap();
            let proposal: Proposal = from_value_strict(&value).unwrap();
            assert_eq!(proposal.deadline, Some(Timestamp(deadline)), "{written}");
        }
        for written in ["7.5", "1e300", "-0.0", "\"7\""] {
            let text = PROPOSAL.replace("\"a\",", &format!("\"a\", \"deadline\": {written},"));
            let value = parse_strict(text.as_bytes()).unwrap();
            assert!(from_value_strict::<Proposal>(&value).is_err(), "{written}");
        }
        let sure = PROPOSAL.replace("0.9", "1.0");
        let sure = parse_strict(sure.as_bytes()).unwrap();
        let sure: Proposal = from_value_strict(&sure).unwrap();
        assert!((sure.confidence - 1.0).abs() < f64::EPSILON);
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
    fn a_symbol_nobody_knows_is_refused_with_its_place_and_those_there_are() {
        const VERDICTS: &str = "ENDORSE, CHALLENGE, ABSTAIN";
        let given = r#""domain": "fraud", "stakes": "high""#;
        let stakes = PROPOSAL.replace(r#""domain": "fraud""#, given);
        assert_eq!(
            refusal::<Proposal>(&stakes),
            "`stakes` is one of LOW, MEDIUM, HIGH, CRITICAL, not \"high\""
        );
        // As text, as a variant with nothing in it, and as what no symbol is.
        for given in [r#""endorse""#, r#"{"endorse":null}"#, "1", r#""""#] {
            let said = format!(
                r#"{{"response_id": "r", "proposal_id": "p", "agent_id": "a",
                    "verdict": {given}, "confidence": 0.9}}"#
            );
            let refused = format!("`verdict` is one of {VERDICTS}, not {given}");
            assert_eq!(refusal::<Response<'_>>(&said), refused);
            let value = serde_json::from_str(&said).unwrap();
            let error = from_value_strict::<Response<'_>>(&value).unwrap_err();
            assert_eq!(error.to_string(), refused);
        }
        let far = r#"{"decision": {"ballots": [{}, {"verdict": "endorse"}]}}"#;
        assert_eq!(
            refusal::<Outcome>(far),
            format!("`decision.ballots[1].verdict` is one of {VERDICTS}, not \"endorse\"")
        );
        let long = far.replace("endorse", &"x".repeat(1_000));
        assert!(refusal::<Outcome>(&long).contains(VERDICTS));
    }

    #[test]
    fn a_record_is_not_read_by_the_order_of_a_list() {
        let listed = PROPOSAL.replace(
            r#"{"type": "payment.block", "subject": "4711"}"#,
            r#"["payment.block", "4711"]"#,
        );
        assert_eq!(
            refusal::<Proposal>(&listed),
            "`action` is a list, not an object"
        );
        assert_eq!(refusal::<Proposal>("[]"), "`.` is a list, not an object");
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let twice = PROPOSAL.replace("\"domain\"", "\"domain\": \"x\", \"domain\"");
        assert!(refusal::<Proposal>(&twice).contains("key `domain` is given twice"));
        // At any depth, of any name, however it is written, and whether or not it says the same.
        for text in [
            r#"{"a": 1, "b": 2, "a": 1}"#,
            r#"[{}, {"x": {"a": 1, "\u0061": null}}]"#,
        ] {
            let error = parse_strict(text.as_bytes()).unwrap_err();
            assert_eq!(error.reject(), Reject::Malformed);
            let told = error.to_string();
            assert!(told.contains("key `a` is given twice at line 1"), "{told}");
        }
    }

    #[test]
    fn json_without_such_a_key_is_read_as_ever() {
        let text = r#"{"b": [null, true, -1, 18446744073709551615, 1e30, -0.0, 0.1, "\u00fc\n"],
            "a": {"b": {}, "a": []}}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let parsed = parse_strict(text.as_bytes()).unwrap();
        assert_eq!(parsed.to_string(), value.to_string());
        let deep = "[".repeat(10_000);
        for wrong in ["", "{", "{} {}", "{1: 2}", "1e999", "\"\u{1}\"", &deep] {
            let theirs = serde_json::from_str::<Value>(wrong).unwrap_err();
            let ours = parse_strict(wrong.as_bytes()).unwrap_err();
            assert_eq!(ours.to_string(), theirs.to_string(), "{wrong}");
        }
        assert!(parse_strict(b"\"\xff\"").is_err());
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
