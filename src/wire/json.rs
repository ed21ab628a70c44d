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
