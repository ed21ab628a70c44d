//! The edge of a log: whoever takes part, or looks on, without being a processor.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;

use super::{Committed, Entry, Error, Reading, Shared};
use crate::telemetry::Ahead;
use crate::wire::Codec;

/// The edge of a log: whoever takes part, or looks on, without being a processor.
pub trait Handle: Send + Sync {
    /// How many partitions the topics routed by proposal have.
    ///
    /// # Errors
    /// [`Error::Unfit`] if a topic is missing or they do not agree; [`Error::Log`].
    fn partitions(&self) -> Result<i32, Error>;

    /// What reads and writes records.
    fn codec(&self) -> &Arc<Codec>;

    /// Appends records, each in itself, and waits until they are there; where they came to lie, in
    /// their order. What others append at the same time may go with them.
    ///
    /// # Errors
    /// [`Error::Log`] if a record did not arrive, [`Error::TimedOut`]; they may be there all the
    /// same. [`Error::Unwritable`]: they are not.
    fn append(&self, entries: &[Entry<'_>]) -> Result<Vec<Appended>, Error>;

    /// What keeps a topic from being used that a log may be without, and the remedy; none if
    /// nothing does.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn lacks(&self, topic: Topic) -> Result<Option<String>, Error>;

    /// A way to read what is there.
    ///
    /// # Errors
    /// [`Error::Log`] if there is none to be had.
    fn reader(&self) -> Result<Box<dyn Reading + Send>, Error>;

    /// Shares a topic routed by proposal with whoever does so under the same name, whose partitions
    /// are found again by it.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn share(&self, name: &str, topic: Topic) -> Result<Box<dyn Shared>, Error>;

    /// The offset up to which, exclusive, processors have committed that they read an input's
    /// partition; none if none ever did. What they refused by then is, or soon will be, among the
    /// dead letters before the far end of these.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn committed(&self, topic: Topic, partition: i32) -> Result<Option<i64>, Error>;

    /// How far processors have committed that they read the inputs of every partition that one ever
    /// worked on; what is told of a partition is of one moment. What followed by then is, or soon
    /// will be, before the far ends of what they put out.
    ///
    /// # Errors
    /// [`Error::Halted`] if what is there is not of our making; [`Error::Log`].
    fn positions(&self) -> Result<BTreeMap<i32, Committed>, Error>;

    /// Looks whether the log is where it was, if its readers do not notice by themselves when it is
    /// not.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it is not.
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Where a record came to lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its topic's full name.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When its leader appended it, if that stamped it.
    pub timestamp: Option<Timestamp>,
    /// How far its leader's clock is ahead of this machine's, if that stamped it.
    pub ahead: Option<Ahead>,
}
