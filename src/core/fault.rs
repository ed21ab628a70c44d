//! Faults put into the program on purpose: a test that cannot find them finds nothing.
//!
//! One at most is on, chosen before anything runs, and only in a build with debug assertions: in
//! a release build [`is_on`] is always false and the compiler removes what asks.

use core::sync::atomic::{AtomicU8, Ordering};

/// A fault that can be put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// A tie is listed as a margin not met.
    TieUnseen = 1,
}

/// Every fault with the name it is chosen by.
const NAMES: &[(&str, Fault)] = &[("tie-unseen", Fault::TieUnseen)];

static ON: AtomicU8 = AtomicU8::new(0);

impl Fault {
    /// The fault of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }
}

/// Puts a fault in, for as long as the process runs; nothing in a release build.
pub fn put_in(fault: Fault) {
    if cfg!(debug_assertions) {
        ON.store(fault as u8, Ordering::Relaxed);
    }
}

/// Whether a fault is in.
#[must_use]
pub fn is_on(fault: Fault) -> bool {
    cfg!(debug_assertions) && ON.load(Ordering::Relaxed) == fault as u8
}
