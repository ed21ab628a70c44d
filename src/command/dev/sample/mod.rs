//! The two days that `quorate dev --sample` begins with: a bank, a supply chain, marketing and a
//! support desk, whose agents are right more or less often, and one of whom endorses everything.
//!
//! What people and agents say is made up, from one seed; what follows from it is not: the engine
//! makes it of the records, as it would have then. Only the time is told.

mod cast;
mod chance;
mod days;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use quorate_core::ids::{Millis, Timestamp};
use quorate_core::records::{Agent, Policy};

use self::days::Days;
use super::client::Client;
use super::{KEPT, PERSON, furnish, settings};
use crate::clock::{Clock as _, System};
use crate::config::Config;
use crate::transport::blackboard::{Blackboard, Edge, Told, rehearse};
use crate::wire::{files, seal_policy};

/// How long it is played.
const SPAN: Millis = Millis(48 * 3_600_000);
/// How long before now it ends.
const ENDS: Millis = Millis(2_000);

const AGENTS: [&str; 6] = [
    include_str!("../../../../config/agents/fraud.toml"),
    include_str!("../../../../config/agents/bank-loan.toml"),
    include_str!("../../../../config/agents/supply-chain.toml"),
    include_str!("../../../../config/agents/marketing.toml"),
    include_str!("../../../../examples/bank/newcomer.toml"),
    include_str!("../../../../config/dev/sample-agents.toml"),
];
const POLICIES: [&str; 5] = [
    include_str!("../../../../config/policies/fraud.toml"),
    include_str!("../../../../config/policies/bank-loan.toml"),
    include_str!("../../../../config/policies/supply-chain.toml"),
    include_str!("../../../../config/policies/marketing.toml"),
    include_str!("../../../../config/dev/sample-policies.toml"),
];

/// Makes the log, with two days in it, where there is none. It is there whole, or not at all.
pub(super) fn make(path: &Path, config: &Config) -> anyhow::Result<()> {
    let beside = path.with_extension("making");
    for end in ["", "-wal", "-shm"] {
        let left = format!("{}{end}", beside.display());
        if Path::new(&left).exists() {
            fs::remove_file(&left).with_context(|| format!("cannot remove `{left}`"))?;
        }
    }
    let until = Timestamp(System.now().0 - ENDS.0);
    play(&beside, config, until).context("cannot make two sample days")?;
    let named = fs::rename(&beside, path);
    named.with_context(|| format!("cannot write `{}`", path.display()))
}

/// Two days up to a time, in a file of their own.
fn play(path: &Path, config: &Config, until: Timestamp) -> anyhow::Result<()> {
    let (board, _) = Blackboard::make(path, 1, KEPT)?;
    let told = Told::default();
    let begins = Timestamp(until.0 - SPAN.0);
    told.set(begins);
    let board = board.told(&told);
    let client = Client::of(Box::new(Edge::new(board.clone())));
    furnish(&client)?;
    enlist(&client)?;
    rehearse(&board, &settings(config), |settle| -> anyhow::Result<()> {
        Days::new(&client, &told, begins, until)?.play(settle)
    })
}

/// Says who takes part and by which rules, besides those of every sandbox.
fn enlist(client: &Client) -> anyhow::Result<()> {
    for text in AGENTS {
        let agents = files::agents(text)?.into_iter();
        let agents = agents.map(|agent| (agent.agent_id.to_string(), agent));
        client.apply::<Agent>(agents.collect())?;
    }
    for text in POLICIES {
        let mut policies = files::policies(text)?;
        for policy in &mut policies {
            if let Some(reporters) = &mut policy.reporters {
                reporters.push(PERSON.to_owned());
            }
            seal_policy(policy)?;
        }
        let policies = policies.into_iter();
        let policies = policies.map(|policy| (policy.pattern.clone(), policy));
        client.apply::<Policy>(policies.collect())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use quorate_core::topic::Topic;

    use super::*;
    use crate::transport::Reading as _;
    use crate::transport::blackboard::Reader;
    use crate::wire::sha256;

    /// Every record of some days, of topics that people and agents write, and what came of them.
    fn digest(until: Timestamp) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("days.db");
        let config = Config::parse("").unwrap();
        play(&path, &config, until).unwrap();
        let reader = Reader::open(&Blackboard::open(&path).unwrap()).unwrap();
        let mut digests = Vec::new();
        for topic in [
            Topic::Responses,
            Topic::Outcomes,
            Topic::Trust,
            Topic::DeadLetters,
        ] {
            let (start, end) = reader.ends(topic, 0).unwrap();
            let mut bytes = Vec::new();
            let each = &mut |stored: crate::transport::Stored| {
                bytes.extend(stored.timestamp.unwrap_or_default().0.to_be_bytes());
                bytes.extend(stored.value.unwrap_or_default());
                Ok(std::ops::ControlFlow::Continue(()))
            };
            reader.read_to(topic, 0, start, end, each).unwrap();
            assert!(!bytes.is_empty(), "{topic}");
            digests.push(format!("{topic} {end} {}", sha256(&bytes)));
        }
        digests
    }

    #[test]
    fn the_same_days_are_made_again_to_the_last_byte() {
        let until = Timestamp(1_795_000_000_000);
        assert_eq!(digest(until), digest(until));
    }
}
