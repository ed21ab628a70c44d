//! The `quorate` binary.

use clap::Parser;

#[derive(Parser)]
enum Cli {
    Resolve(quorate::command::resolve::Resolve),
    Lint(quorate::command::lint::Lint),
}

fn main() -> anyhow::Result<std::process::ExitCode> {
    match Cli::parse() {
        Cli::Resolve(verb) => verb.call()?,
        Cli::Lint(verb) => return verb.call(),
    }
    Ok(std::process::ExitCode::SUCCESS)
}
