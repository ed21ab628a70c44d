//! What the vital signs come to: whether a processor gets on, and whether it is ready.
//!
//! Getting on is more than running: an engine that turns while its partition stands still before
//! records it could read is ill. One that has nothing to do is not.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Vitals;
use super::vitals::{Partition, Place, Stage, State};

/// An answer, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether all is as it should be.
    pub ok: bool,
    /// What is not, in words.
    pub why: Vec<String>,
    /// The partitions worked on.
    pub partitions: Vec<Standing>,
}

/// How a partition stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Its number.
    pub partition: i32,
    /// The engine that has it.
    pub engine: u16,
    /// `restoring`, `live`, `waiting` or `halted`.
    pub state: &'static str,
    /// Committed records that lie before it, of all inputs.
    pub backlog: u64,
    /// Rounds open.
    pub open_rounds: usize,
}

impl Vitals {
    /// Whether every engine comes round and no partition stands still before records.
    #[must_use]
    pub fn health(&self) -> Report {
        let (state, now) = (self.read(), Instant::now());
        let mut why = Vec::new();
        if let Some(span) = self.longer(now, state.idle) {
            why.push(format!("no engine has run for {span} s"));
        }
        for (number, engine) in &state.engines {
            if let Some(span) = self.longer(now, Some(engine.turned)) {
                why.push(format!("engine {number} has not come round for {span} s"));
            }
        }
        for (number, partition) in &state.partitions {
            if state.halted(*number).is_some() {
                continue;
            }
            if partition.stage == Stage::Restoring {
                if let Some(span) = self.longer(now, state.restored(partition.engine)) {
                    let what = format!("has waited to be restored any further for {span} s");
                    why.push(format!("partition {number} {what}"));
                }
            } else {
                self.examine(*number, partition, now, &mut why);
            }
        }
        why.extend(state.halts());
        state.report(why)
    }

    /// Whether every partition of ours is worked on.
    #[must_use]
    pub fn readiness(&self) -> Report {
        let state = self.read();
        let mut why = Vec::new();
        if state.engines.is_empty() {
            why.push("no engine runs".to_owned());
        }
        for (number, engine) in &state.engines {
            if !engine.member {
                let what = "has not been told its share of the partitions";
                why.push(format!("engine {number} {what}"));
            }
        }
        for (number, partition) in &state.partitions {
            if partition.stage == Stage::Restoring && state.halted(*number).is_none() {
                let part = partition.restore.restored.part() * 100.0;
                why.push(format!(
                    "partition {number} is being restored: {part:.0} % done"
                ));
            }
        }
        if state.registry_silent.is_some() {
            why.push("the schema registry does not answer".to_owned());
        }
        why.extend(state.halts());
        state.report(why)
    }

    fn examine(&self, number: i32, partition: &Partition, now: Instant, why: &mut Vec<String>) {
        for (topic, place) in &partition.places {
            if let Some(span) = self.longer(now, place.still()) {
                let (next, backlog) = (place.next, place.backlog);
                let what = format!("has stood at {next} before {backlog} records for {span} s");
                let waits = match &partition.stage {
                    Stage::Waiting(what) => format!("; it waits for {what}"),
                    Stage::Restoring | Stage::Live => String::new(),
                };
                why.push(format!("partition {number} of {topic} {what}{waits}"));
            }
            if let Some(span) = self.longer(now, place.stalled) {
                let stable = place.stable;
                let what = format!("has stood at {stable} for {span} s: a transaction is open");
                let of = format!("the last stable offset of partition {number} of {topic}");
                why.push(format!("{of} {what}"));
            }
        }
    }

    /// How long it has been since then, in seconds, if that is too long.
    fn longer(&self, now: Instant, since: Option<Instant>) -> Option<u64> {
        let span: Duration = now.saturating_duration_since(since?);
        (span > self.patience).then_some(span.as_secs())
    }
}

impl Place {
    /// Since when it has stood still although there are records.
    pub(super) fn still(&self) -> Option<Instant> {
        self.behind
            .max(self.moved.filter(|_| self.behind.is_some()))
    }
}

impl State {
    /// Why a partition is halted. One that has gone to another process is none of ours.
    pub(super) fn halted(&self, partition: i32) -> Option<&str> {
        let (engine, why) = self.halted.get(&partition)?;
        let member = self.engines.get(engine).is_some_and(|of| of.member);
        (!member || self.partitions.contains_key(&partition)).then_some(why)
    }

    /// When an engine last got on with restoring: it restores one partition after the other.
    fn restored(&self, engine: u16) -> Option<Instant> {
        let its = self.partitions.values().filter(|of| of.engine == engine);
        its.map(|partition| partition.moved).max()
    }

    fn halts(&self) -> impl Iterator<Item = String> {
        let halted = self.halted.keys();
        let halted = halted.filter_map(|partition| Some((partition, self.halted(*partition)?)));
        halted.map(|(partition, why)| format!("partition {partition} is halted: {why}"))
    }

    /// How a partition stands, in a word.
    pub(super) fn stage(&self, number: i32, partition: &Partition) -> &'static str {
        match partition.stage {
            _ if self.halted(number).is_some() => "halted",
            Stage::Restoring => "restoring",
            Stage::Live => "live",
            Stage::Waiting(_) => "waiting",
        }
    }

    fn report(&self, why: Vec<String>) -> Report {
        let standing = |(&number, partition): (&i32, &Partition)| Standing {
            partition: number,
            engine: partition.engine,
            state: self.stage(number, partition),
            backlog: partition.places.values().map(|place| place.backlog).sum(),
            open_rounds: partition.open.count,
        };
        Report {
            ok: why.is_empty(),
            why,
            partitions: self.partitions.iter().map(standing).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::topic::Topic;

    use super::*;
    use crate::telemetry::Restored;

    const RESPONSES: Topic = Topic::Responses;

    /// A processor that stands still too long at once.
    fn vitals() -> Vitals {
        let vitals = Vitals::new(Duration::ZERO);
        vitals.assigned(0, &[3]);
        vitals
    }

    fn wrong(vitals: &Vitals) -> String {
        let mut why = vitals.health().why;
        why.retain(|what| !what.contains("come round"));
        why.join("\n")
    }

    #[test]
    fn one_that_has_nothing_to_do_is_well_and_one_that_stands_before_records_is_not() {
        let vitals = vitals();
        vitals.live(3);
        vitals.passed(3, RESPONSES, 7);
        assert_eq!(wrong(&vitals), "");
        vitals.backlog(3, RESPONSES, 5);
        let what = "partition 3 of responses has stood at 7 before 5 records";
        assert!(wrong(&vitals).contains(what), "{}", wrong(&vitals));
        vitals.backlog(3, RESPONSES, 0);
        assert_eq!(wrong(&vitals), "");
    }

    #[test]
    fn what_moves_is_well_however_much_lies_before_it() {
        let vitals = Vitals::new(Duration::from_secs(3_600));
        vitals.assigned(0, &[3]);
        vitals.live(3);
        vitals.passed(3, RESPONSES, 7);
        vitals.backlog(3, RESPONSES, 5);
        vitals.stable(3, RESPONSES, 12, true);
        assert!(vitals.health().ok);
    }

    #[test]
    fn a_transaction_in_front_of_the_records_is_named() {
        let vitals = vitals();
        vitals.live(3);
        vitals.passed(3, RESPONSES, 7);
        vitals.stable(3, RESPONSES, 7, true);
        assert!(
            wrong(&vitals).contains("has stood at 7"),
            "{}",
            wrong(&vitals)
        );
        vitals.stable(3, RESPONSES, 9, false);
        assert_eq!(wrong(&vitals), "");
    }

    #[test]
    fn an_engine_that_does_not_come_round_is_named_until_it_has_ended() {
        let vitals = vitals();
        vitals.live(3);
        assert!(vitals.health().why[0].contains("engine 0 has not come round"));
        vitals.ended(0);
        assert_eq!(vitals.health().why, ["no engine has run for 0 s"]);
    }

    #[test]
    fn nobody_is_ready_before_every_partition_is_restored() {
        let vitals = Vitals::new(Duration::ZERO);
        assert!(!vitals.readiness().ok && !vitals.health().ok);
        vitals.turned(0);
        assert!(vitals.readiness().why[0].contains("engine 0"));
        vitals.assigned(0, &[3]);
        let mut restored = Restored::default();
        restored.expect(0, 8);
        restored.pass(0, 2, 3, &vitals);
        let restoring = ["partition 3 is being restored: 25 % done"];
        assert_eq!(vitals.readiness().why, restoring);
        vitals.live(3);
        assert!(vitals.readiness().ok);
        vitals.waiting_for_registry(true);
        assert!(vitals.readiness().why[0].contains("registry"));
        vitals.waiting_for_registry(false);
        vitals.left(0);
        assert!(!vitals.readiness().ok);
    }

    #[test]
    fn a_halted_partition_is_named_unless_another_process_has_it() {
        let vitals = vitals();
        vitals.halted(0, 3, "its offsets are gone");
        for report in [vitals.health(), vitals.readiness()] {
            let why = report.why.join("\n");
            assert!(
                why.contains("partition 3 is halted: its offsets are gone"),
                "{why}"
            );
            assert_eq!(report.partitions[0].state, "halted");
        }
        // The session that found out ends; the next one is given other partitions.
        vitals.left(0);
        assert!(!vitals.health().ok);
        vitals.assigned(0, &[4]);
        vitals.live(4);
        assert!(vitals.readiness().ok);
    }
}
