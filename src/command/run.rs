//! `quorate run`: the processor, until it is told to stop.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use uuid::Uuid;

use super::client;
use super::observed::{Observed, told_to_stop};
use crate::config::Config;
use crate::gateway::observe;
use crate::telemetry::Vitals;
use crate::transport::{Settings, blackboard, kafka};

/// The longest name of a processor; what is made of it has at most 249 characters on a broker.
const NAME_MAX: usize = 100;

/// How to run.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Engines in this process
    #[arg(long)]
    engines: Option<u16>,
    /// What tells this process from others of the group, the same after a restart; made up if not
    /// given
    #[arg(long)]
    instance: Option<String>,
    /// Where to serve /metrics, /healthz and /readyz
    #[arg(long, value_name = "HOST:PORT")]
    observe: Option<String>,
}

impl Run {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let stop = told_to_stop()?;
        let address = self.observe.unwrap_or_else(|| config.run.observe.clone());
        let name = self.instance.unwrap_or_else(|| config.run.instance.clone());
        check(&name)?;
        let settings = Settings {
            engines: self.engines.unwrap_or(config.run.engines),
            comes_back: !name.is_empty(),
            // A name made up is nobody else's, here or on another host that is called the same.
            instance: if name.is_empty() {
                format!("{}-{}", host_name(), Uuid::now_v7().simple())
            } else {
                name
            },
            commit_interval: Duration::from_millis(config.run.commit_interval_ms),
            transaction_timeout: Duration::from_millis(config.run.transaction_timeout_ms),
            session: Duration::from_millis(config.run.session_ms),
            schema_wait: Duration::from_millis(config.run.schema_wait_ms),
            measure: !address.is_empty(),
        };
        // Never dropped: threads that still wait for the registry when the process ends would find
        // it gone, and its end would wait for names that are being looked up.
        let runtime = ManuallyDrop::new(client::runtime()?);
        let vitals = Arc::new(Vitals::new(Duration::from_millis(config.run.stall_ms)));
        let shown = Arc::clone(&vitals);
        let serve = |listener, stopped| observe::serve(listener, shown, stopped);
        let observed = Observed::start(&runtime, &address, serve)?;
        if let Some(board) = client::blackboard(config)? {
            blackboard::run(&board, &settings, &vitals, &stop)?;
            return observed.map_or(Ok(()), |observed| observed.stop(&runtime));
        }
        let connection = client::unreached(config)?;
        if connection.reach(|| stop.load(Ordering::Relaxed))? {
            let registry = client::registry(config)?;
            let handle = runtime.handle();
            kafka::run(&connection, &registry, &settings, handle, &vitals, &stop)?;
        }
        observed.map_or(Ok(()), |observed| observed.stop(&runtime))
    }
}

/// Whether a name is one that brokers take.
fn check(name: &str) -> anyhow::Result<()> {
    let sound = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let is_sound = name.len() <= NAME_MAX && name.chars().all(sound);
    anyhow::ensure!(
        is_sound,
        "instance `{name}` must be letters, digits, `.`, `_` and `-`, at most {NAME_MAX} of them"
    );
    Ok(())
}

/// What the host calls itself; one name for all where it does not say.
fn host_name() -> String {
    let said = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| {
        let name = std::env::var("HOSTNAME");
        name.map_err(io::Error::other)
    });
    said.map_or_else(|_| "quorate".to_owned(), |name| name.trim().to_owned())
}
