//! A whole history, read in one pass: from a log, or from a file that one was exported to.
//!
//! First come the tables, then what processors put out, each partition in the order of its
//! offsets, then the inputs of all partitions by stream time: whoever recomputes a history knows
//! what was chosen before it meets what was said. Memory is bounded, however long it is.

mod course;
mod error;
mod export;
mod file;
mod import;
mod live;
mod schemas;

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};

pub use course::{Choice, Choices, Course, Halfway, Made};
pub use error::Error;
pub use export::{Exported, export};
pub use file::File;
pub use import::import;
pub use live::{Live, Origin, read_in_order};
pub use schemas::Recorded;

use crate::transport::Stored;
use crate::wire::history::Part;

/// The tables, in the order in which they come.
pub const TABLES: [Topic; 4] = [Topic::Schemas, Topic::Agents, Topic::Policies, Topic::Trust];
/// What processors put out, in the order in which it comes.
pub const OUTPUTS: [Topic; 5] = [
    Topic::Rounds,
    Topic::Outcomes,
    Topic::Escalations,
    Topic::TrustUpdates,
    Topic::DeadLetters,
];
/// What a partition's engine is stepped with, in the order in which records of one time come.
pub const INPUTS: [Topic; 4] = [
    Topic::Proposals,
    Topic::Responses,
    Topic::Decisions,
    Topic::Results,
];

/// What is told of a history before its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// How many partitions the topics routed by proposal have.
    pub partitions: i32,
    /// What the names of topics begin with.
    pub prefix: String,
    /// When it was read, by the clock of whoever did.
    pub read_at: Timestamp,
    /// Records of inputs and outputs are those from one time, and before the other.
    pub range: Range,
    /// The partitions that are there.
    pub parts: Vec<Part>,
}

/// From when to when, by stream time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Not what was before it.
    pub from: Option<Timestamp>,
    /// Not what was at it or later.
    pub to: Option<Timestamp>,
}

impl Range {
    /// Whether a time is in it.
    #[must_use]
    pub fn has(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }
}

impl About {
    /// A partition of a topic, if it is there.
    #[must_use]
    pub fn part(&self, topic: Topic, partition: i32) -> Option<&Part> {
        let same = |part: &&Part| part.topic == topic.name() && part.partition == partition;
        self.parts.iter().find(same)
    }

    /// How many records there may be at most, for whoever shows how far it is.
    #[must_use]
    pub fn expected(&self) -> i64 {
        self.parts.iter().map(|part| part.end - part.start).sum()
    }
}

/// A history to be read, once.
pub trait History {
    /// What is told of it.
    fn about(&self) -> &About;

    /// Has as much of it read as was read of it before; says whether that is still there.
    fn hold(&mut self, before: &About) -> bool {
        self.about() == before
    }

    /// Reads every record, in order.
    ///
    /// # Errors
    /// What keeps it from being read, or what `each` says. Of a file, nothing that was read may be
    /// relied on then.
    fn each(&mut self, each: &mut dyn FnMut(&Stored) -> Result<(), Error>) -> Result<(), Error>;
}
