//! The parameters of a query: what each is, and how it is read.

use std::time::Duration;

use utoipa::openapi::{Object, ObjectBuilder, Type};

use crate::gateway::refusal::{Refusal, Sort};
use crate::gateway::view::{Field, Filter};

/// The longest anybody may wait, in seconds.
const WAIT_MAX: f64 = 30.0;
/// The latest time: what JSON's numbers can all tell apart.
const TIME_MAX: i64 = (1 << 53) - 1;
/// How many are told at once where nobody says how many.
const LIMIT: usize = 100;
/// Most that are told at once.
const LIMIT_MAX: usize = 1_000;

/// A parameter that makes sense somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    /// How long to wait for something to tell.
    Wait,
    /// How many to tell at most.
    Limit,
    /// Where another page ended.
    After,
    /// As what kind of file.
    Format,
    /// Only what the caller may decide.
    Mine,
    /// What to look for.
    By(Field),
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Comma-separated values (RFC 4180).
    Csv,
    /// A line of JSON each.
    Jsonl,
}

impl Format {
    /// Its name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }

    /// As `Content-Type` has it.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl",
        }
    }
}

/// What a page of something is asked by.
pub(super) const PAGE: &[Parameter] = &[Parameter::Limit, Parameter::After];
/// What a file of something is asked by.
pub(super) const FILE: &[Parameter] = &[Parameter::Format];

/// One table of parameters, then another; of as many as both.
#[expect(
    clippy::indexing_slicing,
    reason = "for constants alone, where a panic is the compiler's error"
)]
pub(super) const fn both<const N: usize>(one: &[Parameter], other: &[Parameter]) -> [Parameter; N] {
    assert!(one.len() + other.len() == N, "as many as both");
    let (mut all, mut at) = ([Parameter::Limit; N], 0);
    while at < N {
        all[at] = if at < one.len() {
            one[at]
        } else {
            other[at - one.len()]
        };
        at += 1;
    }
    all
}

impl Parameter {
    /// Its name in a query.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Limit => "limit",
            Self::After => "after",
            Self::Format => "format",
            Self::Mine => "mine",
            Self::By(field) => field.name(),
        }
    }

    /// What it asks, in a line.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Wait => "Seconds to wait for something to tell.",
            Self::Limit => "How many to tell at most.",
            Self::After => "The `next` of a page, for those that follow.",
            Self::Format => "As what kind of file.",
            Self::Mine => "Only what the caller may decide now.",
            Self::By(field) => field.meaning(),
        }
    }

    /// What it may be.
    pub(super) fn schema(self) -> Object {
        let of = |kind| ObjectBuilder::new().schema_type(kind);
        let object = match self {
            Self::Wait => of(Type::Number).minimum(Some(0)).maximum(Some(WAIT_MAX)),
            Self::Limit => {
                let number = of(Type::Integer).minimum(Some(1)).maximum(Some(LIMIT_MAX));
                number.default(Some(LIMIT.into()))
            }
            Self::After => of(Type::String),
            Self::Format => {
                let names = [Format::Csv, Format::Jsonl].map(Format::name);
                let text = of(Type::String).enum_values(Some(names));
                text.default(Some(Format::Csv.name().into()))
            }
            Self::Mine => of(Type::Boolean).default(Some(false.into())),
            Self::By(field) if field.is_time() => {
                of(Type::Integer).minimum(Some(0)).maximum(Some(TIME_MAX))
            }
            Self::By(field) => of(Type::String).enum_values(field.symbols()),
        };
        object.build()
    }
}

/// What a query asks for.
#[derive(Debug)]
pub(super) struct Asked {
    /// How long to wait.
    pub(super) wait: Option<Duration>,
    /// How many to tell at most.
    pub(super) limit: usize,
    /// Where another page ended.
    pub(super) after: Option<String>,
    /// As what kind of file.
    pub(super) format: Format,
    /// Whether only what the caller may decide.
    pub(super) mine: bool,
    /// What to look for.
    pub(super) filter: Filter,
}

/// Reads a query, of which these parameters make sense.
///
/// # Errors
/// A [`Refusal`], `bad_query`, that says what makes none.
pub(super) fn asked(query: Option<String>, known: &[Parameter]) -> Result<Asked, Refusal> {
    let query = query.unwrap_or_default();
    let mut asked = Asked {
        wait: None,
        limit: LIMIT,
        after: None,
        format: Format::Csv,
        mine: false,
        filter: Filter::default(),
    };
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let mut parameters = known.iter();
        let Some(named) = parameters.find(|parameter| parameter.name() == name) else {
            return Err(bad_query(format!("`{name}` means nothing here")));
        };
        if seen.contains(named) {
            return Err(bad_query(format!("`{name}` is given twice")));
        }
        seen.push(*named);
        match named {
            Parameter::Wait => asked.wait = Some(span(&value)?),
            Parameter::Limit => asked.limit = limit(&value)?,
            // Nothing is the beginning, too.
            Parameter::After if value.is_empty() => {}
            Parameter::After => asked.after = Some(place(&value)?),
            Parameter::Format => asked.format = format(&value)?,
            Parameter::Mine => asked.mine = truth(&value)?,
            Parameter::By(field) => asked.filter.and(*field, sought(*field, &value)?),
        }
    }
    Ok(asked)
}

/// A time to wait.
fn span(text: &str) -> Result<Duration, Refusal> {
    let seconds = text.parse().ok().filter(|at| (0.0..=WAIT_MAX).contains(at));
    let refusal = || bad_query("`wait` is not a number of seconds from 0 to 30");
    seconds.map(Duration::from_secs_f64).ok_or_else(refusal)
}

/// How many to tell.
fn limit(text: &str) -> Result<usize, Refusal> {
    let count = text.parse().ok().filter(|at| (1..=LIMIT_MAX).contains(at));
    count.ok_or_else(|| bad_query("`limit` is not a number from 1 to 1000"))
}

/// Whether something is so.
fn truth(text: &str) -> Result<bool, Refusal> {
    let refusal = || bad_query("`mine` is one of true, false");
    text.parse().map_err(|_| refusal())
}

/// A kind of file.
fn format(text: &str) -> Result<Format, Refusal> {
    let mut all = [Format::Csv, Format::Jsonl].into_iter();
    let found = all.find(|format| format.name() == text);
    found.ok_or_else(|| bad_query("`format` is one of csv, jsonl"))
}

/// What is looked for, if it may be that.
fn sought(field: Field, text: &str) -> Result<String, Refusal> {
    if field.is_time() && !text.parse().is_ok_and(|at| (0..=TIME_MAX).contains(&at)) {
        let name = field.name();
        let what = "is not a whole number of milliseconds since the epoch";
        return Err(bad_query(format!("`{name}` {what}")));
    }
    match field.symbols() {
        Some(symbols) if !symbols.contains(&text) => {
            let (name, symbols) = (field.name(), symbols.join(", "));
            Err(bad_query(format!("`{name}` is one of {symbols}")))
        }
        _ => Ok(text.to_owned()),
    }
}

/// Where a page ended, as whoever asks for the next one gives it back.
pub(super) fn cursor(place: &str) -> String {
    hex::encode(place)
}

fn place(text: &str) -> Result<String, Refusal> {
    let bytes = hex::decode(text).ok();
    let place = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    place.ok_or_else(no_place)
}

/// Nobody was ever told to go on there.
pub(super) fn no_place() -> Refusal {
    bad_query("`after` is not the `next` of a page of these")
}

fn bad_query(detail: impl Into<String>) -> Refusal {
    Refusal::new(Sort::Bad, "bad_query", detail)
}
