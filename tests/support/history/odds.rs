//! What should not be there: records of nothing, values of nothing, schemas nobody registered.

use quorate::wire::unframed;
use quorate_core::ids::{Digest, Timestamp};
use quorate_core::records::{DecisionVerdict, ResultKind};
use quorate_core::topic::Topic;

use super::{Entry, History, Said};

/// The topics that everybody may write to.
const OPEN: [Topic; 4] = [
    Topic::Proposals,
    Topic::Responses,
    Topic::Decisions,
    Topic::Results,
];
/// An id that no registry has come to.
const NEVER_ISSUED: i64 = 1_900_000_000;

impl History {
    /// What should not be there.
    pub(super) fn odds(&mut self, said: &Said<'_>) {
        let at = self.random.within(said.proposed..said.deadline);
        match self.random.within(0..60) {
            0 => {
                let id = self.random.id(Timestamp(at));
                let about_nothing = Said { id: &id, ..*said };
                self.answer(&about_nothing, "a1", 50, at);
            }
            1 => self.judge(at, said.id, Digest([1; 32]), "h0", DecisionVerdict::Approve),
            2 => {
                let result_id = self.word();
                self.result(at, said.id, &result_id, ResultKind::Right, None);
            }
            3 => {
                let id = self.random.id(Timestamp(at));
                self.judge(at, &id, Digest([1; 32]), "h0", DecisionVerdict::Reject);
            }
            4 => {
                let control = self.random.percent(50);
                self.strange(at, Topic::Responses, None, Some(b"nonsense"), control);
            }
            5..8 => self.nothing(at, said.id),
            _ => {}
        }
    }

    /// A value that is null, as a stranger may think it deletes something, or passes time.
    fn nothing(&mut self, at: i64, id: &str) {
        let keys = [None, Some(id.as_bytes()), Some(&b"\xff\xfe"[..])];
        let (topic, key) = (*self.random.one_of(&OPEN), *self.random.one_of(&keys));
        let control = topic == Topic::Responses && self.random.percent(20);
        self.strange(at, topic, key, None, control);
    }

    fn strange(
        &mut self,
        at: i64,
        topic: Topic,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        control: bool,
    ) {
        let partitions = i64::from(self.partitions);
        let entry = Entry {
            topic,
            partition: i32::try_from(self.random.within(0..partitions)).unwrap(),
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            control,
        };
        self.at(at, entry);
    }

    /// A record that names a schema the registry never had, or has for something else.
    pub(super) fn misnamed(&mut self, at: i64, topic: Topic, key: &str, value: &[u8]) {
        let id = if self.schemas.is_empty() || self.random.percent(50) {
            i32::try_from(NEVER_ISSUED + self.random.within(0..1_000)).unwrap()
        } else {
            *self.random.one_of(&self.schemas)
        };
        let datum = unframed(value).unwrap();
        let framed = [&[0], &id.to_be_bytes()[..], datum].concat();
        self.value(at, topic, key, framed);
    }
}
