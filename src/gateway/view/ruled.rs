//! The policies: those in force, and what was written before.

use std::collections::{BTreeMap, VecDeque};

use quorate_core::ids::Timestamp;
use quorate_core::records::Policy;

use super::tags::Item;

/// The policies.
#[derive(Debug)]
pub(super) struct Ruled {
    /// In force, by pattern, as they lie.
    pub(super) items: BTreeMap<String, Item>,
    policies: BTreeMap<String, Policy>,
    /// Every record, the latest last.
    versions: VecDeque<Version>,
    weight: usize,
    bound: usize,
}

/// A record of a policy.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Version {
    pub(in crate::gateway) at: Timestamp,
    pub(in crate::gateway) offset: i64,
    /// As it lies.
    pub(in crate::gateway) item: Item,
}

impl Version {
    fn weight(&self) -> usize {
        self.item.weight() + size_of::<Self>()
    }
}

impl Ruled {
    pub(super) const fn new(bound: usize) -> Self {
        Self {
            items: BTreeMap::new(),
            policies: BTreeMap::new(),
            versions: VecDeque::new(),
            weight: 0,
            bound,
        }
    }

    pub(super) fn take(&mut self, policy: Policy, item: Item, (at, offset): (Timestamp, i64)) {
        let version = Version {
            at,
            offset,
            item: item.clone(),
        };
        self.weight += version.weight();
        self.versions.push_back(version);
        while self.weight > self.bound
            && let Some(first) = self.versions.pop_front()
        {
            self.weight = self.weight.saturating_sub(first.weight());
        }
        self.items.insert(policy.pattern.clone(), item);
        self.policies.insert(policy.pattern.clone(), policy);
    }

    /// About how many bytes it takes.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// Those in force.
    pub(super) fn in_force(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values()
    }

    /// Every record, the latest first, of those before an offset if one is given.
    pub(super) fn before(&self, offset: Option<i64>) -> impl Iterator<Item = &Version> {
        let all = self.versions.iter().rev();
        all.skip_while(move |version| offset.is_some_and(|offset| version.offset >= offset))
    }
}
