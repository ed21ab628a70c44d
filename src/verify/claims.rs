//! What was put out, and what is expected, brought to the form in which they are compared: what
//! nobody vouches for is left out of both.

use quorate_core::ids::{Bytes, Digest, Offset, ProposalId, Timestamp};
use quorate_core::records::{
    DeadLetter, DecisionPackage, Judged, Outcome, Pins, Reason, Round, RoundState, Status,
    TrustScore, TrustUpdate,
};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;

use super::ledger::{Claim, Key, Seen};
use crate::engine::{ORIGIN_HEADER, Output, Tables};
use crate::history::{Choices, Made};
use crate::transport::Stored;
use crate::wire;

/// How long a record may be stamped before it can be read, in milliseconds.
const UNSEEN: i64 = 1_000;
/// Of a round that was forgotten, which of these it is depends on how far other topics were read.
const ENDED: [&str; 10] = [
    "already_decided",
    "decision_too_late",
    "result_too_late",
    "unknown_proposal",
    "round_closed",
    "forwarded_late",
    "bad_number",
    "agent_not_listed",
    "agent_not_active",
    "reasoning_missing",
];

/// What a response is refused for by the tables that its round was opened at.
const BY_ITS_ROUND: [&str; 8] = [
    "bad_number",
    "agent_not_listed",
    "agent_not_active",
    "reasoning_missing",
    "round_closed",
    "forwarded_late",
    "digest_mismatch",
    "round_full",
];

/// What brings records to the form in which they are compared.
pub(super) struct Norm<'a> {
    pub(super) tables: &'a Tables,
    pub(super) choices: Option<&'a Choices>,
    /// How many there are.
    pub(super) partitions: i32,
}

impl Norm<'_> {
    /// A row of `acp.agents` as it would be, had each been there to read when it was stamped.
    pub(super) fn at(&self, row: Offset, time: Timestamp) -> Offset {
        let first = self.tables.agents_offset(Timestamp(time.0 - UNSEEN));
        let last = self.tables.agents_offset(time);
        if first <= row && row <= last {
            last
        } else {
            row
        }
    }

    pub(super) fn rows(&self, judged: &mut [Judged]) {
        for judged in judged {
            judged.agents_offset = self.at(judged.agents_offset, judged.timestamp);
        }
    }

    /// What is to be found of something that was made.
    pub(super) fn expected(&self, partition: i32, made: Made) -> Option<Claim> {
        let due = made.due;
        let claim = match made.output {
            Output::Outcome(outcome) => outcome_claim(&outcome, partition, None),
            Output::Round(mut round) => {
                let offset = round.opening.proposal_offset;
                let choice = self.choices.and_then(|choices| choices.opened.get(&offset));
                if let Some(time) = choice.and_then(|choice| choice.responses_time) {
                    round.opening.responses_time = time;
                }
                round_claim(&round, partition, None)
            }
            Output::Escalation(package) => package_claim(*package, partition, None),
            Output::TrustUpdate(update) => {
                let home = wire::partition_of(update.trust_domain.as_bytes(), self.partitions);
                update_claim(&update, home, None)
            }
            Output::TrustScore(score) => score_claim(&score, 0, None),
            Output::Tombstone(id) => tombstone(id, partition, None),
            Output::DeadLetter(letter, _) => {
                let topic = Topic::named(&letter.topic)?;
                let pins = self.determined(&letter, topic);
                letter_claim(letter, topic, None, pins)
            }
            Output::Forward(forward) => Claim {
                key: Key::Forward(forward.topic, format!("{partition}:{}", forward.offset.0)),
                ..bare(
                    id_of(&forward.key),
                    forward.partition,
                    None,
                    wire::sha256(&[&forward.key[..], &forward.value].concat()),
                )
            },
        };
        Some(Claim { due, ..claim })
    }

    /// The tables a refused record was judged by, where that was no choice.
    fn determined(&self, letter: &DeadLetter, topic: Topic) -> Option<Pins> {
        let is_of_round = BY_ITS_ROUND.contains(&letter.reason.as_str());
        (topic == Topic::Responses && is_of_round).then_some(letter.judged_by)
    }
}

/// The dead letter of a record that nobody could read when it came; its words nobody vouches for.
pub(super) fn unread(stored: &Stored) -> Claim {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.clone().map(Bytes);
    let due = stored.timestamp.unwrap_or_default();
    let letter = DeadLetter {
        topic: stored.topic.name().to_owned(),
        partition: stored.partition,
        offset: Offset(stored.offset),
        timestamp: due,
        key: bytes(&stored.key),
        value: bytes(&stored.value),
        reason: Reject::UnknownSchema.code().to_owned(),
        detail: String::new(),
        judged_by: Pins::NONE,
    };
    let claim = letter_claim(letter, stored.topic, None, None);
    Claim { due, ..claim }
}

/// A record as it was forwarded to where it lies.
pub(super) fn forwarded(stored: &Stored) -> Claim {
    let named = stored
        .headers
        .iter()
        .rfind(|header| header.key == ORIGIN_HEADER);
    let origin = named
        .and_then(|header| header.value.as_deref())
        .unwrap_or_default();
    let origin = String::from_utf8_lossy(origin).into_owned();
    let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
    let (key, value) = (key.unwrap_or_default(), value.unwrap_or_default());
    Claim {
        key: Key::Forward(stored.topic, origin),
        ..bare(
            id_of(key),
            stored.partition,
            Some(stored.offset),
            wire::sha256(&[key, value].concat()),
        )
    }
}

fn bare(id: Option<ProposalId>, partition: i32, offset: Option<i64>, digest: Digest) -> Claim {
    Claim {
        key: Key::Forward(Topic::Proposals, String::new()),
        id,
        partition,
        offset,
        digest,
        ended: None,
        pins: None,
        due: Timestamp::default(),
        is_lost: false,
        may_recur: false,
        seen: Seen::default(),
        brief: String::new(),
    }
}

/// The digest of a record of ours; they all have one.
fn digest<T: wire::Datum>(record: &T) -> Digest {
    wire::digest_of(record).unwrap_or_default()
}

pub(super) fn outcome_claim(outcome: &Outcome, partition: i32, offset: Option<i64>) -> Claim {
    let decision = &outcome.decision;
    let reason = decision.reasons.first();
    Claim {
        key: Key::Outcome(outcome.proposal_id, outcome.resolution),
        is_lost: reason == Some(&Reason::InputLost),
        brief: format!(
            "{} {}, E {} C {} of {}, {}",
            name(&decision.status),
            reason.map(name).unwrap_or_default(),
            decision.endorse,
            decision.challenge,
            decision.n,
            outcome.decision_digest,
        ),
        ..bare(
            Some(outcome.proposal_id),
            partition,
            offset,
            digest(outcome),
        )
    }
}

pub(super) fn round_claim(round: &Round, partition: i32, offset: Option<i64>) -> Claim {
    let status = round
        .closed
        .as_ref()
        .map(|closed| name::<Status>(&closed.status));
    Claim {
        key: Key::Round(round.proposal_id),
        may_recur: round.state != RoundState::Closed,
        brief: format!(
            "{} {}",
            name::<RoundState>(&round.state),
            status.unwrap_or_default()
        ),
        ..bare(Some(round.proposal_id), partition, offset, digest(round))
    }
}

pub(super) fn package_claim(
    package: DecisionPackage,
    partition: i32,
    offset: Option<i64>,
) -> Claim {
    let package = DecisionPackage {
        related: Vec::new(),
        ..package
    };
    Claim {
        key: Key::Package(package.proposal_id, package.tier),
        brief: format!("tier {}, {}", package.tier, package.package_digest),
        ..bare(
            Some(package.proposal_id),
            partition,
            offset,
            digest(&package),
        )
    }
}

pub(super) fn update_claim(update: &TrustUpdate, partition: i32, offset: Option<i64>) -> Claim {
    let (domain, result) = (update.trust_domain.clone(), update.result_id.clone());
    Claim {
        brief: format!("{} {} in `{domain}`", name(&update.result), result),
        key: Key::Update(domain, update.proposal_id, result),
        ..bare(Some(update.proposal_id), partition, offset, digest(update))
    }
}

pub(super) fn score_claim(score: &TrustScore, partition: i32, offset: Option<i64>) -> Claim {
    let (domain, agent) = (score.trust_domain.clone(), score.agent_id.clone());
    Claim {
        brief: format!("{agent} in `{domain}` {}", score.trust),
        key: Key::Score(domain, agent, score.revision),
        ..bare(None, partition, offset, digest(score))
    }
}

pub(super) fn tombstone(id: ProposalId, partition: i32, offset: Option<i64>) -> Claim {
    Claim {
        key: Key::Forgotten(id),
        ..bare(Some(id), partition, offset, Digest::default())
    }
}

pub(super) fn letter_claim(
    letter: DeadLetter,
    topic: Topic,
    offset: Option<i64>,
    pins: Option<Pins>,
) -> Claim {
    let key = letter.key.as_ref().map(|key| &key.0[..]);
    let id = key.and_then(id_of);
    let mut letter = DeadLetter {
        judged_by: Pins::NONE,
        ..letter
    };
    let (brief, partition) = (letter.reason.clone(), letter.partition);
    let (exact, is_ending) = (digest(&letter), ENDED.contains(&letter.reason.as_str()));
    let place = Key::Letter(topic, partition, letter.offset);
    (letter.reason, letter.detail) = (String::new(), String::new());
    Claim {
        key: place,
        ended: is_ending.then(|| digest(&letter)),
        pins,
        brief,
        ..bare(id, partition, offset, exact)
    }
}

/// A symbol as it is written.
fn name<T: serde::Serialize>(symbol: &T) -> String {
    let value = serde_json::to_value(symbol).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// The round a key names.
pub(super) fn id_of(key: &[u8]) -> Option<ProposalId> {
    std::str::from_utf8(key).ok()?.parse().ok()
}
