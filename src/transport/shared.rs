//! What is read by several under one name, each partition by one of them at a time, and how far it
//! is done with: kept with the log, so that whoever comes next goes on there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Error, Stored};

/// Somebody who shares a topic's partitions with others of the same name.
///
/// After an error nothing more may be asked of it: it is dropped, and the next one goes on from
/// what is done.
pub trait Shared: Send {
    /// What happens next, if something does within the time. To be asked again and again: whoever
    /// is not heard of for long is taken for dead, and others get its partitions.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn next(&mut self, patience: Duration) -> Result<Share, Error>;

    /// Stops or goes on handing out records, until partitions are shared out anew.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn hold(&mut self, held: bool) -> Result<(), Error>;

    /// Says up to which offset, exclusive, partitions are done with. Nothing comes of it where they
    /// are somebody else's by now.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn done(&mut self, next: &BTreeMap<i32, i64>) -> Result<(), Error>;
}

/// What happens to somebody who shares.
#[derive(Debug)]
pub enum Share {
    /// Nothing, within the time.
    Nothing,
    /// These partitions are its own from now on, and no others; each is read from where it is done
    /// with, or from its beginning where nobody ever said.
    Mine(BTreeMap<i32, Option<i64>>),
    /// The next record of one of them.
    Record(Stored),
}
