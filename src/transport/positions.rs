//! What is kept with a committed offset: where to read from after a restart, stream times, pins.

use std::collections::BTreeMap;

use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::records::Pins;
use quorate_core::topic::Topic;

use crate::engine::Position;

/// The topics an engine reads; a partition of each has the same owner.
pub const INPUTS: [Topic; 5] = [
    Topic::Proposals,
    Topic::Responses,
    Topic::Decisions,
    Topic::Results,
    Topic::TrustUpdates,
];

/// How far a partition's inputs are read, and the highest pins its rounds were opened at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// By topic.
    pub positions: BTreeMap<Topic, Position>,
    /// No round was opened at higher ones.
    pub pins: Pins,
}

impl Committed {
    /// From where every round that is not closed is found in `acp.rounds`.
    pub(super) fn rounds_low(&self) -> i64 {
        let proposals = self.positions.get(&Topic::Proposals);
        proposals.map_or(0, |position| position.settled.0)
    }
}

/// Writes what goes with a position: version and seven numbers, at most 165 bytes.
pub(super) fn write(position: &Position, pins: Pins) -> String {
    let Position {
        low,
        low_time,
        time,
        settled,
        ..
    } = position;
    let Pins {
        agents,
        policies,
        trust,
    } = pins;
    let (low, low_time, time) = (low.0, low_time.0, time.0);
    let (agents, policies, trust) = (agents.0, policies.0, trust.0);
    let settled = settled.0;
    format!("2 {low} {low_time} {time} {agents} {policies} {trust} {settled}")
}

/// Reads what was written with a committed offset; none if this is not of our making.
pub(super) fn read(next: i64, metadata: &str) -> Option<(Position, Pins)> {
    let numbers: Option<Vec<i64>> = metadata
        .split(' ')
        .map(|number| number.parse().ok())
        .collect();
    let numbers = numbers?;
    // The first version did not say what is settled: then nothing is, and all is read.
    let (known, settled) = match numbers.split_first()? {
        (1, known) => (known, 0),
        (2, [known @ .., settled]) => (known, *settled),
        _ => return None,
    };
    let &[low, low_time, time, agents, policies, trust] = known else {
        return None;
    };
    let position = Position {
        next: Offset(next),
        low: Offset(low),
        low_time: Timestamp(low_time),
        time: Timestamp(time),
        settled: Offset(settled),
    };
    let pins = Pins {
        agents: Offset(agents),
        policies: Offset(policies),
        trust: Offset(trust),
    };
    (low <= next).then_some((position, pins))
}

/// Why a partition must not be taken over as it is; each says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// There are rounds, but no positions they belong to.
    #[error(
        "committed offset of {0} is gone, but there are rounds; restore the group's offsets \
         from a backup by `quorate offsets restore`, or start over under a new prefix"
    )]
    Gone(Topic),
    /// Records that were read are not there any more.
    #[error("{topic} ends at {end}, before the committed offset {next}; restore the topic")]
    Short { topic: Topic, end: i64, next: i64 },
    /// A round was opened beyond the committed offset.
    #[error(
        "round `{id}` was opened beyond the committed offset {next}; the group's offsets were \
         moved back: restore them by `quorate offsets restore`"
    )]
    MovedBack { id: ProposalId, next: i64 },
}

/// Where to go on from: what is committed, or the beginning of every topic where nothing ever was,
/// so that what is gone from there is missed; checked against the first and last offset of each
/// topic, and whether there are rounds.
pub(super) fn start_from(
    found: Option<Committed>,
    ends: &BTreeMap<Topic, (i64, i64)>,
    are_rounds: bool,
) -> Result<Committed, Unfit> {
    let first = found.is_none() && !are_rounds;
    let mut committed = found.unwrap_or_else(|| Committed {
        positions: BTreeMap::new(),
        pins: Pins::NONE,
    });
    for (&topic, &(_, end)) in ends {
        match committed.positions.get(&topic) {
            Some(position) if position.next.0 > end => {
                let next = position.next.0;
                return Err(Unfit::Short { topic, end, next });
            }
            Some(_) => {}
            None if first => {
                committed.positions.insert(topic, Position::default());
            }
            None => return Err(Unfit::Gone(topic)),
        }
    }
    Ok(committed)
}

/// Checks where a round was opened against how far the proposals are committed.
pub(super) fn check_opened(next: Offset, id: ProposalId, opened: Offset) -> Result<(), Unfit> {
    if opened < next {
        return Ok(());
    }
    let next = next.0;
    Err(Unfit::MovedBack { id, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position() -> Position {
        Position {
            next: Offset(i64::MAX),
            low: Offset(i64::MAX - 1),
            low_time: Timestamp(i64::MIN),
            time: Timestamp(i64::MAX),
            settled: Offset(i64::MAX),
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_stays_short() {
        let text = write(&position(), Pins::NONE);
        assert!(text.len() < 200, "{}", text.len());
        assert_eq!(read(i64::MAX, &text), Some((position(), Pins::NONE)));
    }

    #[test]
    fn what_the_first_version_wrote_is_read_as_nothing_settled() {
        let (position, pins) = read(9, "1 7 3 4 0 1 2").unwrap();
        let (low, settled) = (position.low, position.settled);
        assert_eq!(
            (low, settled, pins.trust),
            (Offset(7), Offset(0), Offset(2))
        );
    }

    #[test]
    fn what_somebody_else_wrote_is_not_believed() {
        for metadata in [
            "",
            "1",
            "2 0 0 0 0 0 0",
            "3 0 0 0 0 0 0 0",
            "1 0 0 0 0 0 x",
            "1 9 0 0 0 0 0",
            "2 9 0 0 0 0 0 0",
        ] {
            assert_eq!(read(8, metadata), None, "{metadata}");
        }
    }

    fn ends(end: i64) -> BTreeMap<Topic, (i64, i64)> {
        INPUTS.iter().map(|&topic| (topic, (2, end))).collect()
    }

    fn at(next: i64) -> Committed {
        let position = Position {
            next: Offset(next),
            low: Offset(next),
            ..Position::default()
        };
        Committed {
            positions: INPUTS.iter().map(|&topic| (topic, position)).collect(),
            pins: Pins::NONE,
        }
    }

    const ID: ProposalId = ProposalId::from_bytes([7; 16]);

    #[test]
    fn a_partition_nobody_had_starts_where_its_topics_began_whatever_is_gone() {
        assert_eq!(start_from(None, &ends(9), false), Ok(at(0)));
        assert_eq!(start_from(Some(at(5)), &ends(9), true), Ok(at(5)));
    }

    #[test]
    fn rounds_without_their_positions_halt() {
        let gone = Err(Unfit::Gone(Topic::Proposals));
        assert_eq!(start_from(None, &ends(9), true), gone);
        let mut partly = at(5);
        partly.positions.remove(&Topic::Results);
        let gone = Err(Unfit::Gone(Topic::Results));
        assert_eq!(start_from(Some(partly), &ends(9), false), gone);
    }

    #[test]
    fn positions_moved_back_and_topics_cut_short_halt() {
        let moved = Err(Unfit::MovedBack { id: ID, next: 5 });
        assert_eq!(check_opened(Offset(5), ID, Offset(5)), moved);
        assert_eq!(check_opened(Offset(5), ID, Offset(4)), Ok(()));
        let (topic, end, next) = (Topic::Proposals, 4, 5);
        let short = Err(Unfit::Short { topic, end, next });
        assert_eq!(start_from(Some(at(5)), &ends(4), false), short);
    }
}
