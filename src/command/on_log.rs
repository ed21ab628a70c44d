//! Records as they lie on the log, whatever their kind: placed and shown.
//!
//! What agents wrote is escaped in lines for people. JSON keeps it as it is.

use quorate_core::ids::{Offset, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::transport::Stored;
use crate::wire::{Codec, Error, Kind};

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A record, and where it lies.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Entry {
    #[serde(skip)]
    kind: Kind,
    topic: &'static str,
    partition: i32,
    offset: Offset,
    timestamp: Option<Timestamp>,
    /// Null if it cannot be read.
    pub(super) record: Value,
    /// Why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Entry {
    /// A record read; none for what carries no value.
    pub(super) fn of(codec: &Codec, stored: &Stored) -> Option<Self> {
        let kind = if stored.control {
            Kind::Control
        } else {
            Kind::of(stored.topic)
        };
        let (record, error) = match decoded(kind, codec, stored.value.as_deref()?) {
            Ok(record) => (record, None),
            Err(error) => (Value::Null, Some(error.to_string())),
        };
        Some(Self {
            kind,
            topic: stored.topic.name(),
            partition: stored.partition,
            offset: Offset(stored.offset),
            timestamp: stored.timestamp,
            record,
            error,
        })
    }

    /// The record in a line for people.
    pub(super) fn line(&self) -> String {
        let (topic, partition, offset) = (self.topic, self.partition, self.offset.0);
        let at = self.timestamp.map(time).unwrap_or_default();
        let what = self.error.as_ref().map_or_else(
            || summary(self.kind, &self.record),
            |error| error.escape_debug().to_string(),
        );
        format!("{topic}/{partition}@{offset}  {at}  {what}")
    }
}

/// A value as JSON by the schema it was written with.
pub(super) fn decoded(kind: Kind, codec: &Codec, value: &[u8]) -> Result<Value, Error> {
    Ok(serde_json::from_str(&kind.to_json(codec, value)?).unwrap_or_default())
}

/// What of a record of a kind a line shows, as JSON pointers.
const fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Proposal => &[
            "/proposer",
            "/domain",
            "/action/type",
            "/action/subject",
            "/stakes",
            "/confidence",
            "/summary",
        ],
        Kind::Response => &["/agent_id", "/verdict", "/confidence", "/reasoning"],
        Kind::Control => &[
            "/agent_id",
            "/pattern",
            "/table_offset",
            "/operator",
            "/reason",
        ],
        Kind::Decision => &["/reviewer", "/verdict", "/reason_code", "/rationale"],
        Kind::Result => &["/reporter", "/result", "/basis", "/corrects", "/note"],
        Kind::Round => &[
            "/state",
            "/opening/pattern",
            "/opening/deadline",
            "/opening/pins",
            "/closed/status",
            "/closed/resolved_by",
            "/closed/tier",
            "/closed/settlement/result",
        ],
        Kind::Outcome => &[
            "/resolution",
            "/final",
            "/decision/status",
            "/decision/reasons",
            "/decision/resolved_by",
        ],
        Kind::DecisionPackage => &[
            "/tier",
            "/due",
            "/approvals_needed",
            "/on_decision_timeout",
            "/package_digest",
        ],
        Kind::DeadLetter => &["/topic", "/partition", "/offset", "/reason", "/detail"],
        _ => &[],
    }
}

/// A record's telling fields, each by its name; those with nothing in them are left out.
fn summary(kind: Kind, record: &Value) -> String {
    let mut text = format!("{kind:?}");
    for pointer in fields(kind) {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let value = match record.pointer(pointer) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) if text.is_empty() => continue,
            Some(Value::String(text)) => text.escape_debug().to_string(),
            Some(Value::Number(at)) if matches!(name, "deadline" | "due") => {
                time(Timestamp(at.as_i64().unwrap_or_default()))
            }
            Some(value) => value.to_string().replace('"', ""),
        };
        text.push_str(&format!("; {name} {value}"));
    }
    text
}

/// JSON for people: what could move a terminal's cursor or change its colours is escaped.
pub(super) fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, '\n' | '"' | '\'' | '\\') {
            text.push(c);
        } else {
            text.extend(c.escape_debug());
        }
    }
    text
}

/// A time in UTC, as ISO 8601 has it.
pub(super) fn time(at: Timestamp) -> String {
    let (days, ms) = (at.0.div_euclid(DAY), at.0.rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let milli = ms % 1000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The Gregorian date so many days after 1970-01-01: eras of 400 years, years from March on, so
/// that the day that leap years add is the last.
const fn date(days: i64) -> (i64, i64, i64) {
    let since = days + 719_468;
    let (era, of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    if month < 10 {
        (era * 400 + year, month + 3, day)
    } else {
        (era * 400 + year + 1, month - 9, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_in_the_calendar() {
        let told = |ms| time(Timestamp(ms));
        assert_eq!(told(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(told(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(told(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(told(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(told(951_868_800_000), "2000-03-01T00:00:00.000Z");
        assert_eq!(told(1_709_210_096_007), "2024-02-29T12:34:56.007Z");
        assert_eq!(told(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn what_agents_wrote_cannot_move_the_cursor() {
        let record = serde_json::json!({"agent_id": "a\u{1b}[2J", "reasoning": "\u{9b}31m\nb"});
        let line = summary(Kind::Response, &record);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let pretty = harmless("{\n  \"a\": \"\u{9b}31m \u{202e}\"\n}");
        assert_eq!(pretty, "{\n  \"a\": \"\\u{9b}31m \\u{202e}\"\n}");
    }
}
