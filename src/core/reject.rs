//! Why a record is refused: stable codes, the same on every transport and in every language.
//!
//! A refusal is data. It changes no state, and the record goes to the dead letters with its code.
//! `schemas/README.md` lists every code with its meaning; a test compares the two.

use core::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal,)+) => {
        /// The stable code of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reject {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Reject {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it is written everywhere.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The code's meaning, in one line.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// The value is not an Avro datum of its topic's schema, or has bytes left over.
    Malformed = "malformed",
    /// The value names a schema that is neither built in nor registered for its topic.
    UnknownSchema = "unknown_schema",
    /// The record is longer than 64 KiB.
    RecordTooLarge = "record_too_large",
    /// The reasoning or rationale is longer than 8 KiB.
    ReasoningTooLarge = "reasoning_too_large",
    /// There are more than 16 pieces of evidence, or one is longer than 1 KiB.
    EvidenceTooLarge = "evidence_too_large",
    /// The record's key is not the id its payload names.
    KeyMismatch = "key_mismatch",
    /// The confidence is not a number in [0, 1].
    BadNumber = "bad_number",
    /// The proposal's id is not a lower-case UUIDv7.
    BadId = "bad_id",
    /// The time in the proposal's id is over 24 h before or 5 min after its stream time.
    StaleId = "stale_id",
    /// Another proposal has this id; the first one stands.
    ProposalConflict = "proposal_conflict",
    /// The agent is not listed.
    AgentNotListed = "agent_not_listed",
    /// The agent is suspended or retired.
    AgentNotActive = "agent_not_active",
    /// No policy covers the domain.
    NoPolicy = "no_policy",
    /// The policy does not allow this action type.
    ActionTypeNotAllowed = "action_type_not_allowed",
    /// The explicit deadline is before the proposal's stream time.
    DeadlinePassed = "deadline_passed",
    /// The explicit deadline is nearer or farther than the policy allows.
    DeadlineBounds = "deadline_bounds",
    /// The proposer has as many open rounds in the partition as the policy allows.
    ProposerOverLimit = "proposer_over_limit",
    /// A challenge gives no reasoning.
    ReasoningMissing = "reasoning_missing",
    /// There is no such round, or its proposal came too long after.
    UnknownProposal = "unknown_proposal",
    /// The round had closed.
    RoundClosed = "round_closed",
    /// The round had closed when the record reached its right partition.
    ForwardedLate = "forwarded_late",
    /// The response is for a proposal of another digest.
    DigestMismatch = "digest_mismatch",
    /// The round has 2,000 qualified ballots, or 500 observers'.
    RoundFull = "round_full",
    /// The table, read to the offset the control names, does not say so.
    ControlRefused = "control_refused",
    /// The round was still open.
    RoundOpen = "round_open",
    /// The round's last outcome is out.
    AlreadyDecided = "already_decided",
    /// The last decision deadline had passed.
    DecisionTooLate = "decision_too_late",
    /// The decision is for another decision package.
    PackageMismatch = "package_mismatch",
    /// The reviewer may not decide this round.
    ReviewerNotAllowed = "reviewer_not_allowed",
    /// The reviewer has approved this package.
    AlreadyApproved = "already_approved",
    /// The reporter may not report on this round.
    ReporterNotAllowed = "reporter_not_allowed",
    /// The result came after the policy's result window.
    ResultTooLate = "result_too_late",
    /// The round has a result; only a correction changes it.
    AlreadySettled = "already_settled",
    /// The correction names a result that is not in force, or changes nothing.
    NotInForce = "not_in_force",
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl core::error::Error for Reject {}
