//! A TOML file as JSON values, and the line each of them stands on.

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::FileError;
use super::entry::{self, Entry, Flaw, Step};

/// A parsed file.
#[derive(Debug)]
pub(super) struct Source<'a> {
    text: &'a str,
    root: DeValue<'a>,
    value: Value,
}

impl<'a> Source<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, FileError> {
        let table = DeTable::parse(text).map_err(|error| FileError {
            line: error.span().map(|span| line(text, span.start)),
            key: "TOML".to_owned(),
            why: format!("does not parse: {}", error.message()),
        })?;
        let mut source = Self {
            text,
            root: DeValue::Table(table.into_inner()),
            value: Value::Null,
        };
        source.value = json(&source.root).map_err(|flaw| source.locate(&flaw))?;
        Ok(source)
    }

    /// Reads each `[[name]]` of the file, which has no others.
    pub(super) fn entries<T>(
        &self,
        name: &str,
        read: impl Fn(&Value) -> Result<T, Flaw>,
    ) -> Result<Vec<T>, Flaw> {
        let file = Entry::closed(&self.value, &[name])?;
        let entries = file.read(name, |value| entry::list(value, read))?;
        Ok(entries.unwrap_or_default())
    }

    /// The flaw as an error, at the line of the last key of its path that the file has.
    pub(super) fn locate(&self, flaw: &Flaw) -> FileError {
        let (mut at, mut value) = (None, &self.root);
        for step in &flaw.path {
            let Some((start, next)) = child(value, step) else {
                break;
            };
            (at, value) = (Some(start), next);
        }
        flaw.at(at.map(|at| line(self.text, at)))
    }
}

/// What lies one step further in, and the byte where that begins.
fn child<'v, 'a>(value: &'v DeValue<'a>, step: &Step) -> Option<(usize, &'v DeValue<'a>)> {
    match step {
        Step::Key(key) => {
            let (key, value) = value.as_table()?.get_key_value(key.as_str())?;
            Some((key.span().start, value.get_ref()))
        }
        Step::At(index) => {
            let value = value.as_array()?.get(*index)?;
            Some((value.span().start, value.get_ref()))
        }
    }
}

/// The line, from 1, that a byte stands on.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}

fn object(table: &DeTable<'_>) -> Result<Value, Flaw> {
    let mut fields = Map::new();
    for (key, value) in table {
        let name = key.get_ref().to_string();
        let value = json(value.get_ref()).map_err(|f| f.within(Step::Key(name.clone())))?;
        fields.insert(name, value);
    }
    Ok(Value::Object(fields))
}

fn json(value: &DeValue<'_>) -> Result<Value, Flaw> {
    match value {
        DeValue::String(text) => Ok(Value::String(text.to_string())),
        DeValue::Boolean(flag) => Ok(Value::Bool(*flag)),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map(Value::from)
            .map_err(|_| Flaw::here("is too large a number")),
        DeValue::Float(float) => {
            let number = float.as_str().parse().ok().and_then(Number::from_f64);
            number
                .map(Value::Number)
                .ok_or_else(|| Flaw::here("is not a finite number"))
        }
        DeValue::Array(list) => {
            let item = |(at, value): (usize, &toml::Spanned<DeValue<'_>>)| {
                json(value.get_ref()).map_err(|flaw| flaw.within(Step::At(at)))
            };
            list.iter()
                .enumerate()
                .map(item)
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        DeValue::Table(table) => object(table),
        DeValue::Datetime(_) => Err(Flaw::here("is a date, which nothing here is")),
    }
}
