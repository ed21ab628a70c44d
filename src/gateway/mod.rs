//! Edges: each translates between a protocol of others and what is ours, and decides nothing.
//!
//! What takes part through an edge is let in by [`access`], makes its records by [`draft`] and
//! appends them at a [`desk`], whatever the edge.

pub mod access;
pub mod desk;
pub mod draft;
mod follow;
mod guests;
pub mod http;
pub mod observe;
pub mod refusal;
#[cfg(test)]
mod told;
mod view;
