//! Writes the metrics as OpenMetrics text.
//!
//! They are read from one copy of the vital signs, so that a scrape is of one moment, holds nobody
//! up, and shows no partition that has gone.

use std::fmt;
use std::fmt::Write as _;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use quorate_core::ids::Timestamp;

use super::Vitals;
use super::metrics::{Kind, METRICS, Metric, Scene};
use super::vitals::TOOK;

/// What the text is, for whoever is given it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PREFIX: &str = "quorate";

impl Vitals {
    /// Every metric as it stands, at a time of the wall clock.
    ///
    /// # Errors
    /// None in practice: text can always be written to memory.
    pub fn scrape(&self, time: Timestamp) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(Scene::of(self, time)));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Scene {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in METRICS {
            let unit = metric.unit.map(|unit| Unit::Other(unit.to_owned()));
            let kind = metric.kind.as_it_is_written();
            let (name, meaning) = (metric.stem, metric.meaning);
            let written = encoder.encode_descriptor(name, meaning, unit.as_ref(), kind)?;
            metric.encode(self, written)?;
        }
        Ok(())
    }
}

impl Kind {
    const fn as_it_is_written(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Commits => MetricType::Histogram,
        }
    }
}

impl Metric {
    fn encode(&self, scene: &Scene, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (labels, value) in (self.values)(scene) {
            let labels = labels.iter().map(String::as_str);
            let labels: Vec<(&str, &str)> = self.labels.iter().copied().zip(labels).collect();
            if labels.is_empty() {
                self.sample(scene, value, &mut encoder)?;
            } else {
                self.sample(scene, value, &mut encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn sample(&self, scene: &Scene, value: f64, of: &mut MetricEncoder<'_>) -> fmt::Result {
        match self.kind {
            Kind::Counter => of.encode_counter::<NoLabelSet, f64, f64>(&value, None),
            Kind::Gauge => of.encode_gauge(&value),
            Kind::Commits => {
                let counts = &scene.state.counts;
                let within: u64 = counts.commits_within.iter().sum();
                let longer = counts.commits.saturating_sub(within);
                let classes = TOOK.into_iter().zip(counts.commits_within);
                let classes: Vec<_> = classes.chain([(f64::INFINITY, longer)]).collect();
                of.encode_histogram::<NoLabelSet>(value, counts.commits, &classes, None)
            }
        }
    }

    /// Its name, as it is scraped.
    #[must_use]
    pub fn name(&self) -> String {
        let unit = self
            .unit
            .map_or_else(String::new, |unit| format!("_{unit}"));
        let end = if self.kind == Kind::Counter {
            "_total"
        } else {
            ""
        };
        format!("{PREFIX}_{}{unit}{end}", self.stem)
    }

    /// Its line in a table in Markdown: name, kind, labels, meaning, remedy.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!(
            "| `{}` | {} |",
            self.name(),
            self.kind.as_it_is_written().as_str()
        );
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        // INVARIANT: text can always be written to memory.
        let _written = write!(line, " {} | {} |", labels.join(", "), self.meaning);
        let _written = write!(line, " {} |", self.remedy);
        line
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use quorate_core::ids::Millis;
    use quorate_core::topic::Topic;

    use super::*;
    use crate::engine::Open;
    use crate::telemetry::{Ahead, Restored, Tally};

    fn scraped(vitals: &Vitals) -> String {
        vitals.scrape(Timestamp(10_000)).unwrap()
    }

    #[test]
    fn what_was_told_is_written_until_the_partition_has_gone() {
        let vitals = Vitals::new(Duration::from_secs(3_600));
        vitals.assigned(0, &[3]);
        let mut restored = Restored::default();
        restored.expect(0, 10);
        restored.reach(4, 3, &vitals);
        vitals.restoring(3, &restored);
        assert!(scraped(&vitals).contains("quorate_restore_progress_ratio{partition=\"3\"} 0.5"));
        vitals.live(3);
        vitals.passed(3, Topic::Responses, 7);
        vitals.passed(3, Topic::Responses, 9);
        vitals.backlog(3, Topic::Responses, 5);
        vitals.rounds(
            3,
            Open {
                count: 2,
                oldest: Some(Timestamp(4_000)),
                deadline: Some(Timestamp(12_000)),
            },
        );
        let ahead = Ahead {
            least: Millis(1_500),
            most: Millis(1_600),
        };
        vitals.clock(Topic::Responses, 3, ahead);
        let tally = Tally {
            rejects: [("bad_id".to_owned(), 4)].into(),
            outcomes: [(("approved", "human"), 1)].into(),
            ..Tally::default()
        };
        vitals.committed(Duration::from_millis(20), tally);
        let text = scraped(&vitals);
        for line in [
            "quorate_ready 1.0",
            "quorate_healthy 1.0",
            "quorate_partitions{state=\"live\"} 1.0",
            "quorate_restore_progress_ratio{partition=\"3\"} 1.0",
            "quorate_restored_records_total 1.0",
            "quorate_passed_records_total{topic=\"responses\"} 2.0",
            "quorate_backlog_records{partition=\"3\",topic=\"responses\"} 5.0",
            "quorate_open_rounds{partition=\"3\"} 2.0",
            "quorate_oldest_open_round_seconds{partition=\"3\"} 6.0",
            "quorate_overdue_round_seconds{partition=\"3\"} 0.0",
            "quorate_clock_skew_seconds{partition=\"3\",topic=\"responses\"} 1.5",
            "quorate_rejects_total{code=\"bad_id\"} 4.0",
            "quorate_rejects_total{code=\"stale_id\"} 0.0",
            "quorate_outcomes_total{status=\"approved\",resolved_by=\"human\"} 1.0",
            "quorate_commits_total 1.0",
            "quorate_commit_duration_seconds_bucket{le=\"0.01\"} 0",
            "quorate_commit_duration_seconds_bucket{le=\"0.025\"} 1",
            "quorate_commit_duration_seconds_bucket{le=\"+Inf\"} 1",
        ] {
            assert!(
                text.lines().any(|written| written == line),
                "{line}\n{text}"
            );
        }
        vitals.left(0);
        assert!(!scraped(&vitals).contains("partition=\"3\""));
    }

    #[test]
    fn every_metric_is_written_by_the_name_it_says() {
        let text = scraped(&Vitals::new(Duration::ZERO));
        for metric in METRICS {
            let name = metric.name();
            let described = format!("# HELP {} ", name.trim_end_matches("_total"));
            assert!(text.contains(&described), "{name}\n{text}");
        }
    }
}
