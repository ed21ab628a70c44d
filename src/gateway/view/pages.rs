//! What is remembered, told in pages: each in an order that stays while records come.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use axum::body::Bytes;
use quorate_core::ids::{ProposalId, Timestamp};
use quorate_core::records::RoundState;

use super::Known;
use super::letters::Lies;
use super::tags::{Filter, Item, Tags};

/// Most records looked at for one page.
const LOOKED_AT_MAX: usize = 10_000;

/// Something that is told in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Shelf {
    /// The last records of rounds, the latest round first.
    Rounds,
    /// Outcomes, those of the latest round first.
    Outcomes,
    /// The last decision packages of rounds in a state, the oldest round first.
    Escalations(RoundState),
    /// The last records of agents, by name.
    Agents,
    /// The last track records, by trust domain and agent.
    Trust,
    /// The last records of policies, by pattern.
    Policies,
    /// Dead letters, the latest first.
    DeadLetters,
}

/// Some of what is on a shelf.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Page {
    /// As they lie.
    pub(in crate::gateway) values: Vec<Bytes>,
    /// What each is known by there.
    pub(in crate::gateway) keys: Vec<String>,
    /// Where to go on, if there is more to look at.
    pub(in crate::gateway) next: Option<String>,
}

impl Known {
    /// Up to so many of what is on a shelf, after where another page ended; none if no page ends
    /// like that. There may be fewer although there are more. Of escalations only those that
    /// somebody may decide, if that is asked for.
    pub(in crate::gateway) fn page(
        &self,
        shelf: Shelf,
        filter: &Filter,
        mine: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Option<Page> {
        let rounds = &self.rounds;
        let by = |tags: &Tags| filter.finds(tags);
        Some(match shelf {
            Shelf::Rounds => {
                let all = rounds.before(place(after, id)?);
                page(&by, limit, all)
            }
            Shelf::Outcomes => {
                let all = rounds.outcomes_before(place(after, numbered)?);
                let all = all.map(|((id, at), item)| (format!("{id}.{at}"), item));
                page(&by, limit, all.map(parts))
            }
            Shelf::Escalations(state) => {
                let all = rounds.packages_after(state, place(after, id)?);
                let is_theirs =
                    |id: &ProposalId| mine.is_none_or(|name| self.may_decide(id, name).is_ok());
                page_of(|id, tags| by(tags) && is_theirs(id), limit, all.map(parts))
            }
            Shelf::Agents => page(&by, limit, self.agents.after(after).map(parts)),
            Shelf::Trust => page(&by, limit, rows(&self.trust, after)),
            Shelf::Policies => page(&by, limit, rows(&self.policies.items, after)),
            Shelf::DeadLetters => {
                let all = self.letters.before(place(after, lies)?);
                let all = all.map(|((Timestamp(at), partition, offset), item)| {
                    (format!("{at}.{partition}.{offset}"), item)
                });
                page(&by, limit, all.map(parts))
            }
        })
    }
}

fn page<'a, K: ToString>(
    by: &impl Fn(&Tags) -> bool,
    limit: usize,
    all: impl Iterator<Item = (K, &'a Tags, &'a Bytes)>,
) -> Page {
    page_of(|_, tags| by(tags), limit, all)
}

fn page_of<'a, K: ToString>(
    is_sought: impl Fn(&K, &Tags) -> bool,
    limit: usize,
    all: impl Iterator<Item = (K, &'a Tags, &'a Bytes)>,
) -> Page {
    let mut page = Page::default();
    let mut last = None;
    for (looked_at, (key, tags, value)) in all.enumerate() {
        if page.values.len() == limit || looked_at == LOOKED_AT_MAX {
            page.next = last.map(|key: K| key.to_string());
            break;
        }
        if is_sought(&key, tags) {
            page.values.push(value.clone());
            page.keys.push(key.to_string());
        }
        last = Some(key);
    }
    page
}

fn parts<K>((key, item): (K, &Item)) -> (K, &Tags, &Bytes) {
    (key, &item.tags, &item.value)
}

fn rows<'a>(
    table: &'a BTreeMap<String, Item>,
    after: Option<&'a str>,
) -> impl Iterator<Item = (&'a String, &'a Tags, &'a Bytes)> {
    let from = after.map_or(Unbounded, Excluded);
    table.range::<str, _>((from, Unbounded)).map(parts)
}

/// Where a page ended: nowhere is a place, too; none if that is none.
fn place<T>(text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        Some(text) => read(text).map(Some),
        None => Some(None),
    }
}

fn id(text: &str) -> Option<ProposalId> {
    text.parse().ok()
}

fn numbered(text: &str) -> Option<(ProposalId, usize)> {
    let (round, at) = text.split_once('.')?;
    Some((id(round)?, at.parse().ok()?))
}

fn lies(text: &str) -> Option<Lies> {
    let (at, rest) = text.split_once('.')?;
    let (partition, offset) = rest.split_once('.')?;
    let at = Timestamp(at.parse().ok()?);
    Some((at, partition.parse().ok()?, offset.parse().ok()?))
}
