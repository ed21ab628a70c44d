//! Faults put into the program on purpose: a test that cannot find them finds nothing.
//!
//! One at most is on, chosen before anything runs, and only in a build with debug assertions: in
//! a release build [`is_on`] is always false and the compiler removes what asks.

use core::sync::atomic::{AtomicU8, Ordering};

/// A fault that can be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// A tie is listed as a margin not met.
    TieUnseen = 1,
    /// A principal's or a model family's share is not capped.
    CapsSkipped = 2,
    /// The shortest grant that matches gives authority.
    ShortestGrant = 3,
    /// A weight is rounded up.
    WeightRoundedUp = 4,
    /// A response counts for a tenth of a second after the deadline.
    LateCounted = 5,
    /// The last response stands where the first should, and the first where the last should.
    RevisionSwapped = 6,
    /// A veto bars nothing.
    VetoIgnored = 7,
    /// The ballots of agents suspended by control count.
    SuspendedCounted = 8,
    /// A quorum is one of agents, whoever they belong to.
    QuorumOfAgents = 9,
    /// A track record never fades.
    HalfLifeIgnored = 10,
    /// Trust is the newest there is, whatever was pinned.
    NewestTrust = 11,
    /// A control record is obeyed without looking at the table.
    ControlUnchecked = 12,
    /// A round that may close early does so at its second response.
    EarlyTooSoon = 13,
    /// Now and then a round is pinned to what the table of agents was before.
    PinsGoBack = 14,
    /// Responses that are gone from the log are not missed.
    LossUnseen = 15,
    /// Rounds that have closed are kept for seconds where it should be days.
    ForgottenEarly = 16,
    /// Each start takes a transactional id of its own, and offsets are committed as by a stranger;
    /// on a blackboard, nobody asks whose partitions they are.
    FencingOff = 20,
    /// A producer is kept after a commit that may have been asked for twice.
    ProducerKept = 21,
    /// Responses that wait for their proposals do not hold the low-water offset back.
    OrphansForgotten = 22,
    /// What restoring a partition leads to is put out again.
    RestoreSpeaks = 23,
    /// Positions that a transaction left pending in the group are not given up.
    PositionsLeftPending = 24,
    /// What a transaction left open whose end did not come everywhere is not ended.
    TornLeft = 25,
    /// Whether the ends that end what was left open came everywhere is not looked at.
    EndsTrusted = 26,
    /// A transaction goes on though a broker was lost while the one before it was ending.
    BrokersLostUnseen = 27,
}

/// Every fault with the name it is chosen by.
const NAMES: &[(&str, Fault)] = &[
    ("tie-unseen", Fault::TieUnseen),
    ("caps-skipped", Fault::CapsSkipped),
    ("shortest-grant", Fault::ShortestGrant),
    ("weight-rounded-up", Fault::WeightRoundedUp),
    ("late-counted", Fault::LateCounted),
    ("revision-swapped", Fault::RevisionSwapped),
    ("veto-ignored", Fault::VetoIgnored),
    ("suspended-counted", Fault::SuspendedCounted),
    ("quorum-of-agents", Fault::QuorumOfAgents),
    ("half-life-ignored", Fault::HalfLifeIgnored),
    ("newest-trust", Fault::NewestTrust),
    ("control-unchecked", Fault::ControlUnchecked),
    ("early-too-soon", Fault::EarlyTooSoon),
    ("pins-go-back", Fault::PinsGoBack),
    ("loss-unseen", Fault::LossUnseen),
    ("forgotten-early", Fault::ForgottenEarly),
    ("fencing-off", Fault::FencingOff),
    ("producer-kept", Fault::ProducerKept),
    ("orphans-forgotten", Fault::OrphansForgotten),
    ("restore-speaks", Fault::RestoreSpeaks),
    ("positions-left-pending", Fault::PositionsLeftPending),
    ("torn-left", Fault::TornLeft),
    ("ends-trusted", Fault::EndsTrusted),
    ("brokers-lost-unseen", Fault::BrokersLostUnseen),
];

static ON: AtomicU8 = AtomicU8::new(0);

impl Fault {
    /// The fault of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }
}

/// Puts a fault in, for as long as the process runs; nothing in a release build.
pub fn put_in(fault: Fault) {
    if cfg!(debug_assertions) {
        ON.store(fault as u8, Ordering::Relaxed);
    }
}

/// Whether a fault is in.
#[must_use]
pub fn is_on(fault: Fault) -> bool {
    cfg!(debug_assertions) && ON.load(Ordering::Relaxed) == fault as u8
}
