//! `quorate run`: the processor, until it is told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use uuid::Uuid;

use super::client;
use crate::config::Config;
use crate::telemetry::Vitals;
use crate::transport::kafka::{self, Settings};

/// How long something may stand still before that is an illness.
const PATIENCE: Duration = Duration::from_secs(60);
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
}

impl Run {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The second time it ends the process as if nobody listened.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
                .context("cannot listen for signals")?;
            signal_hook::flag::register(signal, Arc::clone(&stop))
                .context("cannot listen for signals")?;
        }
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
            schema_wait: Duration::from_millis(config.run.schema_wait_ms),
        };
        let runtime = client::runtime()?;
        let connection = client::unreached(config)?;
        if !connection.reach(|| stop.load(Ordering::Relaxed))? {
            return Ok(());
        }
        let registry = client::registry(config)?;
        let vitals = Arc::new(Vitals::new(PATIENCE));
        kafka::run(
            &connection,
            &registry,
            &settings,
            runtime.handle(),
            &vitals,
            &stop,
        )?;
        Ok(())
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
        name.map_err(std::io::Error::other)
    });
    said.map_or_else(|_| "quorate".to_owned(), |name| name.trim().to_owned())
}
