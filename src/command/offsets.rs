//! `quorate offsets`: what the processors' group has committed, saved to a file and put back.
//!
//! With each offset goes its metadata, which Kafka's own tools drop and without which a partition
//! halts. What is put back is what a processor can go on from, or nothing at all.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Output, client};
use crate::config::Config;
use crate::transport::INPUTS;
use crate::transport::kafka::{Kept, Places, Positions};

/// The version of the file this program writes, and the only one so far.
const VERSION: u32 = 1;

/// What to do with the offsets.
#[derive(Debug, Subcommand)]
pub(super) enum Offsets {
    /// Write the group's offsets and what is kept beside them to a file
    Save {
        /// JSON, made here; `-` for standard output
        file: PathBuf,
        /// A line for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Put back what was saved after the last processor stopped; refused while one runs
    Restore {
        /// JSON as `save` wrote it; `-` for standard input
        file: PathBuf,
        /// Lines for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
}

/// The file: offsets in the order of topics as a partition's engine reads them, then of partitions.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    version: u32,
    /// What the names of topics and group begin with.
    prefix: String,
    group: String,
    /// How many partitions every topic has.
    partitions: i32,
    offsets: Vec<Place>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// The topic's name without the prefix.
    topic: String,
    partition: i32,
    offset: i64,
    metadata: String,
}

impl Offsets {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        anyhow::ensure!(
            config.blackboard.is_empty(),
            "in the blackboard `{0}` positions lie beside the records and are saved with them, by \
             a copy of the file: `sqlite3 {0} '.backup COPY'`, processors may run",
            config.blackboard
        );
        let connection = client::connection(config)?;
        let positions = Positions::of(&connection)?;
        match self {
            Self::Save { file, output } => save(&positions, connection.prefix(), &file, output),
            Self::Restore { file, output } => {
                let text = super::input(&file)?;
                let saved = Saved::read(&text);
                let saved = saved.with_context(|| format!("in `{}`", file.display()))?;
                let places = saved.places(&positions, connection.prefix());
                let places = places.with_context(|| format!("in `{}`", file.display()))?;
                restore(&positions, &places, output)
            }
        }
    }
}

fn save(positions: &Positions, prefix: &str, file: &Path, output: Output) -> anyhow::Result<()> {
    let (group, members) = (positions.group(), positions.members()?);
    let places = positions.committed()?;
    check(&places, positions.partitions()).context("nothing is saved")?;
    let count = places.len();
    let place = |((topic, partition), kept): ((Topic, i32), Kept)| Place {
        topic: topic.name().to_owned(),
        partition,
        offset: kept.offset,
        metadata: kept.metadata,
    };
    let saved = Saved {
        version: VERSION,
        prefix: prefix.to_owned(),
        group: group.clone(),
        partitions: positions.partitions(),
        offsets: places.into_iter().map(place).collect(),
    };
    let text = serde_json::to_string_pretty(&saved)?;
    if file == Path::new("-") {
        super::answer(&text)?;
        return Ok(());
    }
    let write = || {
        // Never over another: that may be the one that is needed.
        let mut made = File::create_new(file)?;
        writeln!(made, "{text}")?;
        made.sync_all()
    };
    write().with_context(|| format!("cannot write `{}`", file.display()))?;
    let name = file.display();
    super::answer(&match output {
        Output::Text if members > 0 => format!(
            "{count} offsets of group `{group}` saved to `{name}`; it has {members} members, and \
             this is out of date once one of them commits"
        ),
        Output::Text => format!("{count} offsets of group `{group}` saved to `{name}`"),
        Output::Json => json!({
            "group": group, "file": file, "offsets": count, "members": members,
        })
        .to_string(),
    })?;
    Ok(())
}

fn restore(positions: &Positions, places: &Places, output: Output) -> anyhow::Result<()> {
    let (group, members) = (positions.group(), positions.members()?);
    anyhow::ensure!(
        members == 0,
        "group `{group}` has {members} members; stop every processor first (one with a name stays \
         a member for `session.timeout.ms` after it has stopped)"
    );
    let now = positions.committed()?;
    fits(positions, places, &now)?;
    let differs = |at: &(Topic, i32), kept: &Kept| now.get(at) != Some(kept);
    let changed: Places = places
        .iter()
        .filter(|(at, kept)| differs(at, kept))
        .map(|(at, kept)| (*at, kept.clone()))
        .collect();
    if !changed.is_empty() {
        positions.commit(&changed)?;
    }
    for (at, kept) in places {
        let ((topic, partition), offset) = (at, kept.offset);
        let change = if changed.contains_key(at) {
            "restored"
        } else {
            "unchanged"
        };
        let was = now.get(at).map(|was| was.offset);
        super::answer(&match output {
            Output::Text => format!("{topic}/{partition}@{offset}: {change}"),
            Output::Json => json!({
                "topic": topic.name(), "partition": partition, "offset": offset, "was": was,
                "change": change,
            })
            .to_string(),
        })?;
    }
    Ok(())
}

/// Whether the log has what the offsets are of, and nobody has gone on beyond them.
fn fits(positions: &Positions, places: &Places, now: &Places) -> anyhow::Result<()> {
    for (at, kept) in places {
        let (topic, partition) = at;
        let ahead = now.get(at).filter(|now| now.is_ours());
        if let Some(ahead) = ahead.filter(|now| now.offset > kept.offset) {
            anyhow::bail!(
                "{topic}/{partition} is committed at {}, the file has {}: processors have worked \
                 since it was saved, and would put out again what they have put out already",
                ahead.offset,
                kept.offset
            );
        }
        let end = positions.end(*topic, *partition)?;
        anyhow::ensure!(
            kept.offset <= end,
            "{topic}/{partition} ends at {end}, before the file's offset {}; restore the topic \
             first",
            kept.offset
        );
    }
    Ok(())
}

impl Saved {
    fn read(text: &str) -> anyhow::Result<Self> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        let version = version.context("`version` is missing; this is no file of `offsets save`")?;
        anyhow::ensure!(
            version == u64::from(VERSION),
            "version {version} is not one this program reads; it reads {VERSION}"
        );
        Ok(serde_json::from_value(value)?)
    }

    /// The offsets, if they are of this group and a processor can go on from them.
    fn places(self, positions: &Positions, prefix: &str) -> anyhow::Result<Places> {
        let (group, count) = (positions.group(), positions.partitions());
        anyhow::ensure!(
            self.prefix == prefix && self.group == group,
            "these are offsets of group `{}` under prefix `{}`, not of `{group}` under `{prefix}`",
            self.group,
            self.prefix
        );
        anyhow::ensure!(
            self.partitions == count,
            "these are offsets of {} partitions; there are {count}",
            self.partitions
        );
        let mut places = Places::new();
        for place in self.offsets {
            let (name, partition) = (place.topic, place.partition);
            let topic = Topic::named(&name).filter(|topic| INPUTS.contains(topic));
            let topic = topic.with_context(|| format!("`{name}` is no topic processors read"))?;
            let kept = Kept {
                offset: place.offset,
                metadata: place.metadata,
            };
            let twice = places.insert((topic, partition), kept).is_some();
            anyhow::ensure!(!twice, "{topic}/{partition} is there twice");
        }
        check(&places, count)?;
        Ok(places)
    }
}

/// Whether processors can go on from these: every topic of a partition, or none, as they wrote it.
fn check(places: &Places, count: i32) -> anyhow::Result<()> {
    anyhow::ensure!(!places.is_empty(), "the group has no committed offsets");
    for (&(topic, partition), kept) in places {
        anyhow::ensure!(
            (0..count).contains(&partition),
            "there is no {topic}/{partition}"
        );
        anyhow::ensure!(
            kept.is_ours(),
            "the offset of {topic}/{partition} is not one a processor committed"
        );
        let lacks = INPUTS
            .iter()
            .find(|topic| !places.contains_key(&(**topic, partition)));
        if let Some(lacks) = lacks {
            anyhow::bail!("{topic}/{partition} has an offset, {lacks}/{partition} has none");
        }
    }
    Ok(())
}
