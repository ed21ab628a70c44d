//! What of a ledger can be told while its log goes on: what nothing can come to meet any more.
//!
//! What was met is forgotten at once, and so is what was told. What a ledger holds between two
//! readings is what is still under way on one side.

use std::collections::BTreeSet;

use super::ledger::{Claim, Key, Ledger, Settle, Sides, nearest};
use super::report::Report;

/// For how many readings it is remembered that a round is forgotten.
const REMEMBERED: u64 = 2;

/// What is under way no more.
pub(super) struct Due<'a> {
    pub(super) settle: Settle<'a>,
    /// Something was found, and all is stepped that it may follow from.
    pub(super) is_stale: &'a dyn Fn(&Claim) -> bool,
    /// Something is expected, and all is read that it may be among.
    pub(super) is_covered: &'a dyn Fn(&Claim) -> bool,
    /// The same, and has been for as long as processors may take.
    pub(super) is_overdue: &'a dyn Fn(&Claim) -> bool,
}

impl Ledger {
    /// Tells what is left over on one side and is under way no more.
    pub(super) fn judge(&mut self, due: &Due<'_>, report: &mut Report) {
        let mut rounds = std::mem::take(&mut self.rounds);
        rounds.retain(|_, sides| {
            self.judge_round(sides, due, report);
            !sides.is_empty()
        });
        self.rounds = rounds;
        let mut all = std::mem::take(&mut self.sides);
        all.retain(|_, sides| {
            self.judge_sides(sides, due, report);
            !sides.is_empty()
        });
        self.sides = all;
        self.forget_rounds();
    }

    /// How much is found and not expected, and the other way round.
    pub(super) fn left_over(&self) -> (usize, usize) {
        let all = self.rounds.values().chain(self.sides.values());
        all.fold((0, 0), |(found, expected), sides| {
            (found + sides.found.len(), expected + sides.expected.len())
        })
    }

    /// How much is remembered, whatever it is.
    pub(super) fn held(&self) -> usize {
        let sides = self.rounds.values().chain(self.sides.values());
        let of_sides = |sides: &Sides| sides.found.len() + sides.expected.len() + sides.met.len();
        sides.map(of_sides).sum::<usize>() + self.forgotten.len() + self.lost.len()
    }

    fn judge_round(&self, sides: &mut Sides, due: &Due<'_>, report: &mut Report) {
        let Sides {
            found,
            expected,
            met,
        } = sides;
        let (mut last, mut there) = (None, None);
        found.retain(|claim| {
            // Several of them may say the same: then the last one is meant, since all of a round's
            // records are read before its inputs are stepped.
            let at = expected.iter().rposition(|other| claim.meets(other));
            if at.is_some() || met.iter().any(|other| claim.meets(other)) {
                report.verified_of(claim.key.kind(), claim.id);
                last = last.max(at);
                there = Some(claim.clone());
                return false;
            }
            let is_stale = (due.is_stale)(claim);
            if is_stale {
                self.tell(Some(claim), nearest(expected, claim), &due.settle, report);
            }
            !is_stale
        });
        // Whatever lies before one that was found may have been compacted away.
        if let Some(last) = last {
            expected.drain(..=last);
        }
        // One that was found with another that says the same may be expected only later, and with
        // one that was found and says something else.
        if let Some(there) = there {
            met.retain(|claim| !claim.may_recur);
            met.push(there);
        }
        let is_there = |other: &Claim| met.iter().any(|claim| claim.meets(other));
        if let Some(last) = expected.iter().rposition(is_there) {
            expected.drain(..=last);
        }
        // Not once all is stepped that was committed when it was found.
        met.retain(|claim| claim.may_recur || !(due.is_stale)(claim));
        // One that is found and not expected yet may be what it was compacted away for.
        if !found.is_empty() {
            return;
        }
        let Some(last) = expected.last().filter(|last| (due.is_overdue)(last)) else {
            return;
        };
        if !last.id.is_some_and(|id| self.forgotten.contains_key(&id)) {
            self.tell(None, Some(last), &due.settle, report);
        }
        expected.clear();
    }

    fn judge_sides(&self, sides: &mut Sides, due: &Due<'_>, report: &mut Report) {
        let Sides {
            found,
            expected,
            met,
        } = sides;
        // What is hidden behind somebody's transaction is found after it was expected.
        found.retain(|claim| {
            let at = expected.iter().position(|other| claim.meets(other));
            if let Some(at) = at {
                expected.remove(at);
                report.verified_of(claim.key.kind(), claim.id);
            }
            at.is_none()
        });
        self.settle_ended(found, expected, report);
        found.retain(|claim| {
            if !(due.is_stale)(claim) {
                return true;
            }
            // What was to be there instead will not come, too, unless it is under way.
            let instead = expected.iter().position(|other| (due.is_covered)(other));
            let instead = instead.map(|at| expected.remove(at));
            self.tell(Some(claim), instead.as_ref(), &due.settle, report);
            false
        });
        expected.retain(|claim| {
            let is_overdue = (due.is_overdue)(claim);
            if is_overdue {
                self.tell(None, Some(claim), &due.settle, report);
            }
            !is_overdue
        });
        // Nobody forwards again what he has committed as read.
        met.retain(|claim| !(due.is_covered)(claim));
    }

    /// Forgets which rounds are forgotten or have lost input, but for those something is left of.
    fn forget_rounds(&mut self) {
        let of_sides = |sides: &Sides| {
            let all = sides.found.iter().chain(&sides.expected);
            all.filter_map(|claim| claim.id).collect::<Vec<_>>()
        };
        let all = self.rounds.values().chain(self.sides.values());
        let needed: BTreeSet<_> = all.flat_map(of_sides).collect();
        let now = self.now.reading;
        for remembered in [&mut self.forgotten, &mut self.lost] {
            remembered
                .retain(|id, since| now.saturating_sub(*since) < REMEMBERED || needed.contains(id));
        }
    }
}

impl Sides {
    const fn is_empty(&self) -> bool {
        self.found.is_empty() && self.expected.is_empty() && self.met.is_empty()
    }
}

impl Key {
    /// Where a record that was forwarded lay: partition and offset.
    pub(super) fn origin(&self) -> Option<(i32, i64)> {
        let Self::Forward(_, origin) = self else {
            return None;
        };
        let (partition, offset) = origin.split_once(':')?;
        Some((partition.parse().ok()?, offset.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::{ProposalId, Timestamp};

    use super::*;
    use crate::history::{About, Range};
    use crate::verify::ledger::Seen;
    use crate::wire;

    /// A record of a round that says so much, and may be written again or not.
    fn record(says: &str, may_recur: bool) -> Claim {
        let id = ProposalId::from_bytes([7; 16]);
        Claim {
            key: Key::Round(id),
            id: Some(id),
            partition: 0,
            offset: None,
            digest: wire::sha256(says.as_bytes()),
            ended: None,
            pins: None,
            due: Timestamp::default(),
            is_lost: false,
            may_recur,
            seen: Seen::default(),
            brief: says.to_owned(),
        }
    }

    /// A reading that finds some and expects some, after which nothing is under way: how many are
    /// verified, and broken, in it.
    fn read(ledger: &mut Ledger, found: &[Claim], expected: &[Claim]) -> (u64, usize) {
        read_on(ledger, found, expected, true)
    }

    /// The same where what follows from the log may not be stepped yet.
    fn read_on(
        ledger: &mut Ledger,
        found: &[Claim],
        expected: &[Claim],
        is_stepped: bool,
    ) -> (u64, usize) {
        let mut report = Report::new(None);
        for claim in found {
            ledger.find(claim.clone());
        }
        for claim in expected {
            ledger.expect(claim.clone(), &mut report);
        }
        let about = About {
            partitions: 1,
            prefix: String::new(),
            read_at: Timestamp::default(),
            range: Range::default(),
            parts: Vec::new(),
        };
        let settle = Settle {
            about: &about,
            settled: Timestamp(i64::MAX),
            halted: &BTreeSet::new(),
        };
        let due = Due {
            settle,
            is_stale: &|_| is_stepped,
            is_covered: &|_| true,
            is_overdue: &|_| true,
        };
        ledger.judge(&due, &mut report);
        let told = report.broken.len() + report.not_evaluated.len();
        (report.verified.values().sum(), told)
    }

    #[test]
    fn a_round_that_is_not_closed_may_be_written_again_and_a_closed_one_is_forgotten() {
        let (open, closed) = (record("open", true), record("closed", false));
        let mut ledger = Ledger::default();
        let [opens, closes] = [[open.clone()], [closed.clone()]];
        assert_eq!(read(&mut ledger, &opens, &opens), (1, 0));
        assert_eq!(read(&mut ledger, &opens, &[]), (1, 0));
        assert_eq!(ledger.rounds.len(), 1);
        assert_eq!(read(&mut ledger, &[open, closed], &closes), (2, 0));
        assert!(ledger.rounds.is_empty());
        assert_eq!(read(&mut ledger, &closes, &[]), (0, 1));
        assert!(ledger.rounds.is_empty());
    }

    #[test]
    fn records_of_a_round_that_say_the_same_are_met_together_and_earlier_ones_may_be_gone() {
        let all = ["open", "closed", "closed"].map(|says| record(says, says == "open"));
        let mut ledger = Ledger::default();
        assert_eq!(read(&mut ledger, &all, &all), (3, 0));
        assert!(ledger.rounds.is_empty());
        assert_eq!(read(&mut ledger, &all[2..], &all), (1, 0));
        assert!(ledger.rounds.is_empty());
        assert_eq!(read(&mut ledger, &all[..1], &all), (1, 1));
    }

    #[test]
    fn one_that_comes_back_to_what_it_said_is_there_when_it_is_expected_after_another() {
        let [closed, settled] = ["closed", "settled"].map(|says| record(says, false));
        let mut ledger = Ledger::default();
        let found = [closed.clone(), settled.clone(), closed.clone()];
        assert_eq!(
            read_on(&mut ledger, &found, &found[..1], false),
            (2, 0),
            "the first and the last say the same"
        );
        assert_eq!(read(&mut ledger, &[], &found[1..]), (1, 0));
        assert!(ledger.rounds.is_empty());
    }

    #[test]
    fn one_that_was_found_with_another_that_says_the_same_is_there_when_it_is_expected() {
        let closed = record("closed", false);
        let two = [closed.clone(), closed.clone()];
        let mut ledger = Ledger::default();
        assert_eq!(read_on(&mut ledger, &two, &two[1..], false), (2, 0));
        assert_eq!(read(&mut ledger, &[], &two[1..]), (0, 0));
        assert!(ledger.rounds.is_empty());
        assert_eq!(read(&mut ledger, &[], &two[1..]), (0, 1));
    }
}
