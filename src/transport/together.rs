//! Appends of many callers at once, made into few: while one of them waits for the log, what the
//! others bring is collected, and goes there together with the next.
//!
//! A disk or a broker takes as long for one record as for many, so that without this the most that
//! an edge could append in a second is how often that fits into one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::owned::Owned;
use super::{Appended, Entry, Error};

/// Most records appended together; more wait for the next time.
const MOST: usize = 512;

/// Something to append with, shared by callers.
#[derive(Debug)]
pub(super) struct Together<W> {
    waiting: Mutex<Vec<Arc<Job>>>,
    writer: Mutex<Option<W>>,
}

impl<W> Default for Together<W> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            writer: Mutex::default(),
        }
    }
}

/// What one caller brings.
#[derive(Debug)]
struct Job {
    entries: Vec<Owned>,
    answer: Mutex<Option<Result<Vec<Appended>, Error>>>,
}

impl<W> Together<W> {
    /// Appends records, perhaps with those of others, by a writer that is opened if there is none;
    /// after an error it is not used again. `append` answers in the order of the records.
    pub(super) fn append(
        &self,
        entries: &[Entry<'_>],
        open: impl Fn() -> Result<W, Error>,
        append: impl Fn(&mut W, &[Entry<'_>]) -> Result<Vec<Appended>, Error>,
    ) -> Result<Vec<Appended>, Error> {
        let own = Arc::new(Job {
            entries: entries.iter().map(Owned::of).collect(),
            answer: Mutex::default(),
        });
        locked(&self.waiting).push(Arc::clone(&own));
        loop {
            let mut writer = locked(&self.writer);
            // Whoever had the writer meanwhile may have taken it along.
            if let Some(answer) = locked(&own.answer).take() {
                return answer;
            }
            let jobs = self.next();
            if jobs.is_empty() {
                // Whoever took it along has panicked: nobody knows what became of it.
                return Err(Error::TimedOut("append with others".to_owned()));
            }
            let all: Vec<&Owned> = jobs.iter().flat_map(|job| &job.entries).collect();
            let headers: Vec<_> = all.iter().map(|owned| owned.headers()).collect();
            let together = all.iter().zip(&headers);
            let together: Vec<_> = together.map(|(owned, its)| owned.entry(its)).collect();
            let opened = match writer.take() {
                Some(writer) => Ok(writer),
                None => open(),
            };
            let appended = opened.and_then(|mut opened| {
                let appended = append(&mut opened, &together)?;
                *writer = Some(opened);
                Ok(appended)
            });
            answer(&jobs, appended);
        }
    }

    /// Those that are next, of as many as have room together; one at least.
    fn next(&self) -> Vec<Arc<Job>> {
        let mut waiting = locked(&self.waiting);
        let mut count = 0;
        let fits = |job: &&Arc<Job>| {
            count += job.entries.len();
            count <= MOST
        };
        let many = waiting.iter().take_while(fits).count().max(1);
        let many = many.min(waiting.len());
        waiting.drain(..many).collect()
    }
}

fn answer(jobs: &[Arc<Job>], appended: Result<Vec<Appended>, Error>) {
    match appended {
        Ok(appended) => {
            let mut appended = appended.into_iter();
            for job in jobs {
                let its = appended.by_ref().take(job.entries.len()).collect();
                *locked(&job.answer) = Some(Ok(its));
            }
        }
        Err(error) => {
            for job in jobs {
                *locked(&job.answer) = Some(Err(error.again()));
            }
        }
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use quorate_core::topic::Topic;

    use super::*;

    /// A log that says where everything lies.
    #[derive(Default)]
    struct Line {
        next: i64,
    }

    impl Line {
        fn append(&mut self, entries: &[Entry<'_>]) -> Vec<Appended> {
            let place = |entry: &Entry<'_>| {
                self.next += 1;
                Appended {
                    topic: String::from_utf8(entry.value.unwrap().to_vec()).unwrap(),
                    partition: entry.partition,
                    offset: self.next - 1,
                    timestamp: None,
                    ahead: None,
                }
            };
            entries.iter().map(place).collect()
        }
    }

    fn entry(value: &str) -> Entry<'_> {
        Entry {
            topic: Topic::Responses,
            partition: 0,
            key: None,
            value: Some(value.as_bytes()),
            headers: &[],
        }
    }

    #[test]
    fn what_comes_while_somebody_appends_goes_together_and_everybody_is_told_of_his_own() {
        let together: Together<Line> = Together::default();
        let (enters, entered) = channel();
        let (lets_go, let_go) = channel::<()>();
        let let_go = Mutex::new(let_go);
        let sizes = Mutex::new(Vec::new());
        let append = |values: &[&str]| {
            let entries: Vec<_> = values.iter().map(|value| entry(value)).collect();
            let append = |line: &mut Line, entries: &[Entry<'_>]| {
                locked(&sizes).push(entries.len());
                enters.send(()).unwrap();
                locked(&let_go).recv().unwrap();
                Ok(line.append(entries))
            };
            let told = together.append(&entries, || Ok(Line::default()), append);
            let told = told.unwrap();
            let theirs: Vec<_> = told.iter().map(|place| place.topic.as_str()).collect();
            assert_eq!(theirs, values);
        };
        thread::scope(|scope| {
            scope.spawn(|| append(&["a"]));
            entered.recv().unwrap();
            for some in [&["b", "c"][..], &["d"], &["e", "f", "g"]] {
                scope.spawn(move || append(some));
            }
            while locked(&together.waiting).len() < 3 {
                thread::yield_now();
            }
            lets_go.send(()).unwrap();
            lets_go.send(()).unwrap();
        });
        assert_eq!(*locked(&sizes), [1, 6]);
    }

    #[test]
    fn everybody_is_told_of_an_error_and_the_next_has_a_writer_of_its_own() {
        let together: Together<Line> = Together::default();
        let opened = Mutex::new(0);
        let open = || {
            *locked(&opened) += 1;
            Ok(Line::default())
        };
        let fails = |_: &mut Line, _: &[Entry<'_>]| Err(Error::TimedOut("append".to_owned()));
        let error = together.append(&[entry("a")], open, fails).unwrap_err();
        assert!(matches!(error, Error::TimedOut(_)), "{error}");
        let appends = |line: &mut Line, entries: &[Entry<'_>]| Ok(line.append(entries));
        for offset in 0..2 {
            let told = together.append(&[entry("b")], open, appends).unwrap();
            assert_eq!(told[0].offset, offset);
        }
        assert_eq!(*locked(&opened), 2);
    }
}
