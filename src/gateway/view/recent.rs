//! The last records of a topic, in the order in which they were read, for those who follow it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use super::tags::{Filter, Item};
use crate::wire::{Codec, Error, Kind};

/// Most records that are looked at before whoever follows is told what was found.
const LOOKED_AT_MAX: usize = 1_000;

/// The last records of a topic.
#[derive(Debug)]
pub(super) struct Recent {
    entries: VecDeque<Arc<Entry>>,
    /// How many were forgotten: the number of the first one.
    first: u64,
    /// Of each partition, the offset from which on all are here.
    floor: BTreeMap<i32, i64>,
    weight: usize,
    /// About how many bytes are remembered at most.
    bound: usize,
}

/// A record, and where it lies.
#[derive(Debug)]
pub(in crate::gateway) struct Entry {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) item: Item,
    /// Its JSON, the same to everybody, once somebody was told.
    told: OnceLock<Arc<str>>,
}

impl Entry {
    /// The record as JSON.
    ///
    /// # Errors
    /// As [`Kind::to_json`].
    pub(in crate::gateway) fn tell(&self, kind: Kind, codec: &Codec) -> Result<Arc<str>, Error> {
        if let Some(told) = self.told.get() {
            return Ok(Arc::clone(told));
        }
        let told = kind.to_json(codec, &self.item.value)?;
        Ok(Arc::clone(self.told.get_or_init(|| told.into())))
    }

    /// About how many bytes it takes; JSON takes three times as many as Avro, or so.
    fn weight(&self) -> usize {
        self.item.weight() + 3 * self.item.value.len() + size_of::<Self>()
    }
}

/// How far somebody has followed a topic: the offset of each partition to be told next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Position(pub(super) Vec<i64>);

impl Position {
    /// As it is told, and given back.
    pub(in crate::gateway) fn text(&self) -> String {
        let offsets = self.0.iter().map(i64::to_string);
        offsets.collect::<Vec<_>>().join(".")
    }

    /// The position that a text tells, of so many partitions.
    pub(in crate::gateway) fn read(text: &str, partitions: i32) -> Option<Self> {
        let offsets = text.split('.').map(|offset| offset.parse().ok());
        let offsets: Vec<i64> = offsets.collect::<Option<_>>()?;
        let is_sound = offsets.len() == usize::try_from(partitions).ok()?
            && offsets.iter().all(|offset| *offset >= 0);
        is_sound.then_some(Self(offsets))
    }

    pub(super) fn of(&self, partition: i32) -> i64 {
        let at = usize::try_from(partition).ok();
        at.and_then(|at| self.0.get(at)).copied().unwrap_or(0)
    }

    /// Moves on, never back.
    pub(super) fn reach(&mut self, partition: i32, offset: i64) {
        let at = usize::try_from(partition).ok();
        if let Some(next) = at.and_then(|at| self.0.get_mut(at)) {
            *next = offset.max(*next);
        }
    }

    /// Each partition's offset.
    pub(in crate::gateway) fn offsets(&self) -> impl Iterator<Item = (i32, i64)> {
        (0..).zip(self.0.iter().copied())
    }
}

/// Somebody who follows a topic.
#[derive(Debug)]
pub(in crate::gateway) struct Cursor {
    pub(super) position: Position,
    /// The number of the record to look at next.
    pub(super) next: u64,
}

impl Cursor {
    /// How far that is.
    pub(in crate::gateway) const fn position(&self) -> &Position {
        &self.position
    }
}

/// What somebody was to be told is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Forgotten;

impl Recent {
    /// Nothing, and about how many bytes may be remembered.
    pub(super) const fn new(bound: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            floor: BTreeMap::new(),
            weight: 0,
            bound,
        }
    }

    /// About how many bytes it takes.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// Says from where on a partition is read, if it was not before.
    pub(super) fn begin(&mut self, partition: i32, offset: i64) {
        self.floor.entry(partition).or_insert(offset);
    }

    /// Takes the next record.
    pub(super) fn push(&mut self, partition: i32, offset: i64, item: Item) {
        self.begin(partition, offset);
        let entry = Entry {
            partition,
            offset,
            item,
            told: OnceLock::new(),
        };
        self.weight += entry.weight();
        self.entries.push_back(Arc::new(entry));
        while self.weight > self.bound
            && let Some(entry) = self.entries.pop_front()
        {
            self.first += 1;
            self.weight = self.weight.saturating_sub(entry.weight());
            self.lose(entry.partition, entry.offset);
        }
    }

    /// Takes it that a record cannot be told.
    pub(super) fn lose(&mut self, partition: i32, offset: i64) {
        let floor = self.floor.entry(partition).or_default();
        *floor = (*floor).max(offset + 1);
    }

    /// The number of the record that comes next.
    pub(super) fn end(&self) -> u64 {
        self.first + u64::try_from(self.entries.len()).unwrap_or(u64::MAX)
    }

    /// Somebody who follows from a position on.
    ///
    /// # Errors
    /// [`Forgotten`] if something after it is.
    pub(super) fn follow(&self, position: Position) -> Result<Cursor, Forgotten> {
        self.remembers(&position)?;
        Ok(Cursor {
            position,
            next: self.first,
        })
    }

    fn remembers(&self, position: &Position) -> Result<(), Forgotten> {
        let mut offsets = position.offsets();
        let is_known = |(partition, offset)| {
            let floor = self.floor.get(&partition);
            floor.is_none_or(|floor| offset >= *floor)
        };
        if offsets.all(is_known) {
            Ok(())
        } else {
            Err(Forgotten)
        }
    }

    /// What comes next for somebody, each with the position after it; moves on.
    ///
    /// # Errors
    /// [`Forgotten`] if that is.
    pub(super) fn read(
        &self,
        cursor: &mut Cursor,
        filter: &Filter,
        count: usize,
    ) -> Result<Vec<(Arc<Entry>, String)>, Forgotten> {
        if cursor.next < self.first {
            self.remembers(&cursor.position)?;
            cursor.next = self.first;
        }
        let from = usize::try_from(cursor.next - self.first).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        for entry in self.entries.iter().skip(from).take(LOOKED_AT_MAX) {
            cursor.next += 1;
            if entry.offset < cursor.position.of(entry.partition) {
                continue;
            }
            cursor.position.reach(entry.partition, entry.offset + 1);
            if filter.finds(&entry.item.tags) {
                found.push((Arc::clone(entry), cursor.position.text()));
                if found.len() == count {
                    break;
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::super::tags::Tags;
    use super::*;

    fn item() -> Item {
        Item {
            value: Bytes::from(vec![0; 100]),
            tags: Tags::default(),
        }
    }

    fn offsets(recent: &Recent, cursor: &mut Cursor) -> Result<Vec<(i32, i64)>, Forgotten> {
        let found = recent.read(cursor, &Filter::default(), 99)?;
        let place = |(entry, _): &(Arc<Entry>, String)| (entry.partition, entry.offset);
        Ok(found.iter().map(place).collect())
    }

    #[test]
    fn a_position_is_good_in_whatever_order_partitions_are_read() {
        let (mut here, mut there) = (Recent::new(usize::MAX), Recent::new(usize::MAX));
        for (partition, offset) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            here.push(partition, offset, item());
        }
        for (partition, offset) in [(1, 0), (0, 0), (1, 1), (0, 1)] {
            there.push(partition, offset, item());
        }
        let mut cursor = here.follow(Position(vec![0, 0])).unwrap();
        let told = here.read(&mut cursor, &Filter::default(), 3).unwrap();
        let position = Position::read(&told[2].1, 2).unwrap();
        assert_eq!(position, Position(vec![2, 1]));
        let mut cursor = there.follow(position).unwrap();
        assert_eq!(offsets(&there, &mut cursor).unwrap(), [(1, 1)]);
        // What was told once is not told again by another's order.
        let mut cursor = there.follow(Position(vec![1, 0])).unwrap();
        let told = there.read(&mut cursor, &Filter::default(), 1).unwrap();
        assert_eq!(told[0].1, "1.1");
    }

    #[test]
    fn whoever_is_too_slow_is_told_so_and_nothing_is_left_out() {
        let mut recent = Recent::new(20_000);
        recent.begin(0, 0);
        let mut slow = recent.follow(Position(vec![0])).unwrap();
        let mut seen = Vec::new();
        let mut quick = recent.follow(Position(vec![0])).unwrap();
        for offset in 0..1_000 {
            recent.push(0, offset, item());
            let weight: usize = recent.entries.iter().map(|entry| entry.weight()).sum();
            assert!(weight <= 20_000 && weight == recent.weight, "{weight}");
            seen.extend(offsets(&recent, &mut quick).unwrap());
        }
        assert_eq!(seen.len(), 1_000);
        assert_eq!(offsets(&recent, &mut slow), Err(Forgotten));
        assert!(recent.follow(Position(vec![0])).is_err());
        assert!(recent.follow(Position(vec![999])).is_ok());
    }

    #[test]
    fn what_cannot_be_told_is_forgotten_not_left_out() {
        let mut recent = Recent::new(usize::MAX);
        recent.begin(0, 5);
        assert!(
            recent.follow(Position(vec![4])).is_err(),
            "gone from the log"
        );
        recent.push(0, 5, item());
        recent.lose(0, 6);
        recent.push(0, 7, item());
        assert!(recent.follow(Position(vec![5])).is_err());
        let mut cursor = recent.follow(Position(vec![7])).unwrap();
        assert_eq!(offsets(&recent, &mut cursor).unwrap(), [(0, 7)]);
    }

    #[test]
    fn what_is_no_position_is_none() {
        for text in ["", "1", "1.2.3", "1.x", "1.-2", "1..2"] {
            assert_eq!(Position::read(text, 2), None, "{text}");
        }
        assert_eq!(Position::read("1.2", 2), Some(Position(vec![1, 2])));
    }
}
