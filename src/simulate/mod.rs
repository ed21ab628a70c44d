//! Histories that never happened: panels whose agents are as told, and attacks on a house.
//!
//! Everything is drawn from a seed, by a generator that gives the same numbers everywhere. What
//! decides is the core, as in [`crate::evaluate`].

pub mod attacks;
mod attempts;
pub mod panel;
mod scene;
