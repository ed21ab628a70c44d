//! The rules a domain's rounds are resolved under, with every default filled in.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::input::Stakes;
use crate::ids::{Digest, Millis};
use crate::millionths::{Millionths, Sum};

/// The rules for the domains a pattern covers (protocol section 6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// A domain prefix by whole segments, or `*`; the record's key.
    pub pattern: String,
    /// Relative margin in (0, 1]; exactly one of this and `target_error` is given.
    pub quorum_margin: Option<Millionths>,
    /// Wanted error in (0, 0.5] of the evidence margin.
    pub target_error: Option<Millionths>,
    /// k of the evidence margin, derived from `target_error` when the policy is applied; else 0.
    pub evidence_unit: Sum,
    /// Distinct principals, other than the proposer's, that must have spoken with weight.
    pub min_responders: i32,
    /// What E + C must reach.
    pub min_weight: Millionths,
    /// What the weighted mean confidence must reach.
    pub min_confidence: Millionths,
    /// Rounds of at least these stakes escalate.
    pub escalate_at_stakes: Stakes,
    /// Rules that raise the declared stakes.
    pub stakes_floor: Vec<StakesFloor>,
    /// Whether the proposal is its proposer's ballot.
    pub proposer_counts: bool,
    /// Domains of which each needs a counted ballot by another agent that holds it.
    pub required_domains: Vec<String>,
    /// Domains whose holders' challenges bar approval.
    pub veto_domains: Vec<String>,
    /// Largest share of a principal's ballots, in [0.5, 1]; 1 is off.
    pub max_share_per_principal: Millionths,
    /// Largest share of a model family's ballots, in [0.5, 1]; 1 is off.
    pub max_share_per_model_family: Millionths,
    /// Deadline of a proposal that names none, in milliseconds.
    pub deadline_default: Millis,
    /// Shortest explicit deadline, in milliseconds.
    pub deadline_min: Millis,
    /// Longest explicit deadline, in milliseconds.
    pub deadline_max: Millis,
    /// Which of an agent's admitted responses is its ballot.
    pub revision: Revision,
    /// Close once no unheard agent could change the status; needs `revision = first`.
    pub early_close: bool,
    /// Reviewers who must approve, by the stakes that counted.
    pub approvals_needed: ApprovalsNeeded,
    /// Time a tier of reviewers has, in milliseconds.
    pub decision_deadline: Millis,
    /// What happens when nobody decides.
    pub on_decision_timeout: OnDecisionTimeout,
    /// Who may report results; none: every active agent of kind REPORTER or HUMAN.
    pub reporters: Option<Vec<String>>,
    /// Whether the proposer, voters and their principals may report.
    pub self_report: bool,
    /// How long after closing a result is taken, in milliseconds.
    pub result_window: Millis,
    /// Open rounds one proposer may have in one partition.
    pub max_open_per_proposer: i32,
    /// Action types that may be proposed; none: any.
    pub action_types: Option<Vec<String>>,
    /// Live, suspended or shadow.
    pub mode: Mode,
    /// Where track records are kept.
    pub trust_domain: String,
    /// Own results after which an agent's record has faded by half; none: never.
    pub half_life: Option<i32>,
    /// SHA-256 of this record's Avro datum with 32 zero bytes here.
    pub digest: Digest,
}

/// A rule that raises stakes by a parameter of the action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StakesFloor {
    /// The action type it concerns; none: every one.
    #[serde(default)]
    pub action_type: Option<String>,
    /// The parameter it reads.
    pub parameter: String,
    /// The plain decimal from which on it applies, compared exactly.
    pub at_least: String,
    /// The stakes it raises to.
    pub stakes: Stakes,
}

/// Which of an agent's admitted responses counts; unknown symbols read as [`Revision::Last`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revision {
    /// The first by offset.
    First,
    /// The last by offset.
    #[default]
    #[serde(other)]
    Last,
}

/// Approvals an escalation needs, by the stakes that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct ApprovalsNeeded {
    /// At stakes LOW.
    pub low: i32,
    /// At stakes MEDIUM.
    pub medium: i32,
    /// At stakes HIGH.
    pub high: i32,
    /// At stakes CRITICAL.
    pub critical: i32,
}

/// What a decision deadline does; unknown symbols read as [`OnDecisionTimeout::Reject`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OnDecisionTimeout {
    /// The same package again with the next tier, at most three, then rejected.
    EscalateAgain,
    /// Rejected at once.
    #[default]
    #[serde(other)]
    Reject,
}

/// How a policy's rounds end; unknown symbols read as [`Mode::Suspended`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As the mathematics say.
    Live,
    /// Everything escalates, with the outcome that would have been.
    Shadow,
    /// Everything escalates.
    #[default]
    #[serde(other)]
    Suspended,
}
