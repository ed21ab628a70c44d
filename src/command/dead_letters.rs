//! `quorate dead-letters`: what was refused, why, and what it said.

use std::ops::ControlFlow;

use anyhow::Context as _;
use clap::Subcommand;
use quorate_core::records::DeadLetter;
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;
use serde::Serialize;
use serde_json::Value;

use super::Output;
use super::client::Client;
use super::on_log::{Entry, decoded, harmless, time};
use crate::config::Config;
use crate::wire::{self, Codec, Kind};

/// What to do with the dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// List them by partition, oldest first
    List {
        /// Only those refused with this code
        #[arg(long, value_name = "CODE", value_parser = code)]
        reason: Option<Reject>,
        /// Lines for people, or JSON for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Show one, with the record refused: decoded if it can be, else in hexadecimal
    Show {
        /// The dead letter's own partition, as `list` has it
        partition: i32,
        /// Its offset there
        offset: i64,
        /// Words for people, or JSON for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
}

/// A dead letter, opened.
#[derive(Debug, Serialize)]
struct Opened {
    letter: DeadLetter,
    /// What its reason code means; none for a code of later rules.
    meaning: Option<&'static str>,
    /// The record refused; none if it cannot be decoded.
    decoded: Option<Value>,
}

impl DeadLetters {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let client = Client::open(config)?;
        match self {
            Self::List { reason, output } => list(&client, reason, output),
            Self::Show {
                partition,
                offset,
                output,
            } => {
                let opened = open(&client, partition, offset)?;
                super::answer(&match output {
                    Output::Text => words(&opened)?,
                    Output::Json => wire::json::to_string_pretty(&opened)?,
                })?;
                Ok(())
            }
        }
    }
}

fn code(text: &str) -> Result<Reject, String> {
    let known = Reject::ALL.iter().copied();
    let found = known.clone().find(|reject| reject.code() == text);
    found.ok_or_else(|| {
        let codes: Vec<_> = known.map(Reject::code).collect();
        format!("there is no such code; there are {}", codes.join(", "))
    })
}

fn list(client: &Client, reason: Option<Reject>, output: Output) -> anyhow::Result<()> {
    let mut letters = Vec::new();
    for partition in 0..client.handle().partitions()? {
        client.scan(Topic::DeadLetters, partition, |stored| {
            let entry = Entry::of(client.codec(), &stored);
            letters.extend(entry.filter(|entry| {
                let said = entry.record.pointer("/reason");
                reason.is_none_or(|reason| said.is_some_and(|said| said == reason.code()))
            }));
        })?;
    }
    if output == Output::Json {
        super::answer(&wire::json::to_string_pretty(&letters)?)?;
        return Ok(());
    }
    for letter in letters {
        super::answer(&letter.line())?;
    }
    Ok(())
}

fn open(client: &Client, partition: i32, offset: i64) -> anyhow::Result<Opened> {
    let none = || format!("there is no dead letter at {partition}@{offset}");
    let reader = client.handle().reader()?;
    let count = client.handle().partitions()?;
    anyhow::ensure!((0..count).contains(&partition), none());
    let topic = Topic::DeadLetters;
    let (start, end) = reader.ends(topic, partition)?;
    anyhow::ensure!((start..end).contains(&offset), none());
    let mut found = None;
    let after = offset.saturating_add(1);
    reader.read_to(topic, partition, offset, after, &mut |stored| {
        found = stored.value;
        Ok(ControlFlow::Continue(()))
    })?;
    let (letter, _) = client
        .codec()
        .decode::<DeadLetter>(&found.with_context(none)?)?;
    let known = Reject::ALL
        .iter()
        .find(|known| known.code() == letter.reason);
    Ok(Opened {
        meaning: known.map(|known| known.meaning()),
        decoded: refused(client.codec(), &letter),
        letter,
    })
}

/// The record refused; what lies among the responses without a key may be an order.
fn refused(codec: &Codec, letter: &DeadLetter) -> Option<Value> {
    let (topic, value) = (Topic::named(&letter.topic)?, letter.value.as_ref()?);
    let kind = if topic == Topic::Responses && letter.key.is_none() {
        Kind::Control
    } else {
        Kind::of(topic)
    };
    decoded(kind, codec, &value.0).ok()
}

fn words(opened: &Opened) -> anyhow::Result<String> {
    let Opened {
        letter,
        meaning,
        decoded,
    } = opened;
    let key = letter.key.as_ref().map_or_else(
        || "none".to_owned(),
        |key| match std::str::from_utf8(&key.0) {
            Ok(text) => text.escape_debug().to_string(),
            Err(_) => hex::encode(&key.0),
        },
    );
    let (what, value) = match (decoded, &letter.value) {
        (Some(record), _) => ("record", harmless(&wire::json::to_string_pretty(record)?)),
        (None, Some(value)) => ("undecodable value, in hexadecimal", hex::encode(&value.0)),
        (None, None) => ("record", "no value".to_owned()),
    };
    let pins = letter.judged_by;
    Ok(format!(
        "{}/{}@{}, {}\n\
         refused: {} ({})\n\
         detail: {}\n\
         judged by: agents@{}, policies@{}, trust@{}\n\
         key: {key}\n\
         {what}:\n{value}",
        letter.topic.escape_debug(),
        letter.partition,
        letter.offset.0,
        time(letter.timestamp),
        letter.reason.escape_debug(),
        meaning.unwrap_or("a code of later rules"),
        letter.detail.escape_debug(),
        pins.agents.0,
        pins.policies.0,
        pins.trust.0,
    ))
}
