//! The tables as of any offset: agents, policies and trust scores, with their history.
//!
//! Every processor reads them whole. A record that is unsound is passed over, as if it were not
//! there; the one before it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use quorate_core::electorate::{self, Standing};
use quorate_core::fault::{self, Fault};
use quorate_core::ids::{AgentId, Offset, Timestamp};
use quorate_core::policy;
use quorate_core::records::{Agent, AgentStatus, Pins, Policy, Start, TrustScore};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;

use super::io::trust_key;
use crate::wire::{self, Codec};

/// The tables, each with every version that was read: a round taken over may have pinned any.
#[derive(Clone, Debug)]
pub struct Tables {
    agents: BTreeMap<AgentId, Versions<Agent>>,
    policies: BTreeMap<String, Versions<Policy>>,
    scores: BTreeMap<String, BTreeMap<AgentId, Versions<TrustScore>>>,
    by_principal: BTreeMap<String, BTreeSet<AgentId>>,
    agents_appended: Appended,
    policies_appended: Appended,
    pins: Pins,
}

/// A sound record of a table.
#[derive(Clone, Debug)]
pub enum Row {
    /// Of `acp.agents`.
    Agent(Box<Agent>),
    /// Of `acp.policies`.
    Policy(Box<Policy>),
    /// Of `acp.trust`.
    Score(Box<TrustScore>),
}

impl Row {
    /// Reads a record of `acp.agents`, `acp.policies` or `acp.trust`.
    ///
    /// # Errors
    /// Why it is to be passed over.
    pub fn read(
        codec: &Codec,
        topic: Topic,
        key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Self, Reject> {
        let key = key
            .and_then(|key| std::str::from_utf8(key).ok())
            .ok_or(Reject::KeyMismatch)?;
        match topic {
            Topic::Agents => {
                let agent: Agent = read(codec, value)?;
                same_key(key, agent.agent_id.as_str())?;
                agent.check().map_err(|_| Reject::Malformed)?;
                Ok(Self::Agent(Box::new(agent)))
            }
            Topic::Policies => {
                let policy: Policy = read(codec, value)?;
                same_key(key, &policy.pattern)?;
                policy.check().map_err(|_| Reject::Malformed)?;
                let digest = wire::policy_digest(&policy).map_err(|error| error.reject())?;
                if digest != policy.digest {
                    return Err(Reject::DigestMismatch);
                }
                Ok(Self::Policy(Box::new(policy)))
            }
            _ => {
                let score: TrustScore = read(codec, value)?;
                same_key(key, &trust_key(&score))?;
                Ok(Self::Score(Box::new(score)))
            }
        }
    }
}

/// A key's records by offset.
type Versions<T> = Vec<(Offset, Arc<T>)>;

/// The latest append time up to each record of a table.
#[derive(Clone, Debug, Default)]
struct Appended(Vec<(Offset, Timestamp)>);

impl Appended {
    fn note(&mut self, offset: Offset, timestamp: Timestamp) {
        let last = self.0.last().map_or(timestamp, |(_, last)| *last);
        self.0.push((offset, timestamp.max(last)));
    }

    /// The last offset appended no later than a time.
    fn by(&self, at: Timestamp) -> Offset {
        let later = self.0.partition_point(|(_, appended)| *appended <= at);
        let last = later.checked_sub(1).and_then(|last| self.0.get(last));
        last.map_or(Offset::NONE, |(offset, _)| *offset)
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            agents: BTreeMap::new(),
            policies: BTreeMap::new(),
            scores: BTreeMap::new(),
            by_principal: BTreeMap::new(),
            agents_appended: Appended::default(),
            policies_appended: Appended::default(),
            pins: Pins::NONE,
        }
    }
}

impl Tables {
    /// Takes a table's next record.
    ///
    /// # Errors
    /// Why the record was passed over; the table has been read past it all the same.
    pub fn apply(
        &mut self,
        codec: &Codec,
        topic: Topic,
        offset: Offset,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), Reject> {
        match topic {
            Topic::Agents => {
                self.pins.agents = offset;
                self.agents_appended.note(offset, timestamp);
            }
            Topic::Policies => {
                self.pins.policies = offset;
                self.policies_appended.note(offset, timestamp);
            }
            Topic::Trust => self.pins.trust = offset,
            _ => return Ok(()),
        }
        let Some(value) = value else { return Ok(()) };
        match Row::read(codec, topic, key, value)? {
            Row::Agent(agent) => self.list(offset, *agent),
            Row::Policy(policy) => self.enact(offset, *policy),
            Row::Score(score) => self.trust(offset, *score),
        }
        Ok(())
    }

    fn list(&mut self, offset: Offset, agent: Agent) {
        let of_principal = self.by_principal.entry(agent.principal.clone());
        of_principal.or_default().insert(agent.agent_id.clone());
        let versions = self.agents.entry(agent.agent_id.clone()).or_default();
        versions.push((offset, Arc::new(agent)));
    }

    fn enact(&mut self, offset: Offset, policy: Policy) {
        let versions = self.policies.entry(policy.pattern.clone()).or_default();
        versions.push((offset, Arc::new(policy)));
    }

    fn trust(&mut self, offset: Offset, score: TrustScore) {
        let of_domain = self.scores.entry(score.trust_domain.clone()).or_default();
        let versions = of_domain.entry(score.agent_id.clone()).or_default();
        versions.push((offset, Arc::new(score)));
    }

    /// The offsets the tables have been read to.
    #[must_use]
    pub const fn pins(&self) -> Pins {
        self.pins
    }

    /// Says how far they count as read, for whoever opens a round again as it was opened: what
    /// lies beyond stays, and is looked up by those who name it.
    pub const fn set_pins(&mut self, pins: Pins) {
        self.pins = pins;
    }

    /// An agent as of an offset of `acp.agents`.
    #[must_use]
    pub fn agent(&self, id: &str, pin: Offset) -> Option<&Arc<Agent>> {
        as_of(self.agents.get(id)?, pin)
    }

    /// Every agent as of an offset of `acp.agents`, by id.
    pub fn agents(&self, pin: Offset) -> impl Iterator<Item = &Arc<Agent>> {
        self.agents
            .values()
            .filter_map(move |versions| as_of(versions, pin))
    }

    /// The last offset of `acp.agents` that was appended no later than a time.
    #[must_use]
    pub fn agents_offset(&self, at: Timestamp) -> Offset {
        self.agents_appended.by(at)
    }

    /// The last offset of `acp.policies` that was appended no later than a time.
    #[must_use]
    pub fn policies_offset(&self, at: Timestamp) -> Offset {
        self.policies_appended.by(at)
    }

    /// The policy of a pattern as of an offset of `acp.policies`.
    #[must_use]
    pub fn policy(&self, pattern: &str, pin: Offset) -> Option<&Arc<Policy>> {
        as_of(self.policies.get(pattern)?, pin)
    }

    /// The policy that governs a domain as of an offset of `acp.policies`.
    #[must_use]
    pub fn governing(&self, domain: &str, pin: Offset) -> Option<&Arc<Policy>> {
        let in_force = self.policies.values();
        policy::governing(in_force.filter_map(|versions| as_of(versions, pin)), domain)
    }

    /// Every agent's last score, of all trust domains.
    pub fn scores(&self) -> impl Iterator<Item = &Arc<TrustScore>> {
        let of_domains = self.scores.values().flat_map(BTreeMap::values);
        of_domains.filter_map(|versions| versions.last().map(|(_, score)| score))
    }

    /// Every score there ever was, by where it lies.
    #[must_use]
    pub fn every_score(&self) -> BTreeMap<Offset, &Arc<TrustScore>> {
        let of_domains = self.scores.values().flat_map(BTreeMap::values);
        let versions = of_domains.flatten();
        versions.map(|(offset, score)| (*offset, score)).collect()
    }

    /// What an agent brings to a round in a domain under a policy, as of the round's pins.
    #[must_use]
    pub fn standing(&self, agent: &Agent, domain: &str, policy: &Policy, pins: Pins) -> Standing {
        let score = self.score(&policy.trust_domain, agent.agent_id.as_str(), pins.trust);
        let inherited = match score {
            Some(_) => None,
            None => self.inherited(agent, &policy.trust_domain, pins),
        };
        electorate::standing(
            agent,
            domain,
            policy,
            score.map(|score| &**score),
            inherited,
        )
    }

    /// From which trust pin through which one an agent brings the same to a policy's rounds, as far
    /// as the table is read: those among which is that of these pins.
    #[must_use]
    pub fn standing_holds(
        &self,
        agent: &Agent,
        policy: &Policy,
        pins: Pins,
    ) -> RangeInclusive<Offset> {
        let scores = self.scores.get(&policy.trust_domain);
        let versions = scores.and_then(|of_domain| of_domain.get(&agent.agent_id));
        let versions = versions.map_or(&[][..], |versions| versions);
        let later = versions.partition_point(|(offset, _)| *offset <= pins.trust);
        let last = later.checked_sub(1).and_then(|last| versions.get(last));
        // What others of its principal left behind moves whenever their records do.
        if last.is_none() && self.may_inherit(agent, pins.agents) {
            return pins.trust..=pins.trust;
        }
        let from = last.map_or(Offset::NONE, |(offset, _)| *offset);
        let read = self.pins.trust.max(pins.trust);
        let next = versions.get(later).map(|(offset, _)| Offset(offset.0 - 1));
        from..=next.map_or(read, |before| before.min(read))
    }

    /// Whether there are agents whose records a newcomer of their principal may inherit.
    fn may_inherit(&self, agent: &Agent, pin: Offset) -> bool {
        let of_principal = self
            .by_principal
            .get(&agent.principal)
            .into_iter()
            .flatten();
        let mut others = of_principal.filter_map(|id| self.agent(id.as_str(), pin));
        others.any(|other| other.status != AgentStatus::Active)
    }

    fn score(&self, trust_domain: &str, agent: &str, pin: Offset) -> Option<&Arc<TrustScore>> {
        let versions = self.scores.get(trust_domain)?.get(agent)?;
        if fault::is_on(Fault::NewestTrust) {
            return versions.last().map(|(_, score)| score);
        }
        as_of(versions, pin)
    }

    fn inherited(&self, agent: &Agent, trust_domain: &str, pins: Pins) -> Option<Start> {
        let of_principal = self.by_principal.get(&agent.principal)?.iter();
        let with_agents = of_principal.filter_map(|id| {
            let score = self.score(trust_domain, id.as_str(), pins.trust)?;
            let other = self.agent(id.as_str(), pins.agents)?;
            Some((&**other, &**score))
        });
        electorate::inherited(agent, with_agents)
    }
}

fn read<T: wire::Record + DeserializeOwned>(codec: &Codec, value: &[u8]) -> Result<T, Reject> {
    let (record, _) = codec.decode(value).map_err(|error| error.reject())?;
    Ok(record)
}

fn same_key(key: &str, id: &str) -> Result<(), Reject> {
    if key == id {
        Ok(())
    } else {
        Err(Reject::KeyMismatch)
    }
}

fn as_of<T>(versions: &Versions<T>, pin: Offset) -> Option<&Arc<T>> {
    let later = versions.partition_point(|(offset, _)| *offset <= pin);
    versions
        .get(later.checked_sub(1)?)
        .map(|(_, record)| record)
}
