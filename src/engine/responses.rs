//! Responses and the control records among them; rounds close as their stream time passes.

use quorate_core::fault::{self, Fault};
use quorate_core::ids::{Digest, Offset, ProposalId, Timestamp};
use quorate_core::limits::{check_evidence, check_texts};
use quorate_core::records::{AgentStatus, Control, Mode, Opening, Response};
use quorate_core::reject::Reject;
use quorate_core::round::{Heard, ORPHAN_GRACE, check_grace, check_speaker, check_time, late};
use quorate_core::topic::Topic;

use super::io::{Halt, Output, Record};
use super::kept::{Judged, Kept, Refusal};
use super::partition::{Partition, check_key};
use super::rounds::Live;
use super::tables::Tables;

impl Partition {
    /// Refuses the responses whose proposals can no longer come in time.
    pub(super) fn expire_orphans(&mut self, tables: &Tables, out: &mut Vec<Output>) {
        let now = self.time(Topic::Proposals);
        while let Some(kept) = self.orphans.take_expired(now) {
            let refusal = Refusal::from(Reject::UnknownProposal);
            out.push(self.dead_letter(tables, &kept.record(), refusal));
        }
    }

    /// Closes the rounds whose deadlines the record's stream time has passed.
    pub(super) fn close_due(
        &mut self,
        tables: &Tables,
        record: &Record<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Halt> {
        let now = self.time(Topic::Responses);
        self.end_gap(now);
        while let Some(id) = self.rounds.past_deadline(late(now)) {
            self.close(tables, id, (record.offset, now), false, out)?;
        }
        Ok(())
    }

    pub(super) fn respond(
        &mut self,
        tables: &Tables,
        record: &Record<'_>,
        out: &mut Vec<Output>,
    ) -> Judged {
        self.hear(tables, record, self.time(Topic::Responses), out)
    }

    /// Judges a response at the stream time of its offset, or keeps it until its proposal comes.
    pub(super) fn hear(
        &mut self,
        tables: &Tables,
        record: &Record<'_>,
        at: Timestamp,
        out: &mut Vec<Output>,
    ) -> Judged {
        let (response, digest) = match self.read_response(record) {
            Ok(read) => read,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Ok(id) = response.proposal_id.parse() else {
            return Ok(Err(Reject::UnknownProposal.into()));
        };
        let place = (record.offset, at);
        let heard = self.rounds.change(&id, place, |live, panels| {
            let trust = live.round.opening.pins.trust;
            let speaker = panels.speaker(tables, live.panel, trust, &response.agent_id);
            let heard = live.round.hear(&response, digest, at, speaker);
            let said = heard == Ok(Heard::Said);
            let settled = said && live.round.is_settled_early();
            ((heard, settled), said)
        });
        let (heard, settled) = if let Some(heard) = heard {
            heard
        } else if let Some(opening) = self.rounds.opening(&id) {
            (hear_ended(tables, &response, &opening, at), false)
        } else {
            return Ok(self.hear_unknown(id, record, at));
        };
        let heard = heard.map_err(|reject| {
            let late = reject == Reject::RoundClosed && record.headers.forwarded;
            let reject = if late { Reject::ForwardedLate } else { reject };
            let judged_by = self.rounds.opening(&id).map(|opening| opening.pins);
            Refusal {
                judged_by,
                ..reject.into()
            }
        });
        if settled {
            self.close(tables, id, place, true, out)?;
        }
        Ok(heard.map(drop))
    }

    /// Keeps a response to a round nobody knows, unless its proposal can no longer come in time.
    fn hear_unknown(
        &mut self,
        id: ProposalId,
        record: &Record<'_>,
        at: Timestamp,
    ) -> Result<(), Refusal> {
        let over = self.time(Topic::Proposals) > at.plus(ORPHAN_GRACE);
        // What was read before a restart was judged before it, unless it may be waiting.
        let unjudged = record.offset >= self.replayed;
        if over && self.is_indexed() && !(self.replaying && unjudged) {
            return Err(Reject::UnknownProposal.into());
        }
        if !over || unjudged {
            self.orphans.wait(id, Kept::new(record, at));
        }
        Ok(())
    }

    /// Decodes a response and refuses what is unsound in itself.
    pub(super) fn read_response<'a>(
        &self,
        record: &Record<'a>,
    ) -> Result<(Response<'a>, Digest), Refusal> {
        let value = record.value.unwrap_or_default();
        let (response, digest) = self.codec.decode::<Response<'_>>(value)?;
        check_texts([&*response.reasoning])?;
        check_evidence(&response.evidence)?;
        check_key(record, &response.proposal_id)?;
        Ok((response, digest))
    }

    /// Obeys an operator's order if the table it names says so.
    pub(super) fn control(&mut self, tables: &Tables, record: &Record<'_>) -> Result<(), Refusal> {
        let value = record.value.unwrap_or_default();
        let (control, _) = self.codec.decode::<Control>(value)?;
        if record.key.is_some() {
            return Err(Reject::KeyMismatch.into());
        }
        let place = (record.offset, self.time(Topic::Responses));
        match (&control.agent_id, &control.pattern) {
            (Some(agent), None) => self.suspend_agent(tables, agent, control.table_offset, place),
            (None, Some(pattern)) => {
                self.suspend_pattern(tables, pattern, control.table_offset, place)
            }
            _ => Err(Reject::ControlRefused),
        }
        .map_err(Refusal::from)
    }

    fn suspend_agent(
        &mut self,
        tables: &Tables,
        agent: &str,
        table_offset: Offset,
        place: (Offset, Timestamp),
    ) -> Result<(), Reject> {
        let listed = tables
            .agent(agent, table_offset)
            .ok_or(Reject::ControlRefused)?;
        let is_unchecked = fault::is_on(Fault::ControlUnchecked);
        let is_suspended = listed.status == AgentStatus::Suspended || is_unchecked;
        // However far the table is read by now: what was appended by then is what was known.
        if !is_suspended || tables.agents_offset(place.1) < table_offset {
            return Err(Reject::ControlRefused);
        }
        // INVARIANT: a round opened from here on has pins at or after the table's offset, so the
        // order need not be kept for it.
        self.pins.agents = self.pins.agents.max(table_offset);
        for id in self.rounds.open_ids() {
            let live = self.rounds.live_mut(&id);
            let bound = |live: &&mut Live| live.round.opening.pins.agents < table_offset;
            if let Some(live) = live.filter(bound) {
                live.round.suspend_agent(listed.agent_id.clone());
                self.rounds.touch(&id, place);
            }
        }
        Ok(())
    }

    fn suspend_pattern(
        &mut self,
        tables: &Tables,
        pattern: &str,
        table_offset: Offset,
        place: (Offset, Timestamp),
    ) -> Result<(), Reject> {
        let policy = tables
            .policy(pattern, table_offset)
            .ok_or(Reject::ControlRefused)?;
        if policy.mode != Mode::Suspended || tables.policies_offset(place.1) < table_offset {
            return Err(Reject::ControlRefused);
        }
        self.pins.policies = self.pins.policies.max(table_offset);
        for id in self.rounds.open_ids() {
            let live = self.rounds.live_mut(&id);
            let bound = |live: &&mut Live| {
                let opening = &live.round.opening;
                opening.pattern == pattern && opening.pins.policies < table_offset
            };
            if let Some(live) = live.filter(bound) {
                live.round.suspend_pattern();
                self.rounds.touch(&id, place);
            }
        }
        Ok(())
    }
}

/// Why a response to a round that has closed is refused.
fn hear_ended(
    tables: &Tables,
    response: &Response<'_>,
    opening: &Opening,
    at: Timestamp,
) -> Result<Heard, Reject> {
    check_grace(opening, at)?;
    let agent = tables.agent(&response.agent_id, opening.pins.agents);
    check_speaker(response, agent.map(|agent| &**agent))?;
    check_time(opening, at)?;
    Err(Reject::RoundClosed)
}
