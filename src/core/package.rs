//! What a human gets with an escalation: the outcome, everybody's words, and who kept silent.
//!
//! The content is a function of the round, the same in every tier, so that its digest can be
//! recomputed. Words by agents are carried as they are and never interpreted; the heaviest
//! ballots' come first, and what exceeds the limit is pointed to.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::ids::{AgentId, Bytes, Digest};
use crate::millionths::Millionths;
use crate::records::{
    Argument, Ballot, Confidences, DecisionPart, Histogram, PackageContent, Proposal, Statement,
    Verdict,
};

/// Bytes of reasoning and evidence that a package holds itself.
pub const INLINED_BYTES_MAX: usize = 512 * 1024;

/// The round that escalated.
#[derive(Clone, Copy, Debug)]
pub struct Escalated<'a> {
    /// The proposal's value bytes after the framing header.
    pub proposal_bytes: &'a [u8],
    /// The same, decoded.
    pub proposal: &'a Proposal,
    /// What it came to.
    pub decision: &'a DecisionPart,
    /// SHA-256 of that decision part's datum.
    pub decision_digest: Digest,
}

/// What an agent said in words.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The response they are from.
    pub response_digest: Digest,
    /// Its reasoning.
    pub reasoning: &'a str,
    /// Its evidence.
    pub evidence: &'a [String],
}

/// The part of a package that its digest covers.
///
/// `words` are the ballots' in any order; the proposal's own ballot speaks by its rationale.
/// `silent` are the active agents with authority in the domain that said nothing.
pub fn content<'a>(
    round: Escalated<'a>,
    words: impl IntoIterator<Item = Words<'a>>,
    silent: impl IntoIterator<Item = AgentId>,
) -> PackageContent {
    let mut ballots: Vec<&Ballot> = round.decision.ballots.iter().collect();
    ballots.sort_by_key(|ballot| (Reverse(ballot.weight), &ballot.agent_id));
    let mut silent: Vec<AgentId> = silent.into_iter().collect();
    silent.sort();
    silent.dedup();
    PackageContent {
        proposal_bytes: Bytes(round.proposal_bytes.to_vec()),
        proposal: round.proposal.clone(),
        decision: round.decision.clone(),
        decision_digest: round.decision_digest,
        statements: statements(&round, &ballots, words),
        silent,
        confidences: confidences(&ballots),
        strongest_for: strongest(&ballots, Verdict::Endorse),
        strongest_against: strongest(&ballots, Verdict::Challenge),
    }
}

/// Everybody's words in the ballots' order; after the first that no longer fits, none is inlined.
fn statements<'a>(
    round: &Escalated<'a>,
    ballots: &[&Ballot],
    words: impl IntoIterator<Item = Words<'a>>,
) -> Vec<Statement> {
    let proposal = Words {
        response_digest: round.decision.proposal_digest,
        reasoning: &round.proposal.rationale,
        evidence: &[],
    };
    let words: BTreeMap<Digest, Words<'a>> = words
        .into_iter()
        .chain([proposal])
        .map(|words| (words.response_digest, words))
        .collect();
    let mut room = Some(INLINED_BYTES_MAX);
    let mut statement = |ballot: &&Ballot| {
        let said = words.get(&ballot.response_digest);
        room = room.and_then(|room| room.checked_sub(said.map_or(0, size)));
        let said = said.filter(|_| room.is_some());
        Statement {
            agent_id: ballot.agent_id.clone(),
            response_digest: ballot.response_digest,
            inlined: said.is_some(),
            reasoning: said.map_or_else(String::new, |said| said.reasoning.into()),
            evidence: said.map_or_else(Vec::new, |said| said.evidence.to_vec()),
        }
    };
    ballots.iter().map(&mut statement).collect()
}

fn size(words: &Words<'_>) -> usize {
    words.reasoning.len() + words.evidence.iter().map(String::len).sum::<usize>()
}

/// The heaviest counted ballot of a verdict.
fn strongest(ballots: &[&Ballot], verdict: Verdict) -> Option<Argument> {
    let ballot = ballots.iter().find(|b| b.counted && b.verdict == verdict)?;
    Some(Argument {
        agent_id: ballot.agent_id.clone(),
        response_digest: ballot.response_digest,
    })
}

/// How sure those who were counted are, abstainers included.
fn confidences(ballots: &[&Ballot]) -> Confidences {
    let counted = || ballots.iter().filter(|ballot| ballot.counted);
    let sure = || counted().map(|ballot| ballot.confidence.get());
    let mean = sure()
        .sum::<u64>()
        .checked_div(sure().count() as u64)
        .unwrap_or(0);
    let spread = sure().max().unwrap_or(0) - sure().min().unwrap_or(0);
    let histogram = |verdict| {
        let mut tenths = vec![0; 10];
        for ballot in counted().filter(|ballot| ballot.verdict == verdict) {
            let tenth = usize::try_from(ballot.confidence.get() / 100_000).unwrap_or(9);
            if let Some(count) = tenths.get_mut(tenth.min(9)) {
                *count += 1;
            }
        }
        Histogram { verdict, tenths }
    };
    Confidences {
        histograms: [Verdict::Endorse, Verdict::Challenge, Verdict::Abstain]
            .map(histogram)
            .into(),
        mean: within_one(mean),
        spread: within_one(spread),
    }
}

fn within_one(number: u64) -> Millionths {
    let number = u32::try_from(number).ok().and_then(Millionths::new);
    number.unwrap_or(Millionths::ONE)
}

#[cfg(test)]
mod tests;
