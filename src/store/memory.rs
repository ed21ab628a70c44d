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
            // INVARIANT: it was read back when it was written.
            Form::Slim(packed) => Slim::unpack(id, packed, &self.names),
            Form::Whole(round) => Some((**round).clone()),
        }
    }
}

impl Store for Memory {
    fn put(&mut self, round: Round) {
        let id = round.proposal_id;
        let form = match Slim::pack(&round, &mut self.names) {
            Some(packed) => Form::Slim(packed),
            None => Form::Whole(Box::new(round)),
        };
        self.rounds.insert(id, form);
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
