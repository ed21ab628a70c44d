//! What people did: decisions, results, orders, claims, and what they wrote into the tables.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use quorate_core::ids::{Digest, Timestamp};
use quorate_core::topic::Topic;

use super::Place;

/// Where something lies, after when it was done.
pub(in crate::gateway) type When = (Timestamp, Place);

/// Something that a person did.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Action {
    pub(in crate::gateway) sort: Sort,
    /// Who, if that is told; few records of tables have it.
    pub(in crate::gateway) by: Option<Box<str>>,
    /// The round, agent or pattern it is about.
    pub(in crate::gateway) about: Box<str>,
    /// What it says: a verdict, a result, a status or mode.
    pub(in crate::gateway) says: Box<str>,
    /// The reviewer's code for the reason, or the basis of a result.
    pub(in crate::gateway) code: Box<str>,
    /// Why, in words.
    pub(in crate::gateway) words: Box<str>,
    /// Of the decision package that was seen, or of the policy.
    pub(in crate::gateway) digest: Option<Digest>,
    /// Why it has done nothing, where no processor says so.
    pub(in crate::gateway) void: Option<&'static str>,
}

/// What sort of thing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Sort {
    /// An escalation was decided.
    Decision,
    /// It was told how something turned out.
    Result,
    /// An agent or a pattern was taken out of rounds.
    Suspension,
    /// An agent was listed anew.
    Agent,
    /// A policy was written.
    Policy,
    /// An escalation was claimed, or given up.
    Claim,
}

impl Sort {
    /// All of them, by name.
    pub(in crate::gateway) const NAMES: [&'static str; 6] = [
        "decision",
        "result",
        "suspension",
        "agent",
        "policy",
        "claim",
    ];

    /// Its name.
    pub(in crate::gateway) const fn name(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Result => "result",
            Self::Suspension => "suspension",
            Self::Agent => "agent",
            Self::Policy => "policy",
            Self::Claim => "claim",
        }
    }
}

impl Action {
    fn weight(&self) -> usize {
        let by = self.by.as_ref().map_or(0, |by| by.len());
        let texts = [&self.about, &self.says, &self.code, &self.words];
        let texts: usize = texts.into_iter().map(|text| text.len()).sum();
        by + texts + size_of::<(When, Self)>()
    }
}

/// All of it, within a bound.
#[derive(Debug)]
pub(super) struct Actions {
    all: BTreeMap<When, Action>,
    weight: usize,
    bound: usize,
}

impl Actions {
    pub(super) const fn new(bound: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            weight: 0,
            bound,
        }
    }

    /// About how many bytes it takes.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn take(&mut self, at: Timestamp, place: Place, action: Action) {
        self.weight += action.weight();
        if let Some(before) = self.all.insert((at, place), action) {
            self.weight = self.weight.saturating_sub(before.weight());
        }
        while self.weight > self.bound
            && let Some((_, first)) = self.all.pop_first()
        {
            self.weight = self.weight.saturating_sub(first.weight());
        }
    }

    /// All of them, the latest first, of those before one if that is given.
    pub(super) fn before(&self, when: Option<When>) -> impl Iterator<Item = (When, &Action)> {
        let upto = when.map_or(Unbounded, Excluded);
        let all = self.all.range((Unbounded, upto)).rev();
        all.map(|(when, action)| (*when, action))
    }
}

/// Where something lies, as it is told and given back.
pub(in crate::gateway) fn text(when: When) -> String {
    let (Timestamp(at), (topic, partition, offset)) = when;
    format!("{at}.{topic}.{partition}.{offset}")
}

/// What a text tells.
pub(in crate::gateway) fn read(text: &str) -> Option<When> {
    let mut parts = text.splitn(4, '.');
    let at = Timestamp(parts.next()?.parse().ok()?);
    let topic = Topic::named(parts.next()?)?;
    let partition = parts.next()?.parse().ok()?;
    Some((at, (topic, partition, parts.next()?.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(words: &str) -> Action {
        Action {
            sort: Sort::Decision,
            by: Some("rita".into()),
            about: "round".into(),
            says: "APPROVE".into(),
            code: "".into(),
            words: words.into(),
            digest: None,
            void: None,
        }
    }

    #[test]
    fn the_latest_are_kept_within_the_bound() {
        let mut actions = Actions::new(10_000);
        for offset in 0..100 {
            let place = (Topic::Decisions, 0, offset);
            actions.take(Timestamp(offset), place, action(&"x".repeat(100)));
        }
        let kept: Vec<_> = actions.before(None).map(|(when, _)| when.1.2).collect();
        assert_eq!(kept.first(), Some(&99));
        assert!(kept.len() < 50 && kept.len() > 10, "{}", kept.len());
        let weight: usize = actions.all.values().map(Action::weight).sum();
        assert_eq!(weight, actions.weight);
    }

    #[test]
    fn a_place_is_read_as_it_is_told() {
        let when = (Timestamp(7), (Topic::TrustUpdates, 2, 9));
        assert_eq!(read(&text(when)), Some(when));
        assert_eq!(read("7.nothing.2.9"), None);
        assert_eq!(read("7.results.2"), None);
    }
}
