//! An agent's track record: how trust moved with each result, and whether it was as sure as it was
//! right.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::gateway::http::Gateway;
use crate::gateway::http::ask::{look, no_agent};
use crate::gateway::http::query::{Parameter, asked};
use crate::gateway::refusal::Refusal;
use crate::gateway::view::{Field, Known, Learnt, Share, Step, Track, symbol};

/// What may be asked of it.
pub(in crate::gateway::http) const QUERY: &[Parameter] =
    &[Parameter::By(Field::TrustDomain), Parameter::Limit];

/// Into how many parts confidence is divided.
const BINS: usize = 10;
/// Billionths of one.
const BILLION: f64 = 1e9;

/// An agent's track record.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::gateway::http) struct TrackRecord {
    /// Whose.
    agent_id: String,
    /// Since when it takes part, or does not, in milliseconds since the epoch.
    standing_since: Option<i64>,
    /// By trust domain.
    domains: Vec<DomainTrack>,
}

/// A track record in a trust domain.
#[derive(Debug, Serialize, ToSchema)]
struct DomainTrack {
    trust_domain: String,
    /// How it moved, as far as that is remembered; the latest at the end.
    steps: Vec<TrustStep>,
    /// Of the results that are remembered, those it was right on.
    right: Share,
    /// Said confidence against what came true, by tenths; those alone in which there is something.
    calibration: Vec<CalibrationBin>,
}

/// A result that moved trust.
#[derive(Debug, Serialize, ToSchema)]
struct TrustStep {
    /// When the result was appended, or the score where that is forgotten: milliseconds since the
    /// epoch.
    timestamp: i64,
    /// Where the trust update lies.
    partition: i32,
    offset: i64,
    /// How many updates there were, this one included.
    revision: Option<i64>,
    /// What votes were multiplied by after it; null until it is folded.
    trust: Option<f64>,
    /// Right counts after it.
    a: Option<f64>,
    /// Wrong counts after it.
    b: Option<f64>,
    /// The round; null where the update is forgotten.
    proposal_id: Option<String>,
    result_id: Option<String>,
    reporter: Option<String>,
    /// RIGHT, WRONG or UNKNOWN.
    result: Option<String>,
    basis: Option<String>,
    /// Whether it takes an earlier result back.
    is_correction: bool,
    /// What the agent had said.
    verdict: Option<String>,
    confidence: Option<f64>,
    /// Whether that was right.
    was_right: Option<bool>,
}

/// Ballots of much the same confidence.
#[derive(Debug, Serialize, ToSchema)]
struct CalibrationBin {
    /// The least confidence in it.
    from: f64,
    /// The confidence in which it ends.
    to: f64,
    /// How probably right they said they were, on average: (1 + confidence) / 2.
    said: f64,
    /// How many were.
    right: Share,
}

/// An agent's track record.
pub(in crate::gateway::http) async fn track(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut asked = asked(query, QUERY)?;
    let domain = asked.filter.take(Field::TrustDomain);
    let limit = asked.limit;
    let found = look(&gateway.desk, |known| {
        known.agent(&name)?;
        Some(of_agent(known, &name, domain.as_deref(), limit))
    })?;
    json(&found.ok_or_else(no_agent)?)
}

fn of_agent(known: &Known, name: &str, domain: Option<&str>, limit: usize) -> TrackRecord {
    let tracks = known.tracks(name);
    let wanted = |track: &&Track| {
        domain.is_none_or(|domain| quorate_core::domain::covers(domain, &track.trust_domain))
    };
    let mut tracks: Vec<&Track> = tracks.filter(wanted).collect();
    tracks.sort_by_key(|track| &track.trust_domain);
    let tracks = tracks.into_iter();
    TrackRecord {
        agent_id: name.to_owned(),
        standing_since: known.standing_since(name).map(|at| at.0),
        domains: tracks.map(|track| of_domain(track, limit)).collect(),
    }
}

fn of_domain(track: &Track, limit: usize) -> DomainTrack {
    let steps = track.steps();
    let from = steps.len().saturating_sub(limit);
    let mut bins = [const { Bin::EMPTY }; BINS];
    let mut all = Bin::EMPTY;
    for learnt in track.settled() {
        let Some(was_right) = learnt.was_right() else {
            continue;
        };
        all.take(learnt, was_right);
        if let Some(bin) = bins.get_mut(bin_of(learnt)) {
            bin.take(learnt, was_right);
        }
    }
    let bins = bins.iter().zip(0_u8..).filter(|(bin, _)| bin.of > 0);
    DomainTrack {
        trust_domain: track.trust_domain.to_string(),
        steps: steps.into_iter().skip(from).map(step).collect(),
        right: Share::new(all.right, all.of),
        calibration: bins.map(|(bin, at)| bin.told(at)).collect(),
    }
}

fn step(((partition, offset), step): ((i32, i64), &Step)) -> TrustStep {
    let (lesson, score) = (step.lesson.as_ref(), step.score);
    let at = lesson
        .map(|lesson| lesson.at)
        .or_else(|| score.map(|score| score.at));
    #[expect(
        clippy::cast_precision_loss,
        reason = "billionths of a count that a result adds at most one to"
    )]
    let count = |billionths: i64| billionths as f64 / BILLION;
    TrustStep {
        timestamp: at.unwrap_or_default().0,
        partition,
        offset,
        revision: score.map(|score| score.revision),
        trust: score.map(|score| score.trust.to_f64()),
        a: score.map(|score| count(score.a)),
        b: score.map(|score| count(score.b)),
        proposal_id: lesson.map(|lesson| lesson.proposal_id.to_string()),
        result_id: lesson.map(|lesson| lesson.result_id.to_string()),
        reporter: lesson.map(|lesson| lesson.reporter.to_string()),
        result: lesson.map(|lesson| symbol(&lesson.result)),
        basis: lesson.map(|lesson| symbol(&lesson.basis)),
        is_correction: lesson.is_some_and(|lesson| lesson.is_correction),
        verdict: lesson.map(|lesson| symbol(&lesson.verdict)),
        confidence: lesson.map(|lesson| lesson.confidence.to_f64()),
        was_right: lesson.and_then(Learnt::was_right),
    }
}

/// What is counted of ballots of much the same confidence.
struct Bin {
    of: u64,
    right: u64,
    /// Summed confidences, in millionths.
    said: u64,
}

impl Bin {
    const EMPTY: Self = Self {
        of: 0,
        right: 0,
        said: 0,
    };

    fn take(&mut self, learnt: &Learnt, was_right: bool) {
        self.of += 1;
        self.right += u64::from(was_right);
        self.said += learnt.confidence.get();
    }

    fn told(&self, at: u8) -> CalibrationBin {
        let tenth = |number: u8| f64::from(number) / 10.0;
        #[expect(
            clippy::cast_precision_loss,
            reason = "nobody remembers that many ballots"
        )]
        let mean = self.said as f64 / self.of.max(1) as f64 / 1e6;
        CalibrationBin {
            from: tenth(at),
            to: tenth(at + 1),
            said: f64::midpoint(1.0, mean),
            right: Share::new(self.right, self.of),
        }
    }
}

/// The tenth it is in; the last one has those who are certain.
fn bin_of(learnt: &Learnt) -> usize {
    let tenth = learnt.confidence.get() / 100_000;
    usize::try_from(tenth).map_or(BINS - 1, |tenth| tenth.min(BINS - 1))
}
