//! A vector as it lies in its file.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Milliseconds since the epoch at which vectors begin: `T`.
pub(crate) const T: i64 = 1_767_225_600_000;

/// One behaviour.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vector {
    /// The behaviour, in a sentence.
    pub(crate) description: String,
    /// The requirements it shows.
    pub(crate) requirements: Vec<String>,
    /// The partition of the engine.
    #[serde(default)]
    pub(crate) partition: i32,
    /// How many there are.
    #[serde(default = "one")]
    pub(crate) partitions: i32,
    /// The records in the order they are read.
    pub(crate) steps: Vec<Step>,
}

/// One record, and what must follow from it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) topic: String,
    pub(crate) offset: Option<i64>,
    pub(crate) timestamp: Option<At>,
    pub(crate) key: Option<String>,
    pub(crate) kind: Option<Kind>,
    pub(crate) record: Option<Value>,
    pub(crate) value_hex: Option<String>,
    #[serde(default)]
    pub(crate) tick: bool,
    pub(crate) lost_below: Option<i64>,
    pub(crate) forwarded_from: Option<i32>,
    pub(crate) traceparent: Option<String>,
    /// The step stands for several records, numbered by `{i}` in the record's texts.
    pub(crate) repeat: Option<Repeat>,
    /// Fields of the record whose text, or each text of whose list, is filled up with `x` to so
    /// many bytes; `value` stands for the bytes the record is written as.
    #[serde(default)]
    pub(crate) pad: BTreeMap<String, usize>,
    #[serde(default)]
    pub(crate) outputs: Vec<Value>,
}

/// How many records a step stands for, and the first one's number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Repeat {
    pub(crate) count: usize,
    pub(crate) from: usize,
}

impl Step {
    /// The steps of one record each that this one stands for.
    pub(crate) fn each(&self) -> Vec<Self> {
        let Some(repeat) = self.repeat else {
            return vec![self.padded()];
        };
        let numbers = repeat.from..repeat.from + repeat.count;
        numbers.map(|i| self.numbered(i).padded()).collect()
    }

    fn numbered(&self, i: usize) -> Self {
        let number = |text: &str| text.replace("{i}", &i.to_string());
        Self {
            record: self.record.as_ref().map(|record| texts(record, &number)),
            ..self.clone()
        }
    }

    fn padded(&self) -> Self {
        let mut step = self.clone();
        let fields = self.pad.iter().filter(|(field, _)| *field != "value");
        for (field, bytes) in fields {
            let record = step.record.as_mut().expect("a record to pad");
            let fill = |text: &str| format!("{text}{}", "x".repeat(bytes - text.len()));
            record[field] = texts(&record[field], &fill);
        }
        step
    }
}

/// A value with each of its texts changed.
fn texts(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| texts(item, change)).collect(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| (key.clone(), texts(value, change)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

/// An append time: milliseconds since the epoch, or `T+1500`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum At {
    Epoch(i64),
    Since(String),
}

impl At {
    pub(crate) fn millis(&self) -> i64 {
        match self {
            Self::Epoch(millis) => *millis,
            Self::Since(text) if text == "T" => T,
            Self::Since(text) => {
                let (sign, span) = match text.strip_prefix("T+") {
                    Some(span) => (1, span),
                    None => (-1, text.strip_prefix("T-").expect("a time begins with T")),
                };
                T + sign * span.replace('_', "").parse::<i64>().expect("milliseconds")
            }
        }
    }
}

/// A record that is not its topic's usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Control,
}

fn one() -> i32 {
    1
}
