//! Measures how far engines are from the ends of their inputs, on a thread of its own.
//!
//! The distance is to the last stable offset, beyond which nobody may read. What leaves no record
//! to read (transaction markers, what was aborted) is not counted once an engine stands before it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;

use super::{Connection, Error, Gauge, Reader, Start};
use crate::telemetry::Vitals;
use crate::transport::Reading as _;

/// How long to wait before measuring again.
const PAUSE: Duration = Duration::from_secs(2);
/// How long to look for a record.
const LOOK: Duration = Duration::from_secs(5);
/// How long a single look takes, and how soon an order to stop is heard.
const SHORT: Duration = Duration::from_millis(50);

/// Measures on and on until told to stop.
pub(super) fn watch(connection: &Connection, vitals: &Vitals, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let gauges = Gauges::open(connection);
        if let Err(error) = gauges.and_then(|mut gauges| gauges.go_on(vitals, stop)) {
            let cause = error.source().map(ToString::to_string);
            tracing::warn!(%error, cause, "cannot measure the backlog; trying on");
        }
        pause(stop);
    }
}

fn pause(stop: &AtomicBool) {
    let until = Instant::now() + PAUSE;
    while Instant::now() < until && !stop.load(Ordering::Relaxed) {
        thread::sleep(SHORT);
    }
}

struct Gauges {
    gauge: Gauge,
    reader: Reader,
    /// Where engines stood and the topics ended when last looked, and whether a record lay between.
    seen: BTreeMap<(i32, Topic), Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    next: i64,
    stable: i64,
    any: Option<bool>,
}

impl Gauges {
    fn open(connection: &Connection) -> Result<Self, Error> {
        Ok(Self {
            gauge: Gauge::open(connection)?,
            reader: Reader::open(connection)?,
            seen: BTreeMap::new(),
        })
    }

    fn go_on(&mut self, vitals: &Vitals, stop: &AtomicBool) -> Result<(), Error> {
        while !stop.load(Ordering::Relaxed) {
            let places = vitals.places();
            self.seen
                .retain(|&(of, topic), _| places.iter().any(|p| (p.0, p.1) == (of, topic)));
            for (partition, topic, next) in places {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let ends = self.gauge.ends(topic, partition)?;
                vitals.stable(partition, topic, ends.stable, ends.is_held());
                let records = self.between(partition, topic, next, ends.stable)?;
                vitals.backlog(partition, topic, records);
            }
            vitals.measured();
            pause(stop);
        }
        Ok(())
    }

    /// Records from where an engine stands to an end. Only where both stand still is it worth
    /// looking whether there is any.
    fn between(
        &mut self,
        partition: i32,
        topic: Topic,
        next: i64,
        stable: i64,
    ) -> Result<u64, Error> {
        let offsets = u64::try_from(stable.saturating_sub(next)).unwrap_or(0);
        let seen = self.seen.get(&(partition, topic));
        let still = seen.filter(|seen| offsets > 0 && (seen.next, seen.stable) == (next, stable));
        let any = match still {
            Some(Seen { any: Some(any), .. }) => Some(*any),
            Some(_) => Some(self.any(partition, topic, next, stable)?),
            None => None,
        };
        let seen = Seen { next, stable, any };
        self.seen.insert((partition, topic), seen);
        Ok(if any == Some(false) { 0 } else { offsets })
    }

    /// Whether a committed record lies from one offset up to another; so if it cannot be told.
    fn any(&self, partition: i32, topic: Topic, from: i64, to: i64) -> Result<bool, Error> {
        self.reader.go_to(&[(topic, partition, Start::At(from))])?;
        let until = Instant::now() + LOOK;
        let mut any = true;
        while Instant::now() < until {
            if let Some(record) = self.reader.next(SHORT)? {
                any = record.offset < to;
                break;
            }
            if self.reader.position(topic, partition) >= Some(to) {
                any = false;
                break;
            }
        }
        self.reader.go_to(&[])?;
        Ok(any)
    }
}
