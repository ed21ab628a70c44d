//! How trust moves, by worked numbers; whole histories are compared in the product's tests.

use alloc::string::ToString;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::ids::{Digest, Timestamp};
use crate::records::{Basis, Coordinates, Correction, Pins};
use crate::samples::{any_millionths, cases, millionths};
use Verdict::{Abstain, Challenge, Endorse};

fn update(result: ResultKind, ballots: Vec<Lesson>) -> TrustUpdate {
    TrustUpdate {
        trust_domain: "bank".into(),
        proposal_id: crate::ids::ProposalId::from_bytes([0; 16]),
        result_id: "r".into(),
        result_digest: Digest([0; 32]),
        reporter: "ledger".into(),
        result,
        basis: Basis::Observed,
        corrects: None,
        half_life: None,
        decision_digest: Digest([0; 32]),
        outcome: Coordinates {
            partition: 0,
            proposal_offset: Offset(0),
            proposal_time: Timestamp(0),
            deadline: Timestamp(0),
            closing_offset: Offset(0),
            closing_time: Timestamp(0),
            closed_early: false,
            pins: Pins::NONE,
            superseded: vec![],
            judged: vec![],
            traceparent: None,
        },
        result_offset: Offset(0),
        result_time: Timestamp(0),
        agents_offset: Offset(0),
        ballots,
    }
}

fn lesson(id: &str, verdict: Verdict, confidence: f64) -> Lesson {
    Lesson {
        agent_id: id.into(),
        verdict,
        confidence: millionths(confidence),
        authority: Millionths::ONE,
        a0: NEWCOMER_A,
        b0: NEWCOMER_B,
        start: None,
    }
}

fn first(update: &TrustUpdate) -> Fold {
    fold(update, (3, Offset(8)), |_| None)
}

#[test]
fn priors_worth_shipping_start_where_the_design_says() {
    let trust = |right, wrong| {
        State::with_prior(right * NEWCOMER_B, wrong * NEWCOMER_B)
            .trust()
            .get()
    };
    let starts = [trust(2, 1), trust(3, 2), trust(18, 2), trust(57, 3)];
    assert_eq!(starts, [150_844, 88_238, 478_165, 640_775]);
}

#[test]
fn a_newcomers_first_failure_leaves_it_at_the_floor() {
    let fold = first(&update(ResultKind::Wrong, vec![lesson("a", Endorse, 0.9)]));
    assert_eq!(fold.scores[0].trust, millionths(0.01));
    assert_eq!(
        (fold.scores[0].a, fold.scores[0].b),
        (2_000_000_000, 2_000_000_000)
    );
    assert_eq!(
        (fold.scores[0].revision, fold.scores[0].update_partition),
        (1, 3)
    );
    assert_eq!(fold.scores[0].update_offset, Offset(8));
}

#[test]
fn what_everybody_knew_teaches_little() {
    let vote = Vote {
        endorses: true,
        confidence: millionths(0.5),
    };
    let after = |times, half_life| {
        let mut state = State::newcomer();
        for _ in 0..times {
            state = state.learn(&vote, true, 0.99, half_life);
        }
        (state.trust().get() + 5_000) / 10_000
    };
    assert_eq!(
        (after(20, None), after(200, None), after(200, Some(100))),
        (20, 63, 41)
    );
}

#[test]
fn ballots_of_no_weight_are_neither_summed_nor_taught() {
    let mut silent = lesson("silent", Endorse, 1.0);
    silent.authority = Millionths::ZERO;
    let ballots = vec![
        lesson("a", Endorse, 0.9),
        lesson("b", Challenge, 0.9),
        lesson("c", Abstain, 0.9),
        lesson("d", Challenge, 0.0),
        silent,
    ];
    let fold = first(&update(ResultKind::Right, ballots));
    assert_eq!(
        (fold.n, fold.endorse, fold.challenge),
        (2, Sum::new(135_759), Sum::new(135_759))
    );
    assert_eq!(fold.p, 0.5);
    assert_eq!(fold.scores.len(), 2);
    assert!(fold.scores[0].trust > fold.scores[1].trust);
}

#[test]
fn a_first_unknown_teaches_nothing() {
    let fold = first(&update(
        ResultKind::Unknown,
        vec![lesson("a", Endorse, 0.9)],
    ));
    assert_eq!((fold.n, fold.scores), (1, vec![]));
}

#[test]
fn an_agent_without_a_score_starts_as_its_lesson_says() {
    let mut heir = lesson("heir", Endorse, 0.9);
    heir.start = Some(Start {
        a: 3_000_000_000,
        b: 9_000_000_000,
        ln_m: -500_000_000,
    });
    let mut evaluated = lesson("evaluated", Endorse, 0.9);
    (evaluated.a0, evaluated.b0) = (18_000_000_000, 2_000_000_000);
    let fold = first(&update(ResultKind::Wrong, vec![heir, evaluated]));
    let [heir, evaluated] = &fold.scores[..] else {
        panic!("two are taught")
    };
    assert_eq!(
        (heir.b, heir.a0, heir.b0),
        (10_000_000_000, NEWCOMER_A, NEWCOMER_B)
    );
    assert!(heir.ln_m < -500_000_000);
    assert_eq!((evaluated.b, evaluated.a0), (3_000_000_000, 18_000_000_000));
}

#[test]
fn a_correction_takes_back_and_teaches_the_reverse_without_forgetting() {
    let ballots = vec![lesson("a", Endorse, 0.9), lesson("b", Challenge, 0.4)];
    let taught = first(&update(ResultKind::Right, ballots.clone()));
    let scores = taught.scores;
    let current = |id: &AgentId| scores.iter().find(|score| score.agent_id == *id);
    let correct = |result| {
        let mut update = update(result, ballots.clone());
        update.half_life = Some(10);
        update.corrects = Some(Correction {
            result_id: "r".to_string(),
            result: ResultKind::Right,
        });
        fold(&update, (0, Offset(1)), current)
    };
    let wrong = correct(ResultKind::Wrong);
    // 2.878077 of p = .560961; taken back by 2 × (1 − p) at the correction's own p = .691406.
    assert_eq!(
        (wrong.scores[0].a, wrong.scores[0].b),
        (2_260_889_986, 2_000_000_000)
    );
    assert_eq!(
        (wrong.scores[0].ln_m, wrong.scores[0].revision),
        (scores[0].ln_m, 2)
    );
    assert_eq!(wrong.scores[1].b, NEWCOMER_B);
    assert_eq!(wrong.scores[1].a, 3_000_000_000);
    let unknown = correct(ResultKind::Unknown);
    assert_eq!(
        (unknown.scores[0].b, unknown.scores[1].a),
        (NEWCOMER_B, NEWCOMER_A)
    );
    assert_eq!(unknown.scores[1].b, NEWCOMER_B);
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_record_is_too_absurd(
        (a, b, ln_m, a0, b0) in any::<(i64, i64, i64, i64, i64)>(),
        confidence in any_millionths(),
        (endorses, was_good, is_good) in any::<(bool, bool, Option<bool>)>(),
        p in 0.0..=1.0,
        half_life in any::<Option<i32>>(),
    ) {
        let state = State { a, b, ln_m, a0, b0 };
        let vote = Vote { endorses, confidence };
        let states = [
            state,
            state.learn(&vote, was_good, p, half_life),
            state.correct(endorses, was_good, is_good, p),
        ];
        for state in states {
            prop_assert!(state.trust() >= millionths(0.01));
        }
    }

    #[test]
    fn a_failure_never_raises_trust_and_a_success_never_lowers_it(
        right in 1_000_000_000..60_000_000_000_i64,
        wrong in 1_000_000_000..60_000_000_000_i64,
        ln_m in -2_000_000_000..2_000_000_000_i64,
        confidence in any_millionths(),
        endorses in any::<bool>(),
        p in 0.0..=1.0,
    ) {
        let state = State { ln_m, ..State::with_prior(right, wrong) };
        let vote = Vote { endorses, confidence };
        prop_assert!(state.learn(&vote, endorses, p, None).trust() >= state.trust());
        prop_assert!(state.learn(&vote, !endorses, p, None).trust() <= state.trust());
    }
}

#[test]
fn the_rate_of_learning_falls_to_a_tenth() {
    let vote = Vote {
        endorses: true,
        confidence: Millionths::ONE,
    };
    let step = |own: i64| {
        let state = State {
            a: NEWCOMER_A + own * NEWCOMER_B,
            ..State::newcomer()
        };
        state.learn(&vote, true, 0.0, None).ln_m
    };
    assert_eq!(
        (step(0), step(90), step(100_000)),
        (500_000_000, 250_000_000, 100_000_000)
    );
}
