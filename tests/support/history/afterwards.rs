//! What follows a round: people answer what escalates, and what later turned out is reported.

use quorate_core::ids::Digest;
use quorate_core::records::{
    Basis, Decision, DecisionPackage, DecisionVerdict, Result as Report, ResultKind,
};
use quorate_core::topic::Topic;

use super::{History, Said};

/// A result that comes when a round of a short window may be forgotten: so long after its deadline,
/// in milliseconds.
const LATE: std::ops::Range<i64> = 15_000..17_000;

impl History {
    /// What later turned out, sometimes corrected, and corrected again.
    pub(super) fn report(&mut self, said: &Said<'_>, lean: i64) {
        // Most agents are right most of the time, or nobody would be trusted for long.
        let (likely, unlikely) = if lean > 50 {
            (ResultKind::Right, ResultKind::Wrong)
        } else {
            (ResultKind::Wrong, ResultKind::Right)
        };
        let kinds = [likely, likely, likely, unlikely, ResultKind::Unknown];
        let mut at = said.deadline + self.random.within(-100..2_000);
        let mut named = None;
        loop {
            let result_id = self.word();
            let kind = *self.random.one_of(&kinds);
            self.result(at, said.id, &result_id, kind, named.as_deref());
            // What comes while a round may be forgotten is judged by what was read first.
            if !self.random.percent(25) || at > said.deadline + 2_500 {
                break;
            }
            at += self.random.within(100..1_500);
            named = self.random.percent(85).then_some(result_id);
        }
        if self.forgetful && self.random.percent(40) {
            let (at, result_id) = (said.deadline + self.random.within(LATE), self.word());
            self.result(at, said.id, &result_id, likely, None);
        }
    }

    pub(super) fn result(
        &mut self,
        at: i64,
        id: &str,
        result_id: &str,
        kind: ResultKind,
        of: Option<&str>,
    ) {
        let reporter = match self.random.within(0..100) {
            0..4 => self.world.voter(&mut self.random),
            4..10 => format!("r{}", self.random.within(3..7)),
            _ => format!("r{}", self.random.within(0..2)),
        };
        let result = Report {
            result_id: result_id.to_owned(),
            proposal_id: id.to_owned(),
            reporter,
            result: kind,
            basis: Basis::Observed,
            corrects: of.map(str::to_owned),
            note: String::new(),
        };
        self.record(at, Topic::Results, id, &result);
    }

    /// People answer an escalation, most of them properly.
    pub(super) fn decide(&mut self, now: i64, package: &DecisionPackage) {
        let id = package.proposal_id.to_string();
        let verdicts = [
            DecisionVerdict::Approve,
            DecisionVerdict::Approve,
            DecisionVerdict::Reject,
            DecisionVerdict::SendBack,
        ];
        for _ in 0..self.random.within(0..4) {
            let at = now + self.random.within(10..1_800);
            let reviewer = match self.random.within(0..100) {
                0..3 => self.world.voter(&mut self.random),
                3..6 => "nobody".to_owned(),
                _ => format!("h{}", self.random.within(0..6)),
            };
            let digest = if self.random.percent(3) {
                Digest([2; 32])
            } else {
                package.package_digest
            };
            let verdict = *self.random.one_of(&verdicts);
            self.judge(at, &id, digest, &reviewer, verdict);
        }
    }

    pub(super) fn judge(
        &mut self,
        at: i64,
        id: &str,
        digest: Digest,
        by: &str,
        verdict: DecisionVerdict,
    ) {
        let decision = Decision {
            decision_id: self.word(),
            proposal_id: id.to_owned(),
            package_digest: digest,
            reviewer: by.to_owned(),
            verdict,
            reason_code: String::new(),
            rationale: String::new(),
        };
        self.record(at, Topic::Decisions, id, &decision);
    }
}
