//! Sends what is to be sent, each until it is taken. One that is not taken keeps no other back, but
//! how far the webhook is done says so: after a restart everything since then is sent again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::ids::{Millis, Timestamp};
use quorate_core::records::DecisionPackage;
use quorate_core::topic::Topic;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use tokio::runtime::Handle;

use super::Webhook;
use super::message::Message;
use crate::clock::{Clock as _, System};
use crate::gateway::desk::Desk;
use crate::telemetry::Deliveries;
use crate::transport::{Error, Share, Shared, Stored};

/// How long one look for escalations takes.
const LOOK: Duration = Duration::from_millis(50);
/// How long to wait before a log that failed is read again.
const PAUSE: Duration = Duration::from_secs(1);
/// How many are sent at once.
const AT_ONCE: usize = 8;
/// How many wait to be taken before no more are read.
const WAITING_MAX: usize = 64;
/// How many may be read since the first that was not taken: as many are sent again at most.
const AHEAD_MAX: i64 = 1_000;
/// The shortest and the longest time until something is tried again.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15 * 60));
/// After how long since it was appended an escalation is given up.
const GIVES_UP: Millis = Millis(24 * 60 * 60 * 1_000);

/// Where an escalation lies.
type Place = (i32, i64);

/// One that is to be taken.
#[derive(Debug)]
struct Waiting {
    message: Message,
    /// How often it was tried.
    tries: u32,
    /// When it is tried next; none while it is being tried.
    due: Option<Instant>,
}

/// What a try came to: when partitions were shared out, of which escalation, and why not.
type Tried = (u64, Place, Result<(), String>);

/// What one has of a webhook's partitions.
struct Work {
    waiting: BTreeMap<Place, Waiting>,
    /// The offset of each partition to read next.
    read: BTreeMap<i32, i64>,
    /// Up to where each partition is said to be done.
    done: BTreeMap<i32, i64>,
    /// Up to where each partition was there before the webhook was.
    before: BTreeMap<i32, i64>,
    is_held: bool,
    /// How often partitions were shared out.
    round: u64,
    random: Pcg64Mcg,
}

impl Webhook {
    /// Tells of escalations until `stop` is set; for a thread of its own.
    pub fn run(&self, desk: &Desk, counted: &Deliveries, runtime: &Handle, stop: &AtomicBool) {
        let name = self.name();
        while !stop.load(Ordering::Relaxed) {
            // What waits for people is known once the log is read.
            let told = desk
                .is_following()
                .then(|| self.tell(desk, counted, runtime, stop));
            counted.waiting.set(0);
            if let Some(Err(error)) = told {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(webhook = name, error, "escalations cannot be told");
                thread::sleep(PAUSE);
            }
            thread::sleep(LOOK);
        }
    }

    fn tell(
        &self,
        desk: &Desk,
        counted: &Deliveries,
        runtime: &Handle,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let mut shared = desk.share_escalations(self.name())?;
        let (says, tried) = channel();
        let mut work = Work::new();
        while !stop.load(Ordering::Relaxed) {
            match shared.next(LOOK)? {
                Share::Nothing => {}
                Share::Mine(mine) => work.begin(desk, shared.as_mut(), mine)?,
                Share::Record(stored) => self.take(desk, &mut work, &stored),
            }
            self.settle(&mut work, &tried, counted);
            let waiting = i64::try_from(work.waiting.len());
            counted.waiting.set(waiting.unwrap_or(i64::MAX));
            self.send(&mut work, runtime, &says);
            work.keep(shared.as_mut())?;
        }
        Ok(())
    }

    /// Takes an escalation, if it is to be told.
    fn take(&self, desk: &Desk, work: &mut Work, stored: &Stored) {
        let (partition, offset) = (stored.partition, stored.offset);
        work.read.insert(partition, offset + 1);
        let Some(value) = &stored.value else {
            return;
        };
        let package = match desk.codec().decode::<DecisionPackage>(value) {
            Ok((package, _)) => package,
            Err(error) => {
                let name = self.name();
                tracing::warn!(webhook = name, partition, offset, %error, "not an escalation");
                return;
            }
        };
        // Of those from before it was there, what waits for nobody any more is no news.
        let is_old = work.before.get(&partition).is_some_and(|end| offset < *end);
        if is_old && !desk.view().known().has_last(&package.proposal_id, value) {
            return;
        }
        let at = stored.timestamp.unwrap_or_default();
        if let Some(message) = Message::of(&self.terms, &package, at) {
            let waiting = Waiting {
                message,
                tries: 0,
                due: Some(Instant::now()),
            };
            work.waiting.insert((partition, offset), waiting);
        }
    }

    /// Sends what is due.
    fn send(&self, work: &mut Work, runtime: &Handle, says: &Sender<Tried>) {
        let mut free = AT_ONCE.saturating_sub(work.in_the_air());
        let (now, round) = (Instant::now(), work.round);
        for (&place, waiting) in &mut work.waiting {
            if free == 0 {
                return;
            }
            if waiting.due.is_none_or(|due| due > now) {
                continue;
            }
            (waiting.due, free) = (None, free - 1);
            let second = System.now().0.div_euclid(1_000);
            let message = &waiting.message;
            let request = self
                .client
                .post(self.url.clone())
                .header("content-type", "application/json")
                .header("webhook-id", &message.id)
                .header("webhook-timestamp", second.to_string())
                .header("webhook-signature", self.key.sign(message, second))
                .body(message.body.clone());
            let says = says.clone();
            runtime.spawn(async move {
                // Nothing of what it says is read.
                let said = match request.send().await {
                    Ok(answer) if answer.status().is_success() => Ok(()),
                    Ok(answer) => Err(format!("it answered {}", answer.status())),
                    Err(error) => Err(chain(&error.without_url())),
                };
                // Nobody is left to be told where it ends.
                let _told = says.send((round, place, said));
            });
        }
    }

    /// Takes what tries came to.
    fn settle(&self, work: &mut Work, tried: &Receiver<Tried>, counted: &Deliveries) {
        while let Ok((round, place, said)) = tried.try_recv() {
            // Whoever's it is by now, it was tried.
            match said {
                Ok(()) => counted.delivered.inc(),
                Err(_) => counted.failed.inc(),
            };
            if round != work.round {
                continue;
            }
            let Some(waiting) = work.waiting.get_mut(&place) else {
                continue;
            };
            let Err(why) = said else {
                work.waiting.remove(&place);
                continue;
            };
            waiting.tries = waiting.tries.saturating_add(1);
            let (webhook, id) = (self.name(), waiting.message.id.clone());
            if is_over(waiting.message.at, System.now()) {
                tracing::error!(webhook, id, why, "an escalation is not told: given up");
                counted.given_up.inc();
                work.waiting.remove(&place);
                continue;
            }
            if waiting.tries == 1 {
                tracing::warn!(webhook, id, why, "an escalation was not taken; tried again");
            } else {
                tracing::debug!(webhook, id, why, waiting.tries, "not taken");
            }
            let again = pause(waiting.tries);
            let share = work.random.random_range(0.5..=1.0);
            waiting.due = Some(Instant::now() + again.mul_f64(share));
        }
    }
}

impl Work {
    fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            read: BTreeMap::new(),
            done: BTreeMap::new(),
            before: BTreeMap::new(),
            is_held: false,
            round: 0,
            random: Pcg64Mcg::seed_from_u64(uuid::Uuid::now_v7().as_u64_pair().1),
        }
    }

    /// Begins with partitions as they were shared out; what it had before is somebody else's.
    fn begin(
        &mut self,
        desk: &Desk,
        shared: &mut dyn Shared,
        mine: BTreeMap<i32, Option<i64>>,
    ) -> Result<(), Error> {
        self.waiting.clear();
        self.read.clear();
        self.done.clear();
        self.before.clear();
        self.is_held = false;
        self.round += 1;
        for (partition, done) in mine {
            let next = match done {
                Some(next) => next,
                None => {
                    let (start, end) = desk.ends_of(Topic::Escalations, partition)?;
                    self.before.insert(partition, end);
                    // From now on it was there, however soon it ends.
                    shared.done(&BTreeMap::from([(partition, start)]))?;
                    start
                }
            };
            self.read.insert(partition, next);
            self.done.insert(partition, next);
        }
        Ok(())
    }

    fn in_the_air(&self) -> usize {
        let waiting = self.waiting.values();
        waiting.filter(|waiting| waiting.due.is_none()).count()
    }

    /// Up to where a partition is done: nothing before it waits to be taken.
    fn done_with(&self, partition: i32, read: i64) -> i64 {
        let first = self.waiting.range((partition, 0)..).next();
        let first = first.filter(|((of, _), _)| *of == partition);
        first.map_or(read, |((_, offset), _)| *offset)
    }

    /// Says how far it is done, and stops or goes on reading.
    fn keep(&mut self, shared: &mut dyn Shared) -> Result<(), Error> {
        let mut moved = BTreeMap::new();
        let mut is_full = self.waiting.len() >= WAITING_MAX;
        for (&partition, &read) in &self.read {
            let done = self.done_with(partition, read);
            is_full |= read - done >= AHEAD_MAX;
            if self
                .done
                .get(&partition)
                .is_none_or(|before| *before < done)
            {
                moved.insert(partition, done);
            }
        }
        if !moved.is_empty() {
            shared.done(&moved)?;
            self.done.extend(moved);
        }
        if is_full != self.is_held {
            shared.hold(is_full)?;
            self.is_held = is_full;
        }
        Ok(())
    }
}

/// Whether an escalation has been told for long enough.
fn is_over(at: Timestamp, now: Timestamp) -> bool {
    now.since(at) > GIVES_UP
}

/// How long to wait at most after so many tries: each time twice as long.
fn pause(tries: u32) -> Duration {
    let (shortest, longest) = AGAIN;
    let times = 2_u32.saturating_pow(tries.saturating_sub(1));
    shortest.saturating_mul(times).min(longest)
}

/// An error with what it comes from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::terms;
    use super::*;

    fn waiting() -> Waiting {
        waiting_since(Timestamp(0))
    }

    fn waiting_since(at: Timestamp) -> Waiting {
        let message = Message {
            id: "m".to_owned(),
            body: axum::body::Bytes::new(),
            at,
        };
        let due = Some(Instant::now());
        let tries = 0;
        Waiting {
            message,
            tries,
            due,
        }
    }

    /// What is said to whoever keeps how far it is.
    #[derive(Default)]
    struct Kept {
        done: BTreeMap<i32, i64>,
        held: bool,
    }

    impl Shared for Kept {
        fn next(&mut self, _: Duration) -> Result<Share, Error> {
            Ok(Share::Nothing)
        }

        fn hold(&mut self, held: bool) -> Result<(), Error> {
            self.held = held;
            Ok(())
        }

        fn done(&mut self, next: &BTreeMap<i32, i64>) -> Result<(), Error> {
            self.done.extend(next);
            Ok(())
        }
    }

    #[test]
    fn what_was_not_taken_is_not_done_with_and_keeps_no_other_back() {
        let (mut work, mut kept) = (Work::new(), Kept::default());
        work.read = BTreeMap::from([(0, 9), (1, 5)]);
        work.waiting.insert((0, 3), waiting());
        work.waiting.insert((0, 7), waiting());
        work.keep(&mut kept).unwrap();
        assert_eq!(kept.done, BTreeMap::from([(0, 3), (1, 5)]));
        assert!(!kept.held);
        work.waiting.remove(&(0, 7));
        work.keep(&mut kept).unwrap();
        assert_eq!(kept.done[&0], 3, "the other one is not taken");
        work.waiting.remove(&(0, 3));
        work.keep(&mut kept).unwrap();
        assert_eq!(kept.done[&0], 9);
    }

    #[test]
    fn what_waits_is_bounded_and_so_is_what_would_be_sent_again() {
        let (mut work, mut kept) = (Work::new(), Kept::default());
        work.waiting.insert((0, 3), waiting());
        work.read.insert(0, 3 + AHEAD_MAX);
        work.keep(&mut kept).unwrap();
        assert!(kept.held);
        work.waiting.clear();
        work.keep(&mut kept).unwrap();
        assert!(!kept.held);
        let most = i64::try_from(WAITING_MAX).unwrap();
        work.read.insert(0, 3 + AHEAD_MAX + most);
        for offset in 0..most {
            work.waiting.insert((0, 3 + AHEAD_MAX + offset), waiting());
        }
        work.keep(&mut kept).unwrap();
        assert!(kept.held);
    }

    #[test]
    fn it_is_tried_ever_more_seldom_and_given_up_after_a_day() {
        let seconds: Vec<_> = (1..=4).map(|tries| pause(tries).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8]);
        assert_eq!(pause(60), AGAIN.1);
        assert!(!is_over(Timestamp(0), Timestamp(GIVES_UP.0)));
        assert!(is_over(Timestamp(0), Timestamp(GIVES_UP.0 + 1)));
    }

    #[test]
    fn one_that_was_not_taken_within_a_day_is_counted_as_given_up_and_no_other_is() {
        let webhook = Webhook::new(terms("https://hooks.example/", false)).unwrap();
        let (mut work, counted, (says, tried)) = (Work::new(), Deliveries::default(), channel());
        let (old, new) = ((0, 3), (0, 4));
        work.waiting.insert(old, waiting());
        work.waiting.insert(new, waiting_since(System.now()));
        for place in [old, new] {
            says.send((work.round, place, Err("busy".to_owned())))
                .unwrap();
        }
        webhook.settle(&mut work, &tried, &counted);
        assert_eq!((counted.failed.get(), counted.given_up.get()), (2, 1));
        assert_eq!(work.waiting.keys().collect::<Vec<_>>(), [&new]);
        assert!(work.waiting[&new].due.is_some(), "it is not tried again");
    }
}
