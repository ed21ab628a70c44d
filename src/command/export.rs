//! `quorate export FILE`: a history as one file, for auditors, bug reports and replay.

use std::path::PathBuf;

use clap::Args;
use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use serde_json::json;

use super::Output;
use super::history::{Progress, live, time, topic};
use crate::config::Config;
use crate::history::{History as _, Range, export};

/// What of the log.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// An Avro object container, made here; docs/verify.md says what is in it
    file: PathBuf,
    /// Leave out inputs and outputs appended before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Leave out inputs and outputs appended at this time or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Only these topics, without prefix; what is left out cannot be verified
    #[arg(long, value_name = "TOPIC,...", value_delimiter = ',', value_parser = topic)]
    topics: Vec<Topic>,
    /// A line for people or for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Export {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        anyhow::ensure!(
            !self.file.exists(),
            "`{}` is there already, and may be the one that is needed",
            self.file.display()
        );
        let range = Range {
            from: self.from,
            to: self.to,
        };
        let mut history = live(config, range, &self.topics)?;
        let mut progress = Progress::of("exporting:", history.about().expected());
        let transport = match config.blackboard.is_empty() {
            true => "kafka",
            false => "blackboard",
        };
        let exported = export(&mut history, transport, &self.file, &mut |done| {
            progress.show(done);
        });
        progress.end();
        let (exported, file) = (exported?, self.file.display());
        super::answer(&match self.output {
            Output::Text => format!(
                "{} records in {} bytes in `{file}`",
                exported.records, exported.bytes
            ),
            Output::Json => json!({
                "file": file.to_string(),
                "records": exported.records,
                "bytes": exported.bytes,
            })
            .to_string(),
        })?;
        Ok(())
    }
}
