//! Results: who may report, what they teach, and how trust follows.

use quorate_core::ids::{Digest, ProposalId};
use quorate_core::records::{Agent, Pins, Result as Report, Round, TrustScore, TrustUpdate};
use quorate_core::reject::Reject;
use quorate_core::round::{Reported, must_wait, reporter_allowed, settle};
use quorate_core::topic::Topic;
use quorate_core::trust;

use super::io::{Output, Record};
use super::kept::{Kept, Refusal};
use super::partition::{Partition, check_key};
use super::rounds::Ended;
use super::tables::Tables;

impl Partition {
    /// Queues a result; what cannot be read is refused at once.
    pub(super) fn queue_result(&mut self, record: &Record<'_>) -> Result<(), Refusal> {
        self.read_report(record)?;
        let kept = Kept::new(record, self.time(Topic::Results));
        if record.offset < self.judged {
            self.park_again(kept);
        } else {
            self.results.push_back(kept);
        }
        Ok(())
    }

    /// Takes a result that was judged before a restart: it waits again if its round is escalated,
    /// and otherwise what followed from it is committed.
    fn park_again(&mut self, kept: Kept) {
        let waits = self.round_of(&kept).filter(|id| {
            let escalated = self.rounds.escalated(id);
            escalated.is_some_and(|ended| {
                must_wait(&ended.round, kept.timestamp, &ended.policy) == Ok(true)
            })
        });
        if let Some(mut ended) = waits.and_then(|id| self.rounds.take_ended(&id)) {
            ended.parked.push(kept);
            self.rounds.end(&ended);
        }
    }

    /// Decodes a result and refuses what is unsound in itself.
    pub(super) fn read_report(&self, record: &Record<'_>) -> Result<(Report, Digest), Refusal> {
        let value = record.value.unwrap_or_default();
        let (report, digest) = self.codec.decode::<Report>(value)?;
        check_key(record, &report.proposal_id)?;
        Ok((report, digest))
    }

    /// Judges queued results while they can be; says whether any was.
    pub(super) fn judge_results(&mut self, tables: &Tables, out: &mut Vec<Output>) -> bool {
        let mut judged = false;
        while self
            .results
            .front()
            .is_some_and(|kept| self.can_judge(kept))
        {
            let Some(kept) = self.results.pop_front() else {
                break;
            };
            judged = true;
            if let Err(refusal) = self.report(tables, &kept, out) {
                out.push(self.dead_letter(tables, &kept.record(), refusal));
            }
        }
        judged
    }

    fn report(
        &mut self,
        tables: &Tables,
        kept: &Kept,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let known = self
            .round_of(kept)
            .and_then(|id| Some((id, self.rounds.opening(&id)?)));
        let id: ProposalId = match known {
            Some((id, opening)) if opening.proposal_time <= kept.timestamp => id,
            _ => return Err(Reject::UnknownProposal.into()),
        };
        let Some(mut ended) = self.rounds.take_ended(&id) else {
            return Err(Reject::RoundOpen.into());
        };
        let waits = must_wait(&ended.round, kept.timestamp, &ended.policy);
        match waits {
            Ok(true) => ended.parked.push(kept.clone()),
            Ok(false) => self.settle_or_refuse(tables, kept, &mut ended, out),
            Err(_) => {}
        }
        self.rounds.end(&ended);
        waits.map(drop).map_err(Refusal::from)
    }

    /// Folds a result into a round that has its last outcome.
    pub(super) fn settle_or_refuse(
        &self,
        tables: &Tables,
        kept: &Kept,
        ended: &mut Ended,
        out: &mut Vec<Output>,
    ) {
        match self.settle(tables, kept, ended) {
            Ok(Some(update)) => {
                out.push(Output::TrustUpdate(Box::new(update)));
                out.push(Output::Round(Box::new(ended.round.clone())));
            }
            Ok(None) => {}
            Err(refusal) => out.push(self.dead_letter(tables, &kept.record(), refusal)),
        }
    }

    fn settle(
        &self,
        tables: &Tables,
        kept: &Kept,
        ended: &mut Ended,
    ) -> Result<Option<TrustUpdate>, Refusal> {
        let (report, digest) = self.read_report(&kept.record())?;
        let agents_offset = tables.agents_offset(kept.timestamp);
        let reporter = tables.agent(&report.reporter, agents_offset);
        let allowed = reporter.is_some_and(|reporter| {
            reporter_allowed(reporter, &ended.policy)
                && (ended.policy.self_report || !took_part(tables, reporter, &ended.round))
        });
        let reported = Reported {
            report: &report,
            digest,
            offset: kept.offset,
            at: kept.timestamp,
            reporter_allowed: allowed,
            agents_offset,
        };
        settle(&mut ended.round, &reported, &ended.policy).map_err(|reject| {
            let pins = Pins {
                agents: agents_offset,
                ..tables.pins()
            };
            Refusal {
                judged_by: Some(pins),
                ..reject.into()
            }
        })
    }

    /// Decodes a trust update, which another processor may have written.
    pub(super) fn read_update(&self, record: &Record<'_>) -> Result<TrustUpdate, Refusal> {
        let value = record.value.unwrap_or_default();
        let (update, _) = self.codec.decode::<TrustUpdate>(value)?;
        check_key(record, &update.trust_domain)?;
        Ok(update)
    }

    /// Folds a trust update into the scores of its domain, which this partition owns.
    pub(super) fn fold(
        &mut self,
        record: &Record<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let update = self.read_update(record)?;
        let of_domain = self.scores.entry(update.trust_domain.clone()).or_default();
        let at = (self.config.partition, record.offset);
        let scores: Vec<TrustScore> = trust::fold(&update, at, |agent| of_domain.get(agent)).scores;
        for score in scores {
            of_domain.insert(score.agent_id.clone(), score.clone());
            out.push(Output::TrustScore(score));
        }
        Ok(())
    }
}

/// Whether an agent, or its principal, proposed or was counted in a round.
fn took_part(tables: &Tables, reporter: &Agent, round: &Round) -> bool {
    let voters = round.closed.iter().flat_map(|closed| &closed.voters);
    let mut took_part = voters.chain([&round.opening.proposer]);
    took_part.any(|id| {
        let then = tables.agent(id.as_str(), round.opening.pins.agents);
        *id == reporter.agent_id || then.is_some_and(|then| then.principal == reporter.principal)
    })
}
