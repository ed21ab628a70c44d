//! What a replay needs to know of recorded outputs, which say far more: the rest is passed over
//! where it lies.

use std::borrow::Cow;

use quorate_core::ids::{Digest, Offset, ProposalId, Timestamp};
use quorate_core::records::{self, Pins, Reason, Status};
use serde::Deserialize;

use crate::history::Recorded;
use crate::wire::{Head, Kind};

/// How those records are read that say what is needed first, and much after it.
#[derive(Debug)]
pub(super) struct Heads {
    pub(super) round: Option<Head>,
    pub(super) outcome: Option<Head>,
}

impl Heads {
    pub(super) fn of(recorded: &Recorded, prefix: &str) -> Self {
        let head = |kind, last: &[&str]| recorded.head(prefix, kind, last);
        Self {
            round: head(Kind::Round, &["opening", "pins"]),
            outcome: head(Kind::Outcome, &["decision", "reasons"]),
        }
    }
}

/// Of a record of `acp.rounds`: what was chosen when it was opened.
#[derive(Debug, Deserialize)]
pub(super) struct Round {
    pub(super) proposal_id: ProposalId,
    pub(super) opening: Opening,
}

/// How it was opened.
#[derive(Debug, Deserialize)]
pub(super) struct Opening {
    pub(super) proposal_offset: Offset,
    pub(super) responses_time: Timestamp,
    pub(super) pins: Pins,
}

/// Of a record of `acp.outcomes`: which it is.
#[derive(Debug, Deserialize)]
pub(super) struct Outcome {
    pub(super) proposal_id: ProposalId,
    pub(super) resolution: i32,
    decision: Decision,
}

/// Of another: what its round was opened by.
#[derive(Debug, Deserialize)]
pub(super) struct Opened {
    pub(super) coordinates: Coordinates,
}

#[derive(Debug, Deserialize)]
struct Decision {
    status: Status,
    reasons: Vec<Reason>,
}

/// Where its round lies.
#[derive(Debug, Deserialize)]
pub(super) struct Coordinates {
    pub(super) proposal_offset: Offset,
    pub(super) pins: Pins,
}

impl Outcome {
    /// The status, and the first reason for it.
    pub(super) fn first(&self) -> (Status, Reason) {
        first(self.decision.status, &self.decision.reasons)
    }
}

/// Of a record of `acp.escalations`: which package it is.
#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) proposal_id: ProposalId,
    pub(super) package_digest: Digest,
}

/// Of a record of `acp.dead-letters`: what was refused, why and by which tables.
#[derive(Debug, Deserialize)]
pub(super) struct Letter<'a> {
    #[serde(borrow)]
    pub(super) topic: Cow<'a, str>,
    pub(super) offset: Offset,
    #[serde(borrow)]
    pub(super) reason: Cow<'a, str>,
    pub(super) judged_by: Pins,
}

/// Of a record of `acp.trust-updates`: which result it is of.
#[derive(Debug, Deserialize)]
pub(super) struct Update {
    pub(super) trust_domain: String,
    pub(super) proposal_id: ProposalId,
    pub(super) result_offset: Offset,
}

/// What was recorded first of an outcome made anew.
pub(super) fn first_of(outcome: &records::Outcome) -> (Status, Reason) {
    first(outcome.decision.status, &outcome.decision.reasons)
}

fn first(status: Status, reasons: &[Reason]) -> (Status, Reason) {
    (status, reasons.first().copied().unwrap_or(Reason::Other))
}
