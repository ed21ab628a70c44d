//! Why records were refused; the oldest are forgotten where there are too many.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::DeadLetter;
use quorate_core::topic::Topic;

use super::Place;
use super::tags::Item;

/// When a dead letter was appended, and where it lies.
pub(super) type Lies = (Timestamp, i32, i64);

/// What is remembered of the dead letters.
#[derive(Debug)]
pub(super) struct Letters {
    letters: BTreeMap<Lies, Arc<Letter>>,
    /// Those about a record of a topic there is, by where that lies.
    about: BTreeMap<Place, Lies>,
    /// Of each input, the last offset of a record whose letter was forgotten.
    forgotten: BTreeMap<(Topic, i32), i64>,
    weight: usize,
    /// About how many bytes are remembered at most.
    bound: usize,
}

/// Why a record was refused.
#[derive(Debug)]
pub(in crate::gateway) struct Letter {
    about: Option<Place>,
    pub(in crate::gateway) reason: String,
    pub(in crate::gateway) detail: String,
    pub(super) item: Item,
}

impl Letter {
    fn weight(&self) -> usize {
        let texts = self.reason.len() + self.detail.len() + self.item.weight();
        // Besides it there are its places.
        texts + size_of::<Self>() + 2 * size_of::<(Place, Lies)>()
    }
}

impl Letters {
    /// Nothing, and how many bytes may be remembered.
    pub(super) const fn new(bound: usize) -> Self {
        Self {
            letters: BTreeMap::new(),
            about: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            weight: 0,
            bound,
        }
    }

    /// About how many bytes it takes.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// Remembers one.
    pub(super) fn take(&mut self, letter: DeadLetter, item: Item, lies: Lies) {
        let Offset(offset) = letter.offset;
        let topic = Topic::named(&letter.topic);
        let about = topic.map(|topic| (topic, letter.partition, offset));
        let letter = Letter {
            about,
            reason: letter.reason,
            detail: letter.detail,
            item,
        };
        self.weight += letter.weight();
        if let Some(about) = about {
            self.about.insert(about, lies);
        }
        if let Some(before) = self.letters.insert(lies, Arc::new(letter)) {
            self.weight = self.weight.saturating_sub(before.weight());
        }
        while self.weight > self.bound && self.forget_first() {}
    }

    /// Forgets what is old.
    pub(super) fn forget(&mut self, is_old: impl Fn(Timestamp) -> bool) {
        while self
            .letters
            .keys()
            .next()
            .is_some_and(|(at, ..)| is_old(*at))
        {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) -> bool {
        let Some((lies, letter)) = self.letters.pop_first() else {
            return false;
        };
        self.weight = self.weight.saturating_sub(letter.weight());
        if let Some((topic, partition, offset)) = letter.about {
            let last = self.forgotten.entry((topic, partition)).or_insert(offset);
            *last = offset.max(*last);
            let place = (topic, partition, offset);
            if self.about.get(&place) == Some(&lies) {
                self.about.remove(&place);
            }
        }
        true
    }

    /// Why a record was refused, if it was, and that is remembered.
    pub(super) fn about(&self, place: &Place) -> Option<&Letter> {
        let letter = self.letters.get(self.about.get(place)?)?;
        Some(letter)
    }

    /// Where the dead letter about a record lies, if there is one, and it is remembered.
    pub(super) fn lies(&self, place: &Place) -> Option<Lies> {
        self.about.get(place).copied()
    }

    /// Whether a record may have been refused without anybody remembering it.
    pub(super) fn may_be_forgotten(&self, place: &Place) -> bool {
        let (topic, partition, offset) = *place;
        let last = self.forgotten.get(&(topic, partition));
        last.is_some_and(|last| offset <= *last)
    }

    /// All of them, the latest first, of those before a place if one is given.
    pub(super) fn before(&self, place: Option<Lies>) -> impl Iterator<Item = (Lies, &Item)> {
        let upto = place.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let letters = self.letters.range((std::ops::Bound::Unbounded, upto)).rev();
        letters.map(|(lies, letter)| (*lies, &letter.item))
    }
}
