//! Reads tables of a closed set of keys: an unknown key or symbol names the nearest.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{FileError, Millis, Unsound};
use quorate_core::millionths::Millionths;

/// What is wrong, and where: keys and list positions from the outside in.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) path: Vec<Step>,
    why: String,
}

/// One step into a table or list.
#[derive(Debug)]
pub(super) enum Step {
    Key(String),
    At(usize),
}

impl Flaw {
    /// A flaw of the value at hand.
    pub(super) fn here(why: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            why: why.into(),
        }
    }

    /// A flaw of a key of the table at hand.
    pub(super) fn of(key: &str, why: impl Into<String>) -> Self {
        Self::here(why).within(Step::Key(key.to_owned()))
    }

    pub(super) fn within(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }

    /// The error to show, at a line if that is known.
    pub(super) fn at(&self, line: Option<usize>) -> FileError {
        let keys = self.path.iter().filter_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::At(_) => None,
        });
        let key = keys.collect::<Vec<_>>().join(".");
        FileError {
            line,
            key,
            why: self.why.clone(),
        }
    }
}

impl From<Flaw> for FileError {
    fn from(flaw: Flaw) -> Self {
        flaw.at(None)
    }
}

impl From<Unsound> for Flaw {
    fn from(unsound: Unsound) -> Self {
        Self::of(unsound.key, unsound.why)
    }
}

/// A table whose keys are all known.
#[derive(Debug)]
pub(super) struct Entry<'a>(&'a Map<String, Value>);

impl<'a> Entry<'a> {
    /// The table, if it has no other keys than these.
    pub(super) fn closed(value: &'a Value, keys: &[&str]) -> Result<Self, Flaw> {
        let Value::Object(fields) = value else {
            return Err(Flaw::here("is not a table"));
        };
        match fields.keys().find(|key| !keys.contains(&key.as_str())) {
            Some(key) => {
                let why = format!("is not a key here; the nearest is `{}`", nearest(key, keys));
                Err(Flaw::of(key, why))
            }
            None => Ok(Self(fields)),
        }
    }

    /// What a key holds; none if it is absent, or null as JSON has it.
    pub(super) fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, Flaw>,
    ) -> Result<Option<T>, Flaw> {
        self.0
            .get(key)
            .filter(|value| !value.is_null())
            .map(|value| read(value).map_err(|flaw| flaw.within(Step::Key(key.to_owned()))))
            .transpose()
    }

    /// Puts what a key holds in place of its default.
    pub(super) fn set<T>(
        &self,
        key: &str,
        place: &mut T,
        read: impl FnOnce(&Value) -> Result<T, Flaw>,
    ) -> Result<(), Flaw> {
        if let Some(value) = self.read(key, read)? {
            *place = value;
        }
        Ok(())
    }

    /// What a key holds that has no default.
    pub(super) fn required<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Value) -> Result<T, Flaw>,
    ) -> Result<T, Flaw> {
        self.read(key, read)?
            .ok_or_else(|| Flaw::of(key, "is missing"))
    }
}

/// Refuses entries of which two are called alike.
pub(super) fn distinct<'a>(
    names: impl Iterator<Item = &'a str>,
    entries: &str,
    key: &str,
) -> Result<(), Flaw> {
    let mut seen = BTreeSet::new();
    for (at, name) in names.enumerate() {
        if !seen.insert(name) {
            let flaw = Flaw::of(key, format!("is `{name}` a second time"));
            return Err(flaw
                .within(Step::At(at))
                .within(Step::Key(entries.to_owned())));
        }
    }
    Ok(())
}

pub(super) fn text(value: &Value) -> Result<String, Flaw> {
    let text = value.as_str().ok_or_else(|| Flaw::here("is not text"))?;
    Ok(text.to_owned())
}

pub(super) fn flag(value: &Value) -> Result<bool, Flaw> {
    value
        .as_bool()
        .ok_or_else(|| Flaw::here("is neither true nor false"))
}

pub(super) fn count(value: &Value) -> Result<i32, Flaw> {
    value
        .as_i64()
        .and_then(|number| i32::try_from(number).ok())
        .ok_or_else(|| Flaw::here("is not a whole number of at most 2147483647"))
}

pub(super) fn share(value: &Value) -> Result<Millionths, Flaw> {
    value
        .as_f64()
        .and_then(|number| Millionths::admit(number).ok())
        .ok_or_else(|| Flaw::here("is not a number in [0, 1]"))
}

/// A plain decimal: text as it stands, or a number as it is written shortest.
pub(super) fn decimal(value: &Value) -> Result<String, Flaw> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Flaw::here("is neither a number nor text")),
    }
}

/// A span in milliseconds: a number of them, or a whole number with its unit.
pub(super) fn span(value: &Value) -> Result<Millis, Flaw> {
    let refuse = || Flaw::here("is neither milliseconds nor a span such as \"60 s\"");
    let millis = match value {
        Value::String(text) => {
            let unit_at = text
                .find(|c: char| !c.is_ascii_digit())
                .ok_or_else(refuse)?;
            let (number, unit) = text.split_at(unit_at);
            let unit = match unit.trim() {
                "ms" => 1,
                "s" => 1_000,
                "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(Flaw::here("is not in ms, s, min, h or d")),
            };
            number
                .parse()
                .ok()
                .and_then(|number: i64| number.checked_mul(unit))
        }
        number => number.as_i64(),
    };
    millis.map(Millis).ok_or_else(refuse)
}

/// One of a closed set of symbols.
pub(super) fn symbol<T: DeserializeOwned>(value: &Value, symbols: &[&str]) -> Result<T, Flaw> {
    let name = text(value)?;
    if !symbols.contains(&name.as_str()) {
        let nearest = nearest(&name, symbols);
        return Err(Flaw::here(format!(
            "is not `{name}`; the nearest is `{nearest}`"
        )));
    }
    serde_json::from_value(Value::String(name)).map_err(|error| Flaw::here(error.to_string()))
}

pub(super) fn list<T>(
    value: &Value,
    read: impl Fn(&Value) -> Result<T, Flaw>,
) -> Result<Vec<T>, Flaw> {
    let values = value
        .as_array()
        .ok_or_else(|| Flaw::here("is not a list"))?;
    let item = |(at, value)| read(value).map_err(|flaw: Flaw| flaw.within(Step::At(at)));
    values.iter().enumerate().map(item).collect()
}

pub(super) fn texts(value: &Value) -> Result<Vec<String>, Flaw> {
    list(value, text)
}

/// The known name that takes the fewest edits; of equal ones the first.
fn nearest<'a>(name: &str, known: &[&'a str]) -> &'a str {
    let distance = |known: &&&str| strsim::damerau_levenshtein(name, known);
    known
        .iter()
        .min_by_key(distance)
        .copied()
        .unwrap_or_default()
}
