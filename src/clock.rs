//! The wall clock, read by runtimes alone: the engine never asks what time it is.

use std::time::SystemTime;

use quorate_core::ids::Timestamp;

/// Something that knows the time.
pub trait Clock {
    /// The time now, in milliseconds since the epoch.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Clock for System {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else asks"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp(since.map_or(0, |span| {
            i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
        }))
    }
}
