//! `quorate show ID`: a round as it stands, and every record of the log that belongs to it.

use clap::Args;
use quorate_core::ids::Offset;
use quorate_core::records::{Control, DeadLetter, Round};
use quorate_core::topic::Topic;
use serde::Serialize;

use super::Output;
use super::client::Client;
use super::on_log::{Entry, decoded};
use crate::config::Config;
use crate::transport::Stored;
use crate::wire::{self, Codec, Kind};

/// The topics by a round's own key, but its state, in the order things happen.
const KEYED: [Topic; 6] = [
    Topic::Proposals,
    Topic::Responses,
    Topic::Outcomes,
    Topic::Escalations,
    Topic::Decisions,
    Topic::Results,
];

/// Which round.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The proposal's id
    id: String,
    /// Lines for people, or JSON for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What the log has of a round.
#[derive(Debug, Serialize)]
struct Shown {
    proposal_id: String,
    /// Where it stands; none if it was never opened, or is forgotten.
    round: Option<Entry>,
    /// Every record that belongs to it, by topic, then by place.
    records: Vec<Entry>,
}

impl Show {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let shown = gather(&Client::open(config)?, self.id)?;
        let Shown {
            proposal_id,
            round,
            records,
        } = &shown;
        anyhow::ensure!(
            round.is_some() || !records.is_empty(),
            "nothing on the log names `{proposal_id}`"
        );
        if self.output == Output::Json {
            super::answer(&wire::json::to_string_pretty(&shown)?)?;
            return Ok(());
        }
        match round {
            Some(round) => super::answer(&round.line())?,
            None => super::answer("no such round is open or remembered")?,
        }
        for record in records {
            super::answer(&record.line())?;
        }
        Ok(())
    }
}

fn gather(client: &Client, id: String) -> anyhow::Result<Shown> {
    let (codec, key) = (client.codec(), Some(id.as_bytes()));
    let count = client.handle().partitions()?;
    let partition = wire::partition_of(id.as_bytes(), count);
    let mut last = None;
    client.scan(Topic::Rounds, partition, |stored| {
        if stored.key.as_deref() == key {
            last = Some(stored);
        }
    })?;
    // A round without a value is a forgotten one.
    let last = last.filter(|stored| stored.value.is_some());
    let state = last.as_ref().and_then(|stored| round(codec, stored));
    let mut records = Vec::new();
    for topic in KEYED {
        client.scan(topic, partition, |stored| {
            let of_round = stored.key.as_deref() == key;
            let state = state.as_ref();
            if of_round || state.is_some_and(|round| orders(codec, &stored, round)) {
                records.extend(Entry::of(codec, &stored));
            }
        })?;
    }
    // What lay on a partition that was not its own may have been refused there.
    for partition in 0..count {
        client.scan(Topic::DeadLetters, partition, |stored| {
            if stored.key.as_deref() == key || names(codec, &stored, &id) {
                records.extend(Entry::of(codec, &stored));
            }
        })?;
    }
    Ok(Shown {
        round: last.and_then(|stored| Entry::of(codec, &stored)),
        proposal_id: id,
        records,
    })
}

fn round(codec: &Codec, stored: &Stored) -> Option<Round> {
    let (round, _) = codec.decode::<Round>(stored.value.as_deref()?).ok()?;
    Some(round)
}

/// Whether a record is an operator's order that a round has to do with: it came before the round
/// closed, and what it names was written after the round's pins.
fn orders(codec: &Codec, stored: &Stored, round: &Round) -> bool {
    let Some(value) = stored.value.as_deref().filter(|_| stored.control) else {
        return false;
    };
    let Ok((control, _)) = codec.decode::<Control>(value) else {
        return false;
    };
    let (opening, at) = (&round.opening, Offset(stored.offset));
    let closed = round.closed.as_ref();
    let in_time = closed.is_none_or(|closed| at <= closed.coordinates.closing_offset);
    let pin = match &control.pattern {
        Some(pattern) if *pattern != opening.pattern => return false,
        Some(_) => opening.pins.policies,
        None => opening.pins.agents,
    };
    in_time && pin < control.table_offset
}

/// Whether a dead letter's record can be read, and names a round other than by its key.
fn names(codec: &Codec, stored: &Stored, id: &str) -> bool {
    let letter = stored.value.as_deref().map(|value| codec.decode(value));
    let Some(Ok((letter, _))) = letter else {
        return false;
    };
    let letter: DeadLetter = letter;
    let (Some(topic), Some(value)) = (Topic::named(&letter.topic), &letter.value) else {
        return false;
    };
    decoded(Kind::of(topic), codec, &value.0).is_ok_and(|record| {
        record
            .pointer("/proposal_id")
            .is_some_and(|named| named == id)
    })
}
