//! How often somebody may ask: each subject, and each address that nobody known asks from.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use governor::clock::{Clock, DefaultClock, Reference as _};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};

use crate::gateway::refusal::{Refusal, Sort};

/// After how many requests those that have not asked for a while are forgotten.
const SWEEP: u32 = 10_000;

/// How many requests are taken of one.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// So many a second, for ever.
    pub per_second: NonZeroU32,
    /// So many at once.
    pub burst: NonZeroU32,
}

/// A bucket of tokens for each.
struct Buckets<K: Hash + Eq + Clone, C: Clock> {
    limiter: RateLimiter<K, DashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
    taken: AtomicU32,
}

/// What has been asked by whom.
pub(super) struct Limits<C: Clock = DefaultClock> {
    clock: C,
    subjects: Buckets<String, C>,
    failures: Buckets<IpAddr, C>,
    /// Addresses from which nothing is looked at until then.
    barred: Mutex<BTreeMap<IpAddr, C::Instant>>,
}

impl<C: Clock> std::fmt::Debug for Limits<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").finish_non_exhaustive()
    }
}

impl<C: Clock + Clone + Default> Limits<C> {
    /// Limits for each subject, and for each address from which nobody known asks.
    pub(super) fn new(subjects: Rate, failures: Rate) -> Self {
        Self::by(C::default(), subjects, failures)
    }
}

impl<C: Clock + Clone> Limits<C> {
    fn by(clock: C, subjects: Rate, failures: Rate) -> Self {
        Self {
            subjects: Buckets::of(subjects, &clock),
            failures: Buckets::of(failures, &clock),
            barred: Mutex::default(),
            clock,
        }
    }

    /// Takes a request of a subject.
    pub(super) fn take(&self, subject: &str) -> Result<(), Refusal> {
        let taken = self.subjects.take(subject.to_owned());
        taken.map_err(|until| self.refuse(subject, until.earliest_possible()))
    }

    /// Whether a token that nobody has may be looked at, from an address.
    pub(super) fn may_try(&self, from: IpAddr) -> Result<(), Refusal> {
        let from = network(from);
        let barred = self.barred.lock().unwrap_or_else(PoisonError::into_inner);
        match barred.get(&from) {
            Some(until) if *until > self.clock.now() => {
                Err(self.refuse("this address, from which nobody known has asked", *until))
            }
            _ => Ok(()),
        }
    }

    /// Remembers that nobody known asked from an address.
    pub(super) fn failed(&self, from: IpAddr) {
        let from = network(from);
        if let Err(until) = self.failures.take(from) {
            let mut barred = self.barred.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.now();
            barred.retain(|_, until| *until > now);
            barred.insert(from, until.earliest_possible());
        }
    }

    fn refuse(&self, who: &str, until: C::Instant) -> Refusal {
        let wait = until.duration_since(self.clock.now()).into();
        let detail = format!("more requests have come than are taken of {who}");
        Refusal::new(Sort::TooMany, "rate_limited", detail).after(wait)
    }
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Buckets<K, C> {
    fn of(rate: Rate, clock: &C) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            limiter: RateLimiter::dashmap_with_clock(quota, clock.clone()),
            taken: AtomicU32::new(0),
        }
    }

    fn take(&self, key: K) -> Result<(), NotUntil<C::Instant>> {
        if self.taken.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&key)
    }
}

/// An address, or the network that all of somebody's addresses may be in.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rate(per_second: u32, burst: u32) -> Rate {
        let [per_second, burst] = [per_second, burst].map(|of| NonZeroU32::new(of).unwrap());
        Rate { per_second, burst }
    }

    fn limits() -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limits = Limits::by(clock.clone(), rate(2, 3), rate(1, 2));
        (limits, clock)
    }

    #[test]
    fn a_subject_has_so_many_at_once_and_so_many_a_second() {
        let (limits, clock) = limits();
        for _ in 0..3 {
            limits.take("ada").unwrap();
        }
        let refusal = limits.take("ada").unwrap_err();
        assert_eq!(
            (refusal.sort, &*refusal.code),
            (Sort::TooMany, "rate_limited")
        );
        assert_eq!(refusal.wait, Duration::from_millis(500));
        // It is nobody else's loss.
        limits.take("bob").unwrap();
        clock.advance(Duration::from_millis(500));
        limits.take("ada").unwrap();
        assert!(limits.take("ada").is_err());
    }

    #[test]
    fn an_address_that_nobody_known_asks_from_is_left_alone_after_some_times() {
        let (limits, clock) = limits();
        let one = "10.0.0.1".parse().unwrap();
        for _ in 0..3 {
            limits.may_try(one).unwrap();
            limits.failed(one);
        }
        assert_eq!(limits.may_try(one).unwrap_err().code, "rate_limited");
        limits.may_try("10.0.0.2".parse().unwrap()).unwrap();
        // The same machine, as another socket names it.
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert!(limits.may_try(mapped).is_err());
        clock.advance(Duration::from_secs(1));
        limits.may_try(one).unwrap();
        limits.failed(one);
        assert!(limits.may_try(one).is_ok());
        limits.failed(one);
        assert!(limits.may_try(one).is_err());
    }

    #[test]
    fn addresses_of_one_network_are_one() {
        let (limits, _) = limits();
        for last in 0..3 {
            limits.failed(format!("2001:db8:1:2::{last}").parse().unwrap());
        }
        assert!(
            limits
                .may_try("2001:db8:1:2:ffff::9".parse().unwrap())
                .is_err()
        );
        assert!(limits.may_try("2001:db8:1:3::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn who_has_not_asked_for_a_while_is_forgotten() {
        let (limits, clock) = limits();
        for number in 0..SWEEP {
            limits.failed(IpAddr::from(number.to_be_bytes()));
            limits.take(&number.to_string()).unwrap();
        }
        assert!(limits.subjects.limiter.len() >= 9_999);
        clock.advance(Duration::from_secs(3));
        for number in 0..SWEEP {
            limits.failed(IpAddr::from([10, 0, 0, 0]));
            limits.take("ada").unwrap_or_default();
            clock.advance(Duration::from_micros(number.into()));
        }
        assert!(limits.subjects.limiter.len() < 3);
        assert!(limits.failures.limiter.len() < 3);
        assert_eq!(limits.barred.lock().unwrap().len(), 1);
    }
}
