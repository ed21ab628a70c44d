//! Who may speak with which weight: an agent's standing in a round, as of the round's pins.
//!
//! Authority comes from the longest matching grant, trust from the track record in the policy's
//! trust domain. A newcomer starts from its prior; a new id of a known principal may instead
//! inherit the poor record it left behind.

use alloc::sync::Arc;

use crate::domain;
use crate::fault::{self, Fault};
use crate::millionths::Millionths;
use crate::records::{Agent, AgentStatus, Grant, Policy, Prior, Stakes, Start, TrustScore};
use crate::trust::{NEWCOMER_A, NEWCOMER_B, State};

/// Required domains a policy may name: each is one bit of [`Standing::required`]. One beyond
/// them is held by nobody, so that its rounds escalate.
pub const REQUIRED_DOMAINS_MAX: usize = 64;

/// What an agent brings to a round, as of the round's pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether its ballots can count; false for an observer, whose numbers are all 0.
    pub qualified: bool,
    /// How relevant its expertise is to the proposal's domain.
    pub authority: Millionths,
    /// Its track record in the trust domain.
    pub trust: Millionths,
    /// The revision of that record; 0 without a score.
    pub trust_revision: i64,
    /// Its accountable owner.
    pub principal: Arc<str>,
    /// The model it is built on.
    pub model_family: Option<Arc<str>>,
    /// Bit i: it holds the policy's `required_domains[i]`.
    pub required: u64,
    /// Whether it holds one of the policy's veto domains.
    pub veto: bool,
    /// Right count, in billionths, of what its record fades towards.
    pub a0: i64,
    /// Wrong count, in billionths, of what its record fades towards.
    pub b0: i64,
    /// The start it inherits; only without a score and a prior.
    pub start: Option<Start>,
}

impl Standing {
    /// This standing without authority: on the record, but never counted.
    #[must_use]
    pub fn observing(&self) -> Self {
        Self {
            qualified: false,
            authority: Millionths::ZERO,
            trust: Millionths::ZERO,
            trust_revision: 0,
            required: 0,
            veto: false,
            ..self.clone()
        }
    }
}

/// What an agent brings to a round in a domain under a policy.
///
/// `score` is its record in the policy's trust domain at the pins, `inherited` what [`inherited`]
/// found there. Whether the agent is active is admission's question, not this one's.
#[must_use]
pub fn standing(
    agent: &Agent,
    domain: &str,
    policy: &Policy,
    score: Option<&TrustScore>,
    inherited: Option<Start>,
) -> Standing {
    let required = required(agent, policy);
    let grant = closest(agent, domain).or_else(|| best_required(agent, policy, required));
    let prior = grant.and_then(|grant| grant.prior.as_ref());
    let start = inherited.filter(|_| score.is_none() && prior.is_none());
    let (a0, b0) = prior.map_or((NEWCOMER_A, NEWCOMER_B), counts);
    let trust = score.map_or_else(|| State::beginning(a0, b0, start).trust(), |s| s.trust);
    let standing = Standing {
        qualified: true,
        authority: grant.map_or(Millionths::ZERO, |grant| grant.authority),
        trust,
        trust_revision: score.map_or(0, |score| score.revision),
        principal: agent.principal.as_str().into(),
        model_family: agent.model_family.as_deref().map(Arc::from),
        required,
        veto: policy
            .veto_domains
            .iter()
            .any(|domain| holds(agent, domain)),
        a0,
        b0,
        start,
    };
    if grant.is_none() {
        return standing.observing();
    }
    standing
}

/// The start of a new id of a known principal: that of the agent of least trust, then least id,
/// among the principal's retired and suspended ones, if it is below a newcomer's.
///
/// `of_principal` are agents with their scores in the trust domain, at the pins; others than the
/// principal's are passed over.
pub fn inherited<'a>(
    agent: &Agent,
    of_principal: impl Iterator<Item = (&'a Agent, &'a TrustScore)>,
) -> Option<Start> {
    let newcomer = State::newcomer().trust();
    of_principal
        .filter(|(other, _)| other.principal == agent.principal)
        .filter(|(other, _)| other.agent_id != agent.agent_id)
        .filter(|(other, _)| other.status != AgentStatus::Active)
        .map(|(other, score)| (score.trust, &other.agent_id, score))
        .min_by(|(trust, id, _), (other_trust, other_id, _)| {
            (trust, id).cmp(&(other_trust, other_id))
        })
        .filter(|(trust, ..)| *trust < newcomer)
        .map(|(_, _, score)| Start {
            a: score.a,
            b: score.b,
            ln_m: score.ln_m,
        })
}

/// Whether an agent may decide escalations of a domain at these stakes: it is active, and any of
/// its review entries covers them.
#[must_use]
pub fn may_review(agent: &Agent, domain: &str, stakes: Stakes) -> bool {
    let covers = |pattern: &str| domain::matches(pattern, domain);
    agent.status == AgentStatus::Active
        && agent
            .reviews
            .iter()
            .any(|review| stakes <= review.up_to_stakes && covers(&review.domain))
}

/// Whether an agent holds a domain: any grant above 0 for it or a prefix of it.
#[must_use]
pub fn holds(agent: &Agent, domain: &str) -> bool {
    agent
        .domains
        .iter()
        .any(|grant| grant.authority > Millionths::ZERO && domain::covers(&grant.domain, domain))
}

/// The grant that decides an agent's authority in a domain, even where it is 0: the longest, and
/// of two for one domain the first.
#[must_use]
pub fn closest<'a>(agent: &'a Agent, domain: &str) -> Option<&'a Grant> {
    let covering = |grant: &&Grant| domain::covers(&grant.domain, domain);
    let grants = agent.domains.iter().filter(covering).rev();
    if fault::is_on(Fault::ShortestGrant) {
        return grants.min_by_key(|grant| grant.domain.len());
    }
    grants.max_by_key(|grant| grant.domain.len())
}

/// The required domains an agent holds, one bit each.
fn required(agent: &Agent, policy: &Policy) -> u64 {
    policy
        .required_domains
        .iter()
        .take(REQUIRED_DOMAINS_MAX)
        .enumerate()
        .filter(|(_, domain)| holds(agent, domain))
        .fold(0, |bits, (at, _)| bits | 1 << at)
}

/// The grant of highest authority among the closest ones for the required domains held; of equal
/// ones that of the domain the policy names first.
fn best_required<'a>(agent: &'a Agent, policy: &Policy, required: u64) -> Option<&'a Grant> {
    policy
        .required_domains
        .iter()
        .take(REQUIRED_DOMAINS_MAX)
        .enumerate()
        .filter(|(at, _)| required >> at & 1 == 1)
        .filter_map(|(_, domain)| closest(agent, domain))
        .rev()
        .max_by_key(|grant| grant.authority)
}

/// A prior's counts in billionths.
fn counts(prior: &Prior) -> (i64, i64) {
    let billionths = |count: i32| i64::from(count) * 1_000_000_000;
    (billionths(prior.right), billionths(prior.wrong))
}

#[cfg(test)]
mod tests;
