//! Where logs go: standard error, so that standard output stays what a command answers.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{Format, Log};

/// Starts logging for the process; a second call changes nothing.
///
/// # Errors
/// If the configured level is not one.
pub fn start(log: &Log) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter: EnvFilter = log.level.parse()?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        // What cannot be written is said nowhere: to say so where it failed would end the process,
        // and a disk that is full of logs is no reason to decide nothing.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // INVARIANT: only the first subscriber of a process counts; a test may have set its own.
    let _already_started = match log.format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().try_init(),
    };
    Ok(())
}
