//! The records of the log, as `schemas/*.avsc` describe them: same names, same nesting.
//!
//! What an agent or a person sends ([`input`]) keeps its numbers as the doubles they were, since a
//! bad one is refused with a code and not by a decoder. What operators and the processor write
//! ([`tables`], [`outcome`], [`package`], [`round`], [`learning`]) holds millionths. A [`claim`]
//! is between reviewers, and decides nothing.

pub mod claim;
pub mod input;
pub mod learning;
pub mod outcome;
pub mod package;
pub mod policy;
pub mod round;
pub mod tables;

pub use claim::Claim;
pub use input::{
    Action, Basis, Control, Decision, DecisionVerdict, Label, Parameter, Proposal, Response,
    Result, ResultKind, Stakes, Verdict,
};
pub use learning::{Correction, Lesson, Start, TrustScore, TrustUpdate};
pub use outcome::{
    Ballot, Coordinates, DecisionPart, Influence, Judged, Outcome, Pins, Reason, ResolvedBy,
    Status, Superseded, Uncounted,
};
pub use package::{Argument, Confidences, DecisionPackage, Histogram, PackageContent, Statement};
pub use policy::{ApprovalsNeeded, Mode, OnDecisionTimeout, Policy, Revision, StakesFloor};
pub use round::{Closed, Opening, Round, RoundState, Settlement, Snapshot, Stated};
pub use tables::{Agent, AgentKind, AgentStatus, DeadLetter, Grant, Prior, Review, SchemaEntry};
