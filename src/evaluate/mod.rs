//! How good a collective's decisions are, measured on history: votes on items whose truth came to
//! light, each item decided before its result is shown.
//!
//! What decides and learns is the core's own [`resolve`](quorate_core::resolve::resolve) and
//! [`fold`](quorate_core::trust::fold); beside it stand the rules a user would otherwise pick
//! ([`baselines`]). Everything here is a function of its arguments; random numbers are drawn from
//! seeds.

pub mod baselines;
pub mod bootstrap;
pub mod course;
pub mod history;
pub mod page;
mod plot;
pub mod reading;
pub mod report;
pub mod run;
pub mod scores;
pub mod tune;
pub mod variants;
mod watch;
