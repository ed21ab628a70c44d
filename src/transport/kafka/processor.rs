//! The processor: so many engine threads, each session after session until told to stop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::lookup::Lookup;
use super::restore::Source;
use super::session::Session;
use super::{Connection, Error, Registry, Schemas, partitions};
use crate::clock::System;

/// First wait after a session failed.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait between sessions.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a session must have worked for its failure to count as the first.
const WORKED: Duration = Duration::from_secs(30);

/// How a processor runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Engines, each a thread.
    pub engines: u16,
    /// What tells this process from others of the group; the same after a restart.
    pub instance: String,
    /// How often outputs and positions are committed.
    pub commit_interval: Duration,
    /// After how long the brokers give up a dead process's transaction.
    pub transaction_timeout: Duration,
    /// How long a partition waits for a schema.
    pub schema_wait: Duration,
}

/// Runs until `stop` is set; everything read by then is committed.
///
/// # Errors
/// [`Error::Unfit`] if topics or schemas are not as they must be at the start. Later failures are
/// logged and worked through; a partition that cannot go on is left alone.
pub fn run(
    connection: &Connection,
    registry: &Registry,
    settings: &Settings,
    runtime: &Handle,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let partitions = partitions(connection)?;
    let schemas = Schemas::load(connection)?;
    let source = Source {
        connection: connection.clone(),
        codec: Arc::clone(schemas.codec()),
        lookup: Lookup {
            registry: registry.clone(),
            runtime: runtime.clone(),
            patience: settings.schema_wait,
        },
        partitions,
    };
    tracing::info!(partitions, engines = settings.engines, "starting");
    thread::scope(|scope| {
        for number in 0..settings.engines {
            let source = source.clone();
            scope.spawn(move || sessions(&source, settings, number, stop));
        }
    });
    tracing::info!("stopped");
    Ok(())
}

/// One engine's sessions, one after the other.
fn sessions(source: &Source, settings: &Settings, number: u16, stop: &AtomicBool) {
    let mut halted = BTreeSet::new();
    let mut wait = FIRST_WAIT;
    while !stop.load(Ordering::Relaxed) {
        let session = Session {
            source: source.clone(),
            id: format!("{}-{number}", settings.instance),
            transaction_timeout: settings.transaction_timeout,
            commit_interval: settings.commit_interval,
            clock: &System,
            stop,
            halted: &halted,
        };
        let started = Instant::now();
        match session.run() {
            Ok(()) => return,
            Err(Error::Halted { partition, source }) => {
                let why = chain(&*source);
                tracing::error!(partition, why, "partition halted; the others go on");
                halted.insert(partition);
            }
            Err(error) => {
                if started.elapsed() > WORKED {
                    wait = FIRST_WAIT;
                }
                let why = chain(&error);
                tracing::warn!(
                    number,
                    why,
                    "session failed; starting over from what is committed"
                );
                pause(wait, stop);
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}

/// Waits, but not beyond the order to stop.
fn pause(wait: Duration, stop: &AtomicBool) {
    let until = Instant::now() + wait;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(10));
    }
}

/// An error with everything it rests on, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
