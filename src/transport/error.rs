//! What can go wrong between us and a log, or the schema registry beside it.

use quorate_core::topic::Topic;

use crate::wire;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log, or its client library, said no.
    #[error("cannot {doing}")]
    Log {
        /// What was being done.
        doing: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The log takes nothing for now, though it may be read; nothing was appended.
    #[error("cannot {doing}: {hindrance}")]
    Unwritable {
        /// What was being done.
        doing: String,
        /// What keeps it from being written.
        hindrance: Hindrance,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The schema registry said no, or nothing.
    #[error("cannot {doing}")]
    Registry {
        /// What was being done.
        doing: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something is not as it must be; the text says what to do.
    #[error("{0}")]
    Unfit(String),
    /// Those we share the log with do not take us, or not any more; the text says what to do, and
    /// only whoever reads it can: the process ends.
    #[error("{0}")]
    Refused(String),
    /// Somebody has our name, or had it and a broker that was killed remembers: whoever is told so
    /// once takes its place back, and only the one who is told so again gives way.
    #[error("{0}")]
    Replaced(String),
    /// We were told to stop while something was waited for; what was done before holds.
    #[error("told to stop")]
    Stopped,
    /// Nothing came in time.
    #[error("cannot {0} in time")]
    TimedOut(String),
    /// A record cannot be encoded or decoded.
    #[error("cannot encode or decode {what}")]
    Codec {
        /// Which record.
        what: String,
        /// Why.
        #[source]
        source: wire::Error,
    },
    /// A partition cannot go on until an operator has done something.
    #[error("partition {partition} is halted")]
    Halted {
        /// Which.
        partition: i32,
        /// Why, and the remedy.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What keeps a log from being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// It, or where it lies, may only be read.
    ReadOnly,
    /// Where it lies there is no room left.
    Full,
}

impl Hindrance {
    /// The stable code for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ReadOnly => "log_read_only",
            Self::Full => "log_full",
        }
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::ReadOnly => "it may only be read",
            Self::Full => "there is no room left for it",
        }
    }
}

impl std::fmt::Display for Hindrance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.meaning(), self.code())
    }
}

impl Error {
    /// The same, for somebody else whom it befell, too.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Unwritable {
                doing,
                hindrance,
                source,
            } => Self::Unwritable {
                doing: doing.clone(),
                hindrance: *hindrance,
                source: source.to_string().into(),
            },
            Self::TimedOut(doing) => Self::TimedOut(doing.clone()),
            other => Self::Log {
                doing: "append with others".to_owned(),
                source: chain(other).into(),
            },
        }
    }

    /// Wraps why a record cannot be encoded or decoded.
    pub(super) fn codec(what: impl Into<String>) -> impl FnOnce(wire::Error) -> Self {
        let what = what.into();
        move |source| Self::Codec { what, source }
    }

    /// A partition that cannot go on, and why.
    pub(super) fn halted<E>(partition: i32, why: E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::Halted {
            partition,
            source: why.into(),
        }
    }

    /// A record whose time is whatever its sender said.
    pub(crate) fn untimed(topic: Topic, partition: i32) -> Self {
        let why = "does not take its time from the broker (message.timestamp.type is not \
                   LogAppendTime); run `quorate topics apply`, and use a new prefix if records \
                   were already appended";
        Self::halted(partition, format!("topic {topic} {why}"))
    }
}

/// An error with everything it rests on, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
