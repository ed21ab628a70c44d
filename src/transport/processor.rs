//! The processor: so many engine threads, each one member after the other until told to stop.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::error::chain;
use super::member::{Member, Orders};
use super::{Error, Log};
use crate::clock::System;
use crate::telemetry::Vitals;
use crate::wire::Codec;

/// First wait after a session failed.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest wait between sessions.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a session must have worked for its failure to count as the first.
const WORKED: Duration = Duration::from_secs(30);

/// For how long an engine that took its place back gives way to whoever takes it again.
const GIVES_WAY: Duration = Duration::from_secs(60);

/// How a processor runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Engines, each a thread.
    pub engines: u16,
    /// What tells this process from others of the group.
    pub instance: String,
    /// Whether that is the same after a restart, so that the process keeps its place in the group.
    pub comes_back: bool,
    /// How often outputs and positions are committed.
    pub commit_interval: Duration,
    /// After how long the brokers give up a dead process's transaction.
    pub transaction_timeout: Duration,
    /// After how long without a sign an engine on a blackboard is taken for dead; on Kafka its
    /// client knows.
    pub session: Duration,
    /// How long a partition waits for a schema.
    pub schema_wait: Duration,
    /// Whether to ask the brokers now and then how far the inputs' ends are.
    pub measure: bool,
}

/// What the engines of a processor share.
pub(super) struct Processor<'a> {
    pub(super) settings: &'a Settings,
    pub(super) codec: &'a Arc<Codec>,
    /// How many partitions there are.
    pub(super) partitions: i32,
    pub(super) stop: &'a AtomicBool,
    pub(super) vitals: &'a Arc<Vitals>,
}

impl Processor<'_> {
    /// Runs until told to stop; everything read by then is committed. `join` makes an engine,
    /// by its number, a member of the log, for the first time or again.
    ///
    /// # Errors
    /// [`Error::Refused`] or [`Error::Replaced`] if one engine was; the others stop, too.
    pub(super) fn run<L: Log>(
        &self,
        join: impl Fn(u16, bool) -> Result<L, Error> + Sync,
    ) -> Result<(), Error> {
        let engines = self.settings.engines;
        tracing::info!(partitions = self.partitions, engines, "starting");
        let ended: Vec<_> = thread::scope(|scope| {
            let engine = |number| {
                let join = &join;
                scope.spawn(move || {
                    // What ends one engine in the midst of its work ends the process, which is
                    // started again; with an engine less it would only look well.
                    let _others = StopIfPanicking(self.stop);
                    self.engine(number, |again| join(number, again))
                })
            };
            let engines: Vec<_> = (0..engines).map(engine).collect();
            engines.into_iter().map(ScopedJoinHandle::join).collect()
        });
        tracing::info!("stopped");
        ended
            .into_iter()
            .try_for_each(|ended| ended.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// One engine's lives, one after the other.
    fn engine<L: Log>(
        &self,
        number: u16,
        join: impl Fn(bool) -> Result<L, Error>,
    ) -> Result<(), Error> {
        let mut halted = BTreeSet::new();
        let mut wait = FIRST_WAIT;
        let mut replaced: Option<Instant> = None;
        let mut again = false;
        while !self.stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            let lived = self.life(number, &halted, || join(again));
            again = true;
            self.vitals.left(number);
            if matches!(lived, Err(Error::Stopped)) {
                break;
            }
            if lived.is_err() {
                self.vitals.aborted();
                self.vitals.producer_rebuilt();
            }
            match lived {
                Ok(()) => break,
                Err(Error::Replaced(why)) if replaced.is_none_or(|at| at.elapsed() > GIVES_WAY) => {
                    // A broker that was killed can say so of its memory of an earlier member.
                    replaced = Some(Instant::now());
                    self.vitals.aborted();
                    tracing::warn!(number, why, "replaced; taking the place back once");
                    pause(FIRST_WAIT, self.stop);
                }
                Err(error @ (Error::Refused(_) | Error::Replaced(_))) => {
                    tracing::error!(number, why = chain(&error), "refused; stopping");
                    self.stop.store(true, Ordering::Relaxed);
                    self.vitals.ended(number);
                    return Err(error);
                }
                Err(Error::Halted { partition, source }) => {
                    let why = chain(&*source);
                    tracing::error!(partition, why, "partition halted; the others go on");
                    self.vitals.halted(number, partition, why);
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
                        "engine failed; starting over from what is committed"
                    );
                    pause(wait, self.stop);
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
        self.vitals.ended(number);
        Ok(())
    }

    fn life<L: Log>(
        &self,
        number: u16,
        halted: &BTreeSet<i32>,
        join: impl Fn() -> Result<L, Error>,
    ) -> Result<(), Error> {
        self.vitals.turned(number);
        let orders = Orders {
            number,
            vitals: self.vitals,
            codec: self.codec,
            partitions: self.partitions,
            commit_interval: self.settings.commit_interval,
            clock: &System,
            stop: self.stop,
            halted,
        };
        Member::new(join()?, orders)?.work()
    }
}

/// Tells everybody to stop if the thread that holds it panics.
struct StopIfPanicking<'a>(&'a AtomicBool);

impl Drop for StopIfPanicking<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
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
