//! What is kept with a committed offset: where to read from after a restart, stream times, pins.

use std::collections::BTreeMap;

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::Pins;
use quorate_core::topic::Topic;

use crate::engine::Position;

/// The topics an engine reads; a partition of each has the same owner.
pub(super) const INPUTS: [Topic; 5] = [
    Topic::Proposals,
    Topic::Responses,
    Topic::Decisions,
    Topic::Results,
    Topic::TrustUpdates,
];

/// How far a partition's inputs are read, and the highest pins its rounds were opened at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) positions: BTreeMap<Topic, Position>,
    pub(super) pins: Pins,
}

/// Writes what goes with a position: version and seven numbers, at most 150 bytes.
pub(super) fn write(position: &Position, pins: Pins) -> String {
    let Position {
        low,
        low_time,
        time,
        ..
    } = position;
    let Pins {
        agents,
        policies,
        trust,
    } = pins;
    let (low, low_time, time) = (low.0, low_time.0, time.0);
    let (agents, policies, trust) = (agents.0, policies.0, trust.0);
    format!("1 {low} {low_time} {time} {agents} {policies} {trust}")
}

/// Reads what was written with a committed offset; none if this is not of our making.
pub(super) fn read(next: i64, metadata: &str) -> Option<(Position, Pins)> {
    let numbers: Option<Vec<i64>> = metadata
        .split(' ')
        .map(|number| number.parse().ok())
        .collect();
    let &[1, low, low_time, time, agents, policies, trust] = numbers?.as_slice() else {
        return None;
    };
    let position = Position {
        next: Offset(next),
        low: Offset(low),
        low_time: Timestamp(low_time),
        time: Timestamp(time),
    };
    let pins = Pins {
        agents: Offset(agents),
        policies: Offset(policies),
        trust: Offset(trust),
    };
    (low <= next).then_some((position, pins))
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
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_stays_short() {
        let text = write(&position(), Pins::NONE);
        assert!(text.len() < 200, "{}", text.len());
        assert_eq!(read(i64::MAX, &text), Some((position(), Pins::NONE)));
    }

    #[test]
    fn what_somebody_else_wrote_is_not_believed() {
        for metadata in ["", "1", "2 0 0 0 0 0 0", "1 0 0 0 0 0 x", "1 9 0 0 0 0 0"] {
            assert_eq!(read(8, metadata), None, "{metadata}");
        }
    }
}
