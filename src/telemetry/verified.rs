//! What a verifier that follows a log shows of itself: what it came to, and how far it is.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use quorate_core::ids::Timestamp;

use super::Report;

type Labels = Vec<(&'static str, String)>;

/// What a verifier came to.
#[derive(Debug)]
pub struct Verified {
    registry: Registry,
    items: Family<Labels, Counter>,
    waiting: Family<Labels, Gauge>,
    under_way: Family<Labels, Gauge>,
    behind: Family<Labels, Gauge>,
    open: Gauge,
    held: Family<Labels, Gauge>,
    compared: Gauge<f64, AtomicU64>,
    /// When it last got on, and after how long it should have.
    last: Mutex<Instant>,
    patience: Duration,
}

/// What a comparison came to.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// When it was made.
    pub at: Timestamp,
    /// Items counted since the start, by verdict and kind.
    pub items: Vec<(&'static str, &'static str, u64)>,
    /// Records that nothing follows from yet, by kind.
    pub waiting: Vec<(&'static str, u64)>,
    /// What is found and not expected yet, and the other way round.
    pub under_way: [(&'static str, usize); 2],
    /// Records of inputs that lie before it, by topic.
    pub behind: Vec<(&'static str, i64)>,
    /// Open rounds.
    pub open: u64,
    /// What it holds in memory: rounds, and what else it remembers.
    pub held: [(&'static str, usize); 2],
}

impl Verified {
    /// Nothing is compared yet; for how long it may take before something is the matter.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        let mut new = Self {
            registry: Registry::with_prefix("quorate_verify"),
            items: Family::default(),
            waiting: Family::default(),
            under_way: Family::default(),
            behind: Family::default(),
            open: Gauge::default(),
            held: Family::default(),
            compared: Gauge::default(),
            last: Mutex::new(Instant::now()),
            patience,
        };
        let registry = &mut new.registry;
        let told = "Items compared since the start, by what they came to";
        registry.register("items", told, new.items.clone());
        let told = "Records that nothing follows from yet";
        registry.register("waiting_records", told, new.waiting.clone());
        let told = "What is found and not expected yet, and expected and not found yet";
        registry.register("under_way_items", told, new.under_way.clone());
        let told = "Records of inputs that lie before it";
        registry.register("behind_records", told, new.behind.clone());
        let told = "Rounds whose deadlines the log has not passed";
        registry.register("open_rounds", told, new.open.clone());
        let told = "What it holds in memory until it is forgotten";
        registry.register("held_items", told, new.held.clone());
        let told = "When the last comparison was made, by the clock; 0 before the first";
        let (name, unit) = ("last_comparison_timestamp", Unit::Seconds);
        registry.register_with_unit(name, told, unit, new.compared.clone());
        new
    }

    /// Takes what a comparison came to.
    pub fn note(&self, compared: &Compared) {
        for (verdict, kind, count) in &compared.items {
            let labels = vec![("verdict", (*verdict).into()), ("kind", (*kind).into())];
            let counter = self.items.get_or_create(&labels);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.waiting.clear();
        for (kind, count) in &compared.waiting {
            set(&self.waiting, "kind", kind, *count);
        }
        for (side, count) in &compared.under_way {
            set(&self.under_way, "side", side, *count);
        }
        for (topic, count) in &compared.behind {
            set(&self.behind, "topic", topic, *count);
        }
        self.open
            .set(i64::try_from(compared.open).unwrap_or(i64::MAX));
        for (of, count) in &compared.held {
            set(&self.held, "of", of, *count);
        }
        self.compared.set(compared.at.0 as f64 / 1_000.0);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether it compares what comes, and why not.
    #[must_use]
    pub fn health(&self) -> Report {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let span = last.elapsed();
        let is_late = span > self.patience;
        let why = || format!("nothing was compared for {} s", span.as_secs());
        Report {
            ok: !is_late,
            why: is_late.then(why).into_iter().collect(),
            partitions: Vec::new(),
        }
    }

    /// Whether it has compared what was there when it was started, to whatever end.
    #[must_use]
    pub fn readiness(&self) -> Report {
        let is_ready = self.compared.get() > 0.0;
        let why = || "what was there at its start is not compared yet".to_owned();
        Report {
            ok: is_ready,
            why: (!is_ready).then(why).into_iter().collect(),
            partitions: Vec::new(),
        }
    }

    /// Every metric as it stands, as OpenMetrics text.
    ///
    /// # Errors
    /// None in practice: text can always be written to memory.
    pub fn scrape(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn set(of: &Family<Labels, Gauge>, label: &'static str, value: &str, to: impl TryInto<i64>) {
    let gauge = of.get_or_create(&vec![(label, value.to_owned())]);
    gauge.set(to.try_into().unwrap_or(i64::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_compared_is_written() {
        let verified = Verified::new(Duration::from_secs(3_600));
        assert!(verified.health().ok && !verified.readiness().ok);
        let mut compared = Compared {
            at: Timestamp(1_500),
            items: vec![("verified", "outcome", 2), ("broken", "outcome", 1)],
            waiting: vec![("decision", 3)],
            under_way: [("found", 4), ("expected", 5)],
            behind: vec![("responses", 6)],
            open: 7,
            held: [("rounds", 8), ("notes", 9)],
        };
        verified.note(&compared);
        assert!(verified.readiness().ok);
        let text = verified.scrape().unwrap();
        for line in [
            "quorate_verify_items_total{verdict=\"verified\",kind=\"outcome\"} 2",
            "quorate_verify_items_total{verdict=\"broken\",kind=\"outcome\"} 1",
            "quorate_verify_waiting_records{kind=\"decision\"} 3",
            "quorate_verify_under_way_items{side=\"found\"} 4",
            "quorate_verify_under_way_items{side=\"expected\"} 5",
            "quorate_verify_behind_records{topic=\"responses\"} 6",
            "quorate_verify_open_rounds 7",
            "quorate_verify_held_items{of=\"rounds\"} 8",
            "quorate_verify_held_items{of=\"notes\"} 9",
            "quorate_verify_last_comparison_timestamp_seconds 1.5",
        ] {
            let is_written = text.lines().any(|written| written == line);
            assert!(is_written, "{line}\n{text}");
        }
        compared.waiting.clear();
        verified.note(&compared);
        let text = verified.scrape().unwrap();
        assert!(!text.contains("kind=\"decision\""), "{text}");
        assert!(!Verified::new(Duration::ZERO).health().ok);
    }
}
