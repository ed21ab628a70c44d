//! Waiting until something is so.

use std::time::{Duration, Instant};

/// How long anything may take before a test fails; nothing waits that long when it works.
const PATIENCE: Duration = Duration::from_secs(90);

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(PATIENCE, what, is_so);
}

/// Waits until something is so that may take longer than others.
pub(crate) fn until_within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + patience;
    while !is_so() {
        assert!(Instant::now() < give_up, "waited in vain: {what}");
        // Only how often to look.
        std::thread::sleep(Duration::from_millis(50));
    }
}
