//! What keeps a history from being read or written.

use crate::engine::Halt;
use crate::transport;
use crate::wire::history::FileError;

/// Why a history cannot be read, written, or gone through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log it lies on.
    #[error(transparent)]
    Log(#[from] transport::Error),
    /// The file it lies in.
    #[error("cannot rely on `{path}`")]
    File {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: FileError,
    },
    /// The file cannot be opened, or made.
    #[error("cannot {doing} `{path}`")]
    Disk {
        /// Open it, or what else.
        doing: &'static str,
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// An engine cannot go on.
    #[error("partition {partition} cannot be gone through")]
    Engine {
        /// Which.
        partition: i32,
        /// Why.
        #[source]
        source: Halt,
    },
    /// It was told to stop, and did; what it had come to is put away.
    #[error("interrupted: the same command goes on")]
    Interrupted,
    /// Something is not as it must be; the text says what to do.
    #[error("{0}")]
    Unfit(String),
}
