//! The rounds that take responses, by domain and deadline, so that nobody looks through all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use axum::body::Bytes;
use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::records::{Proposal, Round};
use serde_json::json;

use crate::wire::json::to_value;
use crate::wire::{Codec, Error};

/// Where a round stands among the open ones: nearest deadline first.
pub(in crate::gateway) type Due = (Timestamp, ProposalId);

/// The rounds that take responses.
#[derive(Debug, Default)]
pub(super) struct Open {
    rounds: BTreeMap<ProposalId, Arc<Invitation>>,
    by_domain: BTreeMap<Box<str>, BTreeSet<Due>>,
}

/// What a round's record changes for those who may answer it.
#[derive(Debug)]
pub(super) enum Turn {
    /// It takes responses from now on.
    Opened(Arc<Invitation>),
    /// It does not any more; those who had answered.
    Left(Arc<Invitation>, BTreeSet<String>),
    /// Nothing.
    None,
}

/// An open round, as those who may answer are told of it.
#[derive(Debug)]
pub(in crate::gateway) struct Invitation {
    pub(super) proposal_id: ProposalId,
    pub(super) deadline: Timestamp,
    pub(in crate::gateway) domain: Box<str>,
    pub(super) proposer: Box<str>,
    /// The offset of `acp.agents` it is answered by.
    pub(super) agents: Offset,
    /// Its record as it lies.
    pub(super) value: Bytes,
    /// Where its proposal lies: the rounds of a partition are opened in that order.
    pub(super) place: (i32, i64),
    /// What is told of it, the same to everybody.
    pub(super) told: OnceLock<Arc<str>>,
}

impl Invitation {
    /// Where it stands among the open ones.
    pub(in crate::gateway) const fn due(&self) -> Due {
        (self.deadline, self.proposal_id)
    }

    /// What is told of it, as JSON.
    ///
    /// # Errors
    /// As [`Codec::decode`].
    pub(in crate::gateway) fn tell(&self, codec: &Codec) -> Result<Arc<str>, Error> {
        if let Some(told) = self.told.get() {
            return Ok(Arc::clone(told));
        }
        let (round, _) = codec.decode::<Round>(&self.value)?;
        let opening = &round.opening;
        let (proposal, _) = codec.decode::<Proposal>(&opening.proposal.0)?;
        let told = json!({
            "proposal_id": round.proposal_id,
            "deadline": opening.deadline,
            "proposal_digest": to_value(&opening.proposal_digest)?,
            "proposal": to_value(&proposal)?,
        });
        let told = self.told.get_or_init(|| told.to_string().into());
        Ok(Arc::clone(told))
    }
}

impl Open {
    /// Takes a round that is open, for the first time or again.
    pub(super) fn insert(&mut self, invitation: Invitation) -> Turn {
        let id = invitation.proposal_id;
        if self.rounds.contains_key(&id) {
            return Turn::None;
        }
        let invitation = Arc::new(invitation);
        let of_domain = self.by_domain.entry(invitation.domain.clone());
        of_domain.or_default().insert(invitation.due());
        self.rounds.insert(id, Arc::clone(&invitation));
        Turn::Opened(invitation)
    }

    /// Takes it that a round is not open.
    pub(super) fn remove(&mut self, id: &ProposalId) -> Option<Arc<Invitation>> {
        let invitation = self.rounds.remove(id)?;
        if let Some(of_domain) = self.by_domain.get_mut(&invitation.domain) {
            of_domain.remove(&invitation.due());
            if of_domain.is_empty() {
                self.by_domain.remove(&invitation.domain);
            }
        }
        Some(invitation)
    }

    /// An open round.
    pub(super) fn get(&self, id: &ProposalId) -> Option<&Arc<Invitation>> {
        self.rounds.get(id)
    }

    /// When each of them is due.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        self.rounds.values().map(|invitation| invitation.deadline)
    }

    /// The lowest offset of `acp.agents` that one of them is answered by.
    pub(super) fn first_pin(&self) -> Option<Offset> {
        let pins = self.rounds.values().map(|invitation| invitation.agents);
        pins.min()
    }

    /// The first of those that suit somebody: in domains under one of these prefixes, due after a
    /// place, nearest deadline first.
    pub(super) fn first(
        &self,
        prefixes: &BTreeSet<&str>,
        after: Option<Due>,
        count: usize,
        suits: impl Fn(&Invitation) -> bool,
    ) -> Vec<Arc<Invitation>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let mut found = Vec::new();
        for domain in self.domains(prefixes) {
            let due = self.by_domain.get(domain).into_iter();
            let due = due.flat_map(|of_domain| of_domain.range((from, Unbounded)));
            let rounds = due.filter_map(|(_, id)| self.rounds.get(id));
            let suitable = rounds.filter(|invitation| suits(invitation));
            found.extend(suitable.take(count).cloned());
        }
        found.sort_by_key(|invitation| invitation.due());
        found.truncate(count);
        found
    }

    /// The domains of open rounds under one of these prefixes, each once.
    fn domains(&self, prefixes: &BTreeSet<&str>) -> BTreeSet<&str> {
        let under = |prefix: &&str| {
            let dotted = format!("{prefix}.");
            let itself = self
                .by_domain
                .get_key_value(*prefix)
                .map(|(domain, _)| domain);
            let below = self.by_domain.range(Box::from(&*dotted)..);
            let below = below.map(|(domain, _)| domain);
            let below = below.take_while(move |domain| domain.starts_with(&dotted));
            itself.into_iter().chain(below).map(|domain| &**domain)
        };
        prefixes.iter().flat_map(under).collect()
    }
}
