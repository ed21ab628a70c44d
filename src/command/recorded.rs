//! What was voted on: in two files, or on the log, with what turned out there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use quorate_core::ids::{AgentId, Offset, ProposalId, Timestamp};
use quorate_core::records::{
    Agent, Outcome, Policy, Proposal, ResultKind, TrustUpdate, Uncounted, Verdict,
};
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;

use super::client::Client;
use crate::config::Config;
use crate::evaluate::history::{History, Item, Vote};
use crate::evaluate::reading::{File, read};
use crate::wire::Record;

/// Where votes and truths are.
#[derive(Debug, Args)]
pub(super) struct Source {
    /// Votes (CSV): item_id,agent_id,vote,confidence,domain; a vote is 1 or 0, a confidence the
    /// probability of being right
    #[arg(required_unless_present = "from_log")]
    votes: Option<PathBuf>,
    /// What turned out (CSV): item_id,truth, in the order of deciding
    #[arg(required_unless_present = "from_log")]
    truth: Option<PathBuf>,
    /// Take the rounds of the log that have a result, instead, and its policies and agents
    #[arg(long, conflicts_with_all = ["votes", "truth"])]
    from_log: bool,
}

/// What was voted on, and what a log says of who governs and who takes part.
pub(super) struct Recorded {
    pub(super) history: History,
    /// The policies in force; none in files.
    pub(super) policies: Vec<Policy>,
    /// The agents listed; none in files.
    pub(super) agents: Option<Vec<Agent>>,
}

impl Source {
    pub(super) fn read(&self, config: &Config) -> anyhow::Result<Recorded> {
        let recorded = match (&self.votes, &self.truth) {
            (Some(votes), Some(truth)) => Recorded {
                history: of_files(votes, truth)?,
                policies: Vec::new(),
                agents: None,
            },
            _ => of_log(&Client::open(config)?)?,
        };
        let is_empty = recorded.history.items.is_empty();
        anyhow::ensure!(!is_empty, "there is nothing whose truth is known");
        Ok(recorded)
    }
}

fn of_files(votes: &Path, truth: &Path) -> anyhow::Result<History> {
    let open = |path: &Path| {
        let name = path.display().to_string();
        let text = std::fs::File::open(path).with_context(|| format!("cannot read `{name}`"))?;
        anyhow::Ok(File { name, text })
    };
    Ok(read(open(votes)?, open(truth)?)?)
}

/// The protocol's outcome of each round, in the order of closing, where a result stands.
fn of_log(client: &Client) -> anyhow::Result<Recorded> {
    let mut domains: BTreeMap<String, String> = BTreeMap::new();
    each(client, Topic::Proposals, |proposal: Proposal| {
        // The first record with an id stands.
        domains
            .entry(proposal.proposal_id)
            .or_insert(proposal.domain);
    })?;
    let mut truths: BTreeMap<ProposalId, ResultKind> = BTreeMap::new();
    each(client, Topic::TrustUpdates, |update: TrustUpdate| {
        truths.insert(update.proposal_id, update.result);
    })?;
    let mut outcomes: BTreeMap<(Timestamp, i32, Offset), Outcome> = BTreeMap::new();
    each(client, Topic::Outcomes, |outcome: Outcome| {
        if outcome.resolution == 1 {
            let at = &outcome.coordinates;
            let place = (at.closing_time, at.partition, at.proposal_offset);
            outcomes.insert(place, outcome);
        }
    })?;
    let mut collected = Collected::default();
    for outcome in outcomes.into_values() {
        let id = outcome.proposal_id.to_string();
        let domain = domains.get(&id).map_or("", String::as_str);
        let good = match truths.get(&outcome.proposal_id) {
            Some(ResultKind::Right) => Some(true),
            Some(ResultKind::Wrong) => Some(false),
            Some(ResultKind::Unknown) | None => None,
        };
        collected.take(id, domain, &outcome, good);
    }
    Ok(Recorded {
        history: collected.history,
        policies: client.table(Topic::Policies)?.into_values().collect(),
        agents: Some(client.table(Topic::Agents)?.into_values().collect()),
    })
}

/// Reads every record of a topic that can be read; others are refused by whoever runs the house.
fn each<T>(client: &Client, topic: Topic, mut take: impl FnMut(T)) -> anyhow::Result<()>
where
    T: Record + DeserializeOwned,
{
    for partition in 0..client.handle().partitions()? {
        client.scan(topic, partition, |stored| {
            let value = stored.value.as_deref().filter(|_| !stored.control);
            if let Some(Ok((record, _))) = value.map(|value| client.codec().decode::<T>(value)) {
                take(record);
            }
        })?;
    }
    Ok(())
}

/// A history as it is put together.
#[derive(Default)]
struct Collected {
    history: History,
    agents: BTreeMap<AgentId, usize>,
    domains: BTreeMap<String, usize>,
}

impl Collected {
    fn take(&mut self, id: String, domain: &str, outcome: &Outcome, good: Option<bool>) {
        let spoke = outcome.decision.ballots.iter().filter(|ballot| {
            let counts = matches!(ballot.reason, None | Some(Uncounted::ZeroWeight));
            counts && ballot.verdict != Verdict::Abstain
        });
        let Some(good) = good else {
            self.history.notes.votes_without_truth += spoke.count();
            return;
        };
        let votes = spoke.map(|ballot| Vote {
            agent: place(
                &mut self.agents,
                &mut self.history.agents,
                ballot.agent_id.clone(),
            ),
            endorses: ballot.verdict == Verdict::Endorse,
            confidence: ballot.confidence,
        });
        let votes = votes.collect();
        let domain = place(
            &mut self.domains,
            &mut self.history.domains,
            domain.to_owned(),
        );
        self.history.items.push(Item {
            id,
            domain,
            good,
            votes,
        });
    }
}

/// Where a name stands, at the end if it is new.
fn place<T: Ord + Clone>(places: &mut BTreeMap<T, usize>, names: &mut Vec<T>, name: T) -> usize {
    *places.entry(name).or_insert_with_key(|name| {
        names.push(name.clone());
        names.len() - 1
    })
}
