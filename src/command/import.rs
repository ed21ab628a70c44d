//! `quorate import FILE`: an exported history on a blackboard, to be looked into.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::Output;
use super::history::Progress;
use crate::config::Config;
use crate::history::{File, History as _, import};
use crate::transport::blackboard::Blackboard;

/// Which file.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// A history as `export` wrote it
    file: PathBuf,
    /// A line for people or for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Import {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        anyhow::ensure!(
            !config.blackboard.is_empty(),
            "Kafka gives records offsets and append times of its own, on which every deadline and \
             pin of the history rests (import_needs_blackboard): import it with `--blackboard FILE`"
        );
        let mut file = File::open(&self.file)?;
        let (path, partitions) = (Path::new(&config.blackboard), file.about().partitions);
        // Of a history that is kept to be looked into nothing is forgotten.
        let (board, _) = Blackboard::make(path, partitions, -1)?;
        let mut progress = Progress::of("importing:", file.about().expected());
        let imported = import(&mut file, &board, &mut |done| progress.show(done));
        progress.end();
        let (records, path) = (imported?, path.display());
        super::answer(&match self.output {
            Output::Text => format!("{records} records in `{path}`"),
            Output::Json => json!({"blackboard": path.to_string(), "records": records}).to_string(),
        })?;
        Ok(())
    }
}
