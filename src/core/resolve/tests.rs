//! What a round comes to: worked rounds by hand, then properties over random ones.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::records::{Mode, Reason, Uncounted};
use crate::samples::{
    Round, any_millionths, any_round, any_standing, any_voices, cases, evidence, millionths, plain,
    policy, standing, voice,
};
use Verdict::{Abstain, Challenge, Endorse};

const NEWCOMER: f64 = 0.150_844;

fn newcomers(count: usize) -> Vec<Voice> {
    let mut voices = plain(&vec![(Endorse, 0.9); count]);
    for voice in &mut voices {
        Arc::make_mut(&mut voice.standing).trust = trust::State::newcomer().trust();
    }
    voices
}

fn change(voice: &mut Voice, change: impl FnOnce(&mut Standing)) {
    change(Arc::make_mut(&mut voice.standing));
}

#[test]
fn two_newcomers_prove_nothing_and_three_decide() {
    assert_eq!(trust::State::newcomer().trust(), millionths(NEWCOMER));
    let two = Round::new(policy(), newcomers(2)).resolve();
    assert_eq!(two.endorse.get(), 271_518);
    assert_eq!(two.reasons, [Reason::Unproven, Reason::MarginMet]);
    assert_eq!(two.status, Status::Escalated);
    let three = Round::new(policy(), newcomers(3)).resolve();
    assert_eq!(three.endorse.get(), 407_277);
    assert_eq!(
        (three.status, three.reasons),
        (Status::Approved, vec![Reason::MarginMet])
    );
    assert_eq!(three.mean_confidence, millionths(0.9));
}

#[test]
fn a_round_in_which_nobody_speaks_with_weight_escalates() {
    let silent = [
        vec![],
        plain(&[(Abstain, 1.0)]),
        plain(&[(Endorse, 0.0), (Challenge, 0.0)]),
    ];
    for voices in silent {
        let part = Round::new(policy(), voices).resolve();
        assert_eq!(part.status, Status::Escalated);
        assert_eq!(part.reasons, [Reason::QuorumNotMet]);
        assert_eq!((part.n, part.p), (0, Millionths::ZERO));
        assert_eq!(
            (part.margin_reached.get(), part.margin_needed.get()),
            (0, 340_000)
        );
    }
    let part = Round::new(evidence(), plain(&[(Abstain, 1.0)])).resolve();
    assert_eq!(
        (part.margin_reached.get(), part.margin_needed.get()),
        (0, 0)
    );
    assert_eq!(part.ballots[0].reason, None);
}

#[test]
fn equal_sides_tie_under_either_margin() {
    for policy in [policy(), evidence()] {
        let part = Round::new(policy, plain(&[(Endorse, 0.6), (Challenge, 0.6)])).resolve();
        assert_eq!(
            (part.status, part.reasons),
            (Status::Escalated, vec![Reason::Tie])
        );
        assert_eq!(part.p, millionths(0.5));
    }
}

#[test]
fn a_relative_margin_is_met_exactly_and_missed_by_a_millionth() {
    let part =
        |endorse| Round::new(policy(), plain(&[(Endorse, endorse), (Challenge, 0.33)])).resolve();
    assert_eq!(part(0.67).status, Status::Approved);
    assert_eq!(part(0.67).margin_reached.get(), 340_000);
    let missed = part(0.669_999);
    assert_eq!(
        (missed.status, missed.reasons),
        (Status::Escalated, vec![Reason::MarginNotMet])
    );
    assert_eq!(missed.margin_reached.get(), 339_999);
}

#[test]
fn an_evidence_margin_is_met_exactly_and_missed_by_a_millionth() {
    let part = |endorse| Round::new(evidence(), plain(&[(Endorse, endorse)])).resolve();
    let met = part(0.478_165);
    assert_eq!(
        (met.status, met.margin_needed.get()),
        (Status::Approved, 478_165)
    );
    assert_eq!(part(0.478_164).status, Status::Escalated);
    let all = plain(&[(Endorse, 0.9), (Endorse, 0.000_001)]);
    let part = Round::new(evidence(), all).resolve();
    assert_eq!((part.n, part.endorse.get()), (2, 900_001));
    // Published of the shortest prefix that meets it: the heaviest supporter alone.
    assert_eq!(
        (part.margin_reached.get(), part.margin_needed.get()),
        (900_000, 478_165)
    );
}

#[test]
fn a_challenge_of_a_millionth_escalates_what_the_expert_alone_would_carry() {
    let expert = (Endorse, 0.609);
    assert_eq!(
        Round::new(evidence(), plain(&[expert])).resolve().status,
        Status::Approved
    );
    let part = Round::new(evidence(), plain(&[expert, (Challenge, 0.000_001)])).resolve();
    assert_eq!(part.status, Status::Escalated);
    assert_eq!(part.reasons, [Reason::MarginNotMet]);
    assert_eq!(part.margin_needed.get(), 676_228);
}

#[test]
fn all_reasons_that_apply_are_listed_in_order() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 0.2), (Challenge, 0.01)]));
    round.policy.required_domains = vec!["risk".into()];
    round.policy.min_responders = 3;
    round.policy.mode = Mode::Shadow;
    round.stakes = Stakes::Critical;
    round.input_lost = true;
    round.pattern_suspended = true;
    change(&mut round.voices[1], |standing| standing.veto = true);
    let part = round.resolve();
    assert_eq!(
        part.reasons,
        [
            Reason::InputLost,
            Reason::Suspended,
            Reason::HighStakes,
            Reason::RequiredMissing,
            Reason::QuorumNotMet,
            Reason::Unproven,
            Reason::LowConfidence,
            Reason::Veto,
            Reason::Shadow,
            Reason::MarginMet,
        ]
    );
}

#[test]
fn a_veto_is_named_only_where_it_bars_an_endorsing_margin() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0), (Challenge, 0.1)]));
    assert_eq!(round.resolve().status, Status::Approved);
    change(&mut round.voices[1], |standing| standing.veto = true);
    assert_eq!(round.resolve().reasons, [Reason::Veto, Reason::MarginMet]);
    round.voices[1].confidence = Millionths::ONE;
    assert_eq!(round.resolve().reasons, [Reason::Tie]);
    round.voices[1].confidence = Millionths::ZERO;
    assert_eq!(round.resolve().status, Status::Approved);
    assert_eq!(
        round.resolve().ballots[1].reason,
        Some(Uncounted::ZeroWeight)
    );
}

#[test]
fn shadow_mode_escalates_and_says_what_would_be() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0)]));
    round.policy.mode = Mode::Shadow;
    let part = round.resolve();
    assert_eq!(
        (part.status, part.would_be),
        (Status::Escalated, Status::Approved)
    );
    assert_eq!(part.reasons, [Reason::Shadow, Reason::MarginMet]);
    assert!(
        part.influence
            .iter()
            .all(|without| without.status == Status::Escalated)
    );
}

#[test]
fn a_required_domain_is_met_by_an_abstention_but_not_by_the_proposer() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0), (Abstain, 0.0)]));
    round.policy.required_domains = vec!["risk".into()];
    assert_eq!(
        round.resolve().reasons,
        [Reason::RequiredMissing, Reason::MarginMet]
    );
    change(&mut round.voices[1], |standing| standing.required = 1);
    let part = round.resolve();
    assert_eq!(part.status, Status::Approved);
    assert_eq!(part.influence[1].status, Status::Escalated);
    round.proposer = round.voices[1].agent_id.clone();
    assert_eq!(round.resolve().status, Status::Escalated);
}

#[test]
fn more_required_domains_than_have_a_place_escalate() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0)]));
    change(&mut round.voices[0], |standing| {
        standing.required = u64::MAX
    });
    round.policy.required_domains = vec!["risk".into(); 64];
    assert_eq!(round.resolve().status, Status::Approved);
    round.policy.required_domains.push("risk".into());
    assert_eq!(
        round.resolve().reasons,
        [Reason::RequiredMissing, Reason::MarginMet]
    );
}

#[test]
fn the_proposers_principal_is_no_responder() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0), (Endorse, 1.0)]));
    round.proposer = round.voices[0].agent_id.clone();
    assert_eq!(round.resolve().status, Status::Approved);
    let owner = round.voices[0].standing.principal.clone();
    change(&mut round.voices[1], |standing| standing.principal = owner);
    assert_eq!(
        round.resolve().reasons,
        [Reason::QuorumNotMet, Reason::MarginMet]
    );
}

#[test]
fn a_proposer_that_does_not_count_is_an_observer() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 1.0), (Endorse, 0.4)]));
    round.proposer = round.voices[0].agent_id.clone();
    round.policy.proposer_counts = false;
    let part = round.resolve();
    assert_eq!(
        (part.endorse.get(), part.n, part.influence.len()),
        (400_000, 1, 1)
    );
    let ballot = &part.ballots[0];
    assert_eq!(
        (ballot.reason, ballot.counted),
        (Some(Uncounted::Observer), false)
    );
    assert_eq!(
        (ballot.authority, ballot.trust),
        (Millionths::ZERO, Millionths::ZERO)
    );
}

#[test]
fn taking_a_challenge_out_by_control_never_approves() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 0.9), (Challenge, 0.9)]));
    round.voices[1].suspended = true;
    let part = round.resolve();
    assert_eq!(part.status, Status::Escalated);
    assert_eq!(part.reasons, [Reason::Suspended, Reason::MarginMet]);
    assert_eq!(part.ballots[1].reason, Some(Uncounted::Suspended));
    assert_eq!(
        (part.ballots[1].trust, part.ballots[1].weight),
        (Millionths::ONE, Millionths::ZERO)
    );
    round.voices[1].confidence = millionths(0.1);
    assert_eq!(
        round.resolve().status,
        Status::Approved,
        "it would not have mattered"
    );
}

#[test]
fn suspended_agents_on_either_side_can_cancel() {
    let votes = [(Endorse, 0.9), (Challenge, 0.9), (Endorse, 0.9)];
    let mut round = Round::new(policy(), plain(&votes));
    round.voices[1].suspended = true;
    assert_eq!(round.resolve().status, Status::Escalated);
    round.voices[2].suspended = true;
    round.voices.push(voice(
        "further",
        Endorse,
        0.9,
        standing("further", 1.0, 1.0),
    ));
    // Put back at once: 2.7 against .9, which approves as 1.8 against nothing does.
    assert_eq!(round.resolve().status, Status::Approved);
}

#[test]
fn a_capped_principal_weighs_no_more_than_its_share() {
    let mut round = Round::new(
        policy(),
        plain(&[(Endorse, 0.9), (Endorse, 0.9), (Challenge, 0.6)]),
    );
    assert_eq!(round.resolve().status, Status::Approved);
    for voice in &mut round.voices[..2] {
        change(voice, |standing| standing.principal = "one owner".into());
    }
    round.policy.max_share_per_principal = millionths(0.5);
    let part = round.resolve();
    let weights: Vec<u64> = part
        .ballots
        .iter()
        .map(|ballot| ballot.weight.get())
        .collect();
    assert_eq!(weights, [300_000, 300_000, 600_000]);
    assert_eq!(
        (part.status, part.reasons),
        (Status::Escalated, vec![Reason::Tie])
    );
}

#[test]
fn a_ballot_takes_the_lesser_of_two_caps_each_from_whole_weights() {
    let mut round = Round::new(
        policy(),
        plain(&[(Endorse, 0.8), (Endorse, 0.8), (Challenge, 0.4)]),
    );
    for voice in &mut round.voices[..2] {
        change(voice, |standing| standing.principal = "one owner".into());
    }
    for at in [0, 2] {
        change(&mut round.voices[at], |standing| {
            standing.model_family = Some("m".into())
        });
    }
    round.policy.max_share_per_principal = millionths(0.5);
    round.policy.max_share_per_model_family = millionths(0.5);
    let part = round.resolve();
    let weights: Vec<u64> = part
        .ballots
        .iter()
        .map(|ballot| ballot.weight.get())
        .collect();
    // By principal .2, .2, .4; by family ⌊.8 × .8 / 1.2⌋, .8, ⌊.4 × .8 / 1.2⌋.
    assert_eq!(weights, [200_000, 200_000, 266_666]);
}

#[test]
fn what_a_cap_takes_to_nothing_has_no_weight() {
    let mut round = Round::new(
        policy(),
        plain(&[(Endorse, 0.000_001), (Endorse, 1.0), (Challenge, 0.5)]),
    );
    for voice in &mut round.voices[..2] {
        change(voice, |standing| standing.principal = "one owner".into());
    }
    round.policy.max_share_per_principal = millionths(0.5);
    let part = round.resolve();
    assert_eq!(part.ballots[0].reason, Some(Uncounted::ZeroWeight));
    assert_eq!((part.n, part.endorse.get()), (2, 499_999));
}

#[test]
fn with_caps_another_endorsement_can_prevent_an_approval() {
    let mut round = Round::new(evidence(), plain(&[(Endorse, 1.0)]));
    round.policy.max_share_per_principal = millionths(0.5);
    assert_eq!(round.resolve().status, Status::Approved);
    let weak = voice("weak", Endorse, 0.000_001, standing("weak", 1.0, 1.0));
    round.voices.push(weak);
    assert_eq!(round.resolve().status, Status::Escalated);
}

#[test]
fn with_a_least_confidence_another_endorsement_can_prevent_an_approval() {
    let mut round = Round::new(policy(), plain(&[(Endorse, 0.301)]));
    assert_eq!(round.resolve().status, Status::Approved);
    round
        .voices
        .push(voice("unsure", Endorse, 0.1, standing("unsure", 1.0, 1.0)));
    assert_eq!(
        round.resolve().reasons,
        [Reason::LowConfidence, Reason::MarginMet]
    );
}

/// The evidence margin as it is defined, one prefix after the other.
fn meets(mine: &[u64], theirs: &[u64], unit: u64) -> bool {
    let mut mine = mine.to_vec();
    mine.sort_unstable_by(|one, other| other.cmp(one));
    let against: u64 = theirs.iter().sum();
    let (mut sum, mut n) = (0, theirs.len() as u128);
    mine.iter().any(|weight| {
        sum += weight;
        n += 1;
        let lead = u128::from(sum.saturating_sub(against));
        lead > 0 && lead * lead >= n * u128::from(unit) * u128::from(unit)
    })
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn the_order_of_ballots_decides_nothing(
        (round, shuffled) in any_round(true, 8).prop_flat_map(|round| {
            let voices = Just(round.voices.clone()).prop_shuffle();
            (Just(round), voices)
        }),
        suspended in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let suspend = |voices: &mut Vec<Voice>| for voice in voices {
            let number = voice.agent_id.as_str().bytes().last().unwrap() - b'0';
            voice.suspended = suspended[usize::from(number)];
        };
        let mut other = Round { voices: shuffled, ..round.clone() };
        let mut round = round;
        suspend(&mut round.voices);
        suspend(&mut other.voices);
        prop_assert_eq!(round.resolve(), other.resolve());
    }

    #[test]
    fn the_evidence_margin_is_the_best_prefix_of_supporters(
        endorse in proptest::collection::vec(any_millionths(), 0..8),
        challenge in proptest::collection::vec(any_millionths(), 0..8),
        unit in prop_oneof![Just(0), Just(1), 0..=1_000_000_u64],
    ) {
        let spoken = |weights: &[Millionths]| {
            let weights = weights.iter().map(|weight| weight.get());
            weights.filter(|weight| *weight > 0).collect::<Vec<_>>()
        };
        let (endorse, challenge) = (spoken(&endorse), spoken(&challenge));
        let mut policy = evidence();
        policy.evidence_unit = Sum::new(unit);
        let margin = Margin::new(&policy, endorse.clone(), challenge.clone());
        let status = |endorse: &[u64], challenge: &[u64]| {
            match (meets(endorse, challenge, unit), meets(challenge, endorse, unit)) {
                (true, _) => Status::Approved,
                (_, true) => Status::Rejected,
                _ => Status::Escalated,
            }
        };
        prop_assert_eq!(margin.carries(), status(&endorse, &challenge));
        let (reached, needed) = margin.published();
        prop_assert_eq!(margin.carries() != Status::Escalated, reached > 0 && reached >= needed);
        for at in 0..endorse.len() {
            let mut others = endorse.clone();
            let weight = others.remove(at);
            prop_assert_eq!(margin.carries_without(Endorse, weight), status(&others, &challenge));
        }
        for at in 0..challenge.len() {
            let mut others = challenge.clone();
            let weight = others.remove(at);
            prop_assert_eq!(margin.carries_without(Challenge, weight), status(&endorse, &others));
        }
    }

    #[test]
    fn influence_is_the_status_with_the_agent_removed(round in any_round(false, 10), least in any_millionths()) {
        let mut round = round;
        round.policy.min_confidence = least;
        let part = round.resolve();
        prop_assert_eq!(part.influence.len(), part.ballots.iter().filter(|b| b.counted).count());
        for without in &part.influence {
            let mut other = round.clone();
            let case = round.case();
            other.voices.retain(|voice| voice.agent_id != without.agent_id);
            let status = resolve(&Case { voices: &other.voices, ..case }).status;
            prop_assert_eq!(without.status, status, "{:?}", without.agent_id);
        }
    }

    #[test]
    fn without_caps_a_further_voice_never_turns_its_own_side_away(
        round in any_round(false, 8),
        confidence in any_millionths(),
        standing in any_standing(),
        endorses in any::<bool>(),
    ) {
        let (verdict, won) = if endorses {
            (Endorse, Status::Approved)
        } else {
            (Challenge, Status::Rejected)
        };
        let mut round = round;
        let before = round.resolve().status;
        let further = Voice { confidence, ..voice("further", verdict, 0.0, standing) };
        round.voices.push(further);
        prop_assert!(before != won || round.resolve().status == won);
    }

    #[test]
    fn a_capped_group_weighs_at_most_its_cap(
        voices in any_voices(10),
        share in 500_000..1_000_000_u32,
        by_family in any::<bool>(),
    ) {
        let mut round = Round::new(policy(), voices);
        let key = if by_family {
            &mut round.policy.max_share_per_model_family
        } else {
            &mut round.policy.max_share_per_principal
        };
        *key = Millionths::new(share).unwrap();
        let part = round.resolve();
        let mut open = round.clone();
        open.policy = policy();
        let whole = open.resolve();
        let group = |at: &AgentId| {
            let voice = round.voices.iter().find(|voice| voice.agent_id == *at).unwrap();
            let standing = &voice.standing;
            if by_family {
                standing.model_family.as_deref().unwrap_or(voice.agent_id.as_str())
            } else {
                &*standing.principal
            }
        };
        let sum = |part: &DecisionPart, of: &str, within: bool| -> u128 {
            let ballots = part.ballots.iter().filter(|b| (group(&b.agent_id) == of) == within);
            ballots.map(|ballot| u128::from(ballot.weight.get())).sum()
        };
        let share = u128::from(share);
        for ballot in &part.ballots {
            let of = group(&ballot.agent_id);
            let (mine, others) = (sum(&part, of, true), sum(&whole, of, false));
            if others > 0 {
                prop_assert!(mine <= others * share / (1_000_000 - share));
                let total = mine + sum(&part, of, false);
                let size = part.ballots.len() as u128;
                prop_assert!(mine * 1_000_000 <= share * total + size * 1_000_000);
            }
        }
    }

    #[test]
    fn no_policy_and_no_ballot_is_too_absurd(
        round in any_round(true, 6),
        margins in (proptest::option::of(any_millionths()), proptest::option::of(any_millionths())),
        unit in any::<u64>(),
        least in (any::<i32>(), any_millionths(), any_millionths()),
        shares in (any_millionths(), any_millionths()),
        required in 0..70_usize,
        flags in any::<(bool, bool, bool)>(),
    ) {
        let mut round = round;
        round.policy.quorum_margin = margins.0;
        round.policy.target_error = margins.1;
        round.policy.evidence_unit = Sum::new(unit);
        (round.policy.min_responders, round.policy.min_weight, round.policy.min_confidence) = least;
        round.policy.max_share_per_principal = shares.0;
        round.policy.max_share_per_model_family = shares.1;
        round.policy.required_domains = vec!["".into(); required];
        (round.pattern_suspended, round.input_lost, _) = flags;
        if flags.2 && let Some(twin) = round.voices.first().cloned() {
            round.voices.push(Voice { suspended: true, ..twin });
        }
        let part = round.resolve();
        prop_assert_eq!(part.ballots.len(), round.voices.len());
        prop_assert!(!part.reasons.is_empty());
        prop_assert!(part.would_be == part.status);
    }
}
