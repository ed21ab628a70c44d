//! Whether the log is still heard of: a reader whom nobody tells anything cannot tell a log that
//! is away from one to which nothing comes.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;

use super::view::View;
use crate::transport::{Error, Handle, Reading};

/// How often the log is asked.
const ASK: Duration = Duration::from_secs(1);
/// How long nothing may be heard of it until what is known is not told any more.
const SILENCE: Duration = Duration::from_secs(10);

/// Asks the log where it ends, now and then, and says for how long it has not been read to where
/// it was said to end. The thread ends soon after `stop` is set; it is not waited for, as a
/// question to a log that is away may take longer than that.
pub(super) fn listen(
    view: &Arc<View>,
    handle: &Arc<dyn Handle>,
    partitions: i32,
    stop: &Arc<AtomicBool>,
) -> io::Result<()> {
    let (view, handle, stop) = (Arc::clone(view), Arc::clone(handle), Arc::clone(stop));
    let listen = move || {
        let mut ends = Ends::new(partitions, Instant::now());
        let (mut reader, mut was_silent) = (None, false);
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = ends.ask(&view, handle.as_ref(), &mut reader) {
                reader = None;
                tracing::debug!(%error, "the log does not say where it ends");
            }
            view.set_heard(ends.heard());
            let is_silent = is_silent(ends.heard());
            if is_silent && !was_silent {
                let seconds = SILENCE.as_secs();
                tracing::warn!(seconds, "the log was not read to its end for so long");
            }
            was_silent = is_silent;
            thread::sleep(ASK);
        }
    };
    let named = thread::Builder::new().name("listen".to_owned());
    named.spawn(listen).map(drop)
}

/// Where the partitions of a topic that is written all the time were said to end.
struct Ends {
    /// Each of them, and when it was asked for, until it is read.
    said: BTreeMap<i32, (Instant, i64)>,
    /// When that was asked for up to which a partition is read.
    read: BTreeMap<i32, Instant>,
}

impl Ends {
    fn new(partitions: i32, now: Instant) -> Self {
        Self {
            said: BTreeMap::new(),
            read: (0..partitions).map(|partition| (partition, now)).collect(),
        }
    }

    /// Asks for the ends that are not waited for.
    fn ask(
        &mut self,
        view: &View,
        handle: &dyn Handle,
        reader: &mut Option<Box<dyn Reading + Send>>,
    ) -> Result<(), Error> {
        handle.check()?;
        let reader = match reader {
            Some(reader) => reader,
            none => none.insert(handle.reader()?),
        };
        for (&partition, read) in &mut self.read {
            let next = view.known().next(Topic::Rounds, partition).unwrap_or(0);
            let (asked, end) = match self.said.get(&partition) {
                Some(said) => *said,
                None => {
                    let now = Instant::now();
                    let (_, end) = reader.ends(Topic::Rounds, partition)?;
                    if end < next {
                        let why = format!("{} ends before what was read of it", Topic::Rounds);
                        return Err(Error::Unfit(why));
                    }
                    self.said.insert(partition, (now, end));
                    (now, end)
                }
            };
            if next >= end {
                *read = asked;
                self.said.remove(&partition);
            }
        }
        Ok(())
    }

    /// When the log was last known to be read to its end.
    fn heard(&self) -> Option<Instant> {
        self.read.values().min().copied()
    }
}

/// Whether it is too long ago that something was heard.
pub(super) fn is_silent(heard: Option<Instant>) -> bool {
    heard.is_none_or(|heard| heard.elapsed() >= SILENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::told::Fake;

    fn ask(ends: &mut Ends, view: &View, fake: &Fake) -> Result<(), Error> {
        ends.ask(view, fake, &mut None)
    }

    #[test]
    fn the_log_is_heard_of_once_it_is_read_to_where_it_ended() {
        let (view, fake) = (View::default(), Fake::default());
        let begin = Instant::now();
        let mut ends = Ends::new(1, begin);
        ask(&mut ends, &view, &fake).unwrap();
        let first = ends.heard().unwrap();
        assert!(first > begin);
        fake.end.store(5, Ordering::SeqCst);
        ask(&mut ends, &view, &fake).unwrap();
        fake.end.store(9, Ordering::SeqCst);
        view.read_to(Topic::Rounds, 0, 4);
        ask(&mut ends, &view, &fake).unwrap();
        assert_eq!(ends.heard(), Some(first), "it was not read so far");
        view.read_to(Topic::Rounds, 0, 5);
        ask(&mut ends, &view, &fake).unwrap();
        let second = ends.heard().unwrap();
        assert!(second > first, "though more has come by then");
        // A log that ends before is another one.
        fake.end.store(4, Ordering::SeqCst);
        assert!(ask(&mut ends, &view, &fake).is_err());
        assert_eq!(ends.heard(), Some(second));
    }

    #[test]
    fn what_was_not_heard_of_for_long_is_silent() {
        let long_ago = Instant::now().checked_sub(SILENCE);
        assert!(is_silent(None) && is_silent(long_ago));
        assert!(!is_silent(Some(Instant::now())));
    }
}
