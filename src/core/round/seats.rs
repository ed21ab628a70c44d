//! Who has spoken in a round: a seat an agent.
//!
//! A response finds its round cold: what it must look at should be little, and lie together.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::electorate::Standing;
use crate::ids::{AgentId, Digest};
use crate::millionths::Millionths;
use crate::records::Verdict;

/// One agent's place in a round: what it said last (or first), and what that replaced.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seat {
    pub(super) agent_id: AgentId,
    pub(super) standing: Arc<Standing>,
    pub(super) said: Said,
    /// Whether this is still the proposal itself, as its proposer's ballot.
    pub(super) is_proposal: bool,
    /// What it said besides; most say nothing.
    pub(super) besides: Option<Box<Besides>>,
}

/// What an agent said; the words of a ballot that is the proposal are the proposal's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// SHA-256 of the response's value bytes after the framing header.
    pub(super) digest: Digest,
    /// Endorse, challenge or abstain.
    pub(super) verdict: Verdict,
    /// How sure.
    pub(super) confidence: Millionths,
    /// Why.
    pub(super) reasoning: Box<str>,
    /// What it rests on.
    pub(super) evidence: Box<[String]>,
}

/// Responses that are not their agent's ballot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Besides {
    /// The first so many, as they were replaced or came too late.
    pub(super) superseded: Vec<Digest>,
    /// How many more there were.
    pub(super) further: i32,
}

/// Where an agent's seat is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The one with this number is its seat.
    Taken(usize),
    /// It has none; it would have this number, and those from there on one more.
    Free(usize),
}

/// The seats of a round, each beside its agent's tag and in the order of the tags: little to be
/// searched before any seat is looked at, and little to be moved when one is taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Vec<(u32, Box<Seat>)>);

impl Seats {
    /// Where an agent's seat is.
    pub(super) fn place(&self, agent: &str) -> Place {
        let tag = tag(agent);
        let first = self.0.partition_point(|(other, _)| *other < tag);
        let same = self.0.iter().enumerate().skip(first);
        let mut same = same.take_while(|(_, (other, _))| *other == tag);
        let own = same.find(|(_, (_, seat))| seat.agent_id.as_str() == agent);
        own.map_or(Place::Free(first), |(number, _)| Place::Taken(number))
    }

    /// The seat at a place, if it is taken.
    pub(super) fn at(&self, place: Place) -> Option<&Seat> {
        match place {
            Place::Taken(number) => self.0.get(number).map(|(_, seat)| &**seat),
            Place::Free(_) => None,
        }
    }

    /// The seat at a place, to be changed.
    pub(super) fn at_mut(&mut self, place: Place) -> Option<&mut Seat> {
        match place {
            Place::Taken(number) => self.0.get_mut(number).map(|(_, seat)| &mut **seat),
            Place::Free(_) => None,
        }
    }

    /// An agent's seat.
    pub(super) fn get(&self, agent: &str) -> Option<&Seat> {
        self.at(self.place(agent))
    }

    /// Takes a seat at its agent's place.
    pub(super) fn put(&mut self, place: Place, seat: Seat) {
        match place {
            Place::Taken(number) => {
                if let Some((_, old)) = self.0.get_mut(number) {
                    **old = seat;
                }
            }
            Place::Free(number) => {
                let tag = tag(seat.agent_id.as_str());
                self.0.insert(number, (tag, Box::new(seat)));
            }
        }
    }

    /// The seats, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.0.iter().map(|(_, seat)| &**seat)
    }

    /// The seats, by agent.
    pub(super) fn by_agent(&self) -> Vec<&Seat> {
        let mut seats: Vec<_> = self
            .iter()
            .map(|seat| (head(seat.agent_id.as_str()), seat))
            .collect();
        seats.sort_unstable_by(|(one, its), (other, others)| {
            one.cmp(other)
                .then_with(|| its.agent_id.cmp(&others.agent_id))
        });
        seats.into_iter().map(|(_, seat)| seat).collect()
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl PartialEq for Seats {
    /// Equal whatever the order in which those of one tag were taken.
    fn eq(&self, other: &Self) -> bool {
        self.by_agent() == other.by_agent()
    }
}

/// A few bits of an agent's id (FNV-1a, by Fowler, Noll and Vo): two agents may have the same.
fn tag(agent: &str) -> u32 {
    let step = |tag: u32, byte: u8| (tag ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    agent.bytes().fold(0x811c_9dc5, step)
}

/// The first bytes of an agent's id as a number: where two differ in it, they are in its order.
fn head(agent: &str) -> u128 {
    let mut head = [0; 16];
    for (byte, of_id) in head.iter_mut().zip(agent.bytes()) {
        *byte = of_id;
    }
    u128::from_be_bytes(head)
}

impl Seat {
    /// The listed responses that are not the ballot.
    pub(super) fn superseded(&self) -> &[Digest] {
        self.besides
            .as_deref()
            .map_or(&[], |besides| &besides.superseded)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;
    use crate::samples;

    fn seat(agent: &str) -> Seat {
        let standing = samples::standing(agent, 1.0, 0.5);
        let voice = samples::voice(agent, Verdict::Endorse, 0.9, standing);
        Seat {
            agent_id: agent.into(),
            standing: voice.standing,
            said: Said {
                digest: voice.response_digest,
                verdict: voice.verdict,
                confidence: voice.confidence,
                reasoning: Box::default(),
                evidence: Box::default(),
            },
            is_proposal: false,
            besides: None,
        }
    }

    fn take(seats: &mut Seats, agent: &str) {
        let place = seats.place(agent);
        assert!(seats.at(place).is_none(), "{agent} has a seat");
        seats.put(place, seat(agent));
    }

    #[test]
    fn everybody_has_a_seat_and_they_are_told_by_agent() {
        let mut seats = Seats::default();
        let agents: Vec<_> = (0..2_500)
            .map(|n| format!("agent-{}", n * 7 % 2_500))
            .collect();
        for agent in &agents {
            take(&mut seats, agent);
        }
        for agent in &agents {
            let found = seats.get(agent).map(|seat| seat.agent_id.as_str());
            assert_eq!(found, Some(&**agent));
        }
        assert!(seats.get("agent-2500").is_none());
        let by_agent = seats.by_agent();
        assert!(by_agent.is_sorted_by(|one, next| one.agent_id < next.agent_id));
        assert_eq!((by_agent.len(), seats.len()), (2_500, 2_500));
    }

    #[test]
    fn agents_of_one_tag_have_seats_of_their_own() {
        // Two texts that FNV-1a makes one of.
        let (one, other) = ("costarring", "liquid");
        assert_eq!(tag(one), tag(other));
        for agents in [[one, other], [other, one]] {
            let mut seats = Seats::default();
            for agent in agents {
                take(&mut seats, agent);
            }
            for agent in agents {
                let place = seats.place(agent);
                seats.put(place, seat(agent));
                let found = seats.get(agent).map(|seat| seat.agent_id.as_str());
                assert_eq!(found, Some(agent));
            }
            assert_eq!(seats.len(), 2);
        }
    }

    #[test]
    fn seats_are_by_agent_however_alike_ids_are() {
        let long = "an-id-of-more-than-sixteen-bytes";
        let ids = [
            "b",
            "",
            "a",
            "a\0",
            "a\0b",
            "ab",
            "é",
            "Z",
            "0",
            long,
            "an-id-of-more-t",
            "\0",
            "ÿ",
            "an-id-of-more-than-sixteen-bytez",
            "an-id-of-more-th",
            "a\0\0",
        ];
        let mut seats = Seats::default();
        ids.iter().for_each(|id| take(&mut seats, id));
        let mut sorted: Vec<AgentId> = ids.iter().map(|id| AgentId::from(*id)).collect();
        sorted.sort();
        let found = seats.by_agent().into_iter().map(|seat| &seat.agent_id);
        assert!(found.eq(&sorted));
    }

    #[test]
    fn the_order_in_which_seats_are_taken_makes_no_difference() {
        let (mut one, mut other) = (Seats::default(), Seats::default());
        for (early, late) in [("a", "c"), ("b", "b"), ("c", "a")] {
            take(&mut one, early);
            take(&mut other, late);
        }
        assert_eq!(one, other);
        take(&mut one, "d");
        assert_ne!(one, other);
    }
}
