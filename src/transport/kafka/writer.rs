//! The thread that writes what an engine says. A commit takes the brokers several turns; the engine
//! reads on meanwhile, and what it says then waits here for the next transaction.
//!
//! Everything is written in the order in which it was said, and one commit is under way at most.
//! After an error the thread writes nothing more and ends, and so does the engine's life, whatever
//! it has read since.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Error;
use super::batch::Batch;
use crate::transport::Entry;

/// How many batches may wait; an engine that is further ahead waits, too.
const BATCHES: usize = 12;

/// How often a thread with nothing to write looks after its client.
const LOOK: Duration = Duration::from_millis(10);

/// What is written with.
pub(super) trait Write {
    /// How far what led to a commit was read.
    type Positions;

    /// Puts a record into the transaction, which begins with its first one.
    fn append(&mut self, entry: &Entry<'_>) -> Result<(), Error>;

    /// Commits what was appended, with the positions.
    fn commit(&mut self, positions: Self::Positions) -> Result<(), Error>;

    /// Looks after the client: after a batch, after a commit, and where there is nothing to do.
    fn look_after(&mut self) -> Result<(), Error>;
}

/// What the thread is told.
enum Order<P> {
    Append(Batch),
    Commit(P),
}

/// An engine's end of it.
pub(super) struct Writer<P> {
    /// None once the thread is to end.
    orders: Option<SyncSender<Order<P>>>,
    /// One for each commit; an error is the last one.
    answers: Receiver<Result<(), Error>>,
    thread: Option<JoinHandle<()>>,
    /// Whether what waits is not to be written any more.
    given_up: Arc<AtomicBool>,
    /// What is not handed over yet.
    batch: Batch,
    /// Batches that were written, to be filled again.
    written: Receiver<Batch>,
    is_committing: bool,
}

impl<P: Send + 'static> Writer<P> {
    /// A thread that writes with this.
    pub(super) fn start(
        by: impl Write<Positions = P> + Send + 'static,
        name: &str,
    ) -> Result<Self, Error> {
        let (orders, ordered) = mpsc::sync_channel(BATCHES);
        let (answer, answers) = mpsc::channel();
        let (back, written) = mpsc::channel();
        let given_up = Arc::new(AtomicBool::new(false));
        let is_given_up = Arc::clone(&given_up);
        let work = move || {
            // Nobody hears it who has let go of the other end.
            let done = || drop(answer.send(Ok(())));
            let again = |batch| drop(back.send(batch));
            let until = || is_given_up.load(Ordering::Relaxed);
            if let Err(error) = work(by, &ordered, until, done, again) {
                drop(answer.send(Err(error)));
            }
        };
        let thread = thread::Builder::new().name(format!("writer {name}"));
        let thread = thread.spawn(work);
        let thread =
            thread.map_err(|error| Error::Unfit(format!("no thread to write: {error}")))?;
        Ok(Self {
            orders: Some(orders),
            answers,
            thread: Some(thread),
            given_up,
            batch: Batch::default(),
            written,
            is_committing: false,
        })
    }

    /// Puts a record into the next transaction; waits where the thread is too far behind.
    pub(super) fn put(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        if !self.batch.has_room_for(entry) {
            self.flush()?;
        }
        self.batch.put(entry);
        Ok(())
    }

    /// Hands over what was put.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let next = self.written.try_recv().unwrap_or_default();
        let batch = std::mem::replace(&mut self.batch, next);
        self.order(Order::Append(batch))
    }

    /// Has what was put committed, with the positions it was read up to.
    pub(super) fn commit(&mut self, positions: P) -> Result<(), Error> {
        self.flush()?;
        self.order(Order::Commit(positions))?;
        self.is_committing = true;
        Ok(())
    }

    fn order(&mut self, order: Order<P>) -> Result<(), Error> {
        let ordered = self
            .orders
            .as_ref()
            .is_some_and(|to| to.send(order).is_ok());
        if ordered {
            return Ok(());
        }
        // It writes no more: what it has said last is why.
        loop {
            self.wait()?;
        }
    }

    /// Whether a commit is under way.
    ///
    /// # Errors
    /// Why the thread writes no more.
    pub(super) fn is_committing(&mut self) -> Result<bool, Error> {
        match self.answers.try_recv() {
            Ok(answer) => self.hear(answer)?,
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return Err(self.ended()),
        }
        Ok(self.is_committing)
    }

    /// Waits for the commit under way.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        while self.is_committing {
            self.wait()?;
        }
        Ok(())
    }

    fn wait(&mut self) -> Result<(), Error> {
        match self.answers.recv() {
            Ok(answer) => self.hear(answer),
            Err(_) => Err(self.ended()),
        }
    }

    fn hear(&mut self, answer: Result<(), Error>) -> Result<(), Error> {
        self.is_committing = false;
        answer
    }

    /// Why there is no thread any more that has not said so.
    fn ended(&mut self) -> Error {
        self.orders = None;
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => resume_unwind(panic),
            _ => Error::Unfit("writing had ended before".to_owned()),
        }
    }
}

impl<P> Drop for Writer<P> {
    /// Waits for the thread: who comes next takes its transactional id over.
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _panic = thread.join();
        }
    }
}

/// Writes until nobody is there any more to say what, or an error.
fn work<P>(
    mut by: impl Write<Positions = P>,
    orders: &Receiver<Order<P>>,
    is_given_up: impl Fn() -> bool,
    done: impl Fn(),
    written: impl Fn(Batch),
) -> Result<(), Error> {
    loop {
        let order = orders.recv_timeout(LOOK);
        if is_given_up() {
            return Ok(());
        }
        match order {
            Ok(Order::Append(mut batch)) => {
                batch.each(|entry| by.append(entry))?;
                batch.clear();
                written(batch);
            }
            Ok(Order::Commit(positions)) => {
                by.commit(positions)?;
                done();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        by.look_after()?;
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::topic::Topic;

    use super::*;

    /// Says what it is told, and waits to be let go on before it commits.
    struct Told {
        said: mpsc::Sender<String>,
        go_on: Receiver<Result<(), Error>>,
    }

    impl Told {
        fn say(&self, what: String) {
            self.said.send(what).unwrap();
        }
    }

    impl Write for Told {
        type Positions = u8;

        fn append(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
            self.say(format!("append {}", entry.partition));
            Ok(())
        }

        fn commit(&mut self, positions: u8) -> Result<(), Error> {
            self.say(format!("commit {positions}"));
            self.go_on.recv().unwrap_or(Ok(()))
        }

        fn look_after(&mut self) -> Result<(), Error> {
            Ok(())
        }
    }

    /// A writer, what is written by it, and what lets a commit go on.
    fn scene() -> (
        Writer<u8>,
        Receiver<String>,
        mpsc::Sender<Result<(), Error>>,
    ) {
        let (say, said) = mpsc::channel();
        let (let_go, go_on) = mpsc::channel();
        let writer = Writer::start(Told { said: say, go_on }, "test");
        (writer.unwrap(), said, let_go)
    }

    fn put(writer: &mut Writer<u8>, partition: i32) -> Result<(), Error> {
        writer.put(&Entry {
            topic: Topic::Outcomes,
            partition,
            key: None,
            value: Some(b"said"),
            headers: &[],
        })
    }

    #[test]
    fn what_is_said_amid_a_commit_is_written_after_it() {
        let (mut writer, said, go_on) = scene();
        put(&mut writer, 1).unwrap();
        writer.commit(1).unwrap();
        assert!(writer.is_committing().unwrap());
        put(&mut writer, 2).unwrap();
        writer.flush().unwrap();
        assert!(writer.is_committing().unwrap());
        go_on.send(Ok(())).unwrap();
        writer.settle().unwrap();
        assert!(!writer.is_committing().unwrap());
        let written = [(); 3].map(|()| said.recv().unwrap());
        assert_eq!(written, ["append 1", "commit 1", "append 2"]);
    }

    #[test]
    fn whoever_is_too_far_ahead_of_a_commit_waits() {
        let (mut writer, said, go_on) = scene();
        writer.commit(1).unwrap();
        let ahead = thread::spawn(move || {
            for _ in 0..=BATCHES {
                put(&mut writer, 0).unwrap();
                writer.flush().unwrap();
            }
            writer.settle().unwrap();
        });
        thread::sleep(LOOK * 20);
        assert!(!ahead.is_finished());
        go_on.send(Ok(())).unwrap();
        ahead.join().unwrap();
        assert_eq!(said.recv().unwrap(), "commit 1");
    }

    #[test]
    fn an_error_is_heard_once_and_nothing_is_written_after_it() {
        let (mut writer, said, go_on) = scene();
        writer.commit(1).unwrap();
        put(&mut writer, 2).unwrap();
        writer.flush().unwrap();
        go_on.send(Err(Error::Unfit("as told".to_owned()))).unwrap();
        let heard = writer.settle().unwrap_err();
        assert_eq!(
            heard.to_string(),
            Error::Unfit("as told".to_owned()).to_string()
        );
        // Until the thread is gone, something may be taken that is not written.
        while put(&mut writer, 3).and_then(|()| writer.flush()).is_ok() {}
        assert!(writer.is_committing().is_err());
        drop(writer);
        assert_eq!(said.iter().collect::<Vec<_>>(), ["commit 1"]);
    }

    #[test]
    fn what_waits_as_an_engines_life_ends_is_not_written() {
        let (mut writer, said, go_on) = scene();
        writer.commit(1).unwrap();
        put(&mut writer, 2).unwrap();
        writer.flush().unwrap();
        assert_eq!(said.recv().unwrap(), "commit 1");
        let end = thread::spawn(move || drop(writer));
        thread::sleep(LOOK * 20);
        assert!(!end.is_finished(), "the commit under way is waited for");
        go_on.send(Ok(())).unwrap();
        end.join().unwrap();
        assert_eq!(said.iter().count(), 0);
    }
}
