//! Sums up counted ballots, so that the status is read off the sums: of all, or of all but one.
//!
//! Everything a status depends on is a sum, a count or a prefix; taking one ballot out changes
//! each by a look-up. Influence is therefore O(n log n) and never resolves a round again.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::Case;
use super::count::{Counted, weights};
use super::margin::Margin;
use crate::electorate::REQUIRED_DOMAINS_MAX;
use crate::fault::{self, Fault};
use crate::records::{Mode, Reason, Status, Verdict};

/// The sums over a round's counted ballots.
#[derive(Clone, Debug)]
pub(super) struct Tally<'a> {
    case: Case<'a>,
    /// Whether a suspension, by control or policy, lies on the round.
    suspended: bool,
    pub(super) margin: Margin,
    /// E, in millionths.
    pub(super) endorse: u64,
    /// C, in millionths.
    pub(super) challenge: u64,
    /// Counted endorsements and challenges.
    pub(super) n: usize,
    /// Σ w·c, in square millionths.
    pub(super) certainty: u128,
    /// Ballots that speak, by principal, without the proposer's.
    principals: BTreeMap<&'a str, usize>,
    /// Counted ballots by required domain, without the proposer's.
    required: Vec<usize>,
    /// Counted challenges by holders of a veto domain.
    vetoes: usize,
}

/// What the reasons are read off.
struct Numbers {
    carries: Status,
    weight: u64,
    certainty: u128,
    responders: usize,
    is_missing: bool,
    vetoes: usize,
    is_tie: bool,
}

impl<'a> Tally<'a> {
    pub(super) fn new(case: &Case<'a>, voices: &[Counted<'a>]) -> Self {
        let mut tally = Self {
            case: *case,
            suspended: case.pattern_suspended || case.policy.mode == Mode::Suspended,
            margin: Margin::new(
                case.policy,
                weights(voices, Verdict::Endorse),
                weights(voices, Verdict::Challenge),
            ),
            endorse: 0,
            challenge: 0,
            n: 0,
            certainty: 0,
            principals: BTreeMap::new(),
            required: vec![0; case.policy.required_domains.len()],
            vetoes: 0,
        };
        for counted in voices.iter().filter(|counted| counted.is_counted()) {
            tally.add(counted);
        }
        tally
    }

    fn add(&mut self, counted: &Counted<'a>) {
        for (at, count) in self.required.iter_mut().enumerate() {
            *count += usize::from(holds(&self.case, counted, at));
        }
        match counted.voice.verdict {
            Verdict::Abstain => return,
            Verdict::Endorse => self.endorse += counted.weight,
            Verdict::Challenge => self.challenge += counted.weight,
        }
        self.n += 1;
        self.certainty += certainty(counted);
        self.vetoes += usize::from(vetoes(counted));
        let principal: &str = &counted.voice.standing.principal;
        if principal != self.case.proposer_principal {
            *self.principals.entry(principal).or_default() += 1;
        }
    }

    /// Lays a suspension on the round.
    pub(super) const fn suspend(&mut self) {
        self.suspended = true;
    }

    /// All reasons that apply, in the protocol's order.
    pub(super) fn reasons(&self) -> Vec<Reason> {
        let numbers = self.numbers();
        let findings = self.findings(&numbers).into_iter();
        let mut reasons: Vec<Reason> = findings
            .filter_map(|(reason, applies)| applies.then_some(reason))
            .collect();
        if numbers.weight > 0 {
            reasons.push(match (numbers.carries, numbers.is_tie) {
                (Status::Approved | Status::Rejected, _) => Reason::MarginMet,
                (Status::Escalated, true) => Reason::Tie,
                (Status::Escalated, false) => Reason::MarginNotMet,
            });
        }
        reasons
    }

    /// What the round comes to.
    pub(super) fn status(&self) -> Status {
        self.judge(&self.numbers(), false)
    }

    /// What it comes to but for shadow mode.
    pub(super) fn would_be(&self) -> Status {
        self.judge(&self.numbers(), true)
    }

    /// What it comes to with one counted ballot taken out, the others keeping their weights.
    pub(super) fn status_without(&self, counted: &Counted<'a>) -> Status {
        self.judge(&self.numbers_without(counted), false)
    }

    /// ⌊Σ w·c / Σ w⌋ in millionths; 0 where nobody speaks.
    pub(super) fn mean_confidence(&self) -> u64 {
        let weight = u128::from(self.endorse) + u128::from(self.challenge);
        let mean = self.certainty.checked_div(weight).unwrap_or(0);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    fn judge(&self, numbers: &Numbers, in_earnest: bool) -> Status {
        let bars = |(reason, applies)| applies && !(in_earnest && reason == Reason::Shadow);
        if self.findings(numbers).into_iter().any(bars) {
            Status::Escalated
        } else {
            numbers.carries
        }
    }

    /// What may bar a decision, and whether it does, in the protocol's order.
    fn findings(&self, numbers: &Numbers) -> [(Reason, bool); 9] {
        let policy = self.case.policy;
        let is_silent = numbers.weight == 0;
        let responders_needed = usize::try_from(policy.min_responders).unwrap_or(0);
        let wanted = u128::from(policy.min_confidence.get()) * u128::from(numbers.weight);
        let is_vetoed = numbers.carries == Status::Approved
            && numbers.vetoes > 0
            && !fault::is_on(Fault::VetoIgnored);
        [
            (Reason::InputLost, self.case.input_lost),
            (Reason::Suspended, self.suspended),
            (
                Reason::HighStakes,
                self.case.stakes >= policy.escalate_at_stakes,
            ),
            (Reason::RequiredMissing, numbers.is_missing),
            (
                Reason::QuorumNotMet,
                is_silent || numbers.responders < responders_needed,
            ),
            (
                Reason::Unproven,
                !is_silent && numbers.weight < policy.min_weight.get(),
            ),
            (Reason::LowConfidence, numbers.certainty < wanted),
            (Reason::Veto, is_vetoed),
            (Reason::Shadow, policy.mode == Mode::Shadow),
        ]
    }

    fn numbers(&self) -> Numbers {
        Numbers {
            carries: self.margin.carries(),
            weight: self.endorse + self.challenge,
            certainty: self.certainty,
            responders: self.responders(),
            is_missing: self.required.contains(&0),
            vetoes: self.vetoes,
            is_tie: self.endorse == self.challenge && !fault::is_on(Fault::TieUnseen),
        }
    }

    /// Principals other than the proposer's of whom somebody speaks.
    fn responders(&self) -> usize {
        if fault::is_on(Fault::QuorumOfAgents) {
            return self.principals.values().sum();
        }
        self.principals.len()
    }

    fn numbers_without(&self, counted: &Counted<'a>) -> Numbers {
        let verdict = counted.voice.verdict;
        let is_last_of_principal =
            counted.speaks() && self.principals.get(&*counted.voice.standing.principal) == Some(&1);
        let is_missed =
            |(at, count): (usize, &usize)| *count == usize::from(holds(&self.case, counted, at));
        Numbers {
            carries: self.margin.carries_without(verdict, counted.weight),
            weight: self.endorse + self.challenge - counted.weight,
            certainty: self.certainty - certainty(counted),
            responders: self.responders() - usize::from(is_last_of_principal),
            is_missing: self.required.iter().enumerate().any(is_missed),
            vetoes: self.vetoes - usize::from(vetoes(counted)),
            is_tie: false,
        }
    }
}

/// Whether a ballot answers for the required domain at this place; the proposer's never does.
fn holds(case: &Case<'_>, counted: &Counted<'_>, at: usize) -> bool {
    counted.voice.agent_id != *case.proposer
        && at < REQUIRED_DOMAINS_MAX
        && counted.voice.standing.required >> at & 1 == 1
}

fn vetoes(counted: &Counted<'_>) -> bool {
    counted.voice.verdict == Verdict::Challenge && counted.voice.standing.veto
}

fn certainty(counted: &Counted<'_>) -> u128 {
    u128::from(counted.weight) * u128::from(counted.voice.confidence.get())
}
