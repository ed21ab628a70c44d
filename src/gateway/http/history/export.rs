//! Outcomes and what people did as a file: CSV for a spreadsheet, or a line of JSON each. It is
//! made a page at a time, so that its length does not matter.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse as _, Response};
use csv::{QuoteStyle, Terminator, WriterBuilder};
use futures_util::stream::{self, Stream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use quorate_core::ids::{ProposalId, Timestamp};
use quorate_core::records::Outcome;

use super::audit::{self, HumanAction};
use crate::gateway::http::ask::look;
use crate::gateway::http::query::{Asked, FILE, Format, Parameter, asked, both};
use crate::gateway::http::{Gateway, lists};
use crate::gateway::refusal::{Refusal, Sort};
use crate::gateway::view::{Field, Item, When, symbol, when};
use crate::wire::Kind;

/// Records that are written at a time.
const AT_ONCE: usize = 500;

/// What may be asked of exported outcomes.
pub(in crate::gateway::http) const OUTCOMES: &[Parameter] = &both::<10>(FILE, lists::OUTCOME);
/// What may be asked of what people did, exported.
pub(in crate::gateway::http) const AUDIT: &[Parameter] = &both::<5>(FILE, audit::ACTION);

const OUTCOME: [&str; 21] = [
    "proposal_id",
    "domain",
    "subject",
    "proposer",
    "stakes",
    "resolution",
    "final",
    "status",
    "would_be",
    "reasons",
    "resolved_by",
    "decided_by",
    "E",
    "C",
    "n",
    "p",
    "margin_reached",
    "margin_needed",
    "proposed",
    "closed",
    "decision_digest",
];
const ACTION: [&str; 12] = [
    "time",
    "kind",
    "by",
    "about",
    "says",
    "code",
    "words",
    "digest",
    "refused",
    "topic",
    "partition",
    "offset",
];

/// Outcomes as a file.
pub(in crate::gateway::http) async fn outcomes(
    State(gateway): State<Arc<Gateway>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = asked(query, OUTCOMES)?;
    // What cannot be told now is refused before anything is.
    look(&gateway.desk, |_| ())?;
    let format = asked.format;
    let pages = stream::try_unfold(
        Some(None),
        move |at: Option<Option<(ProposalId, usize)>>| {
            let page = at.map(|at| outcomes_from(&gateway, &asked, at)).transpose();
            async move { page }
        },
    );
    Ok(file("outcomes", format, &OUTCOME, pages))
}

type Written<T> = (Bytes, Option<Option<T>>);

fn outcomes_from(
    gateway: &Gateway,
    asked: &Asked,
    at: Option<(ProposalId, usize)>,
) -> Result<Written<(ProposalId, usize)>, Refusal> {
    let (items, next) = look(&gateway.desk, |known| {
        let (items, next) = known.outcomes(&asked.filter, at, AT_ONCE);
        let items: Vec<Item> = items.into_iter().cloned().collect();
        (items, next)
    })?;
    let codec = gateway.desk.codec();
    let (mut rows, mut lines) = (Page::default(), String::new());
    for item in items {
        match asked.format {
            Format::Jsonl => {
                lines.push_str(&Kind::Outcome.to_json(codec, &item.value)?);
                lines.push('\n');
            }
            Format::Csv => {
                let (outcome, _) = codec.decode::<Outcome>(&item.value)?;
                rows.row(&outcome_row(&outcome, &item))?;
            }
        }
    }
    let page = match asked.format {
        Format::Csv => rows.bytes()?,
        Format::Jsonl => lines.into(),
    };
    Ok((page, next.map(Some)))
}

fn outcome_row(outcome: &Outcome, item: &Item) -> Vec<String> {
    let Outcome {
        decision,
        coordinates,
        ..
    } = outcome;
    let of = |field| item.tags.first(field).unwrap_or_default().to_owned();
    let judged = coordinates.judged.iter();
    let people: Vec<&str> = judged.map(|judged| &*judged.reviewer).collect();
    let reasons: Vec<String> = decision.reasons.iter().map(symbol).collect();
    vec![
        outcome.proposal_id.to_string(),
        of(Field::Domain),
        of(Field::Subject),
        of(Field::Proposer),
        symbol(&decision.stakes),
        outcome.resolution.to_string(),
        outcome.r#final.to_string(),
        symbol(&decision.status),
        symbol(&decision.would_be),
        reasons.join(" "),
        symbol(&decision.resolved_by),
        people.join(" "),
        decision.endorse.to_f64().to_string(),
        decision.challenge.to_f64().to_string(),
        decision.n.to_string(),
        decision.p.to_f64().to_string(),
        decision.margin_reached.to_f64().to_string(),
        decision.margin_needed.to_f64().to_string(),
        time(coordinates.proposal_time),
        time(coordinates.closing_time),
        outcome.decision_digest.to_string(),
    ]
}

/// What people did as a file.
pub(in crate::gateway::http) async fn audit(
    State(gateway): State<Arc<Gateway>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = asked(query, AUDIT)?;
    look(&gateway.desk, |_| ())?;
    let format = asked.format;
    let pages = stream::try_unfold(Some(None), move |at: Option<Option<When>>| {
        let page = at.map(|at| actions_from(&gateway, &asked, at)).transpose();
        async move { page }
    });
    Ok(file("audit", format, &ACTION, pages))
}

fn actions_from(
    gateway: &Gateway,
    asked: &Asked,
    at: Option<When>,
) -> Result<Written<When>, Refusal> {
    let (actions, next) = look(&gateway.desk, |known| {
        let (found, next) = known.actions(&asked.filter, at, AT_ONCE);
        let actions = found.iter().map(|found| audit::told(known, *found));
        (actions.collect::<Vec<_>>(), next)
    })?;
    let (mut rows, mut lines) = (Page::default(), String::new());
    for action in actions {
        match asked.format {
            Format::Jsonl => {
                lines.push_str(&serde_json::to_string(&action).map_err(unwritten)?);
                lines.push('\n');
            }
            Format::Csv => rows.row(&action_row(action))?,
        }
    }
    let page = match asked.format {
        Format::Csv => rows.bytes()?,
        Format::Jsonl => lines.into(),
    };
    let next = next.and_then(|next| when(&next));
    Ok((page, next.map(Some)))
}

fn action_row(action: HumanAction) -> Vec<String> {
    vec![
        time(Timestamp(action.timestamp)),
        action.kind.to_owned(),
        action.by.unwrap_or_default(),
        action.about,
        action.says,
        action.code,
        action.words,
        action.digest.unwrap_or_default(),
        action.refused.unwrap_or_default(),
        action.topic.to_owned(),
        action.partition.to_string(),
        action.offset.to_string(),
    ]
}

/// A file of so many pages, to be kept and not to be shown.
fn file(
    name: &str,
    format: Format,
    columns: &[&str],
    pages: impl Stream<Item = Result<Bytes, Refusal>> + Send + 'static,
) -> Response {
    let mut head = Page::default();
    let head = match format {
        Format::Csv => head.row(columns).and_then(|()| head.bytes()),
        Format::Jsonl => Ok(Bytes::new()),
    };
    let pages = stream::once(async { head }).chain(pages);
    // A file that ends before its time is cut off, and is seen to be.
    let pages = pages.map_err(|refusal| io::Error::other(refusal.detail));
    let headers = [
        (CONTENT_TYPE, format.kind().to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}.{}\"", format.name()),
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    (headers, Body::from_stream(pages)).into_response()
}

/// Some of a file.
struct Page(csv::Writer<Vec<u8>>);

impl Default for Page {
    fn default() -> Self {
        let mut writer = WriterBuilder::new();
        // As RFC 4180 has it; all text in quotes, so that nobody takes some of it for a number.
        writer.terminator(Terminator::CRLF);
        writer.quote_style(QuoteStyle::NonNumeric);
        Self(writer.from_writer(Vec::new()))
    }
}

impl Page {
    fn row<T: AsRef<str>>(&mut self, cells: &[T]) -> Result<(), Refusal> {
        let cells = cells.iter().map(|cell| defused(cell.as_ref()));
        let written = self.0.write_record(cells.map(|cell| cell.into_owned()));
        written.map_err(unwritten)
    }

    fn bytes(self) -> Result<Bytes, Refusal> {
        let bytes = self.0.into_inner();
        bytes.map(Bytes::from).map_err(unwritten)
    }
}

/// What a spreadsheet would take for a formula, with a mark before it that says it is text.
fn defused(cell: &str) -> Cow<'_, str> {
    const FORMULA: [char; 11] = [
        '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ];
    match cell.starts_with(FORMULA) {
        true => format!("'{cell}").into(),
        false => cell.into(),
    }
}

/// A time as spreadsheets read it.
fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

fn unwritten(error: impl std::fmt::Display) -> Refusal {
    tracing::error!(%error, "a file cannot be written");
    Refusal::new(Sort::Away, "log_unavailable", "the file cannot be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_would_run_is_text_and_quoted() {
        let mut page = Page::default();
        let cells = [
            "=1+1",
            "+1",
            "-1",
            "@SUM(A1)",
            "\tx",
            "\rx",
            "plain",
            "12",
            "a \"b\", c",
            "",
        ];
        page.row(&cells).unwrap();
        let line = String::from_utf8(page.bytes().unwrap().to_vec()).unwrap();
        assert_eq!(
            line,
            "\"'=1+1\",\"'+1\",\"'-1\",\"'@SUM(A1)\",\"'\tx\",\"'\rx\",\"plain\",12,\
             \"a \"\"b\"\", c\",\"\"\r\n"
        );
    }

    #[test]
    fn times_are_told_as_everybody_reads_them() {
        assert_eq!(
            time(Timestamp(1_795_000_000_123)),
            "2026-11-18T11:06:40.123Z"
        );
    }
}
