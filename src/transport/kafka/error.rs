//! What can go wrong between us and Kafka or its schema registry.

use rdkafka::error::KafkaError;

use crate::wire;

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Kafka, or the client library, said no.
    #[error("cannot {doing}")]
    Kafka {
        /// What was being done.
        doing: String,
        /// What it said.
        #[source]
        source: KafkaError,
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

impl Error {
    /// Wraps what Kafka said while something was being done.
    pub(super) fn kafka(doing: impl Into<String>) -> impl FnOnce(KafkaError) -> Self {
        let doing = doing.into();
        move |source| Self::Kafka { doing, source }
    }

    /// Wraps what the registry said while something was being done.
    pub(super) fn registry<E>(doing: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let doing = doing.into();
        move |source| Self::Registry {
            doing,
            source: source.into(),
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
}
