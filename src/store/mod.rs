//! Where an engine keeps the rounds that have closed, and in what form those that escalated.
//!
//! A store is disposable: it holds what `acp.rounds` says and nothing else, and is filled from
//! there again when it is lost.

mod memory;
mod packed;
mod slim;

use std::fmt;

use quorate_core::ids::ProposalId;
use quorate_core::records::Round;

pub use memory::Memory;
pub use packed::{Packed, Packer};

/// Closed rounds by id, each as its last record has it.
pub trait Store: fmt::Debug + Send {
    /// Keeps a round, in place of what was kept of it.
    fn put(&mut self, round: &Round);

    /// A round that is kept.
    fn get(&self, id: &ProposalId) -> Option<Round>;

    /// Whether a round is kept.
    fn contains(&self, id: &ProposalId) -> bool;

    /// Forgets a round.
    fn remove(&mut self, id: &ProposalId);

    /// Every round that is kept, by id.
    fn all(&self) -> Box<dyn Iterator<Item = Round> + '_>;

    /// Another store that keeps the same.
    fn copied(&self) -> Box<dyn Store>;
}

impl Clone for Box<dyn Store> {
    fn clone(&self) -> Self {
        self.copied()
    }
}

impl Default for Box<dyn Store> {
    fn default() -> Self {
        Box::new(Memory::default())
    }
}
