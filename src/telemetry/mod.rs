//! What a processor shows of itself: log lines, metrics, and whether it gets on.
//!
//! The engines tell [`Vitals`] what they do; nothing here asks an engine, a broker or a registry.

mod health;
mod logs;
mod metrics;
mod restored;
mod scrape;
mod tally;
mod traffic;
mod verified;
mod vitals;

pub use health::{Report, Standing};
pub use logs::start;
pub use metrics::{METRICS, Metric};
pub use restored::Restored;
pub use scrape::CONTENT_TYPE;
pub use tally::Tally;
pub use traffic::{Deliveries, Listening, Read, Traffic};
pub use verified::{Compared, Verified};
pub use vitals::{Ahead, Vitals};
