//! Closed rounds in memory, each in few bytes until it is asked for.

use std::collections::BTreeMap;

use quorate_core::ids::ProposalId;
use quorate_core::records::Round;

use super::Store;
use super::slim::{Names, Slim};

/// Closed rounds in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    names: Names,
    rounds: BTreeMap<ProposalId, Form>,
}

/// How a round is kept.
#[derive(Clone, Debug)]
enum Form {
    Slim(Box<[u8]>),
    /// As it is: it would lose something.
    Whole(Box<Round>),
}

impl Memory {
    fn read(&self, id: ProposalId, form: &Form) -> Option<Round> {
        match form {
            // INVARIANT: what would lose something is kept whole.
            Form::Slim(packed) => Slim::unpack(id, packed, &self.names),
            Form::Whole(round) => Some((**round).clone()),
        }
    }
}

impl Store for Memory {
    fn put(&mut self, round: &Round) {
        let form = match Slim::pack(round, &mut self.names) {
            Some(packed) => Form::Slim(packed),
            None => Form::Whole(Box::new(round.clone())),
        };
        self.rounds.insert(round.proposal_id, form);
    }

    fn get(&self, id: &ProposalId) -> Option<Round> {
        self.read(*id, self.rounds.get(id)?)
    }

    fn contains(&self, id: &ProposalId) -> bool {
        self.rounds.contains_key(id)
    }

    fn remove(&mut self, id: &ProposalId) {
        self.rounds.remove(id);
    }

    fn all(&self) -> Box<dyn Iterator<Item = Round> + '_> {
        let each = |(id, form): (&ProposalId, &Form)| self.read(*id, form);
        Box::new(self.rounds.iter().filter_map(each))
    }

    fn copied(&self) -> Box<dyn Store> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::{AgentId, Digest, Offset, Timestamp};
    use quorate_core::millionths::Millionths;
    use quorate_core::records::{
        Closed, Coordinates, Lesson, Opening, Pins, ResolvedBy, ResultKind, RoundState, Settlement,
        Stakes, Start, Status, Verdict,
    };

    use super::*;

    fn agent(at: u8) -> AgentId {
        format!("fraud-agent-{at:03}").as_str().into()
    }

    fn lesson(at: u8) -> Lesson {
        Lesson {
            agent_id: agent(at),
            verdict: Verdict::Challenge,
            confidence: Millionths::new(912_345).unwrap(),
            authority: Millionths::new(800_000).unwrap(),
            a0: 57_000_000_000,
            b0: 3_000_000_000,
            start: None,
        }
    }

    /// A round of eight counted ballots.
    fn round(at: u8) -> Round {
        let opening = Opening {
            proposal_offset: Offset(1_234_567_890),
            proposal_time: Timestamp(1_767_225_600_000),
            responses_time: Timestamp(1_767_225_599_990),
            deadline: Timestamp(1_767_225_660_000),
            proposal_digest: Digest([at; 32]),
            proposal: quorate_core::ids::Bytes(Vec::new()),
            proposer: agent(0),
            pattern: "fraud".to_owned(),
            policy_digest: Digest([9; 32]),
            rules_revision: 1,
            pins: Pins {
                agents: Offset(2_000),
                policies: Offset(12),
                trust: Offset(7_000_000),
            },
            traceparent: None,
        };
        let coordinates = Coordinates {
            partition: 3,
            proposal_offset: opening.proposal_offset,
            proposal_time: opening.proposal_time,
            deadline: opening.deadline,
            closing_offset: Offset(9_876_543_210),
            closing_time: Timestamp(1_767_225_660_001),
            closed_early: false,
            pins: opening.pins,
            superseded: Vec::new(),
            judged: Vec::new(),
            traceparent: None,
        };
        let closed = Closed {
            resolution: 1,
            status: Status::Approved,
            resolved_by: ResolvedBy::Protocol,
            decision: None,
            decision_digest: Digest([at ^ 1; 32]),
            stakes: Stakes::Medium,
            coordinates,
            package: None,
            package_digest: None,
            tier: 0,
            approvals: Vec::new(),
            voters: (0..8).map(agent).collect(),
            lessons: (0..8).map(lesson).collect(),
            settlement: None,
        };
        Round {
            proposal_id: ProposalId::from_bytes([at; 16]),
            state: RoundState::Closed,
            opening,
            closed: Some(closed),
            snapshot: None,
        }
    }

    /// Changes that most rounds do not have.
    fn rare(mut round: Round) -> [Round; 4] {
        let mut others = [(); 3].map(|()| round.clone());
        let closed = round.closed.as_mut().unwrap();
        closed.lessons.truncate(5);
        closed.settlement = Some(Settlement {
            result_id: "result-1".to_owned(),
            result: ResultKind::Wrong,
            offset: Offset(5),
        });
        let [traced, inherited, odd] = &mut others;
        let trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
        traced.opening.traceparent.clone_from(&trace);
        traced.closed.as_mut().unwrap().coordinates.traceparent = trace;
        inherited.closed.as_mut().unwrap().lessons[2].start = Some(Start {
            a: 1,
            b: 2,
            ln_m: -3,
        });
        // Nothing of ours: the two do not agree.
        odd.closed.as_mut().unwrap().coordinates.deadline = Timestamp(0);
        let [traced, inherited, odd] = others;
        [round, traced, inherited, odd]
    }

    #[test]
    fn a_round_is_given_back_as_it_was_put() {
        let mut store = Memory::default();
        for (at, changed) in (10..).zip(rare(round(1))) {
            let id = ProposalId::from_bytes([at; 16]);
            let changed = Round {
                proposal_id: id,
                ..changed
            };
            store.put(&changed);
            assert_eq!(store.get(&id), Some(changed));
        }
        let whole = |form: &&Form| matches!(form, Form::Whole(_));
        assert_eq!(store.rounds.values().filter(whole).count(), 1);
        assert_eq!((store.all().count(), store.copied().all().count()), (4, 4));
        let first = ProposalId::from_bytes([10; 16]);
        store.remove(&first);
        assert!(!store.contains(&first) && store.get(&first).is_none());
    }

    #[test]
    fn a_round_of_eight_ballots_takes_less_than_two_hundred_bytes() {
        let mut store = Memory::default();
        for at in 1..100 {
            store.put(&round(at));
        }
        for form in store.rounds.values() {
            let Form::Slim(packed) = form else {
                panic!("it is kept whole");
            };
            assert!(packed.len() < 200, "{}", packed.len());
        }
    }
}
