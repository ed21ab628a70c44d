//! The command line: one file a verb, each in its simplest sound form.
//!
//! Exit codes: 0 done, 1 failed or something is not as it should be, 2 not understood, 3 nothing
//! came in time (`watch`). What a verb answers goes to standard output, logs to standard error.

mod acls;
mod agents;
mod client;
mod dead_letters;
mod decide;
mod dev;
mod doctor;
mod evaluate;
mod explain;
mod export;
mod follow;
mod history;
mod import;
mod in_force;
pub mod lint;
mod observed;
mod offsets;
mod on_log;
mod policies;
mod progress;
mod propose;
mod recorded;
mod replay;
mod report;
pub mod resolve;
mod respond;
mod run;
mod schemas;
mod serve;
mod show;
mod simulate;
mod suspend;
mod topics;
mod tune;
mod verify;
mod watch;

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use quorate_core::fault::{self, Fault};

use crate::config::Config;
use crate::telemetry;

/// Autonomous agents decide together on a log, and anyone can recompute what they decided.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, about)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Global {
    /// Configuration file; what it leaves out stands as in config/quorate.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// File on this machine that is the log, instead of Kafka
    #[arg(long, global = true, value_name = "FILE")]
    blackboard: Option<String>,
    /// Kafka brokers to start from
    #[arg(long, global = true, value_name = "HOST:PORT,...")]
    bootstrap: Option<String>,
    /// Base URL of the schema registry
    #[arg(long, global = true, value_name = "URL")]
    registry: Option<String>,
    /// What the names of topics begin with
    #[arg(long, global = true)]
    prefix: Option<String>,
}

/// How what a verb answers looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Words and tables for people.
    #[default]
    Text,
    /// JSON for machines.
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create the topics, put their settings right, say who may do what with them
    #[command(subcommand)]
    Topics(topics::Topics),
    /// Register the schemas, compare them, write them to files
    #[command(subcommand)]
    Schemas(schemas::Schemas),
    /// Say who takes part
    #[command(subcommand)]
    Agents(agents::Agents),
    /// Say by which rules
    #[command(subcommand)]
    Policies(policies::Policies),
    /// Take an agent or a policy out of running rounds and later ones
    #[command(subcommand)]
    Suspend(suspend::Suspend),
    /// Let a suspended agent or policy take part in rounds opened from now on
    #[command(subcommand)]
    Resume(suspend::Resume),
    /// Run the processor
    Run(run::Run),
    /// Try it: a log, a processor and HTTP in one process, with rounds to take part in
    Dev(dev::Dev),
    /// Serve the protocol over HTTP
    Serve(serve::Serve),
    /// Propose an action
    Propose(propose::Propose),
    /// Answer a proposal
    Respond(respond::Respond),
    /// Decide an escalation
    Decide(decide::Decide),
    /// Report how an action turned out
    Report(report::Report),
    /// Decide a case from a file, and say why; nothing else is read or written
    Resolve(resolve::Resolve),
    /// Say how good decisions would have been on votes whose truth is known
    Evaluate(evaluate::Evaluate),
    /// Draw panels that vote, to try policies on, and attack a house that never was
    #[command(subcommand)]
    Simulate(simulate::Simulate),
    /// Say what ails the brokers, the topics, the registry or the tables, and how to mend it
    Doctor(doctor::Doctor),
    /// Show outcomes, escalations, dead letters and trust as they come
    Watch(watch::Watch),
    /// Show a round as it stands, and every record of the log that belongs to it
    Show(show::Show),
    /// Say in words what a round came to, and where on the log that was decided
    Explain(explain::Explain),
    /// Write the log, or a part of it, to one file
    Export(export::Export),
    /// Put an exported history on a blackboard in which nothing ever was
    Import(import::Import),
    /// Recompute what was decided, and say what does not follow
    Verify(verify::Verify),
    /// Go through recorded rounds under other rules, and say which come out otherwise
    Replay(replay::Replay),
    /// Save or restore how far the processors' group has read
    #[command(subcommand)]
    Offsets(offsets::Offsets),
    /// Look into what was refused
    #[command(subcommand)]
    DeadLetters(dead_letters::DeadLetters),
}

/// Does what the command line asks; what kept it from being done goes to standard error.
#[must_use]
pub fn main() -> ExitCode {
    match call(Cli::parse()) {
        Ok(code) => code,
        // Whoever read the answer has had enough of it.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quorate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints a line, or lines, of a verb's answer.
fn answer(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

fn call(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = configure(cli.global)?;
    telemetry::start(&config.log)?;
    put_fault_in()?;
    match cli.verb {
        Verb::Topics(verb) => return verb.call(&config),
        Verb::Schemas(verb) => return verb.call(&config),
        Verb::Agents(verb) => verb.call(&config)?,
        Verb::Policies(verb) => return verb.call(&config),
        Verb::Suspend(verb) => verb.call(&config)?,
        Verb::Resume(verb) => verb.call(&config)?,
        Verb::Run(verb) => verb.call(&config)?,
        Verb::Dev(verb) => verb.call(&config)?,
        Verb::Serve(verb) => verb.call(&config)?,
        Verb::Propose(verb) => verb.call(&config)?,
        Verb::Respond(verb) => verb.call(&config)?,
        Verb::Decide(verb) => verb.call(&config)?,
        Verb::Report(verb) => verb.call(&config)?,
        Verb::Resolve(verb) => verb.call()?,
        Verb::Evaluate(verb) => verb.call(&config)?,
        Verb::Simulate(verb) => verb.call()?,
        Verb::Doctor(verb) => return verb.call(&config),
        Verb::Watch(verb) => return verb.call(&config),
        Verb::Show(verb) => verb.call(&config)?,
        Verb::Explain(verb) => verb.call(&config)?,
        Verb::Export(verb) => verb.call(&config)?,
        Verb::Import(verb) => verb.call(&config)?,
        Verb::Verify(verb) => return verb.call(&config),
        Verb::Replay(verb) => verb.call(&config)?,
        Verb::Offsets(verb) => verb.call(&config)?,
        Verb::DeadLetters(verb) => verb.call(&config)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts in the fault a test asks for; never in a release build.
fn put_fault_in() -> anyhow::Result<()> {
    if !cfg!(debug_assertions) {
        return Ok(());
    }
    let Ok(name) = std::env::var("QUORATE_FAULT") else {
        return Ok(());
    };
    let fault = Fault::named(&name).with_context(|| format!("unknown fault `{name}`"))?;
    tracing::warn!(name, "a fault was put in on purpose");
    fault::put_in(fault);
    Ok(())
}

/// A text file, or standard input for `-`.
fn input(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read `{}`", file.display()))
}

/// The configuration, with the flags laid over it.
fn configure(global: Global) -> anyhow::Result<Config> {
    let mut config = Config::load(global.config.as_deref())?;
    let laid = [
        (global.blackboard, &mut config.blackboard),
        (global.bootstrap, &mut config.bootstrap),
        (global.registry, &mut config.registry),
        (global.prefix, &mut config.prefix),
    ];
    for (flag, option) in laid {
        if let Some(value) = flag {
            *option = value;
        }
    }
    Ok(config)
}
