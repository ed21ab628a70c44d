//! Edges: each translates between a protocol of others and what is ours, and decides nothing.
//!
//! What takes part through an edge is let in by [`access`], makes its records by [`draft`] and
//! appends them at a [`desk`], whatever the edge.

pub mod access;
pub mod claims;
pub mod desk;
pub mod draft;
mod follow;
mod guests;
mod heard;
pub mod http;
pub mod in_force;
mod lag;
pub mod observe;
pub mod refusal;
pub mod suspend;
#[cfg(test)]
mod told;
mod view;
pub mod webhooks;

pub use follow::FOLLOWED;
pub use view::Memory;
