//! `quorate topics`: the topics as the protocol needs them.

use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::acls::Acls;
use super::{Output, client};
use crate::config::Config;
use crate::transport::blackboard::{Blackboard, Made};
use crate::transport::kafka::{self, Connection, Layout, Planned, Step};

/// What to do with the topics.
#[derive(Debug, Subcommand)]
pub(super) enum Topics {
    /// Say what `apply` would do, and do nothing; exit code 1 if that is anything
    Plan {
        #[command(flatten)]
        laid_out: LaidOut,
        /// Lines for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Create what is missing and put right what differs; partitions are never changed
    Apply {
        #[command(flatten)]
        laid_out: LaidOut,
        /// Lines for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Say, as `kafka-acls` command lines, the least that each role must be allowed
    Acls(Acls),
}

/// How the topics are laid out, where that is not as configured.
#[derive(Debug, Args)]
pub(super) struct LaidOut {
    /// Partitions of the topics routed by proposal
    #[arg(long)]
    partitions: Option<i32>,
}

impl LaidOut {
    fn layout(&self, config: &Config) -> anyhow::Result<Layout> {
        let partitions = self.partitions.unwrap_or(config.topics.partitions);
        anyhow::ensure!(partitions > 0, "`--partitions` must be above 0");
        Ok(layout(config, partitions))
    }
}

/// The configured layout, with so many partitions.
pub(super) const fn layout(config: &Config, partitions: i32) -> Layout {
    Layout {
        partitions,
        replication: config.topics.replication_factor,
        retention_ms: config.topics.retention_ms,
    }
}

impl Topics {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Plan { laid_out, output } => plan(&laid_out.layout(config)?, output, config),
            Self::Apply { laid_out, output } => apply(&laid_out.layout(config)?, output, config),
            Self::Acls(acls) => {
                acls.call(config)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn plan(layout: &Layout, output: Output, config: &Config) -> anyhow::Result<ExitCode> {
    if !config.blackboard.is_empty() {
        let path = Path::new(&config.blackboard);
        let is_there = path.exists();
        let step = match is_there.then(|| Blackboard::open(path)).transpose()? {
            Some(board) => board_step(&board, layout)?,
            None => "create",
        };
        super::answer(&board_line(config, layout, ("step", step), output))?;
        return Ok(ExitCode::from(u8::from(step != "ok")));
    }
    let connection = client::connection(config)?;
    let planned = client::runtime()?.block_on(kafka::plan(&connection, layout))?;
    for planned in &planned {
        super::answer(&line(&connection, planned, output))?;
    }
    let done = planned.iter().all(|planned| planned.step == Step::Ok);
    Ok(if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn line(connection: &Connection, planned: &Planned, output: Output) -> String {
    let topic = connection.topic(planned.topic);
    match output {
        Output::Text => format!("{topic}: {}", planned.step),
        Output::Json => json!({ "topic": topic, "step": planned.step }).to_string(),
    }
}

/// What `apply` would do with a blackboard that is there.
fn board_step(board: &Blackboard, layout: &Layout) -> anyhow::Result<&'static str> {
    anyhow::ensure!(
        board.partitions() == layout.partitions,
        "it has {} partitions, which is never changed; not {}",
        board.partitions(),
        layout.partitions
    );
    let kept = board.retention_ms()? == layout.retention_ms;
    Ok(match (board.missing()?.is_empty(), kept) {
        (false, _) => "add topics",
        (true, false) => "alter retention.ms",
        (true, true) => "ok",
    })
}

/// A line about a blackboard, whose topics are there with it.
fn board_line(config: &Config, layout: &Layout, said: (&str, &str), output: Output) -> String {
    let (path, (key, said), partitions) = (&config.blackboard, said, layout.partitions);
    match output {
        Output::Text => format!("{path}: {said}, {partitions} partitions"),
        Output::Json => {
            json!({ "blackboard": path, "partitions": partitions, key: said }).to_string()
        }
    }
}

fn apply(layout: &Layout, output: Output, config: &Config) -> anyhow::Result<ExitCode> {
    if !config.blackboard.is_empty() {
        let path = Path::new(&config.blackboard);
        let (_, made) = Blackboard::make(path, layout.partitions, layout.retention_ms)?;
        let change = match made {
            Made::Created => "created",
            Made::Added => "added topics",
            Made::Altered => "altered retention.ms",
            Made::Unchanged => "unchanged",
        };
        super::answer(&board_line(config, layout, ("change", change), output))?;
        return Ok(ExitCode::SUCCESS);
    }
    let connection = client::connection(config)?;
    let applied = client::runtime()?.block_on(kafka::apply(&connection, layout))?;
    for (topic, change) in applied {
        let topic = connection.topic(topic);
        super::answer(&match output {
            Output::Text => format!("{topic}: {change}"),
            Output::Json => json!({ "topic": topic, "change": change.to_string() }).to_string(),
        })?;
    }
    Ok(ExitCode::SUCCESS)
}
