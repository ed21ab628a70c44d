//! How far something long is: on a terminal only.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many steps on standard error; none where that is no terminal.
pub(super) fn bar(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    // A template that is written here is right or wrong for everybody.
    match ProgressStyle::with_template("{wide_bar} {pos} of {len}, {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
