//! What a gateway shows of itself: what was asked of it, who listens, what it has read, and what it
//! told webhooks.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of the classes requests are counted in, in seconds.
const TOOK: [f64; 9] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 15.0, 30.0];

type Labels = Vec<(&'static str, String)>;

/// What was asked of a gateway, and what it has read.
#[derive(Debug)]
pub struct Traffic {
    registry: Registry,
    requests: Family<Labels, Histogram, fn() -> Histogram>,
    streams: Gauge,
    follows: Gauge,
    records: Counter,
    bytes: Family<Labels, Gauge>,
    delivered: Family<Labels, Counter>,
    failed: Family<Labels, Counter>,
    given_up: Family<Labels, Counter>,
    waiting: Family<Labels, Gauge>,
}

/// What a gateway has read by now.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Whether the log is followed, and was heard of lately.
    pub follows: bool,
    /// Records taken from it.
    pub records: u64,
    /// About how many bytes are remembered of what is bounded, by what it is.
    pub bytes: Vec<(&'static str, usize)>,
}

/// What becomes of what a webhook is told; by its name, and never where to.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    /// What was taken.
    pub delivered: Counter,
    /// Tries that were in vain.
    pub failed: Counter,
    /// What was told for long enough, and not taken.
    pub given_up: Counter,
    /// What is to be taken.
    pub waiting: Gauge,
}

/// A stream that is open as long as this is there.
#[derive(Debug)]
pub struct Listening(Gauge);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Traffic {
    fn default() -> Self {
        let took: fn() -> Histogram = || Histogram::new(TOOK);
        let mut new = Self {
            registry: Registry::with_prefix("quorate_gateway"),
            requests: Family::new_with_constructor(took),
            streams: Gauge::default(),
            follows: Gauge::default(),
            records: Counter::default(),
            bytes: Family::default(),
            delivered: Family::default(),
            failed: Family::default(),
            given_up: Family::default(),
            waiting: Family::default(),
        };
        let registry = &mut new.registry;
        registry.register_with_unit(
            "request_duration",
            "Time from a request to the head of its answer, waiting that was asked for included",
            Unit::Seconds,
            new.requests.clone(),
        );
        registry.register(
            "streams",
            "Streams of events that are open",
            new.streams.clone(),
        );
        registry.register(
            "following",
            "1 while the log is followed and was heard of lately",
            new.follows.clone(),
        );
        registry.register(
            "records",
            "Records read of the log since the start",
            new.records.clone(),
        );
        registry.register_with_unit(
            "remembered",
            "About how much memory is taken by what is remembered and bounded",
            Unit::Bytes,
            new.bytes.clone(),
        );
        registry.register(
            "webhook_delivered",
            "Escalations that a webhook has taken",
            new.delivered.clone(),
        );
        registry.register(
            "webhook_failed_tries",
            "Tries to tell a webhook of an escalation that it did not take",
            new.failed.clone(),
        );
        registry.register(
            "webhook_given_up",
            "Escalations that a webhook did not take within a day",
            new.given_up.clone(),
        );
        registry.register(
            "webhook_waiting",
            "Escalations this gateway has read for a webhook that has not taken them yet",
            new.waiting.clone(),
        );
        new
    }
}

impl Traffic {
    /// Counts a request: its method, the template of its path, the status of the answer, and how
    /// long it took until that began.
    pub fn asked(&self, method: &'static str, route: &str, status: u16, took: Duration) {
        let labels = vec![
            ("method", method.to_owned()),
            ("route", route.to_owned()),
            ("status", format!("{}xx", status / 100)),
        ];
        let requests = self.requests.get_or_create(&labels);
        requests.observe(took.as_secs_f64());
    }

    /// Counts a stream as open until what is given is dropped.
    #[must_use]
    pub fn listening(&self) -> Listening {
        self.streams.inc();
        Listening(self.streams.clone())
    }

    /// What becomes of what a webhook is told; from now on all of it is written, if it is 0.
    #[must_use]
    pub fn webhook(&self, name: &str) -> Deliveries {
        let labels = vec![("webhook", name.to_owned())];
        Deliveries {
            delivered: self.delivered.get_or_create(&labels).clone(),
            failed: self.failed.get_or_create(&labels).clone(),
            given_up: self.given_up.get_or_create(&labels).clone(),
            waiting: self.waiting.get_or_create(&labels).clone(),
        }
    }

    /// Every metric as it stands, as OpenMetrics text.
    ///
    /// # Errors
    /// None in practice: text can always be written to memory.
    pub fn scrape(&self, read: &Read) -> Result<String, fmt::Error> {
        self.follows.set(read.follows.into());
        self.records.inner().store(read.records, Ordering::Relaxed);
        for (of, bytes) in &read.bytes {
            let labels = vec![("of", (*of).to_owned())];
            let bytes = i64::try_from(*bytes).unwrap_or(i64::MAX);
            self.bytes.get_or_create(&labels).set(bytes);
        }
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_written() {
        let traffic = Traffic::default();
        traffic.asked("GET", "/v1/rounds", 200, Duration::from_millis(2));
        traffic.asked("GET", "/v1/rounds", 204, Duration::from_secs(60));
        traffic.asked("GET", "/v1/rounds", 404, Duration::ZERO);
        let listening = [traffic.listening(), traffic.listening()];
        let read = Read {
            follows: true,
            records: 7,
            bytes: vec![("rounds", 12)],
        };
        let told = traffic.webhook("desk");
        told.failed.inc();
        told.waiting.set(3);
        let text = traffic.scrape(&read).unwrap();
        let of = "method=\"GET\",route=\"/v1/rounds\"";
        let duration = "quorate_gateway_request_duration_seconds";
        for line in [
            format!("{duration}_count{{{of},status=\"2xx\"}} 2"),
            format!("{duration}_count{{{of},status=\"4xx\"}} 1"),
            format!("{duration}_bucket{{le=\"0.001\",{of},status=\"2xx\"}} 0"),
            format!("{duration}_bucket{{le=\"0.005\",{of},status=\"2xx\"}} 1"),
            "quorate_gateway_streams 2".to_owned(),
            "quorate_gateway_following 1".to_owned(),
            "quorate_gateway_records_total 7".to_owned(),
            "quorate_gateway_remembered_bytes{of=\"rounds\"} 12".to_owned(),
            "quorate_gateway_webhook_delivered_total{webhook=\"desk\"} 0".to_owned(),
            "quorate_gateway_webhook_failed_tries_total{webhook=\"desk\"} 1".to_owned(),
            "quorate_gateway_webhook_given_up_total{webhook=\"desk\"} 0".to_owned(),
            "quorate_gateway_webhook_waiting{webhook=\"desk\"} 3".to_owned(),
        ] {
            let is_written = text.lines().any(|written| written == line);
            assert!(is_written, "{line}\n{text}");
        }
        drop(listening);
        let text = traffic.scrape(&Read::default()).unwrap();
        assert!(text.contains("quorate_gateway_streams 0"), "{text}");
        assert!(text.contains("quorate_gateway_following 0"), "{text}");
    }
}
