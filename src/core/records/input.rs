//! What agents, reviewers, reporters and operators append: proposals, responses, decisions,
//! results and control records. Nothing here has been checked yet.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, Offset, Timestamp};

/// An action some agent wants taken. Immutable: the first record with an id stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// UUIDv7 in canonical text form; the record's key.
    pub proposal_id: String,
    /// The agent that proposes.
    pub proposer: String,
    /// Dotted domain, such as `fraud.detection`.
    pub domain: String,
    /// What would be done.
    pub action: Action,
    /// One line for people; untrusted text.
    #[serde(default)]
    pub summary: String,
    /// Why; untrusted text.
    #[serde(default)]
    pub rationale: String,
    /// 0 = coin flip, 1 = certain.
    pub confidence: f64,
    /// Declared stakes; a policy's floor may raise them.
    #[serde(default)]
    pub stakes: Stakes,
    /// Explicit deadline, milliseconds since the epoch; none: the policy's default.
    #[serde(default)]
    pub deadline: Option<Timestamp>,
    /// A label naming an earlier proposal; it decides nothing.
    #[serde(default)]
    pub supersedes: Option<String>,
    /// Free labels; they decide nothing.
    #[serde(default)]
    pub labels: Vec<Label>,
}

/// What would be done, to what, with which parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The kind of action, such as `payment.block`.
    pub r#type: String,
    /// What it is done to, such as an account or order number.
    pub subject: String,
    /// Its parameters, in order; a policy's stakes floor may read them.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
}

/// One parameter of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its name.
    pub key: String,
    /// Its value as text; numeric if it is a plain decimal (sign, fraction, exponent).
    pub value: String,
}

/// One label of a proposal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What depends on an action; unknown symbols read as [`Stakes::Critical`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Stakes {
    /// Little.
    Low,
    /// Something.
    Medium,
    /// Much; by default a human decides.
    High,
    /// Everything; by default two humans decide.
    #[default]
    #[serde(other)]
    Critical,
}

/// One agent's answer to one proposal, borrowed from the bytes it was decoded from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response<'a> {
    /// The sender's id for this answer.
    #[serde(borrow)]
    pub response_id: Cow<'a, str>,
    /// The proposal answered; the record's key.
    #[serde(borrow)]
    pub proposal_id: Cow<'a, str>,
    /// If given, the answer stands only for a proposal of this digest.
    #[serde(default)]
    pub proposal_digest: Option<Digest>,
    /// The agent that answers.
    #[serde(borrow)]
    pub agent_id: Cow<'a, str>,
    /// Endorse, challenge or abstain.
    pub verdict: Verdict,
    /// 0 = coin flip, 1 = certain.
    pub confidence: f64,
    /// Why; a challenge must say. Untrusted text.
    #[serde(borrow, default)]
    pub reasoning: Cow<'a, str>,
    /// What it rests on; untrusted text.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// What an agent says to a proposal; unknown symbols read as [`Verdict::Abstain`].
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// For it.
    Endorse,
    /// Against it.
    Challenge,
    /// Heard, but neither.
    #[default]
    #[serde(other)]
    Abstain,
}

/// An operator's order, among the responses, to take an agent or a policy out of running rounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The operator's id for this order.
    pub control_id: String,
    /// The agent suspended; exactly one of this and `pattern` is given.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// The policy pattern suspended.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Offset, inclusive, up to which the table must say so.
    pub table_offset: Offset,
    /// Who ordered it.
    pub operator: String,
    /// Why; untrusted text.
    #[serde(default)]
    pub reason: String,
}

/// What a human said to an escalation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The reviewer's id for this decision.
    pub decision_id: String,
    /// The round decided; the record's key.
    pub proposal_id: String,
    /// The decision package that was seen.
    pub package_digest: Digest,
    /// The agent of kind HUMAN (or another that reviews) who decides.
    pub reviewer: String,
    /// Approve, reject or send back.
    pub verdict: DecisionVerdict,
    /// The reviewer's own code for the reason.
    #[serde(default)]
    pub reason_code: String,
    /// Why; untrusted text.
    #[serde(default)]
    pub rationale: String,
}

/// A human's verdict; unknown symbols read as [`DecisionVerdict::SendBack`], which takes no action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DecisionVerdict {
    /// Do it.
    Approve,
    /// Do not do it.
    Reject,
    /// Not like this; the proposer may propose anew.
    #[default]
    #[serde(other)]
    SendBack,
}

/// What later turned out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Result {
    /// The reporter's id for this result.
    pub result_id: String,
    /// The round it concerns; the record's key.
    pub proposal_id: String,
    /// Who reports.
    pub reporter: String,
    /// Right, wrong or unknown.
    pub result: ResultKind,
    /// How it is known.
    #[serde(default)]
    pub basis: Basis,
    /// The result in force that this one corrects.
    #[serde(default)]
    pub corrects: Option<String>,
    /// Untrusted text.
    #[serde(default)]
    pub note: String,
}

/// Whether the action was, or would have been, right; unknown symbols read as
/// [`ResultKind::Unknown`], which settles nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ResultKind {
    /// It was right.
    Right,
    /// It was wrong.
    Wrong,
    /// It cannot be told (yet).
    #[default]
    #[serde(other)]
    Unknown,
}

/// How a result is known; unknown symbols read as [`Basis::Observed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Basis {
    /// Somebody examined the case.
    Audited,
    /// What would have happened.
    Counterfactual,
    /// The action's consequences were seen.
    #[default]
    #[serde(other)]
    Observed,
}
