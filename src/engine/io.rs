//! What goes into an engine and what comes out: records with their coordinates, nothing else.

use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::records::{DeadLetter, DecisionPackage, Outcome, Round, TrustScore, TrustUpdate};
use quorate_core::topic::Topic;

use crate::wire::{self, Codec, Parts};

/// What an engine is stepped with.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A record of one of the engine's input topics, in offset order per topic.
    Record(Record<'a>),
    /// Records of a topic below an offset are gone from the log before they were read.
    Lost {
        /// The topic.
        topic: Topic,
        /// The first offset that is still there.
        below: Offset,
    },
}

/// A record as it lay on the log.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its topic.
    pub topic: Topic,
    /// Its offset.
    pub offset: Offset,
    /// Its append time.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none for a tick.
    pub value: Option<&'a [u8]>,
    /// What its headers say.
    pub headers: Headers<'a>,
}

/// The headers an engine knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    /// [`CONTROL_HEADER`]: the record is a control record.
    pub control: bool,
    /// [`ORIGIN_HEADER`]: the record was forwarded from another partition.
    pub forwarded: bool,
    /// `traceparent`: the W3C trace context.
    pub traceparent: Option<&'a str>,
}

/// Header of a record that only carries time; its key and value are null.
pub const TICK: (&str, &[u8]) = ("acp-tick", b"1");
/// Header of a control record among the responses, by its name; its key is null.
pub const CONTROL_HEADER: &str = "acp-control";
/// The same, whole.
pub const CONTROL: (&str, &[u8]) = (CONTROL_HEADER, b"1");
/// Header of a forwarded record: `partition:offset` of where it lay.
pub const ORIGIN_HEADER: &str = "acp-origin";

/// Header of a record of a table: who had it written, as whoever wrote it says. No engine reads it.
pub const OPERATOR_HEADER: &str = "acp-operator";

/// What an engine puts out, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A round's new state.
    Round(Box<Round>),
    /// A round that is forgotten.
    Tombstone(ProposalId),
    /// What a round came to.
    Outcome(Box<Outcome>),
    /// What a human is asked.
    Escalation(Box<DecisionPackage>),
    /// What a result teaches.
    TrustUpdate(Box<TrustUpdate>),
    /// An agent's new score.
    TrustScore(TrustScore),
    /// A refused record, and its trace context.
    DeadLetter(DeadLetter, Option<String>),
    /// A record that belongs on another partition of its topic.
    Forward(Forward),
}

/// A misplaced record, to be appended once where its key belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Its topic.
    pub topic: Topic,
    /// The partition it belongs on.
    pub partition: i32,
    /// The offset it lay at here.
    pub offset: Offset,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
    /// Its trace context.
    pub traceparent: Option<String>,
}

impl Output {
    /// The topic it goes to.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self {
            Self::Round(_) | Self::Tombstone(_) => Topic::Rounds,
            Self::Outcome(_) => Topic::Outcomes,
            Self::Escalation(_) => Topic::Escalations,
            Self::TrustUpdate(_) => Topic::TrustUpdates,
            Self::TrustScore(_) => Topic::Trust,
            Self::DeadLetter(..) => Topic::DeadLetters,
            Self::Forward(forward) => forward.topic,
        }
    }

    /// The key it is written under; none for a dead letter of a record without one.
    #[must_use]
    pub fn key(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Round(round) => round.proposal_id.to_string().into_bytes(),
            Self::Tombstone(id) => id.to_string().into_bytes(),
            Self::Outcome(outcome) => outcome.proposal_id.to_string().into_bytes(),
            Self::Escalation(package) => package.proposal_id.to_string().into_bytes(),
            Self::TrustUpdate(update) => update.trust_domain.clone().into_bytes(),
            Self::TrustScore(score) => trust_key(score).into_bytes(),
            Self::DeadLetter(letter, _) => return letter.key.as_ref().map(|key| key.0.clone()),
            Self::Forward(forward) => forward.key.clone(),
        })
    }

    /// The partition of its topic, given the engine's own and how many there are.
    #[must_use]
    pub fn partition(&self, own: i32, partitions: i32) -> i32 {
        match self {
            Self::TrustUpdate(update) => {
                wire::partition_of(update.trust_domain.as_bytes(), partitions)
            }
            Self::TrustScore(_) => 0,
            Self::Forward(forward) => forward.partition,
            _ => own,
        }
    }

    /// The value it is written as; none for a tombstone. Of `parts`, those are not encoded again
    /// whose digests it has.
    ///
    /// # Errors
    /// What the codec says of a record it cannot write.
    pub fn encode(&self, codec: &Codec, parts: &Parts) -> Result<Option<Vec<u8>>, wire::Error> {
        Ok(Some(match self {
            Self::Round(round) => parts.encode_round(codec, round)?,
            Self::Tombstone(_) => return Ok(None),
            Self::Outcome(outcome) => parts.encode_outcome(codec, outcome)?,
            Self::Escalation(package) => parts.encode_package(codec, package)?,
            Self::TrustUpdate(update) => codec.encode(&**update)?,
            Self::TrustScore(score) => codec.encode(score)?,
            Self::DeadLetter(letter, _) => codec.encode(letter)?,
            Self::Forward(forward) => forward.value.clone(),
        }))
    }

    /// The trace context it carries on.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        match self {
            Self::Round(round) => round.opening.traceparent.as_deref(),
            Self::Outcome(outcome) => outcome.coordinates.traceparent.as_deref(),
            Self::Escalation(package) => package.coordinates.traceparent.as_deref(),
            Self::TrustUpdate(update) => update.outcome.traceparent.as_deref(),
            Self::Forward(forward) => forward.traceparent.as_deref(),
            Self::DeadLetter(_, trace) => trace.as_deref(),
            Self::Tombstone(_) | Self::TrustScore(_) => None,
        }
    }
}

/// The key of a score in `acp.trust`.
#[must_use]
pub fn trust_key(score: &TrustScore) -> String {
    format!("{}:{}", score.trust_domain, score.agent_id)
}

/// Why an engine cannot go on; what it was given last has changed nothing that may be committed.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// A round was opened by a newer program.
    #[error("round `{id}` was opened under rules revision {revision}, which this program lacks")]
    NewerRules {
        /// The round.
        id: ProposalId,
        /// The revision it names.
        revision: i32,
    },
    /// A round's pins name a policy or an agent the tables do not have.
    #[error("round `{id}` rests on {what}, which the tables do not have")]
    TableIncomplete {
        /// The round.
        id: ProposalId,
        /// What is missing.
        what: String,
    },
    /// The tables have not been read as far as an earlier round's pins.
    #[error("tables are read to {have:?}, but rounds were opened at {need:?}")]
    TablesBehind {
        /// As far as they are read.
        have: quorate_core::records::Pins,
        /// As far as they must be.
        need: quorate_core::records::Pins,
    },
    /// A proposal was read before every closed round was known.
    #[error("a proposal was read before the closed rounds were indexed")]
    NotIndexed,
    /// A record of ours cannot be written or read.
    #[error("cannot encode or decode a record of our own")]
    Codec(#[from] wire::Error),
}
