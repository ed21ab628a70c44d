//! `quorate schemas`: what records look like, known to a registry.
//!
//! `check` says of every subject whether this program, `acp.schemas` and the registry agree.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::json;

use super::{Output, client};
use crate::config::Config;
use crate::transport::blackboard;
use crate::transport::kafka::{self, Compared, Difference, Registered};
use crate::wire::schemas;

/// What to do with the schemas.
#[derive(Debug, Subcommand)]
pub(super) enum Schemas {
    /// Register every schema, fully compatible with all before it, and record its id on the log
    Register {
        /// Lines for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Say whether this program, the log and the registry have the same schemas; 1 if not
    Check {
        /// A table for people, or a line of JSON a subject
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Record a writer's schema that is not this program's on a blackboard, so that records by it
    /// are read from now on; on Kafka a registry has it
    Record {
        /// Of which records: `responses-value`, and so on
        subject: String,
        /// The schema's JSON, each record of which can be read as ours; `-` for standard input
        file: PathBuf,
        /// A line for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Write every schema to a directory, one `.avsc` a kind of record
    Export {
        /// Made if it is not there
        directory: PathBuf,
    },
}

impl Schemas {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Register { output } => register(config, output)?,
            Self::Check { output } => return check(config, output),
            Self::Record {
                subject,
                file,
                output,
            } => record(config, &subject, &super::input(&file)?, output)?,
            Self::Export { directory } => {
                let cannot = || format!("cannot write to `{}`", directory.display());
                for path in schemas::export(&directory).with_context(cannot)? {
                    super::answer(&format!("{}", path.display()))?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn register(config: &Config, output: Output) -> anyhow::Result<()> {
    let connection = client::connection(config)?;
    let registry = client::registry(config)?;
    let registering = kafka::register(&connection, &registry);
    for registered in client::runtime()?.block_on(registering)? {
        let Registered {
            subject,
            id,
            recorded,
        } = registered;
        let change = if recorded { "recorded" } else { "unchanged" };
        super::answer(&match output {
            Output::Text => format!("{subject}: id {id}, {change}"),
            Output::Json => json!({ "subject": subject, "id": id, "change": change }).to_string(),
        })?;
    }
    Ok(())
}

fn record(config: &Config, subject: &str, schema: &str, output: Output) -> anyhow::Result<()> {
    anyhow::ensure!(
        !config.blackboard.is_empty(),
        "this is about a blackboard; on Kafka a schema is known once the registry has it"
    );
    let client = client::Client::open(config)?;
    let recorded = blackboard::record(client.handle(), subject, schema)?;
    let change = if recorded { "recorded" } else { "unchanged" };
    super::answer(&match output {
        Output::Text => format!("{subject}: {change}"),
        Output::Json => json!({ "subject": subject, "change": change }).to_string(),
    })?;
    Ok(())
}

fn check(config: &Config, output: Output) -> anyhow::Result<ExitCode> {
    let connection = client::connection(config)?;
    let registry = client::registry(config)?;
    let entries = kafka::entries(&connection)?;
    let comparing = kafka::compare(connection.prefix(), &entries, &registry);
    let (mut all, failed) = client::runtime()?.block_on(comparing);
    if let Some(error) = failed {
        all.push(Compared {
            subject: config.registry.clone(),
            id: None,
            differences: vec![Difference {
                what: format!("{:#}", anyhow::Error::from(error)),
                mend: "see that `registry` and its user are right and that it runs; processors \
                       go on by `acp.schemas`",
            }],
        });
    }
    let width = all.iter().map(|compared| compared.subject.len()).max();
    for compared in &all {
        let line = match output {
            Output::Text => line(compared, width.unwrap_or_default()),
            Output::Json => serde_json::to_string(compared)?,
        };
        super::answer(&line)?;
    }
    let same = all.iter().all(|compared| compared.differences.is_empty());
    Ok(if same {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A subject's row: `ok`, or `why` and how to mend it.
fn line(compared: &Compared, width: usize) -> String {
    let Compared {
        subject,
        id,
        differences,
    } = compared;
    let state = if differences.is_empty() { "ok" } else { "why" };
    let id = id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let said: Vec<_> = differences
        .iter()
        .map(|Difference { what, mend }| format!("{what}; {mend}"))
        .collect();
    let row = format!("{state:<5}{subject:<width$}  {id:>5}  {}", said.join("; "));
    row.trim_end().to_owned()
}
