//! Inputs that are held until there are many: one after the other, in room that is used again.

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;

use crate::transport::{Header, Stored};

/// The inputs of a partition that are held, in their order.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    records: Vec<Place>,
}

/// A record whose key and value lie after those of the one before.
#[derive(Debug)]
struct Place {
    topic: Topic,
    offset: i64,
    timestamp: Option<Timestamp>,
    /// Bytes of its key.
    key: Option<usize>,
    /// Bytes of its value.
    value: Option<usize>,
    control: bool,
    forwarded: bool,
    /// Its headers, and its trace context; most records have none.
    besides: Option<Box<(Vec<Header>, Option<String>)>>,
}

impl Held {
    /// With room for so many bytes, so that it does not move while it grows.
    pub(super) fn with_room(bytes: usize) -> Self {
        let (bytes, records) = (Vec::with_capacity(bytes), Vec::new());
        Self { bytes, records }
    }

    /// Holds one more; about how many bytes it takes.
    pub(super) fn push(&mut self, stored: &Stored) -> usize {
        let before = self.bytes.len();
        let mut put = |bytes: &Vec<u8>| {
            self.bytes.extend_from_slice(bytes);
            bytes.len()
        };
        let (key, value) = (
            stored.key.as_ref().map(&mut put),
            stored.value.as_ref().map(&mut put),
        );
        let is_plain = stored.headers.is_empty() && stored.traceparent.is_none();
        self.records.push(Place {
            topic: stored.topic,
            offset: stored.offset,
            timestamp: stored.timestamp,
            key,
            value,
            control: stored.control,
            forwarded: stored.forwarded,
            besides: (!is_plain)
                .then(|| Box::new((stored.headers.clone(), stored.traceparent.clone()))),
        });
        self.bytes.len() - before + size_of::<Place>()
    }

    /// Gives back everything that is held, one after the other, and holds nothing any more; its
    /// room stays. What `each` is given is of a partition.
    pub(super) fn drain<E>(
        &mut self,
        partition: i32,
        each: &mut dyn FnMut(&Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut stored = Stored {
            topic: Topic::Responses,
            partition,
            offset: 0,
            timestamp: None,
            key: None,
            value: None,
            control: false,
            forwarded: false,
            traceparent: None,
            headers: Vec::new(),
        };
        let mut rest = &self.bytes[..];
        for place in self.records.drain(..) {
            stored.topic = place.topic;
            stored.offset = place.offset;
            stored.timestamp = place.timestamp;
            for (length, room) in [
                (place.key, &mut stored.key),
                (place.value, &mut stored.value),
            ] {
                let bytes = length.and_then(|length| rest.split_off(..length));
                refill(room, bytes);
            }
            stored.control = place.control;
            stored.forwarded = place.forwarded;
            let (headers, traceparent) = place.besides.map_or_else(Default::default, |had| *had);
            stored.headers = headers;
            stored.traceparent = traceparent;
            each(&stored)?;
        }
        self.bytes.clear();
        Ok(())
    }
}

/// Puts bytes, if there are any, where others were.
fn refill(room: &mut Option<Vec<u8>>, bytes: Option<&[u8]>) {
    match bytes {
        None => *room = None,
        Some(bytes) => {
            let room = room.get_or_insert_default();
            room.clear();
            room.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(offset: i64, key: Option<&[u8]>, value: Option<&[u8]>) -> Stored {
        Stored {
            topic: Topic::Responses,
            partition: 3,
            offset,
            timestamp: Some(Timestamp(offset + 7)),
            key: key.map(<[u8]>::to_vec),
            value: value.map(<[u8]>::to_vec),
            control: false,
            forwarded: false,
            traceparent: None,
            headers: Vec::new(),
        }
    }

    #[test]
    fn what_is_held_is_given_back_as_it_was_again_and_again() {
        let headers = vec![Header {
            key: "acp-origin".to_owned(),
            value: Some(b"1:2".to_vec()),
        }];
        let all = [
            stored(0, Some(b"key"), Some(b"a value")),
            stored(1, None, None),
            stored(2, Some(b""), Some(b"")),
            Stored {
                topic: Topic::Decisions,
                timestamp: None,
                ..stored(3, None, Some(b"value"))
            },
            Stored {
                control: true,
                forwarded: true,
                traceparent: Some("00-1".to_owned()),
                headers,
                ..stored(4, Some(b"k"), None)
            },
            stored(5, Some(b"longer than those before"), Some(b"v")),
        ];
        let mut held = Held::default();
        for round in 0..3 {
            let of_round = &all[round..];
            let bytes: usize = of_round.iter().map(|one| held.push(one)).sum();
            assert!(bytes >= of_round.len() * size_of::<Place>());
            let mut back = Vec::new();
            let given = held.drain(3, &mut |one| -> Result<(), ()> {
                back.push(one.clone());
                Ok(())
            });
            assert_eq!((given, &back[..]), (Ok(()), of_round));
        }
    }
}
