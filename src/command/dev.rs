//! `quorate dev`: a blackboard, a processor and HTTP in one process, with rounds to take part in.
//!
//! Everything is what it is elsewhere, but for two things: whoever shows a token nobody has is
//! listed as a guest by that name, and a desk proposes something every few seconds, which two
//! agents answer. It is reached from this machine only.

mod agent;
mod play;
mod sample;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use quorate_core::records::{Agent, Policy};
use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::net::TcpListener;

use super::client::{self, Client};
use super::serve::{self, Serving};
use crate::config::Config;
use crate::gateway::access::Access;
use crate::gateway::desk::Desk;
use crate::gateway::http::{Gateway, Sessions};
use crate::telemetry::Vitals;
use crate::transport::Settings;
use crate::transport::blackboard::{self, Blackboard};
use crate::wire::{self, files, seal_policy};

const AGENTS: &str = include_str!("../../config/dev/agents.toml");
const POLICIES: &str = include_str!("../../config/dev/policies.toml");
/// How long what was said is kept, in milliseconds: a week.
const KEPT: i64 = 7 * 24 * 3_600_000;
/// How long the log may take to be read before anybody is asked to take part.
const READ: Duration = Duration::from_secs(10);
/// How often to look whether it is to end.
const LOOK: Duration = Duration::from_millis(50);
/// Who decides what is escalated, and tells how things turned out.
const PERSON: &str = "you";

/// Where to play.
#[derive(Debug, Args)]
pub(super) struct Dev {
    /// Folder of the log and of what is written for you
    #[arg(long, default_value = "quorate-dev", value_name = "FOLDER")]
    dir: PathBuf,
    /// Where to listen, on this machine; port 0: any that is free
    #[arg(long, default_value = "127.0.0.1:0", value_name = "HOST:PORT")]
    listen: SocketAddr,
    /// Seconds between two sample rounds, 3 if not given, or none with --sample; 0: none
    #[arg(long, value_name = "SECONDS")]
    every: Option<f64>,
    /// Begin with two days that have passed, where there is no log yet
    #[arg(long)]
    sample: bool,
}

impl Dev {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.listen.ip().is_loopback(),
            "`{}` can be reached from elsewhere, and guests would be let in; `quorate serve` is \
             for that",
            self.listen
        );
        let every = self.every.unwrap_or(if self.sample { 0.0 } else { 3.0 });
        let every = Duration::try_from_secs_f64(every).context("`--every` is not a span")?;
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The second time it ends the process as if nobody listened.
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
                .context("cannot listen for signals")?;
            signal_hook::flag::register(signal, Arc::clone(&stop))
                .context("cannot listen for signals")?;
        }
        let (config, board) = self.lay_out(config)?;
        let client = Client::open(&config)?;
        furnish(&client)?;
        let token = self.token()?;
        agent::write(&self.dir).context("cannot write an agent")?;
        let runtime = client::runtime()?;
        let listener = runtime.block_on(TcpListener::bind(self.listen));
        let listener = listener.with_context(|| format!("cannot listen at `{}`", self.listen))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let access = Access::from_toml(&token.entry)?.with_guests();
        let handle = Client::open(&config)?.into_handle();
        let desk = Desk::remembering(handle, serve::memory(&config.gateway)?)?;
        let gateway = Gateway::new(access, desk)
            .with_pages(serve::pages(), Sessions::default())
            .with_settings(serve::settings(&config.console)?);
        let serving = Serving::start(runtime, listener, gateway.operating(true))?;
        serving.wait_until_read(READ);
        let (settings, vitals) = (settings(&config), vitals(&config));
        let said = thread::scope(|scope| -> anyhow::Result<()> {
            let processor = scope.spawn(|| blackboard::run(&board, &settings, &vitals, &stop));
            let playing = scope.spawn(|| play::play(&client, every, &stop));
            let said = super::answer(&self.banner(address, &token.file, every));
            while said.is_ok() && !stop.load(Ordering::Relaxed) && !processor.is_finished() {
                thread::sleep(LOOK);
            }
            stop.store(true, Ordering::Relaxed);
            let ended = |_| anyhow::anyhow!("a thread has ended");
            playing.join().map_err(ended)?;
            processor.join().map_err(ended)??;
            Ok(said?)
        });
        let served = serving.stop();
        said.and(served)
    }
}

/// A person's token: where it is kept, and how it is known.
struct Token {
    file: PathBuf,
    entry: String,
}

impl Dev {
    /// The folder and the log in it, made if they are not there.
    fn lay_out(&self, config: &Config) -> anyhow::Result<(Config, Blackboard)> {
        let dir = &self.dir;
        fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
        let path = dir.join("blackboard.db");
        if self.sample && !path.exists() {
            sample::make(&path, config)?;
        }
        let board = if path.exists() {
            let board = Blackboard::open(&path)?;
            if board.missing()?.is_empty() {
                board
            } else {
                // As an earlier release made it.
                Blackboard::make(&path, board.partitions(), board.retention_ms()?)?.0
            }
        } else {
            Blackboard::make(&path, 1, KEPT)?.0
        };
        let config = Config {
            blackboard: path.display().to_string(),
            ..config.clone()
        };
        Ok((config, board))
    }

    /// The token by which the person who runs this decides and reports; made once.
    fn token(&self) -> anyhow::Result<Token> {
        let file = self.dir.join("you.token");
        if !file.exists() {
            let [one, other] = [(); 2].map(|()| uuid::Uuid::now_v7().simple().to_string());
            write_secret(&file, &format!("{one}{other}"))
                .with_context(|| format!("cannot write `{}`", file.display()))?;
        }
        let token = fs::read_to_string(&file).context("cannot read a token")?;
        let digest = wire::sha256(token.trim().as_bytes());
        let entry = format!(
            "[[token]]\nsha256 = \"{digest}\"\nsubject = \"{PERSON}\"\n\
             roles = [\"reviewer\", \"operator\", \"reporter\"]\n"
        );
        Ok(Token { file, entry })
    }

    fn banner(&self, address: SocketAddr, token: &Path, every: Duration) -> String {
        let (dir, token) = (self.dir.display(), token.display());
        let quorate = std::env::args().next();
        let quorate = quorate.as_deref().unwrap_or("quorate");
        let sample = if every.is_zero() {
            "none is opened; propose something in the domain `sample`".to_owned()
        } else {
            format!(
                "one is opened every {} s in the domain `sample`, for 4 s",
                every.as_secs_f64()
            )
        };
        format!(
            "Quorate, all in one process, for this machine alone.

  log      {dir}/blackboard.db: survives a restart, records for a week; delete the folder to forget
  http     http://{address}
  rounds   {sample}

Take part under any name; it is listed as a guest (authority 0.3) at its first request, and counts
in rounds opened after that:

  curl -s -H 'Authorization: Bearer my-agent' 'http://{address}/v1/inbox?wait=30'
  python3 {dir}/agent.py http://{address} my-agent

Decide what is escalated in a browser, as `{PERSON}` (over HTTP by the token in {token}):

  http://{address}/console/

See what comes of it:

  {quorate} --blackboard {dir}/blackboard.db watch
  {quorate} --blackboard {dir}/blackboard.db explain ID

The same on Kafka: quorate topics apply, schemas register, run and serve (docs/http.md).
Ctrl-C ends it."
        )
    }
}

/// Says who takes part and by which rules, once.
fn furnish(client: &Client) -> anyhow::Result<()> {
    let mut policies = files::policies(POLICIES)?;
    for policy in &mut policies {
        seal_policy(policy)?;
    }
    let agents = files::agents(AGENTS)?.into_iter();
    let agents = agents.map(|agent| (agent.agent_id.to_string(), agent));
    client.apply::<Agent>(agents.collect())?;
    let policies = policies.into_iter();
    let policies = policies.map(|policy| (policy.pattern.clone(), policy));
    client.apply::<Policy>(policies.collect())?;
    Ok(())
}

fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)?.write_all(text.as_bytes())
}

fn settings(config: &Config) -> Settings {
    Settings {
        engines: 1,
        instance: "dev".to_owned(),
        comes_back: true,
        commit_interval: Duration::from_millis(config.run.commit_interval_ms),
        transaction_timeout: Duration::from_millis(config.run.transaction_timeout_ms),
        session: Duration::from_millis(config.run.session_ms),
        schema_wait: Duration::from_millis(config.run.schema_wait_ms),
        measure: false,
    }
}

fn vitals(config: &Config) -> Arc<Vitals> {
    Arc::new(Vitals::new(Duration::from_millis(config.run.stall_ms)))
}
