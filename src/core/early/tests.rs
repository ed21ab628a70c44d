//! Early closing, against trying everything the unheard could say.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::millionths::Millionths;
use crate::records::Policy;
use crate::resolve::resolve;
use crate::samples::{
    Round, any_round, any_standing, any_verdict, cases, digest, evidence, millionths, plain,
    policy, standing, voice,
};
use Verdict::{Abstain, Challenge, Endorse};

/// Confidences tried: none, the least, around the limits policies like, and certainty.
const GRID: &[u32] = if cfg!(miri) {
    &[0, 1_000_000]
} else {
    &[0, 1, 150_000, 300_000, 500_000, 1_000_000]
};

fn equals(round: &Round, unheard: usize) -> bool {
    let unheard = vec![standing("unheard", 1.0, 1.0); unheard];
    settled_early(&round.case(), &unheard)
}

#[test]
fn a_round_is_settled_when_everybody_has_spoken() {
    for policy in [policy(), evidence()] {
        for votes in [
            vec![(Endorse, 0.9)],
            vec![(Endorse, 0.9), (Challenge, 0.8)],
            vec![],
        ] {
            assert!(equals(&Round::new(policy.clone(), plain(&votes)), 0));
        }
    }
}

#[test]
fn a_round_is_settled_once_the_rest_cannot_tip_the_margin() {
    let round = |count| Round::new(policy(), plain(&vec![(Endorse, 1.0); count]));
    // 3 : 1 leaves a margin of .5, 2 : 1 one of .333.
    assert!(equals(&round(3), 1));
    assert!(!equals(&round(2), 1));
    let mut capped = round(4);
    capped.policy.max_share_per_principal = millionths(0.5);
    assert!(equals(&capped, 1));
    assert!(!equals(&capped, 3));
}

#[test]
fn a_rejection_and_an_escalation_can_be_settled_too() {
    let round = Round::new(
        policy(),
        plain(&[(Challenge, 1.0), (Challenge, 1.0), (Challenge, 1.0)]),
    );
    assert!(equals(&round, 1));
    let tied = Round::new(policy(), plain(&[(Endorse, 1.0), (Challenge, 1.0)]));
    assert!(!equals(&tied, 2));
    let unheard = [standing("weak", 0.1, 1.0)];
    assert!(settled_early(&tied.case(), &unheard));
}

#[test]
fn an_unheard_veto_or_required_domain_keeps_a_round_open() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0); 9]));
    let mut weak = standing("weak", 0.1, 0.1);
    assert!(settled_early(&round.case(), [&weak]));
    weak.veto = true;
    assert!(!settled_early(&round.case(), [&weak]));
    weak.veto = false;
    round.policy.required_domains = vec!["risk".into()];
    assert!(
        settled_early(&round.case(), [&weak]),
        "nobody left holds it"
    );
    weak.required = 1;
    assert!(!settled_early(&round.case(), [&weak]));
}

#[test]
fn a_proposer_may_answer_its_own_proposal_and_so_is_unheard() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0), (Endorse, 1.0)]));
    round.proposer = round.voices[0].agent_id.clone();
    round.voices[0].response_digest = digest("the proposal");
    assert!(!equals(&round, 0), "it may turn against it");
    round.voices[0].response_digest = digest("its answer");
    assert!(equals(&round, 0));
}

#[test]
fn a_proposer_may_take_back_the_weight_that_proves_a_round() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 0.8), (Endorse, 0.05)]));
    round.policy.min_weight = millionths(0.85);
    round.proposer = round.voices[1].agent_id.clone();
    Arc::make_mut(&mut round.voices[1].standing).trust = millionths(0.05);
    round.voices[1].confidence = Millionths::ONE;
    round.voices[1].response_digest = digest("the proposal");
    assert_eq!(resolve(&round.case()).status, Status::Approved);
    assert!(!equals(&round, 0));
    round.policy.min_weight = millionths(0.8);
    assert!(equals(&round, 0));
}

#[test]
fn a_companion_may_take_a_capped_responder_to_nothing() {
    let mut round = Round::new(
        policy(),
        plain(&[(Endorse, 1.0), (Endorse, 0.000_001), (Endorse, 0.9)]),
    );
    for voice in &mut round.voices[..2] {
        Arc::make_mut(&mut voice.standing).model_family = Some("m".into());
    }
    round.policy.max_share_per_model_family = millionths(0.6);
    round.policy.min_responders = 3;
    assert_eq!(resolve(&round.case()).status, Status::Approved);
    let mut companion = standing("companion", 0.3, 1.0);
    assert!(settled_early(&round.case(), [&companion]));
    companion.authority = millionths(0.5);
    companion.model_family = Some("m".into());
    assert!(!settled_early(&round.case(), [&companion]));
    round.policy.min_responders = 2;
    assert!(settled_early(&round.case(), [&companion]));
}

#[test]
fn an_agent_suspended_by_control_is_still_unheard() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0)]));
    let suspended = standing("suspended", 1.0, 1.0);
    assert!(!settled_early(&round.case(), [&suspended]));
    // Its challenge weighs nothing, yet the round escalates for what it would have brought about.
    round
        .voices
        .push(voice("suspended", Challenge, 1.0, suspended));
    round.voices[1].suspended = true;
    assert_eq!(resolve(&round.case()).status, Status::Escalated);
}

#[test]
fn what_escalates_anyway_is_settled() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 0.5)]));
    assert!(!equals(&round, 3));
    round.stakes = crate::records::Stakes::High;
    assert!(equals(&round, 3));
}

#[test]
fn shadow_mode_waits_for_what_would_be() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0), (Endorse, 1.0)]));
    round.policy.mode = Mode::Shadow;
    assert!(!equals(&round, 1));
}

/// Whether nothing on the grid that the unheard say changes the status.
fn survives(round: &Round, unheard: &[Standing]) -> bool {
    let status = would_be(&round.case());
    let Some((next, others)) = unheard.split_first() else {
        return true;
    };
    let mut says = vec![(Abstain, 0)];
    says.extend(GRID.iter().flat_map(|c| [(Endorse, *c), (Challenge, *c)]));
    survives(round, others)
        && says.into_iter().all(|(verdict, confidence)| {
            let mut round = round.clone();
            let id = alloc::format!("unheard {}", others.len());
            let mut said = voice(&id, verdict, 0.0, next.clone());
            said.confidence = Millionths::new(confidence).unwrap();
            round.voices.push(said);
            would_be(&round.case()) == status && survives(&round, others)
        })
}

/// The same, where the proposer may also answer.
fn survives_all(round: &Round, unheard: &[Standing]) -> bool {
    let status = would_be(&round.case());
    let answers = round
        .voices
        .iter()
        .position(|voice| may_yet_answer(&round.case(), voice));
    let mut rounds = vec![round.clone()];
    if let Some(at) = answers {
        for (verdict, confidence) in GRID.iter().flat_map(|c| [(Endorse, *c), (Challenge, *c)]) {
            let mut answered = round.clone();
            answered.voices[at].verdict = verdict;
            answered.voices[at].confidence = Millionths::new(confidence).unwrap();
            rounds.push(answered);
        }
    }
    rounds
        .iter()
        .all(|round| would_be(&round.case()) == status && survives(round, unheard))
}

fn any_unheard() -> impl Strategy<Value = Vec<Standing>> {
    proptest::collection::vec(any_standing(), 0..=2)
}

/// Standings of few different kinds, so that groups meet and limits are just met or missed.
fn any_coarse_standing() -> impl Strategy<Value = Standing> {
    let trust = prop_oneof![Just(0.05), Just(0.2), Just(1.0)];
    let groups = (0..3_u8, proptest::option::of(0..2_u8));
    let holdings = (0..2_u64, proptest::bool::weighted(0.1));
    (trust, groups, holdings).prop_map(|(trust, (principal, family), (required, veto))| Standing {
        principal: principal.to_string().into(),
        model_family: family.map(|family| family.to_string().into()),
        required,
        veto,
        ..standing("", 1.0, trust)
    })
}

fn any_coarse_round() -> impl Strategy<Value = (Round, Vec<Standing>)> {
    let one_of = |numbers: &'static [f64]| proptest::sample::select(numbers);
    let keys = (
        one_of(&[0.0, 0.2, 0.3, 0.5, 1.0]),
        one_of(&[0.0, 0.0, 0.3, 0.5]),
        one_of(&[1.0, 1.0, 0.5, 0.7]),
        one_of(&[1.0, 1.0, 0.5, 0.7]),
        0..4_i32,
        0..2_usize,
    );
    let said = (
        any_verdict(),
        one_of(&[0.1, 0.3, 0.6, 1.0]),
        any_coarse_standing(),
    );
    let voices = proptest::collection::vec(said, 1..=4);
    let unheard = proptest::collection::vec(any_coarse_standing(), 1..=2);
    let flags = (any::<bool>(), proptest::bool::weighted(0.2));
    (keys, voices, unheard, flags).prop_map(|(keys, voices, unheard, flags)| {
        let base = if flags.0 { policy() } else { evidence() };
        let policy = Policy {
            min_weight: millionths(keys.0),
            min_confidence: millionths(keys.1),
            max_share_per_principal: millionths(keys.2),
            max_share_per_model_family: millionths(keys.3),
            min_responders: keys.4,
            required_domains: vec!["risk".into(); keys.5],
            ..base
        };
        let voices = voices
            .into_iter()
            .enumerate()
            .map(|(at, (verdict, confidence, standing))| {
                voice(&alloc::format!("agent {at}"), verdict, confidence, standing)
            });
        let mut round = Round::new(policy, voices.collect());
        if flags.1 {
            round.proposer = round.voices[0].agent_id.clone();
            round.voices[0].verdict = Endorse;
            round.voices[0].response_digest = digest("the proposal");
        }
        (round, unheard)
    })
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn no_settled_round_can_be_changed((round, unheard) in any_coarse_round()) {
        if settled_early(&round.case(), &unheard) {
            prop_assert!(survives_all(&round, &unheard));
        }
    }

}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn no_settled_round_of_any_numbers_can_be_changed(
        round in any_round(true, 4),
        unheard in any_unheard(),
    ) {
        if settled_early(&round.case(), &unheard) {
            prop_assert!(survives_all(&round, &unheard));
        }
    }

    #[test]
    fn without_caps_a_round_that_cannot_change_is_settled(
        round in any_round(false, 4),
        unheard in any_unheard(),
    ) {
        let (mut round, unheard) = (round, unheard);
        round.policy.min_weight = millionths(0.3);
        for voice in &mut round.voices {
            let standing = Arc::make_mut(&mut voice.standing);
            (standing.authority, standing.trust) = (Millionths::ONE, millionths(0.5));
        }
        // One side alone and the margin far away: what cannot change must be seen not to.
        let is_one_sided = round.voices.iter().all(|voice| voice.verdict == Endorse);
        let unheard: Vec<Standing> = unheard.into_iter().map(|s| Standing {
            veto: false,
            trust: millionths(0.001),
            ..s
        }).collect();
        round.policy.required_domains.clear();
        round.policy.proposer_counts = false;
        let decision = resolve(&round.case());
        let is_clear = decision.margin_reached.get() > decision.margin_needed.get() + 300_000
            && decision.endorse.get() > 400_000;
        if is_one_sided && is_clear && decision.status == Status::Approved {
            prop_assert!(settled_early(&round.case(), &unheard));
        }
    }
}
