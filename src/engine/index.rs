//! The index of closed rounds, where it was lost: filled behind the back of what goes on.
//!
//! What needs every closed round to be known waits until it is: proposals, decisions and results
//! are not read, and a response to a round nobody knows waits. Nothing is guessed.

use quorate_core::ids::ProposalId;
use quorate_core::records::{Round, RoundState};
use quorate_core::topic::Topic;

use super::io::{Halt, Output};
use super::partition::Partition;
use super::rounds::Ended;
use super::tables::Tables;

impl Partition {
    /// Says that closed rounds will be given by [`Partition::index_round`]. The rounds whose last
    /// records do not lie below [`super::Position::settled`] of `acp.proposals` are restored after
    /// this and not given again.
    pub fn expect_index(&mut self) {
        self.rounds.past.expect_index();
    }

    /// Whether every closed round is known.
    #[must_use]
    pub const fn is_indexed(&self) -> bool {
        self.rounds.past.is_indexed()
    }

    /// Whether a topic must not be read until every closed round is known.
    pub(super) fn waits_for_index(&self, topic: Topic) -> bool {
        let needs = matches!(topic, Topic::Proposals | Topic::Decisions | Topic::Results);
        needs && !self.is_indexed()
    }

    /// Takes a record of `acp.rounds` below the low-water, in offset order; a later one of the same
    /// round replaces it. Late responses that waited for the round are judged now.
    ///
    /// # Errors
    /// [`Halt`] if the round rests on table records that are not there.
    pub fn index_round(&mut self, tables: &Tables, round: Round) -> Result<Vec<Output>, Halt> {
        let id = round.proposal_id;
        let mut out = Vec::new();
        // Below the low-water an open or escalated round's record is never its last.
        if round.state != RoundState::Closed || !self.may_index(&id) {
            return Ok(out);
        }
        let policy = super::restore::policy_of(tables, &round)?;
        let opening = &round.opening;
        if opening.deadline >= self.time(Topic::Proposals) {
            let (deadline, proposer) = (opening.deadline, opening.proposer.clone());
            self.rounds.count(deadline, id, proposer);
        }
        self.rounds.past.index(&Ended::recorded(round, policy));
        for kept in self.orphans.take(id) {
            // What was read before the restart was judged before it.
            if kept.offset < self.replayed {
                continue;
            }
            let record = kept.record();
            if let Err(refusal) = self.hear(tables, &record, kept.time, &mut out)? {
                out.push(self.dead_letter(tables, &record, refusal));
            }
        }
        Ok(out)
    }

    /// Takes a tombstone of `acp.rounds` below the low-water, in offset order.
    pub fn index_tombstone(&mut self, id: &ProposalId) {
        if self.may_index(id) {
            self.rounds.past.take(id);
        }
    }

    /// Whether what the index has of a round may be the last that is known of it.
    fn may_index(&self, id: &ProposalId) -> bool {
        !self.rounds.is_running(id) && self.rounds.past.may_index(id)
    }

    /// Says that every closed round has been given; what waited for that is judged now.
    ///
    /// # Errors
    /// [`Halt`], as [`Partition::step`].
    pub fn indexed(&mut self, tables: &Tables) -> Result<Vec<Output>, Halt> {
        self.rounds.past.end_index();
        let mut out = Vec::new();
        self.expire_orphans(tables, &mut out);
        self.settle_waiting(tables, &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_core::ids::{Offset, Timestamp};
    use quorate_core::records::{Pins, Response, Verdict};

    use super::*;
    use crate::engine::{Config, Detail, Headers, Input, Position, Record};
    use crate::wire::Codec;

    const ID: &str = "01a0c450-b96b-714c-8f83-a4094396090c";

    /// An engine that has just taken a partition over, and knows no closed round yet.
    fn taken_over(positions: &[(Topic, Position)]) -> Partition {
        let mut engine = with_all(positions);
        engine.expect_index();
        engine
    }

    /// One that knows them all: there are none.
    fn with_all(positions: &[(Topic, Position)]) -> Partition {
        let config = Config {
            partition: 0,
            partitions: 1,
            detail: Detail::Records,
        };
        let mut engine = Partition::new(config, Arc::new(Codec::single_object()));
        engine.restore_positions(positions.iter().copied(), Pins::NONE);
        engine
    }

    fn position(next: i64, time: i64) -> Position {
        Position {
            next: Offset(next),
            low: Offset(next),
            low_time: Timestamp(time),
            time: Timestamp(time),
            settled: Offset(0),
        }
    }

    /// Reads a response to a round nobody knows; how many outputs that leads to.
    fn read(engine: &mut Partition) -> usize {
        let response = Response {
            response_id: "r".into(),
            proposal_id: ID.into(),
            proposal_digest: None,
            agent_id: "ada".into(),
            verdict: Verdict::Endorse,
            confidence: 0.9,
            reasoning: "seen".into(),
            evidence: Vec::new(),
        };
        let value = Codec::single_object().encode(&response).unwrap();
        let outputs = step(
            engine,
            (Topic::Responses, 3, 20_000),
            Some(ID),
            Some(&value),
        );
        outputs.len()
    }

    /// Lets the proposals' stream time go on.
    fn tick(engine: &mut Partition) -> Vec<Output> {
        step(engine, (Topic::Proposals, 7, 51_000), None, None)
    }

    fn step(
        engine: &mut Partition,
        (topic, offset, time): (Topic, i64, i64),
        key: Option<&str>,
        value: Option<&[u8]>,
    ) -> Vec<Output> {
        let record = Record {
            topic,
            offset: Offset(offset),
            timestamp: Timestamp(time),
            key: key.map(str::as_bytes),
            value,
            headers: Headers::default(),
        };
        engine
            .step(&Tables::default(), Input::Record(record))
            .unwrap()
    }

    #[test]
    fn what_waits_for_the_index_is_refused_though_it_is_lost_again_and_again() {
        // Its proposal can no longer come in time.
        let begun = [
            (Topic::Proposals, position(7, 50_000)),
            (Topic::Responses, position(3, 10_000)),
        ];
        let mut engine = taken_over(&begun);
        engine.restored(begun);
        assert_eq!(read(&mut engine), 0, "it may be of a closed round");
        for _ in 0..2 {
            let positions = engine.positions();
            engine = taken_over(&positions);
            assert_eq!(read(&mut engine), 0, "read again from the low-water");
            engine.restored(positions);
        }
        let refused = |outputs: &[Output]| match outputs {
            [Output::DeadLetter(letter, _)] => assert_eq!(letter.reason, "unknown_proposal"),
            outputs => panic!("{outputs:?}"),
        };
        // A start that finds nothing to be indexed must not take it for judged, either.
        let positions = engine.positions();
        let mut other = with_all(&positions);
        assert_eq!(read(&mut other), 0);
        other.restored(positions);
        refused(&tick(&mut other));
        refused(&engine.indexed(&Tables::default()).unwrap());
        let positions = engine.positions();
        let mut engine = taken_over(&positions);
        // Nobody would read it again; if somebody did, it is refused already.
        assert_eq!(read(&mut engine), 0);
        engine.restored(positions);
        assert_eq!(engine.indexed(&Tables::default()).unwrap().len(), 0);
    }
}
