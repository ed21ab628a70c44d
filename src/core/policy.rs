//! What a policy says by itself: its defaults, whether it is sound, what governs a domain, and
//! which stakes count.
//!
//! Everything here concerns the policy alone. Who could meet it is `lint`'s, and the
//! digest is `wire`'s.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use core::borrow::Borrow;

use crate::decimal::Decimal;
use crate::domain;
use crate::electorate::REQUIRED_DOMAINS_MAX;
use crate::ids::{Digest, Millis};
use crate::millionths::{Millionths, Sum};
use crate::records::{
    Action, ApprovalsNeeded, Mode, OnDecisionTimeout, Policy, Revision, Stakes, StakesFloor,
};
use crate::unsound::{self, Unsound, require};

/// k of the evidence margin: ⌈10⁶ · ln((10⁶ − e)/e) / ln 99⌉ for a wanted error of e millionths.
///
/// Zero for an error of 0 or of at least one half, which no sound policy has but for 0.5 itself.
#[must_use]
pub fn evidence_unit(target_error: Millionths) -> Sum {
    let error = target_error.get();
    if error == 0 || error >= 500_000 {
        return Sum::ZERO;
    }
    let unit = libm::ceil(evidence_units(error));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the unit lies between 0 and 10^6 * ln(10^6) / ln 99"
    )]
    Sum::new(unit as u64)
}

/// k before it is rounded up. No error in millionths brings it nearer to a whole number than
/// doubles can tell apart, but for 0.01 and 0.5, where it is exactly 10⁶ and 0.
#[expect(clippy::cast_precision_loss, reason = "an error is at most 10^6")]
fn evidence_units(error: u64) -> f64 {
    let error = error as f64;
    1e6 * (libm::log((1e6 - error) / error) / libm::log(99.0))
}

/// The policy that governs a domain: the longest pattern that covers it, `*` last.
#[must_use]
pub fn governing<'a, P: Borrow<Policy>>(
    policies: impl Iterator<Item = &'a P>,
    domain: &str,
) -> Option<&'a P> {
    policies
        .filter(|policy| domain::matches(&(*policy).borrow().pattern, domain))
        .max_by_key(|policy| domain::closeness(&(*policy).borrow().pattern))
}

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

impl Policy {
    /// The policy of a pattern with every default: a relative margin of 0.34, the pattern as
    /// trust domain, no digest. For `*` it is sound only once its trust domain is named.
    #[must_use]
    pub fn defaults(pattern: &str) -> Self {
        Self {
            pattern: pattern.to_string(),
            quorum_margin: Some(millionths(340_000)),
            target_error: None,
            evidence_unit: Sum::ZERO,
            min_responders: 1,
            min_weight: millionths(300_000),
            min_confidence: millionths(300_000),
            escalate_at_stakes: Stakes::High,
            stakes_floor: Vec::new(),
            proposer_counts: true,
            required_domains: Vec::new(),
            veto_domains: Vec::new(),
            max_share_per_principal: Millionths::ONE,
            max_share_per_model_family: Millionths::ONE,
            deadline_default: Millis(60 * SECOND),
            deadline_min: Millis(SECOND),
            deadline_max: Millis(7 * DAY),
            revision: Revision::Last,
            early_close: false,
            approvals_needed: ApprovalsNeeded::default(),
            decision_deadline: Millis(72 * HOUR),
            on_decision_timeout: OnDecisionTimeout::EscalateAgain,
            reporters: None,
            self_report: false,
            result_window: Millis(30 * DAY),
            max_open_per_proposer: 100,
            action_types: None,
            mode: Mode::Live,
            trust_domain: pattern.to_string(),
            half_life: Some(100),
            digest: Digest::default(),
        }
    }

    /// Trades the relative margin for the evidence margin, with the defaults that go with it.
    #[must_use]
    pub fn with_target_error(self, target_error: Millionths) -> Self {
        Self {
            quorum_margin: None,
            target_error: Some(target_error),
            evidence_unit: evidence_unit(target_error),
            min_weight: Millionths::ZERO,
            min_confidence: Millionths::ZERO,
            ..self
        }
    }

    /// Whether the policy may be obeyed; everything but its digest.
    ///
    /// # Errors
    /// [`Unsound`] names the first key that does not hold what it must.
    pub fn check(&self) -> Result<(), Unsound> {
        self.check_names()?;
        self.check_margin()?;
        self.check_counts()?;
        self.check_times()?;
        self.check_stakes()
    }

    /// Whether an action of this type may be proposed here.
    #[must_use]
    pub fn allows(&self, action_type: &str) -> bool {
        self.action_types
            .as_ref()
            .is_none_or(|types| types.iter().any(|allowed| allowed == action_type))
    }

    /// The higher of the declared stakes and those of every floor the action reaches.
    #[must_use]
    pub fn stakes_that_count(&self, action: &Action, declared: Stakes) -> Stakes {
        self.stakes_floor
            .iter()
            .filter_map(|floor| floor.stakes_of(action))
            .fold(declared, Ord::max)
    }

    fn check_names(&self) -> Result<(), Unsound> {
        let covers = self.pattern == "*" || unsound::is_domain(&self.pattern);
        require(
            covers,
            "pattern",
            "is neither `*` nor dotted, non-empty segments",
        )?;
        let named = !self.trust_domain.is_empty() && self.trust_domain != "*";
        require(
            named,
            "trust_domain",
            "is not named, as a policy for `*` must",
        )?;
        // Keys of scores are `trust_domain:agent_id`, and ids may have colons of their own.
        let parts = !self.trust_domain.contains(':');
        require(
            parts,
            "trust_domain",
            "has a colon, which keys are parted by",
        )?;
        unsound::domains(strs(&self.required_domains), "required_domains")?;
        let few = self.required_domains.len() <= REQUIRED_DOMAINS_MAX;
        require(few, "required_domains", "has more than 64 entries")?;
        unsound::domains(strs(&self.veto_domains), "veto_domains")?;
        unsound::names(
            strs(self.reporters.as_deref().unwrap_or_default()),
            "reporters",
        )?;
        unsound::names(
            strs(self.action_types.as_deref().unwrap_or_default()),
            "action_types",
        )
    }

    fn check_margin(&self) -> Result<(), Unsound> {
        let unit = match (self.quorum_margin, self.target_error) {
            (Some(margin), None) => {
                require(
                    margin > Millionths::ZERO,
                    "quorum_margin",
                    "is not in (0, 1]",
                )?;
                Sum::ZERO
            }
            (None, Some(error)) => {
                let sound = (1..=500_000).contains(&error.get());
                require(sound, "target_error", "is not in (0, 0.5]")?;
                evidence_unit(error)
            }
            (Some(_), Some(_)) => {
                return require(false, "target_error", "stands beside `quorum_margin`");
            }
            (None, None) => {
                return require(false, "quorum_margin", "is missing, as is `target_error`");
            }
        };
        require(
            self.evidence_unit == unit,
            "evidence_unit",
            "is not that of `target_error`",
        )
    }

    fn check_counts(&self) -> Result<(), Unsound> {
        require(self.min_responders >= 0, "min_responders", "is negative")?;
        require(
            self.max_open_per_proposer >= 0,
            "max_open_per_proposer",
            "is negative",
        )?;
        let lasting = self.half_life.is_none_or(|results| results >= 1);
        require(lasting, "half_life", "is less than 1")?;
        let share = |share: Millionths| share.get() >= 500_000;
        let why = "is not in [0.5, 1]";
        require(
            share(self.max_share_per_principal),
            "max_share_per_principal",
            why,
        )?;
        require(
            share(self.max_share_per_model_family),
            "max_share_per_model_family",
            why,
        )?;
        let ApprovalsNeeded {
            low,
            medium,
            high,
            critical,
        } = self.approvals_needed;
        let some = [low, medium, high, critical]
            .iter()
            .all(|&needed| needed >= 1);
        require(some, "approvals_needed", "is less than 1")
    }

    fn check_times(&self) -> Result<(), Unsound> {
        let (least, default, most) = (self.deadline_min, self.deadline_default, self.deadline_max);
        require(least > Millis(0), "deadline_min", "is not above 0")?;
        require(
            least <= default,
            "deadline_default",
            "is below `deadline_min`",
        )?;
        require(
            default <= most,
            "deadline_max",
            "is below `deadline_default`",
        )?;
        require(
            self.decision_deadline > Millis(0),
            "decision_deadline",
            "is not above 0",
        )?;
        require(
            self.result_window > Millis(0),
            "result_window",
            "is not above 0",
        )?;
        let first = !self.early_close || self.revision == Revision::First;
        require(first, "early_close", "needs `revision` to be `first`")
    }

    fn check_stakes(&self) -> Result<(), Unsound> {
        self.stakes_floor.iter().try_for_each(|floor| {
            let decimal = Decimal::parse(&floor.at_least).is_some();
            let key = "stakes_floor";
            require(
                decimal,
                key,
                "has an `at_least` that is not a plain decimal",
            )?;
            require(!floor.parameter.is_empty(), key, "has an empty `parameter`")?;
            let typed = floor.action_type.as_deref() != Some("");
            require(typed, key, "has an empty `action_type`")
        })
    }
}

impl StakesFloor {
    /// The stakes this rule gives an action; none if it does not concern or not reach it.
    ///
    /// A parameter that is missing or anywhere not a plain decimal counts as CRITICAL.
    fn stakes_of(&self, action: &Action) -> Option<Stakes> {
        if self
            .action_type
            .as_ref()
            .is_some_and(|only| *only != action.r#type)
        {
            return None;
        }
        let values: Option<Vec<_>> = action
            .parameters
            .iter()
            .filter(|parameter| parameter.key == self.parameter)
            .map(|parameter| Decimal::parse(&parameter.value))
            .collect();
        let largest = values.and_then(|values| values.into_iter().max());
        let (Some(largest), Some(at_least)) = (largest, Decimal::parse(&self.at_least)) else {
            return Some(Stakes::Critical);
        };
        (largest >= at_least).then_some(self.stakes)
    }
}

impl ApprovalsNeeded {
    /// Different reviewers who must approve at these stakes.
    #[must_use]
    pub const fn at(&self, stakes: Stakes) -> i32 {
        match stakes {
            Stakes::Low => self.low,
            Stakes::Medium => self.medium,
            Stakes::High => self.high,
            Stakes::Critical => self.critical,
        }
    }
}

impl Default for ApprovalsNeeded {
    fn default() -> Self {
        Self {
            low: 1,
            medium: 1,
            high: 1,
            critical: 2,
        }
    }
}

fn strs(names: &[String]) -> impl Iterator<Item = &str> + Clone {
    names.iter().map(String::as_str)
}

fn millionths(of_default: u32) -> Millionths {
    Millionths::new(of_default).unwrap_or(Millionths::ONE)
}

#[cfg(test)]
mod tests;
