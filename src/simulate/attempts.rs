//! Each attack once, from one seed: what is measured, by name.

use quorate_core::millionths::Millionths;
use quorate_core::records::{Agent, Policy};

use super::scene::{
    SKILL, SURE, Said, Scene, calibrated, hit, is_wrong, named, owned, retired, share_of, weight,
};
use crate::evaluate::course::Decided;
use crate::evaluate::history::NO_DOMAIN;

/// What one seed of an attack measures: names and values, in the same order for every seed.
pub(super) type Measured = Vec<(String, f64)>;

/// What the names of attackers begin with.
const BAD: &str = "bad-";
/// Rounds a contest goes on for.
const ROUNDS: usize = 200;
/// Rounds that honest agents have behind them where an attack comes later.
const BEFORE: usize = 50;

fn attackers(count: usize) -> Vec<Agent> {
    (0..count).map(|at| named(&format!("{BAD}{at}"))).collect()
}

/// What attackers do in a round; they know the truth.
type Plot = fn(&mut Scene, usize, bool) -> (bool, Millionths);

/// What a contest came to, round by round.
struct Contest {
    hits: Vec<f64>,
    shares: Vec<f64>,
    wrong: f64,
}

/// Honest agents against some that follow a plot from the start.
fn contest(policy: &Policy, (honest, hostile): (usize, usize), seed: u64, plot: Plot) -> Contest {
    let mut scene = Scene::new(policy, honest, seed);
    let hostile = attackers(hostile);
    let mut contest = Contest {
        hits: Vec::new(),
        shares: Vec::new(),
        wrong: 0.0,
    };
    for round in 0..ROUNDS {
        let good = scene.toss();
        let mut said = scene.answers(good, SKILL);
        for agent in &hostile {
            let (endorses, confidence) = plot(&mut scene, round, good);
            said.push((agent.clone(), endorses, confidence));
        }
        let decided = scene.play(good, &said);
        contest.hits.push(hit(&decided, good));
        contest.shares.push(share_of(&decided, BAD));
        contest.wrong += f64::from(u8::from(is_wrong(&decided, good)));
    }
    contest
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The value after so many results.
fn after(values: &[f64], results: usize) -> f64 {
    values.get(results).copied().unwrap_or(0.0)
}

/// Points of accuracy lost to an attack, against the honest agents alone.
fn lost(attacked: &Contest, alone: &Contest) -> f64 {
    100.0 * (mean(&alone.hits) - mean(&attacked.hits))
}

fn named_values(values: &[(&str, f64)]) -> Measured {
    let each = values.iter();
    each.map(|(name, value)| ((*name).to_owned(), *value))
        .collect()
}

/// What attackers weigh as results come, and what they cost.
fn weight_and_loss(attacked: &Contest, alone: &Contest) -> Measured {
    named_values(&[
        (
            "share of weight after 10 results",
            after(&attacked.shares, 10),
        ),
        (
            "share of weight after 50 results",
            after(&attacked.shares, 50),
        ),
        (
            "points of accuracy lost in 200 rounds",
            lost(attacked, alone),
        ),
    ])
}

fn endorse(_: &mut Scene, _: usize, _: bool) -> (bool, Millionths) {
    (true, SURE)
}

fn challenge(_: &mut Scene, _: usize, _: bool) -> (bool, Millionths) {
    (false, SURE)
}

fn contrary(_: &mut Scene, _: usize, good: bool) -> (bool, Millionths) {
    (!good, SURE)
}

fn turncoat(scene: &mut Scene, round: usize, good: bool) -> (bool, Millionths) {
    let is_honest = round < ROUNDS / 2;
    let thinks = scene.are_right(SKILL) == good;
    (thinks == is_honest, calibrated(SKILL))
}

fn boast(scene: &mut Scene, _: usize, good: bool) -> (bool, Millionths) {
    (scene.are_right(0.55) == good, SURE)
}

/// Four of ten endorse whatever comes.
pub(super) fn always_endorse(policy: &Policy, seed: u64) -> Measured {
    let attacked = contest(policy, (6, 4), seed, endorse);
    let alone = contest(policy, (6, 0), seed, endorse);
    let before = after(&attacked.shares, 0);
    let mut measured = named_values(&[("share of weight before any result", before)]);
    measured.extend(weight_and_loss(&attacked, &alone));
    measured
}

/// A third of the panel is hostile from the start, in three ways.
pub(super) fn hostile_third(policy: &Policy, seed: u64) -> Measured {
    let alone = contest(policy, (6, 0), seed, endorse);
    let all_honest = contest(policy, (9, 0), seed, endorse);
    let ways: [(&str, Plot); 3] = [
        ("always endorse", endorse),
        ("always challenge", challenge),
        ("the contrary of the truth", contrary),
    ];
    let mut measured = Measured::new();
    for (way, plot) in ways {
        let attacked = contest(policy, (6, 3), seed, plot);
        measured.push((
            format!("{way}: points of accuracy lost"),
            lost(&attacked, &alone),
        ));
        measured.push((
            format!("{way}: automatic and wrong, of 100 rounds"),
            100.0 * attacked.wrong / ROUNDS as f64,
        ));
    }
    let missed = lost(&alone, &all_honest);
    measured.push((
        "that three are not honest: points of accuracy".to_owned(),
        missed,
    ));
    measured
}

/// Eight clones of one model among five that err by themselves, with and without a cap.
pub(super) fn clones(policy: &Policy, seed: u64) -> Measured {
    let capped = Policy {
        max_share_per_model_family: Millionths::new(500_000).unwrap_or(Millionths::ONE),
        ..policy.clone()
    };
    let mut measured = Measured::new();
    let alone = with_clones(policy, seed, 0);
    for (name, policy) in [("no cap", policy), ("capped at one half", &capped)] {
        let attacked = with_clones(policy, seed, 8);
        let share = mean(attacked.shares.get(BEFORE..).unwrap_or_default());
        measured.push((format!("{name}: share of weight after 50 results"), share));
        measured.push((
            format!("{name}: points of accuracy lost"),
            lost(&attacked, &alone),
        ));
    }
    measured
}

fn with_clones(policy: &Policy, seed: u64, clones: usize) -> Contest {
    let mut scene = Scene::new(policy, 5, seed);
    let mut hostile = attackers(clones);
    for agent in &mut hostile {
        agent.model_family = Some("clone".to_owned());
    }
    let mut contest = Contest {
        hits: Vec::new(),
        shares: Vec::new(),
        wrong: 0.0,
    };
    for _ in 0..ROUNDS {
        let good = scene.toss();
        let mut said = scene.answers(good, SKILL);
        let word = (scene.are_right(SKILL) == good, calibrated(SKILL));
        said.extend(hostile.iter().map(|agent| (agent.clone(), word.0, word.1)));
        let decided = scene.play(good, &said);
        contest.hits.push(hit(&decided, good));
        contest.shares.push(share_of(&decided, BAD));
    }
    contest
}

/// Three of nine are honest for a hundred rounds and then say the contrary.
pub(super) fn turncoats(policy: &Policy, seed: u64) -> Measured {
    let turn = ROUNDS / 2;
    let attacked = contest(policy, (6, 3), seed, turncoat);
    let alone = contest(policy, (6, 0), seed, turncoat);
    let from = |values: &[f64], to: usize| mean(values.get(turn..turn + to).unwrap_or_default());
    let later = attacked.shares.iter().skip(turn);
    let until = later.take_while(|share| **share >= 0.1).count();
    named_values(&[
        (
            "share of weight when they turn",
            after(&attacked.shares, turn),
        ),
        (
            "share of weight 10 results later",
            after(&attacked.shares, turn + 10),
        ),
        ("results until they have less than a tenth", until as f64),
        (
            "points of accuracy lost in the 50 rounds after",
            100.0 * (from(&alone.hits, 50) - from(&attacked.hits, 50)),
        ),
    ])
}

/// Agents that were right on two hundred things everybody knew endorse something bad: nothing else
/// goes on; one in five is real, and they keep out of it; honest agents slip once in a hundred.
pub(super) fn farming(policy: &Policy, seed: u64) -> Measured {
    let ways = [
        ("nothing else goes on", 1.0, false),
        ("one in five is real", 1.0, true),
        ("the others slip, 1 in 100", 0.99, false),
    ];
    let mut measured = Measured::new();
    for (way, skill, goes_on) in ways {
        for count in [1, 3] {
            let mut scene = Scene::new(policy, 6, seed);
            scene.warm_up(BEFORE);
            let hostile = attackers(count);
            for round in 0..200 {
                let mut said = scene.answers(true, skill);
                said.extend(hostile.iter().map(|agent| (agent.clone(), true, SURE)));
                scene.play(true, &said);
                if goes_on && round % 4 == 0 {
                    scene.warm_up(1);
                }
            }
            let (share, approved) = strike(&mut scene, &hostile);
            measured.push((
                format!("{count} beside six, {way}: share at the strike"),
                share,
            ));
            measured.push((
                format!("{count} beside six, {way}: it is approved"),
                approved,
            ));
        }
    }
    measured
}

/// A bad proposal that attackers endorse: their share of its weight, and whether it is approved.
fn strike(scene: &mut Scene, hostile: &[Agent]) -> (f64, f64) {
    let decided = struck(scene, hostile);
    let approved = f64::from(u8::from(is_wrong(&decided, false)));
    (share_of(&decided, BAD), approved)
}

fn struck(scene: &mut Scene, hostile: &[Agent]) -> Decided {
    let mut said: Vec<Said> = scene.answers(false, SKILL);
    said.extend(hostile.iter().map(|agent| (agent.clone(), true, SURE)));
    scene.decide(&said)
}

/// Three of nine have little skill and are always sure.
pub(super) fn over_confident(policy: &Policy, seed: u64) -> Measured {
    let attacked = contest(policy, (6, 3), seed, boast);
    let alone = contest(policy, (6, 0), seed, boast);
    weight_and_loss(&attacked, &alone)
}

/// Agents that spoilt their record come back under new ids.
pub(super) fn whitewashing(policy: &Policy, seed: u64) -> Measured {
    let mut measured = Measured::new();
    for (name, of_whom) in [
        ("of the same owner", true),
        ("of an owner nobody knows", false),
    ] {
        for count in [1, 3] {
            let mut scene = Scene::new(policy, 6, seed);
            scene.warm_up(BEFORE);
            let before: Vec<Agent> = attackers(count)
                .into_iter()
                .map(|agent| owned(agent, "wolf"))
                .collect();
            for _ in 0..20 {
                let mut said = scene.answers(false, SKILL);
                said.extend(before.iter().map(|agent| (agent.clone(), true, SURE)));
                scene.play(false, &said);
            }
            for agent in before {
                scene.course.leave(retired(agent));
            }
            let again: Vec<Agent> = (0..count)
                .map(|at| {
                    let agent = named(&format!("{BAD}again-{at}"));
                    if of_whom { owned(agent, "wolf") } else { agent }
                })
                .collect();
            let (share, approved) = strike(&mut scene, &again);
            let who = format!("{count} beside six, {name}");
            measured.push((format!("{who}: share at the strike"), share));
            measured.push((format!("{who}: it is approved"), approved));
        }
    }
    measured
}

/// Agents that spoilt their record in one domain go on in another.
pub(super) fn sub_domain_shopping(policy: &Policy, seed: u64) -> Measured {
    let own = Policy {
        trust_domain: format!("{}.elsewhere", policy.trust_domain),
        ..policy.clone()
    };
    let mut measured = Measured::new();
    let places = [
        ("a trust domain of its own", &own, "pay"),
        ("the same one", policy, NO_DOMAIN),
    ];
    for (name, elsewhere, domain) in places {
        let mut scene = Scene::new(policy, 6, seed);
        let hostile = attackers(3);
        for _ in 0..BEFORE {
            let good = scene.toss();
            let mut said = scene.answers(good, SKILL);
            said.extend(hostile.iter().map(|agent| (agent.clone(), !good, SURE)));
            scene.play(good, &said);
        }
        let mut said = scene.answers(false, SKILL);
        said.extend(hostile.iter().map(|agent| (agent.clone(), true, SURE)));
        let decided = scene.decide_in(elsewhere, domain, &said);
        let approved = f64::from(u8::from(is_wrong(&decided, false)));
        measured.push((
            format!("{name}: share of weight there"),
            share_of(&decided, BAD),
        ));
        measured.push((format!("{name}: the strike is approved"), approved));
    }
    measured
}

/// Three attackers put up two hundred bad proposals at a stretch.
pub(super) fn flood(policy: &Policy, seed: u64) -> Measured {
    let mut scene = Scene::new(policy, 6, seed);
    scene.warm_up(BEFORE);
    let hostile = attackers(3);
    let (mut escalated, mut approved, mut weighed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..200 {
        let decided = struck(&mut scene, &hostile);
        let is_wrong = is_wrong(&decided, false);
        let is_asked = decided.decision.status == quorate_core::records::Status::Escalated;
        escalated.push(f64::from(u8::from(is_asked)));
        approved.push(f64::from(u8::from(is_wrong)));
        weighed.push(weight(&decided));
        let policy = scene.policy.clone();
        scene.course.learn(&policy, decided.lessons, false);
    }
    let head = |values: &[f64]| 100.0 * mean(values.get(..20).unwrap_or_default());
    named_values(&[
        (
            "of the first 20, in 100: put before a person",
            head(&escalated),
        ),
        ("of the first 20, in 100: approved", head(&approved)),
        (
            "of 200, in 100: put before a person",
            100.0 * mean(&escalated),
        ),
        ("of 200, in 100: approved", 100.0 * mean(&approved)),
    ])
}
