//! Every metric there is, declared once: its name, what it means, what to do about it, and where
//! its values are read from. `docs/metrics.md` is this table; a test compares the two.

use std::time::Instant;

use quorate_core::ids::Timestamp;
use quorate_core::reject::Reject;

use super::Vitals;
use super::vitals::{Partition, Place, Restore, Stage, State};

/// A metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// What it is called between `quorate_` and its unit.
    pub(super) stem: &'static str,
    /// What it is measured in; the name ends with it.
    pub(super) unit: Option<&'static str>,
    /// How it moves.
    pub(super) kind: Kind,
    /// What tells its series apart.
    pub(super) labels: &'static [&'static str],
    /// What it says.
    pub(super) meaning: &'static str,
    /// What to do about it.
    pub(super) remedy: &'static str,
    pub(super) values: fn(&Scene) -> Vec<Sample>,
}

/// How a metric moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Up only.
    Counter,
    /// Up and down.
    Gauge,
    /// The commits, by how long they took.
    Commits,
}

/// A value with its labels' values.
pub(super) type Sample = (Vec<String>, f64);

/// The vital signs at one moment.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) state: State,
    now: Instant,
    time: Timestamp,
    healthy: bool,
    ready: bool,
}

impl Scene {
    /// What metrics are read from, at a time of the wall clock.
    pub(super) fn of(vitals: &Vitals, time: Timestamp) -> Self {
        Self {
            healthy: vitals.health().ok,
            ready: vitals.readiness().ok,
            state: vitals.read(),
            now: Instant::now(),
            time,
        }
    }

    fn since(&self, then: Instant) -> f64 {
        self.now.saturating_duration_since(then).as_secs_f64()
    }

    /// Seconds by the wall clock since a time of the log, none if that is to come.
    fn age(&self, then: Option<Timestamp>) -> f64 {
        then.map_or(0.0, |then| self.time.since(then).0.max(0) as f64 / 1_000.0)
    }

    fn partitions(&self, value: impl Fn(&Partition) -> Option<f64>) -> Vec<Sample> {
        let known = self.state.partitions.iter();
        let values = known.filter_map(|(number, partition)| {
            let value = value(partition)?;
            Some((vec![number.to_string()], value))
        });
        values.collect()
    }

    fn places(&self, value: impl Fn(&Place) -> f64) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (number, partition) in &self.state.partitions {
            for (topic, place) in &partition.places {
                samples.push((vec![number.to_string(), topic.to_string()], value(place)));
            }
        }
        samples
    }
}

fn one(value: f64) -> Vec<Sample> {
    vec![(Vec::new(), value)]
}

fn count(value: u64) -> Vec<Sample> {
    one(value as f64)
}

fn by<K: ToString>(counts: impl IntoIterator<Item = (K, u64)>) -> Vec<Sample> {
    let sample = |(key, count): (K, u64)| (vec![key.to_string()], count as f64);
    counts.into_iter().map(sample).collect()
}

fn stages(scene: &Scene) -> Vec<Sample> {
    let all = ["restoring", "live", "waiting", "halted"];
    let known = scene.state.partitions.iter();
    let is: Vec<_> = known.map(|(n, p)| scene.state.stage(*n, p)).collect();
    by(all.map(|stage| (stage, is.iter().filter(|is| **is == stage).count() as u64)))
}

fn rejects(scene: &Scene) -> Vec<Sample> {
    let counted = &scene.state.counts.tally.rejects;
    let of = |code: &str| counted.get(code).copied().unwrap_or_default();
    by(Reject::ALL
        .iter()
        .map(|reject| (reject.code(), of(reject.code()))))
}

fn outcomes(scene: &Scene) -> Vec<Sample> {
    let counted = scene.state.counts.tally.outcomes.iter();
    let sample = |(&(status, by), &count): (&(&str, &str), &u64)| {
        (vec![status.to_owned(), by.to_owned()], count as f64)
    };
    counted.map(sample).collect()
}

fn progress(scene: &Scene) -> Vec<Sample> {
    scene.partitions(|partition| {
        Some(match partition.stage {
            Stage::Restoring => partition.restore.restored.part(),
            Stage::Live | Stage::Waiting(_) => 1.0,
        })
    })
}

fn rate(scene: &Scene) -> Vec<Sample> {
    scene.partitions(|partition| {
        let Restore { restored, took, .. } = partition.restore;
        let seconds = took.as_secs_f64();
        let done = restored.records;
        Some(if seconds > 0.0 {
            done as f64 / seconds
        } else {
            0.0
        })
    })
}

/// By at least how much a leader's clock is ahead; below 0: behind.
fn skew(scene: &Scene) -> Vec<Sample> {
    let clocks = scene.state.clocks.iter();
    let sample = |(&(topic, partition), ahead): (&(_, i32), &super::Ahead)| {
        let labels = vec![partition.to_string(), ToString::to_string(&topic)];
        (labels, ahead.surely().0 as f64 / 1_000.0)
    };
    clocks.map(sample).collect()
}

/// Every metric.
pub const METRICS: &[Metric] = &[
    Metric {
        stem: "build_info",
        unit: None,
        kind: Kind::Gauge,
        labels: &["version"],
        meaning: "1, labelled with the program's version",
        remedy: "",
        values: |_| vec![(vec![env!("CARGO_PKG_VERSION").to_owned()], 1.0)],
    },
    Metric {
        stem: "healthy",
        unit: None,
        kind: Kind::Gauge,
        labels: &[],
        meaning: "1 while the process gets on, as `/healthz` says",
        remedy: "`/healthz` says which engine or partition does not, and why",
        values: |scene| one(f64::from(u8::from(scene.healthy))),
    },
    Metric {
        stem: "ready",
        unit: None,
        kind: Kind::Gauge,
        labels: &[],
        meaning: "1 while every partition of the process is worked on, as `/readyz` says",
        remedy: "`/readyz` says what it waits for",
        values: |scene| one(f64::from(u8::from(scene.ready))),
    },
    Metric {
        stem: "partitions",
        unit: None,
        kind: Kind::Gauge,
        labels: &["state"],
        meaning: "partitions of the process that are restoring, live, waiting for a schema, halted",
        remedy: "a halted partition's log line and `/healthz` name the remedy",
        values: stages,
    },
    Metric {
        stem: "engine_turn_age",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &["engine"],
        meaning: "time since the engine's thread last came round",
        remedy: "if it grows, brokers do not answer or the machine is too busy; restart if not",
        values: |scene| {
            let engines = scene.state.engines.iter();
            let sample = |(n, e): (&u16, &super::vitals::Engine)| {
                (vec![n.to_string()], scene.since(e.turned))
            };
            engines.map(sample).collect()
        },
    },
    Metric {
        stem: "backlog",
        unit: Some("records"),
        kind: Kind::Gauge,
        labels: &["partition", "topic"],
        meaning: "committed records of an input that lie before the partition's engine",
        remedy: "if it grows, start more processors or engines, up to the number of partitions",
        values: |scene| scene.places(|place| place.backlog as f64),
    },
    Metric {
        stem: "backlog_age",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &[],
        meaning: "time since backlog and last stable offsets were measured",
        remedy: "if it grows, brokers do not answer: what they last said is shown",
        values: |scene| {
            let measured = scene.state.measured;
            measured.map_or_else(Vec::new, |then| one(scene.since(then)))
        },
    },
    Metric {
        stem: "last_stable_offset_stall",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &["partition", "topic"],
        meaning: "how long the last stable offset has stood still before records appended since",
        remedy: "a transaction hangs: `kafka-transactions find-hanging` names it, `abort` ends it",
        values: |scene| scene.places(|place| place.stalled.map_or(0.0, |then| scene.since(then))),
    },
    Metric {
        stem: "open_rounds",
        unit: None,
        kind: Kind::Gauge,
        labels: &["partition"],
        meaning: "rounds that take responses",
        remedy: "lower `max_open_per_proposer` or deadlines if they are more than memory holds",
        values: |scene| scene.partitions(|partition| Some(partition.open.count as f64)),
    },
    Metric {
        stem: "oldest_open_round",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &["partition"],
        meaning: "time since the oldest open round was opened; 0 if none is",
        remedy: "must stay below the longest deadline of the policies",
        values: |scene| scene.partitions(|of| Some(scene.age(of.open.oldest))),
    },
    Metric {
        stem: "overdue_round",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &["partition"],
        meaning: "time since the first deadline of an open round passed; 0 if none has",
        remedy: "ticks or reads do not get through: see backlog, stall and the brokers",
        values: |scene| scene.partitions(|of| Some(scene.age(of.open.deadline))),
    },
    Metric {
        stem: "passed",
        unit: Some("records"),
        kind: Kind::Counter,
        labels: &["topic"],
        meaning: "offsets of an input passed and committed, transaction markers included",
        remedy: "",
        values: |scene| by(scene.state.counts.passed.iter().map(|(of, n)| (*of, *n))),
    },
    Metric {
        stem: "rounds_opened",
        unit: None,
        kind: Kind::Counter,
        labels: &[],
        meaning: "rounds opened",
        remedy: "",
        values: |scene| count(scene.state.counts.tally.opened),
    },
    Metric {
        stem: "outcomes",
        unit: None,
        kind: Kind::Counter,
        labels: &["status", "resolved_by"],
        meaning: "outcomes, the first of an escalated round included",
        remedy: "a change of the shares is a change of the agents: see `quorate explain`",
        values: outcomes,
    },
    Metric {
        stem: "escalations",
        unit: None,
        kind: Kind::Counter,
        labels: &[],
        meaning: "decision packages put before people, each tier anew",
        remedy: "people must keep up with them",
        values: |scene| count(scene.state.counts.tally.escalations),
    },
    Metric {
        stem: "trust_updates",
        unit: None,
        kind: Kind::Counter,
        labels: &[],
        meaning: "results that teach",
        remedy: "none for long: nobody reports how actions turned out",
        values: |scene| count(scene.state.counts.tally.trust_updates),
    },
    Metric {
        stem: "rejects",
        unit: None,
        kind: Kind::Counter,
        labels: &["code"],
        meaning: "records refused, by reason",
        remedy: "`quorate dead-letters list` shows them; `schemas/README.md` says what codes mean",
        values: rejects,
    },
    Metric {
        stem: "forwards",
        unit: None,
        kind: Kind::Counter,
        labels: &[],
        meaning: "records that lay on a wrong partition and were forwarded",
        remedy: "`quorate doctor` names the sender whose partitioner is not murmur2",
        values: |scene| count(scene.state.counts.tally.forwards),
    },
    Metric {
        stem: "ticks",
        unit: None,
        kind: Kind::Counter,
        labels: &[],
        meaning: "ticks appended where a topic fell silent",
        remedy: "",
        values: |scene| count(scene.state.counts.ticks),
    },
    Metric {
        stem: "commits",
        unit: None,
        kind: Kind::Counter,
        labels: &[],
        meaning: "transactions committed",
        remedy: "",
        values: |scene| count(scene.state.counts.commits),
    },
    Metric {
        stem: "commit_duration",
        unit: Some("seconds"),
        kind: Kind::Commits,
        labels: &[],
        meaning: "how long commits take, the delivery of what they hold included",
        remedy: "brokers are slow: see their load and their disks",
        values: |scene| one(scene.state.counts.commit_seconds),
    },
    Metric {
        stem: "aborts",
        unit: None,
        kind: Kind::Counter,
        labels: &[],
        meaning: "times that work was thrown away and done again from what is committed",
        remedy: "single ones are normal; the log line before it says why",
        values: |scene| count(scene.state.counts.aborts),
    },
    Metric {
        stem: "producer_rebuilds",
        unit: None,
        kind: Kind::Counter,
        labels: &[],
        meaning: "transactional producers replaced after a commit in doubt",
        remedy: "if it grows steadily, the brokers are slow or two processes share an instance",
        values: |scene| count(scene.state.counts.producers_rebuilt),
    },
    Metric {
        stem: "restored",
        unit: Some("records"),
        kind: Kind::Counter,
        labels: &[],
        meaning: "records read to restore partitions",
        remedy: "",
        values: |scene| count(scene.state.counts.restored_records),
    },
    Metric {
        stem: "restore_progress",
        unit: Some("ratio"),
        kind: Kind::Gauge,
        labels: &["partition"],
        meaning: "how much of a partition is restored, from 0 to 1",
        remedy: "if it stands still below 1, `/healthz` says since when",
        values: progress,
    },
    Metric {
        stem: "restore_rate",
        unit: Some("records_per_second"),
        kind: Kind::Gauge,
        labels: &["partition"],
        meaning: "records a second of the restore under way, or of the last one",
        remedy: "",
        values: rate,
    },
    Metric {
        stem: "restore_duration",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &["partition"],
        meaning: "how long the restore under way has taken, or the last one took",
        remedy: "shorter deadlines and a compacted `rounds` topic make it shorter",
        values: |scene| scene.partitions(|of| Some(of.restore.took.as_secs_f64())),
    },
    Metric {
        stem: "clock_skew",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &["partition", "topic"],
        meaning: "by at least how much the clock of the partition's leader is ahead of this \
                  machine's, below 0 behind, as last measured",
        remedy: "set the clocks by NTP; `quorate doctor --tick` measures all",
        values: skew,
    },
    Metric {
        stem: "leader_clocks_apart",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &[],
        meaning: "by at least how much the clocks of two leaders differ",
        remedy: "set the brokers' clocks by NTP: deadlines are judged by them",
        values: |scene| {
            let apart = super::Ahead::apart(scene.state.clocks.values().copied());
            one(apart.0 as f64 / 1_000.0)
        },
    },
    Metric {
        stem: "registry_silence",
        unit: Some("seconds"),
        kind: Kind::Gauge,
        labels: &[],
        meaning: "how long the schema registry has not answered while something waits for it",
        remedy: "bring the registry back; nothing is refused meanwhile",
        values: |scene| {
            one(scene
                .state
                .registry_silent
                .map_or(0.0, |then| scene.since(then)))
        },
    },
    Metric {
        stem: "table_records_passed_over",
        unit: None,
        kind: Kind::Counter,
        labels: &["topic"],
        meaning: "unsound records of tables, read as if they were not there, by each engine",
        remedy: "`quorate doctor` names each; write a sound record of its key",
        values: |scene| {
            let counted = scene.state.counts.table_records_passed_over.iter();
            by(counted.map(|(topic, count)| (*topic, *count)))
        },
    },
];
