//! By which rules recorded rounds are gone through again.

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::{Agent, Policy};
use quorate_core::topic::Topic;
use serde::Serialize;

use crate::engine::Tables;
use crate::wire::{Codec, seal_policy};

/// How fast a track record fades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum HalfLife {
    /// As the policies say.
    AsTheySay,
    /// By half after so many results; none: never.
    Of(Option<i32>),
}

/// What is to be otherwise; all of it is as recorded if nothing is said.
#[derive(Clone, Debug, Serialize)]
pub struct Rules {
    /// Policies in place of those recorded.
    pub policies: Option<Vec<Policy>>,
    /// Agents in place of those recorded.
    pub agents: Option<Vec<Agent>>,
    /// How fast track records fade.
    pub half_life: HalfLife,
    /// Whether ballots are weighed by the trust that follows from the replayed rounds, and not by
    /// the trust that was recorded.
    pub replay_trust: bool,
}

impl Rules {
    /// Whether ballots are weighed by the trust that follows.
    pub(super) fn is_trust_replayed(&self) -> bool {
        self.replay_trust || self.half_life != HalfLife::AsTheySay
    }

    /// Whether a table has rows of the rules' own.
    pub(super) const fn replaces(&self, topic: Topic) -> bool {
        match topic {
            Topic::Agents => self.agents.is_some(),
            Topic::Policies => self.policies.is_some(),
            _ => false,
        }
    }

    /// A recorded policy as these rules have it; one that cannot be read stays as it is.
    pub(super) fn altered(&self, codec: &Codec, own: &Codec, value: Vec<u8>) -> Vec<u8> {
        if self.half_life == HalfLife::AsTheySay {
            return value;
        }
        let read = codec.decode::<Policy>(&value).ok();
        let sealed = read.and_then(|(policy, _)| self.sealed(policy));
        sealed
            .and_then(|policy| own.encode(&policy).ok())
            .unwrap_or(value)
    }

    /// A policy with the half-life asked for, and its digest.
    fn sealed(&self, mut policy: Policy) -> Option<Policy> {
        if let HalfLife::Of(half_life) = self.half_life {
            policy.half_life = half_life;
        }
        seal_policy(&mut policy).ok()?;
        Some(policy)
    }

    /// Puts the rules' own rows into a table, as if they had been there first.
    pub(super) fn put(&self, tables: &mut Tables, own: &Codec, topic: Topic, at: Timestamp) {
        let rows: Vec<_> = match topic {
            Topic::Agents => {
                let agents = self.agents.iter().flatten();
                let row =
                    |agent: &Agent| Some((agent.agent_id.to_string(), own.encode(agent).ok()?));
                agents.filter_map(row).collect()
            }
            Topic::Policies => {
                let policies = self.policies.iter().flatten();
                let row = |policy: &Policy| {
                    let policy = self.sealed(policy.clone())?;
                    let value = own.encode(&policy).ok()?;
                    Some((policy.pattern, value))
                };
                policies.filter_map(row).collect()
            }
            _ => Vec::new(),
        };
        for (key, value) in rows {
            let (key, value) = (Some(key.as_bytes()), Some(&value[..]));
            if let Err(reject) = tables.apply(own, topic, Offset(0), at, key, value) {
                tracing::warn!(%topic, %reject, "row of the rules is passed over");
            }
        }
    }
}
