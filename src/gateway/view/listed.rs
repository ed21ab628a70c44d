//! Who is listed, now and as of what open rounds are answered by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::domain::covers;
use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::{Agent, AgentStatus};

use super::open::Invitation;
use super::tags::Item;

/// Every agent.
#[derive(Debug, Default)]
pub(super) struct Listed {
    agents: BTreeMap<String, Entry>,
    /// Who holds a domain, or once did.
    holders: BTreeMap<String, BTreeSet<String>>,
}

/// An agent's records.
#[derive(Debug)]
struct Entry {
    /// By offset: a round is answered by those of its pins.
    versions: Vec<(Offset, Arc<Agent>)>,
    /// The last one as it lies.
    item: Item,
    /// The offset from which on it takes part, or does not.
    turned: Offset,
    /// When that was written.
    turned_at: Timestamp,
}

impl Listed {
    /// Takes a record; whether its agent takes part from now on, or does not any more.
    pub(super) fn take(&mut self, agent: Agent, item: Item, offset: Offset, at: Timestamp) -> bool {
        let name = agent.agent_id.as_str().to_owned();
        for grant in &agent.domains {
            let holders = self.holders.entry(grant.domain.clone()).or_default();
            holders.insert(name.clone());
        }
        let was_active = self.last(&name).is_some_and(is_active);
        let has_turned = was_active != is_active(&agent);
        let entry = self.agents.entry(name).or_insert_with(|| Entry {
            versions: Vec::new(),
            item: item.clone(),
            turned: offset,
            turned_at: at,
        });
        entry.versions.push((offset, Arc::new(agent)));
        entry.item = item;
        if has_turned {
            entry.turned = offset;
            entry.turned_at = at;
        }
        has_turned
    }

    /// The offset from which on an agent takes part, or does not.
    pub(super) fn turned(&self, name: &str) -> Option<Offset> {
        self.agents.get(name).map(|entry| entry.turned)
    }

    /// When it was written that an agent takes part, or does not.
    pub(super) fn turned_at(&self, name: &str) -> Option<Timestamp> {
        self.agents.get(name).map(|entry| entry.turned_at)
    }

    /// Those who may hold a domain.
    pub(super) fn holders<'a>(&'a self, domain: &str) -> impl Iterator<Item = &'a str> {
        let dots = domain.match_indices('.').map(|(at, _)| at);
        let prefixes = dots.chain([domain.len()]).filter_map(|at| domain.get(..at));
        let holders = prefixes.filter_map(|prefix| self.holders.get(prefix));
        let once: BTreeSet<&str> = holders.flatten().map(|name| &**name).collect();
        once.into_iter()
    }

    /// Forgets what no round with a pin from here on is answered by.
    pub(super) fn forget(&mut self, pin: Offset) {
        for entry in self.agents.values_mut() {
            let later = entry.versions.partition_point(|(offset, _)| *offset <= pin);
            entry.versions.drain(..later.saturating_sub(1));
        }
    }

    /// An agent's last record.
    pub(super) fn last(&self, name: &str) -> Option<&Agent> {
        let (_, agent) = self.agents.get(name)?.versions.last()?;
        Some(agent)
    }

    /// An agent's record as of an offset.
    pub(super) fn as_of(&self, name: &str, pin: Offset) -> Option<&Agent> {
        let versions = &self.agents.get(name)?.versions;
        let upto = versions.partition_point(|(offset, _)| *offset <= pin);
        let (_, agent) = versions.get(upto.checked_sub(1)?)?;
        Some(agent)
    }

    /// Everybody's last record.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &Agent> {
        let last = self.agents.values().map(|entry| entry.versions.last());
        last.flatten().map(|(_, agent)| &**agent)
    }

    /// An agent's last record as it lies.
    pub(super) fn item(&self, name: &str) -> Option<&Item> {
        self.agents.get(name).map(|entry| &entry.item)
    }

    /// The last records as they lie, by name, of those after one if that is given.
    pub(super) fn after<'a>(
        &'a self,
        name: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a Item)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = name.map_or(Unbounded, Excluded);
        let agents = self.agents.range::<str, _>((from, Unbounded));
        agents.map(|(name, entry)| (&**name, &entry.item))
    }

    /// Whether an agent has a say in an open round: by the list as of the round's pins, and as long
    /// as it takes part. A proposal is its proposer's answer.
    pub(super) fn has_a_say(&self, name: &str, invitation: &Invitation) -> bool {
        let Some(entry) = self.agents.get(name) else {
            return false;
        };
        let versions = &entry.versions;
        let upto = versions.partition_point(|(offset, _)| *offset <= invitation.agents);
        let then = upto.checked_sub(1).and_then(|last| versions.get(last));
        let grants = |agent: &Agent| {
            let mut grants = agent.domains.iter();
            grants.any(|grant| covers(&grant.domain, &invitation.domain))
        };
        let now = versions.last();
        now.is_some_and(|(_, agent)| is_active(agent))
            && then.is_some_and(|(_, agent)| is_active(agent) && grants(agent))
            && *invitation.proposer != *name
    }

    /// The domains an agent holds, or once did.
    pub(super) fn domains(&self, name: &str) -> BTreeSet<&str> {
        let versions = self.agents.get(name).map(|entry| &entry.versions);
        let agents = versions.into_iter().flatten();
        let grants = agents.flat_map(|(_, agent)| &agent.domains);
        grants.map(|grant| &*grant.domain).collect()
    }
}

fn is_active(agent: &Agent) -> bool {
    agent.status == AgentStatus::Active
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::told::agent;

    #[test]
    fn what_no_open_round_is_answered_by_is_forgotten() {
        let mut listed = Listed::default();
        let item = Item {
            value: axum::body::Bytes::new(),
            tags: super::super::tags::Tags::default(),
        };
        for offset in 0..10 {
            let record = agent("ada", "pay", AgentStatus::Active);
            listed.take(record, item.clone(), Offset(offset), Timestamp(0));
        }
        let left = |listed: &Listed| {
            let versions = &listed.agents["ada"].versions;
            versions.iter().map(|(at, _)| at.0).collect::<Vec<_>>()
        };
        listed.forget(Offset(-1));
        assert_eq!(left(&listed).len(), 10);
        listed.forget(Offset(7));
        assert_eq!(left(&listed), [7, 8, 9]);
        listed.forget(Offset(99));
        assert_eq!(left(&listed), [9], "the last one stands");
    }
}
