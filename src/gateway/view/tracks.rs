//! How track records moved: each step with the result it follows from, and the score it led to.

use std::collections::{BTreeMap, VecDeque};

use quorate_core::ids::{ProposalId, Timestamp};
use quorate_core::millionths::Millionths;
use quorate_core::records::{Basis, Lesson, ResultKind, TrustScore, TrustUpdate, Verdict};

use crate::engine::trust_key;

/// Where a trust update lies.
type Update = (i32, i64);

/// An agent's track record in a trust domain.
#[derive(Debug)]
pub(in crate::gateway) struct Track {
    pub(in crate::gateway) trust_domain: Box<str>,
    pub(in crate::gateway) agent_id: Box<str>,
    steps: BTreeMap<Update, Step>,
}

/// A result that moved a track record.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct Step {
    /// The result, once its update was read.
    pub(in crate::gateway) lesson: Option<Learnt>,
    /// The score it led to, once that was read.
    pub(in crate::gateway) score: Option<Score>,
}

/// What a result said of an agent.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Learnt {
    pub(in crate::gateway) proposal_id: ProposalId,
    pub(in crate::gateway) result_id: Box<str>,
    pub(in crate::gateway) reporter: Box<str>,
    pub(in crate::gateway) result: ResultKind,
    pub(in crate::gateway) basis: Basis,
    pub(in crate::gateway) is_correction: bool,
    /// When it was appended.
    pub(in crate::gateway) at: Timestamp,
    pub(in crate::gateway) verdict: Verdict,
    pub(in crate::gateway) confidence: Millionths,
}

impl Learnt {
    /// Whether the agent was right; none where nobody knows.
    pub(in crate::gateway) const fn was_right(&self) -> Option<bool> {
        match (self.verdict, self.result) {
            (Verdict::Endorse, ResultKind::Right) | (Verdict::Challenge, ResultKind::Wrong) => {
                Some(true)
            }
            (Verdict::Endorse, ResultKind::Wrong) | (Verdict::Challenge, ResultKind::Right) => {
                Some(false)
            }
            _ => None,
        }
    }
}

/// A score, and when it was written.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct Score {
    pub(in crate::gateway) at: Timestamp,
    pub(in crate::gateway) trust: Millionths,
    pub(in crate::gateway) a: i64,
    pub(in crate::gateway) b: i64,
    pub(in crate::gateway) revision: i64,
}

/// About how many bytes a step takes, besides what it holds.
const STEP: usize = size_of::<Step>() + 160;

/// All of them, within a bound.
#[derive(Debug)]
pub(super) struct Tracks {
    /// By the score's key.
    all: BTreeMap<String, Track>,
    /// Each step, in the order in which they were read.
    order: VecDeque<(String, Update)>,
    weight: usize,
    bound: usize,
}

impl Tracks {
    pub(super) const fn new(bound: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            order: VecDeque::new(),
            weight: 0,
            bound,
        }
    }

    /// About how many bytes it takes.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// Takes an update that lies there, appended then.
    pub(super) fn learn(&mut self, update: &TrustUpdate, place: Update) {
        for lesson in &update.ballots {
            let learnt = learnt(update, lesson);
            let key = format!("{}:{}", update.trust_domain, lesson.agent_id);
            let names = (&*update.trust_domain, lesson.agent_id.as_str());
            let step = self.step(key, names, place);
            step.lesson = Some(learnt);
        }
        self.forget();
    }

    /// Takes a score.
    pub(super) fn score(&mut self, score: &TrustScore, at: Timestamp) {
        let place = (score.update_partition, score.update_offset.0);
        let names = (&*score.trust_domain, score.agent_id.as_str());
        let step = self.step(trust_key(score), names, place);
        step.score = Some(Score {
            at,
            trust: score.trust,
            a: score.a,
            b: score.b,
            revision: score.revision,
        });
        self.forget();
    }

    /// A step, made if it is not there; what its result says besides is counted as if it were.
    fn step(&mut self, key: String, (domain, agent): (&str, &str), place: Update) -> &mut Step {
        let track = self.all.entry(key.clone()).or_insert_with(|| Track {
            trust_domain: domain.into(),
            agent_id: agent.into(),
            steps: BTreeMap::new(),
        });
        if !track.steps.contains_key(&place) {
            self.weight += STEP + 2 * key.len();
            self.order.push_back((key, place));
        }
        track.steps.entry(place).or_default()
    }

    fn forget(&mut self) {
        while self.weight > self.bound
            && let Some((key, place)) = self.order.pop_front()
        {
            self.weight = self.weight.saturating_sub(STEP + 2 * key.len());
            if let Some(track) = self.all.get_mut(&key) {
                track.steps.remove(&place);
                if track.steps.is_empty() {
                    self.all.remove(&key);
                }
            }
        }
    }

    /// An agent's, by trust domain.
    pub(super) fn of<'a>(&'a self, agent: &'a str) -> impl Iterator<Item = &'a Track> {
        self.all
            .values()
            .filter(move |track| *track.agent_id == *agent)
    }
}

impl Track {
    /// The steps, in the order in which they were folded, as far as that is known.
    pub(in crate::gateway) fn steps(&self) -> Vec<(Update, &Step)> {
        let mut steps: Vec<_> = self.steps.iter().map(|(at, step)| (*at, step)).collect();
        steps.sort_by_key(|(place, step)| {
            let revision = step.score.map_or(i64::MAX, |score| score.revision);
            (revision, *place)
        });
        steps
    }

    /// The last that was said of each round: a correction takes the place of what it corrects.
    pub(in crate::gateway) fn settled(&self) -> impl Iterator<Item = &Learnt> {
        let mut last: BTreeMap<ProposalId, &Learnt> = BTreeMap::new();
        for learnt in self.steps.values().filter_map(|step| step.lesson.as_ref()) {
            let of_round = last.entry(learnt.proposal_id).or_insert(learnt);
            if learnt.at >= of_round.at {
                *of_round = learnt;
            }
        }
        last.into_values()
    }
}

fn learnt(update: &TrustUpdate, lesson: &Lesson) -> Learnt {
    Learnt {
        proposal_id: update.proposal_id,
        result_id: (*update.result_id).into(),
        reporter: (*update.reporter).into(),
        result: update.result,
        basis: update.basis,
        is_correction: update.corrects.is_some(),
        at: update.result_time,
        verdict: lesson.verdict,
        confidence: lesson.confidence,
    }
}
