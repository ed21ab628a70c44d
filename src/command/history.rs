//! What verbs about a whole history share: opening it, times, topics, and how far they are.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::client::Client;
use crate::clock::{Clock as _, System};
use crate::config::Config;
use crate::history::{File, History, Live, Origin, Range};

/// Between two words on a terminal about how far it is.
const PACE: Duration = Duration::from_millis(200);

/// Which history.
#[derive(Clone, Debug, Args)]
pub(super) struct Which {
    /// An exported history, instead of the log of the configuration
    #[arg(long, value_name = "FILE")]
    pub(super) export: Option<PathBuf>,
}

impl Which {
    pub(super) fn open(&self, config: &Config) -> anyhow::Result<Box<dyn History>> {
        match &self.export {
            Some(path) => Ok(Box::new(File::open(path)?)),
            None => Ok(Box::new(live(config, Range::default(), &[])?)),
        }
    }
}

/// All that is on the log of the configuration now.
pub(super) fn live(config: &Config, range: Range, topics: &[Topic]) -> anyhow::Result<Live> {
    let client = Client::open(config)?;
    let prefix = match config.blackboard.is_empty() {
        true => config.prefix.clone(),
        false => String::new(),
    };
    let origin = Origin {
        prefix,
        now: System.now(),
        range,
        topics: topics.to_vec(),
    };
    Ok(Live::open(client.handle(), origin)?)
}

/// A time as it is given: RFC 3339, or milliseconds since 1970.
pub(super) fn time(text: &str) -> anyhow::Result<Timestamp> {
    if let Ok(ms) = text.parse() {
        return Ok(Timestamp(ms));
    }
    let told = "is neither a time like `2026-11-21T10:00:00Z` nor milliseconds since 1970";
    let at = OffsetDateTime::parse(text, &Rfc3339).with_context(|| format!("`{text}` {told}"))?;
    let ms = i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000))?;
    Ok(Timestamp(ms))
}

/// A topic by its name.
pub(super) fn topic(name: &str) -> anyhow::Result<Topic> {
    let names = || {
        let all: Vec<_> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        format!(
            "there is no topic `{name}`: it is one of {}",
            all.join(", ")
        )
    };
    Topic::named(name).with_context(names)
}

/// How far it is, told on a terminal and nowhere else.
#[derive(Debug)]
pub(super) struct Progress {
    doing: &'static str,
    of: i64,
    told: Option<Instant>,
    is_seen: bool,
}

impl Progress {
    /// Of so many records at most.
    pub(super) fn of(doing: &'static str, of: i64) -> Self {
        Self {
            doing,
            of,
            told: None,
            is_seen: std::io::stderr().is_terminal(),
        }
    }

    /// So many are done.
    pub(super) fn show(&mut self, done: i64) {
        let is_due = self.told.is_none_or(|told| told.elapsed() > PACE);
        if !self.is_seen || done % 1_024 != 0 || !is_due {
            return;
        }
        self.told = Some(Instant::now());
        let share = done.saturating_mul(100) / self.of.max(done).max(1);
        let line = format!("\r{} {done} records, {share} %\u{1b}[K", self.doing);
        // A terminal that is gone has nobody before it.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// Nothing more is told.
    pub(super) fn end(&mut self) {
        if self.is_seen && self.told.is_some() {
            let _ = std::io::stderr().write_all(b"\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_either_form() {
        assert_eq!(time("1709210096007").unwrap(), Timestamp(1_709_210_096_007));
        let told = time("2024-02-29T12:34:56.007Z").unwrap();
        assert_eq!(told, Timestamp(1_709_210_096_007));
        assert_eq!(time("2024-02-29T13:34:56.007+01:00").unwrap(), told);
        let error = time("yesterday").unwrap_err().to_string();
        assert!(error.contains("`yesterday` is neither"), "{error}");
    }
}
