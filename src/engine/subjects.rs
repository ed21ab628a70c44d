//! Which rounds are about the same: open and escalated ones, by what their actions are done to.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;
use quorate_core::ids::ProposalId;

/// Rounds by subject, those of each in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subjects(HashMap<Arc<str>, Ids>);

/// Ids, one at least. Most subjects have one round at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ids {
    One(ProposalId),
    /// Two at least.
    Many(BTreeSet<ProposalId>),
}

impl Subjects {
    /// Adds a round.
    pub(super) fn add(&mut self, subject: &Arc<str>, id: ProposalId) {
        let Some(ids) = self.0.get_mut(subject) else {
            self.0.insert(Arc::clone(subject), Ids::One(id));
            return;
        };
        match ids {
            Ids::One(other) if *other == id => {}
            Ids::One(other) => *ids = Ids::Many(BTreeSet::from([*other, id])),
            Ids::Many(many) => {
                many.insert(id);
            }
        }
    }

    /// Takes a round out.
    pub(super) fn remove(&mut self, subject: &str, id: &ProposalId) {
        let Some(ids) = self.0.get_mut(subject) else {
            return;
        };
        match ids {
            Ids::One(only) if only == id => {
                self.0.remove(subject);
            }
            Ids::One(_) => {}
            Ids::Many(many) => {
                many.remove(id);
                if let (1, Some(only)) = (many.len(), many.first()) {
                    *ids = Ids::One(*only);
                }
            }
        }
    }

    /// The rounds on a subject, by id.
    pub(super) fn of(&self, subject: &str) -> impl Iterator<Item = ProposalId> {
        let ids = self.0.get(subject);
        let (one, many) = match ids {
            None => (None, None),
            Some(Ids::One(id)) => (Some(*id), None),
            Some(Ids::Many(many)) => (None, Some(many.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_its_rounds_by_id_until_the_last_is_gone() {
        let id = |n| ProposalId::from_bytes([n; 16]);
        let (order, other) = (Arc::from("order-1"), Arc::from("order-2"));
        let mut subjects = Subjects::default();
        for n in [3, 1, 2, 1] {
            subjects.add(&order, id(n));
        }
        subjects.add(&other, id(4));
        subjects.add(&other, id(4));
        assert!(subjects.of("order-1").eq([1, 2, 3].map(id)));
        assert!(subjects.of("order-2").eq([id(4)]));
        subjects.remove("order-2", &id(1));
        assert_eq!(subjects.of("order-2").count(), 1);
        subjects.remove("order-1", &id(2));
        subjects.remove("order-1", &id(3));
        let mut others = Subjects::default();
        others.add(&order, id(1));
        others.add(&other, id(4));
        assert_eq!(subjects, others, "whatever has been there");
        for n in [1, 2, 3, 4] {
            subjects.remove("order-1", &id(n));
        }
        subjects.remove("order-2", &id(4));
        assert_eq!(subjects, Subjects::default());
        assert_eq!(subjects.of("order-1").count(), 0);
    }
}
