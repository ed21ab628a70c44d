//! How what Kafka or its schema registry said becomes one of our errors.

use rdkafka::error::KafkaError;

use crate::transport::Error;

impl Error {
    /// Wraps what Kafka said while something was being done.
    pub(super) fn kafka(doing: impl Into<String>) -> impl FnOnce(KafkaError) -> Self {
        let doing = doing.into();
        move |source| Self::Log {
            doing,
            source: Box::new(source),
        }
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
}
