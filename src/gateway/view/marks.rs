//! Where the records of a round lie, and what each says in a word.

use quorate_core::ids::Timestamp;
use quorate_core::millionths::Millionths;
use quorate_core::topic::Topic;

use super::Place;

/// Most records of a round that are remembered.
const MARKS_MAX: usize = 6_000;
/// Most characters that are remembered of what somebody wrote.
const WORDS_MAX: usize = 1_000;

/// A record of a round.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Mark {
    /// Where it lies; its topic alone until that is known.
    pub(in crate::gateway) place: Place,
    pub(in crate::gateway) at: Timestamp,
    /// Who wrote it, where that is not a processor.
    pub(in crate::gateway) by: Option<Box<str>>,
    /// The id its writer gave it.
    pub(in crate::gateway) id: Option<Box<str>>,
    /// What it says: a verdict, a status, a state, a code.
    pub(in crate::gateway) says: Box<str>,
    pub(in crate::gateway) confidence: Option<Millionths>,
    /// What its writer said in words.
    pub(in crate::gateway) words: Option<Box<str>>,
}

impl Mark {
    /// A record of a topic that says something.
    pub(super) fn new(topic: Topic, says: impl Into<Box<str>>) -> Self {
        Self {
            place: (topic, 0, 0),
            at: Timestamp::default(),
            by: None,
            id: None,
            says: says.into(),
            confidence: None,
            words: None,
        }
    }

    /// The same, of somebody, under an id.
    pub(super) fn by(self, by: &str, id: &str) -> Self {
        let (by, id) = (Some(by.into()), Some(id.into()));
        Self { by, id, ..self }
    }

    /// The same, in these words, the first of them.
    pub(super) fn with(self, words: &str) -> Self {
        let words = (!words.is_empty()).then(|| clipped(words));
        Self { words, ..self }
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        let texts = [&self.by, &self.id, &self.words].into_iter().flatten();
        let texts: usize = texts.map(|text| text.len()).sum();
        texts + self.says.len() + size_of::<Self>()
    }
}

/// The first of somebody's words.
pub(super) fn clipped(words: &str) -> Box<str> {
    match words.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()).into(),
        None => words.into(),
    }
}

/// The records of a round.
#[derive(Debug, Default)]
pub(super) struct Marks {
    all: Vec<Mark>,
    weight: usize,
    /// How many there are beside those.
    pub(super) more: usize,
}

impl Marks {
    /// Takes one, if there are not too many.
    pub(super) fn take(&mut self, mark: Mark) {
        if self.all.len() == MARKS_MAX {
            self.more += 1;
            return;
        }
        // A log that is lost and found is read on from where it was: nothing comes twice.
        self.weight += mark.weight();
        self.all.push(mark);
    }

    /// About how many bytes they take.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    /// All of them, in the order in which they were appended.
    pub(super) fn sorted(&self) -> Vec<&Mark> {
        let mut all: Vec<&Mark> = self.all.iter().collect();
        all.sort_by_key(|mark| (mark.at, mark.place));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_round_has_more_records_here_than_there_is_room_for() {
        let mut marks = Marks::default();
        for _ in 0..MARKS_MAX + 3 {
            marks.take(Mark::new(Topic::Responses, "ENDORSE"));
        }
        assert_eq!((marks.sorted().len(), marks.more), (MARKS_MAX, 3));
        assert!(marks.weight() >= MARKS_MAX * size_of::<Mark>());
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        assert_eq!(&*clipped("no"), "no");
        let long = clipped(&"ü".repeat(WORDS_MAX + 1));
        assert_eq!(long.chars().count(), WORDS_MAX + 1);
        assert!(long.ends_with('…'));
    }
}
