//! Policies, agents and rounds for tests: by hand, and by proptest.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::electorate::Standing;
use crate::ids::{AgentId, Digest, Millis};
use crate::millionths::{Millionths, Sum};
use crate::records::{
    Agent, AgentKind, AgentStatus, ApprovalsNeeded, DecisionPart, Grant, Mode, OnDecisionTimeout,
    Policy, Prior, Revision, Stakes, Verdict,
};
use crate::resolve::{Case, Voice, resolve};
use crate::trust::{NEWCOMER_A, NEWCOMER_B};

/// k of the evidence margin at target errors of 10 %, 5 % and 1 %.
pub(crate) const UNITS: [(u32, u64); 3] =
    [(100_000, 478_165), (50_000, 640_776), (10_000, 1_000_000)];

/// Cases of a property: few under Miri, which is some thousand times slower.
pub(crate) fn cases(usually: u32) -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 4 } else { usually },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

pub(crate) fn millionths(x: f64) -> Millionths {
    Millionths::admit(x).unwrap()
}

/// Every key at its default, for the domain `bank`.
pub(crate) fn policy() -> Policy {
    Policy {
        pattern: "bank".into(),
        quorum_margin: Some(millionths(0.34)),
        target_error: None,
        evidence_unit: Sum::ZERO,
        min_responders: 1,
        min_weight: millionths(0.3),
        min_confidence: millionths(0.3),
        escalate_at_stakes: Stakes::High,
        stakes_floor: vec![],
        proposer_counts: true,
        required_domains: vec![],
        veto_domains: vec![],
        max_share_per_principal: Millionths::ONE,
        max_share_per_model_family: Millionths::ONE,
        deadline_default: Millis(60_000),
        deadline_min: Millis(1_000),
        deadline_max: Millis(604_800_000),
        revision: Revision::First,
        early_close: true,
        approvals_needed: ApprovalsNeeded {
            low: 1,
            medium: 1,
            high: 1,
            critical: 2,
        },
        decision_deadline: Millis(259_200_000),
        on_decision_timeout: OnDecisionTimeout::EscalateAgain,
        reporters: None,
        self_report: false,
        result_window: Millis(2_592_000_000),
        max_open_per_proposer: 100,
        action_types: None,
        mode: Mode::Live,
        trust_domain: "bank".into(),
        half_life: Some(100),
        digest: Digest([7; 32]),
    }
}

/// The evidence margin at 10 %, with the defaults that go with it.
pub(crate) fn evidence() -> Policy {
    Policy {
        quorum_margin: None,
        target_error: Some(millionths(0.1)),
        evidence_unit: Sum::new(UNITS[0].1),
        min_weight: Millionths::ZERO,
        min_confidence: Millionths::ZERO,
        ..policy()
    }
}

pub(crate) fn agent(id: &str, domain: &str, authority: f64) -> Agent {
    Agent {
        agent_id: id.into(),
        kind: AgentKind::Agent,
        display_name: String::new(),
        principal: format!("{id}'s owner"),
        model_family: None,
        domains: vec![grant(domain, authority)],
        reviews: vec![],
        public_keys: vec![],
        status: AgentStatus::Active,
    }
}

pub(crate) fn grant(domain: &str, authority: f64) -> Grant {
    Grant {
        domain: domain.into(),
        authority: millionths(authority),
        prior: None,
    }
}

pub(crate) fn prior(right: i32, wrong: i32) -> Option<Prior> {
    Some(Prior {
        right,
        wrong,
        source: "an evaluation".into(),
    })
}

/// Somebody of this authority and trust, alone in its principal.
pub(crate) fn standing(id: &str, authority: f64, trust: f64) -> Standing {
    Standing {
        qualified: true,
        authority: millionths(authority),
        trust: millionths(trust),
        trust_revision: 0,
        principal: format!("{id}'s owner").into(),
        model_family: None,
        required: 0,
        veto: false,
        a0: NEWCOMER_A,
        b0: NEWCOMER_B,
        start: None,
    }
}

/// A digest that only this text has.
pub(crate) fn digest(text: &str) -> Digest {
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(text.bytes().chain([1])) {
        *to = from;
    }
    Digest(bytes)
}

pub(crate) fn voice(id: &str, verdict: Verdict, confidence: f64, standing: Standing) -> Voice {
    Voice {
        agent_id: id.into(),
        response_digest: digest(id),
        verdict,
        confidence: millionths(confidence),
        standing: Arc::new(standing),
        suspended: false,
    }
}

/// Voices of authority and trust 1, each with its own confidence and so its own weight.
pub(crate) fn plain(votes: &[(Verdict, f64)]) -> Vec<Voice> {
    let numbered = votes.iter().enumerate();
    numbered
        .map(|(at, (verdict, confidence))| {
            let id = format!("agent {at}");
            voice(&id, *verdict, *confidence, standing(&id, 1.0, 1.0))
        })
        .collect()
}

/// A round with its parts owned.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) policy: Policy,
    pub(crate) stakes: Stakes,
    pub(crate) proposer: AgentId,
    pub(crate) voices: Vec<Voice>,
    pub(crate) pattern_suspended: bool,
    pub(crate) input_lost: bool,
}

impl Round {
    pub(crate) fn new(policy: Policy, voices: Vec<Voice>) -> Self {
        Self {
            policy,
            stakes: Stakes::Low,
            proposer: "the proposer".into(),
            voices,
            pattern_suspended: false,
            input_lost: false,
        }
    }

    pub(crate) fn case(&self) -> Case<'_> {
        let owner = self
            .voices
            .iter()
            .find(|voice| voice.agent_id == self.proposer);
        Case {
            proposal_digest: digest("the proposal"),
            policy: &self.policy,
            stakes: self.stakes,
            proposer: &self.proposer,
            proposer_principal: owner.map_or("nobody", |voice| &voice.standing.principal),
            voices: &self.voices,
            pattern_suspended: self.pattern_suspended,
            input_lost: self.input_lost,
        }
    }

    pub(crate) fn resolve(&self) -> DecisionPart {
        resolve(&self.case())
    }
}

pub(crate) fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        3 => Just(Verdict::Endorse),
        3 => Just(Verdict::Challenge),
        1 => Just(Verdict::Abstain),
    ]
}

/// Round numbers often, so that ties and exact margins occur, and any other sometimes.
pub(crate) fn any_millionths() -> impl Strategy<Value = Millionths> {
    let round = prop_oneof![
        Just(0),
        Just(1),
        Just(300_000),
        Just(500_000),
        Just(1_000_000)
    ];
    prop_oneof![round, 0..=1_000_000_u32].prop_map(|number| Millionths::new(number).unwrap())
}

pub(crate) fn any_standing() -> impl Strategy<Value = Standing> {
    let numbers = (
        any_millionths(),
        any_millionths(),
        0..5_u8,
        proptest::option::of(0..3_u8),
    );
    let holdings = (
        0..4_u64,
        proptest::bool::weighted(0.2),
        proptest::bool::weighted(0.9),
    );
    (numbers, holdings).prop_map(|((authority, trust, principal, family), holdings)| {
        let (required, veto, qualified) = holdings;
        let standing = Standing {
            authority,
            trust,
            principal: principal.to_string().into(),
            model_family: family.map(|family| family.to_string().into()),
            required,
            veto,
            ..standing("", 1.0, 1.0)
        };
        if qualified {
            standing
        } else {
            standing.observing()
        }
    })
}

/// Voices of different agents, that of the proposer perhaps among them.
pub(crate) fn any_voices(most: usize) -> impl Strategy<Value = Vec<Voice>> {
    let said = (any_verdict(), any_millionths(), any_standing());
    proptest::collection::vec(said, 0..=most).prop_map(|said| {
        let numbered = said.into_iter().enumerate();
        numbered
            .map(|(at, (verdict, confidence, standing))| Voice {
                confidence,
                ..voice(&format!("agent {at}"), verdict, 0.0, standing)
            })
            .collect()
    })
}

/// Any sound policy's rules for deciding, with or without caps and a least confidence.
pub(crate) fn any_policy(is_capped: bool) -> impl Strategy<Value = Policy> {
    let margin = prop_oneof![
        (1..=1_000_000_u32).prop_map(|margin| (Some(margin), None, 0)),
        (0..3_usize).prop_map(|at| (None, Some(UNITS[at].0), UNITS[at].1)),
    ];
    let least = (0..4, any_millionths(), any_millionths());
    let domains = (0..3_usize, any::<bool>(), any::<bool>());
    let shares = (500_000..=1_000_000_u32, 500_000..=1_000_000_u32);
    (margin, least, domains, shares).prop_map(move |(margin, least, domains, shares)| {
        let share =
            |share: u32| Millionths::new(if is_capped { share } else { 1_000_000 }).unwrap();
        Policy {
            quorum_margin: margin.0.and_then(Millionths::new),
            target_error: margin.1.and_then(Millionths::new),
            evidence_unit: Sum::new(margin.2),
            min_responders: least.0,
            min_weight: least.1,
            min_confidence: if is_capped { least.2 } else { Millionths::ZERO },
            required_domains: (0..domains.0).map(|at| at.to_string()).collect(),
            veto_domains: domains.1.then(|| "veto".to_string()).into_iter().collect(),
            proposer_counts: domains.2,
            max_share_per_principal: share(shares.0),
            max_share_per_model_family: share(shares.1),
            ..policy()
        }
    })
}

/// A round of up to so many voices; the first agent is the proposer half the time.
pub(crate) fn any_round(is_capped: bool, most: usize) -> impl Strategy<Value = Round> {
    let parts = (any_policy(is_capped), any_voices(most), any::<bool>());
    parts.prop_map(|(policy, voices, is_proposed)| {
        let mut round = Round::new(policy, voices);
        if is_proposed && let Some(first) = round.voices.first_mut() {
            first.verdict = Verdict::Endorse;
            first.response_digest = digest("the proposal");
            round.proposer = first.agent_id.clone();
        }
        round
    })
}
