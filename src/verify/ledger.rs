//! What was found and what is expected, each by what it is about: what is on both sides is
//! forgotten, and what is left over at the end is told.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{AgentId, Digest, Offset, ProposalId, Timestamp};
use quorate_core::records::Pins;
use quorate_core::topic::Topic;

use super::report::{Finding, Report};
use crate::engine::Output;
use crate::history::{About, INPUTS, Made};
use crate::transport::TRUST_LAG;

/// Claims of a list that makes room for one at a time.
const FEW: usize = 4;

/// What something that is put out is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// An outcome of a round: 1 or 2.
    Outcome(ProposalId, i32),
    /// A package of a round, in a tier.
    Package(ProposalId, i32),
    /// A round's records.
    Round(ProposalId),
    /// A round's tombstone.
    Forgotten(ProposalId),
    /// The pins of a round.
    Pins(ProposalId),
    /// A dead letter, by where the record lies.
    Letter(Topic, i32, Offset),
    /// What a result teaches.
    Update(String, ProposalId, String),
    /// A score, by its revision.
    Score(String, AgentId, i64),
    /// A record forwarded, by where it lay.
    Forward(Topic, String),
}

impl Key {
    /// What kind of thing it is.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Outcome(..) => "outcome",
            Self::Package(..) => "package",
            Self::Round(_) => "round",
            Self::Forgotten(_) => "tombstone",
            Self::Pins(_) => "pins",
            Self::Letter(..) => "dead_letter",
            Self::Update(..) => "trust_update",
            Self::Score(..) => "trust_score",
            Self::Forward(..) => "forward",
        }
    }

    pub(super) const fn topic(&self) -> Topic {
        match self {
            Self::Outcome(..) => Topic::Outcomes,
            Self::Package(..) => Topic::Escalations,
            Self::Round(_) | Self::Forgotten(_) => Topic::Rounds,
            Self::Pins(_) => Topic::Proposals,
            Self::Letter(..) => Topic::DeadLetters,
            Self::Update(..) => Topic::TrustUpdates,
            Self::Score(..) => Topic::Trust,
            Self::Forward(topic, _) => *topic,
        }
    }
}

/// In which reading of a log something was met, and when that began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) reading: u64,
    pub(super) at: Timestamp,
}

/// One side of it.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) key: Key,
    /// The round it is about.
    pub(super) id: Option<ProposalId>,
    /// The partition it lies on, or should.
    pub(super) partition: i32,
    /// Of what was found: its offset.
    pub(super) offset: Option<i64>,
    /// Of all that it says, but for what nobody vouches for.
    pub(super) digest: Digest,
    /// Of a dead letter: the same whatever the end of a forgotten round made of it.
    pub(super) ended: Option<Digest>,
    /// Of a dead letter: the tables it was judged by; none where that was a choice.
    pub(super) pins: Option<Pins>,
    /// Of what is expected: the last append time of what it follows from.
    pub(super) due: Timestamp,
    /// Whether what it follows from is known to be gone in part.
    pub(super) is_lost: bool,
    /// Whether it may be put out again as it is: a record of a round that is not closed.
    pub(super) may_recur: bool,
    /// When it was met.
    pub(super) seen: Seen,
    /// A few words of it.
    pub(super) brief: String,
}

impl Claim {
    /// Whether it says the same as what is expected.
    pub(super) fn meets(&self, expected: &Self) -> bool {
        let judged = match (self.pins, expected.pins) {
            (Some(found), Some(expected)) => found == expected,
            _ => true,
        };
        judged && self.digest == expected.digest && self.partition == expected.partition
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Sides {
    pub(super) found: Vec<Claim>,
    pub(super) expected: Vec<Claim>,
    /// What was met and may be found again: records forwarded; of a round the last one, while it
    /// is not closed.
    pub(super) met: Vec<Claim>,
}

/// When and where something is not yet, or cannot be, expected.
pub(super) struct Settle<'a> {
    pub(super) about: &'a About,
    /// What fell due by then is there.
    pub(super) settled: Timestamp,
    pub(super) halted: &'a BTreeSet<i32>,
}

impl Settle<'_> {
    /// Why what was put out on a partition cannot be told from its inputs alone.
    fn gone(&self, topic: Topic, partition: i32) -> Option<String> {
        if self.halted.contains(&partition) && !topic.is_table() {
            return Some("its partition cannot be gone through".to_owned());
        }
        if self.about.range.from.is_some() || self.about.range.to.is_some() {
            return Some("the history is of a part of the time".to_owned());
        }
        let of = INPUTS.into_iter().map(|input| (input, partition));
        let inputs = of.filter(|_| !topic.is_table()).chain([(topic, partition)]);
        for (topic, partition) in inputs {
            let Some(part) = self.about.part(topic, partition) else {
                return Some(format!("there is no `{topic}` in the history"));
            };
            let is_compacted = matches!(topic, Topic::Rounds | Topic::Trust);
            if part.start > 0 && !is_compacted {
                return Some(format!(
                    "records of `{topic}` below {} are gone",
                    part.start
                ));
            }
        }
        None
    }
}

/// What is left over on either side.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    pub(super) sides: BTreeMap<Key, Sides>,
    pub(super) rounds: BTreeMap<ProposalId, Sides>,
    /// Rounds that are forgotten, and since which reading.
    pub(super) forgotten: BTreeMap<ProposalId, u64>,
    /// Rounds whose outcomes rest on records that are gone, and since which reading.
    pub(super) lost: BTreeMap<ProposalId, u64>,
    /// The reading of the log that this is.
    pub(super) now: Seen,
}

impl Ledger {
    /// Takes a record forwarded, which may come before or after the one it was.
    pub(super) fn find_forwarded(&mut self, mut claim: Claim, report: &mut Report) {
        claim.seen = self.now;
        let sides = self.sides.entry(claim.key.clone()).or_default();
        let met = sides
            .expected
            .iter()
            .position(|expected| claim.meets(expected));
        match met {
            Some(at) => {
                let expected = sides.expected.remove(at);
                sides.met.push(expected);
                report.verified(claim.key.kind());
            }
            // A record may be forwarded twice, by whoever died before saying so.
            None if sides.met.iter().any(|expected| claim.meets(expected)) => {}
            None => keep(&mut sides.found, claim),
        }
    }

    /// Takes what was found.
    pub(super) fn find(&mut self, mut claim: Claim) {
        claim.seen = self.now;
        let sides = match claim.key {
            Key::Round(id) => self.rounds.entry(id).or_default(),
            _ => self.sides.entry(claim.key.clone()).or_default(),
        };
        claim.brief.shrink_to_fit();
        keep(&mut sides.found, claim);
    }

    /// Notes that a round is forgotten.
    pub(super) fn forget(&mut self, made: &Made) {
        if let Output::Tombstone(id) = made.output {
            self.forgotten.insert(id, self.now.reading);
        }
    }

    /// Takes what is expected.
    pub(super) fn expect(&mut self, mut claim: Claim, report: &mut Report) {
        claim.seen = self.now;
        if let (Key::Outcome(id, _), true) = (&claim.key, claim.is_lost) {
            self.lost.insert(*id, self.now.reading);
        }
        if let Key::Round(id) = claim.key {
            keep(&mut self.rounds.entry(id).or_default().expected, claim);
            return;
        }
        let is_repeated = matches!(claim.key, Key::Forward(..));
        let sides = self.sides.entry(claim.key.clone()).or_default();
        let met = sides.found.iter().position(|found| found.meets(&claim));
        match met {
            Some(at) => {
                sides.found.remove(at);
                report.verified_of(claim.key.kind(), claim.id);
                if is_repeated {
                    sides.found.retain(|found| !found.meets(&claim));
                    sides.met.push(claim);
                } else if sides.found.is_empty() && sides.expected.is_empty() {
                    self.sides.remove(&claim.key);
                }
            }
            None => keep(&mut sides.expected, claim),
        }
    }

    /// Tells what is left over.
    pub(super) fn settle(&mut self, settle: &Settle<'_>, report: &mut Report) {
        for sides in std::mem::take(&mut self.rounds).into_values() {
            self.settle_round(sides, settle, report);
        }
        for sides in std::mem::take(&mut self.sides).into_values() {
            self.settle_sides(sides, settle, report);
        }
    }

    /// Every record of a round is one of those expected, and the last of these is there: earlier
    /// ones may have been compacted away.
    fn settle_round(&self, sides: Sides, settle: &Settle<'_>, report: &mut Report) {
        let Sides {
            found, expected, ..
        } = sides;
        for claim in &found {
            let kind = claim.key.kind();
            match expected.iter().find(|expected| claim.meets(expected)) {
                Some(_) => report.verified_of(kind, claim.id),
                None => self.tell(Some(claim), nearest(&expected, claim), settle, report),
            }
        }
        let Some(last) = expected.last() else {
            return;
        };
        let is_there = found.iter().any(|claim| claim.meets(last));
        let is_forgotten = last.id.is_some_and(|id| self.forgotten.contains_key(&id));
        if !is_there && !is_forgotten {
            self.tell(None, Some(last), settle, report);
        }
    }

    fn settle_sides(&self, sides: Sides, settle: &Settle<'_>, report: &mut Report) {
        let Sides {
            found, expected, ..
        } = sides;
        let (mut found, mut expected) = (found, expected);
        self.settle_ended(&mut found, &mut expected, report);
        for at in 0..found.len().max(expected.len()) {
            self.tell(found.get(at), expected.get(at), settle, report);
        }
    }

    /// Which code a record of a forgotten round is refused by rests, of these, on how far other
    /// topics were read.
    pub(super) fn settle_ended(
        &self,
        found: &mut Vec<Claim>,
        expected: &mut Vec<Claim>,
        report: &mut Report,
    ) {
        found.retain(|claim| {
            let is_forgotten = claim.id.is_some_and(|id| self.forgotten.contains_key(&id));
            let same = |other: &Claim| claim.ended.is_some() && other.ended == claim.ended;
            let at = expected.iter().position(same).filter(|_| is_forgotten);
            if let Some(at) = at {
                expected.remove(at);
                report.verified_of(claim.key.kind(), claim.id);
            }
            at.is_none()
        });
    }

    /// Tells of what is on one side only, or differs.
    pub(super) fn tell(
        &self,
        found: Option<&Claim>,
        expected: Option<&Claim>,
        settle: &Settle<'_>,
        report: &mut Report,
    ) {
        let Some(claim) = found.or(expected) else {
            return;
        };
        let (topic, partition) = (claim.key.topic(), claim.partition);
        let mut finding = Finding {
            kind: claim.key.kind(),
            proposal_id: claim.id,
            topic: topic.name(),
            partition,
            offset: found.and_then(|found| found.offset),
            recorded: found.map(|found| found.brief.clone()),
            follows: expected.map(|expected| expected.brief.clone()),
        };
        let is_missing = found.is_none();
        if is_missing && claim.due > settle.settled {
            report.pending += 1;
            return;
        }
        if is_missing && is_compacted(claim, settle) {
            report.unverified("scores and tombstones of which later ones are kept");
            return;
        }
        let is_lost = claim.id.is_some_and(|id| self.lost.contains_key(&id));
        let is_one_sided = is_missing || expected.is_none();
        match settle.gone(topic, partition) {
            Some(why) if is_lost || is_one_sided => {
                finding.follows = Some(why);
                report.not_evaluated(finding);
            }
            _ => report.broken(finding),
        }
    }
}

/// Keeps a claim with others, of which there is mostly none: where a long log is begun with, there
/// are millions of these lists, and no room is wasted in them.
fn keep(others: &mut Vec<Claim>, claim: Claim) {
    if others.len() < FEW {
        others.reserve_exact(1);
    }
    others.push(claim);
}

/// What was to be said most likely where a claim was found.
pub(super) fn nearest<'a>(expected: &'a [Claim], found: &Claim) -> Option<&'a Claim> {
    let alike = expected.iter().find(|other| other.brief == found.brief);
    alike.or_else(|| expected.last())
}

/// Whether a record may have been compacted away.
fn is_compacted(claim: &Claim, settle: &Settle<'_>) -> bool {
    let lag = match claim.key {
        Key::Score(..) => TRUST_LAG.0,
        Key::Forgotten(_) => 24 * 3_600_000,
        _ => return false,
    };
    claim.due.0 < settle.about.read_at.0 - lag
}
