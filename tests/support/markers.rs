//! The coordinator's word to a broker that transactions have ended (`WriteTxnMarkers`), and what the
//! broker would answer had it written all of that.
//!
//! `kafka-protocol` knows this message up to version 1, and brokers 4.3.1 speak version 2.

/// A message under way.
struct Walk<'a>(&'a [u8]);

impl<'a> Walk<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    /// An unsigned number of seven bits a byte, the lowest first.
    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)[0];
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    /// How many elements come, which is written one higher than it is.
    fn count(&mut self) -> usize {
        self.number() - 1
    }

    /// Tagged fields, of which there are none.
    fn tags(&mut self) {
        assert_eq!(self.number(), 0, "tagged fields are not expected");
    }

    /// One transaction's end.
    fn marker(&mut self, version: i16) -> Marker<'a> {
        let whose = self.take(8 + 2 + 1);
        let topic = |walk: &mut Self| {
            let length = walk.count();
            let name = walk.take(length);
            let partitions = walk.count();
            let partitions = walk.take(4 * partitions);
            walk.tags();
            (name, partitions)
        };
        let topics = (0..self.count()).map(|_| topic(self)).collect();
        let epochs = self.take(if version >= 2 { 5 } else { 4 });
        self.tags();
        Marker {
            whose,
            topics,
            epochs,
        }
    }
}

/// One transaction's end, as it lies in a frame.
struct Marker<'a> {
    /// The producer, its epoch, and how it ends.
    whose: &'a [u8],
    /// Names, and numbers of partitions.
    topics: Vec<(&'a [u8], &'a [u8])>,
    epochs: &'a [u8],
}

impl Marker<'_> {
    fn ask(&self) -> Vec<u8> {
        let mut asked = self.whose.to_vec();
        self.put_topics(&mut asked, &[]);
        asked.extend(self.epochs);
        asked.push(0);
        asked
    }

    fn answer(&self) -> Vec<u8> {
        let mut answer = self.whose[..8].to_vec();
        // No error, no tagged fields.
        self.put_topics(&mut answer, &[0, 0, 0]);
        answer.push(0);
        answer
    }

    /// The topics, with something after each partition's number.
    fn put_topics(&self, into: &mut Vec<u8>, after: &[u8]) {
        put_count(into, self.topics.len());
        for (name, partitions) in &self.topics {
            put_count(into, name.len());
            into.extend(*name);
            put_count(into, partitions.len() / 4);
            for index in partitions.chunks(4) {
                into.extend(index);
                into.extend(after);
            }
            into.push(0);
        }
    }
}

/// A frame with ends of transactions.
pub(super) struct Markers<'a> {
    /// Up to and with the header's tagged fields, without the length.
    head: &'a [u8],
    markers: Vec<Marker<'a>>,
}

impl<'a> Markers<'a> {
    /// What such a frame says.
    pub(super) fn of(frame: &'a [u8]) -> Self {
        let version = i16::from_be_bytes([frame[6], frame[7]]);
        assert!((1..=2).contains(&version), "version {version} is not known");
        let mut walk = Walk(&frame[4..]);
        let _head = walk.take(8);
        let client = walk.take(2);
        let _name = walk.take(usize::from(u16::from_be_bytes([client[0], client[1]])));
        walk.tags();
        let head = &frame[4..frame.len() - walk.0.len()];
        let markers = (0..walk.count()).map(|_| walk.marker(version)).collect();
        walk.tags();
        Self { head, markers }
    }

    /// Whether any of the ends is for a topic whose name ends so.
    pub(super) fn concern(&self, name: &str) -> bool {
        let topics = self.markers.iter().flat_map(|marker| &marker.topics);
        topics
            .into_iter()
            .any(|topic| topic.0.ends_with(name.as_bytes()))
    }

    /// The same but for topics whose names end so.
    pub(super) fn without(mut self, name: &str) -> Self {
        for marker in &mut self.markers {
            marker
                .topics
                .retain(|topic| !topic.0.ends_with(name.as_bytes()));
        }
        self
    }

    /// The frame that says this.
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut body = self.head.to_vec();
        put_count(&mut body, self.markers.len());
        body.extend(self.markers.iter().flat_map(Marker::ask));
        body.push(0);
        framed(&body)
    }

    /// The frame that answers that all of it is done.
    pub(super) fn answer(&self) -> Vec<u8> {
        let mut body = [&self.head[4..8], &[0]].concat();
        put_count(&mut body, self.markers.len());
        body.extend(self.markers.iter().flat_map(Marker::answer));
        body.push(0);
        framed(&body)
    }
}

fn put_count(into: &mut Vec<u8>, count: usize) {
    let mut number = count + 1;
    while number >= 0x80 {
        into.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    into.push(u8::try_from(number).unwrap());
}

fn framed(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}
