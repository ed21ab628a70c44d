//! The coordinator's word to a broker that transactions have ended (`WriteTxnMarkers`), and what the
//! broker would answer had it written all of that.
//!
//! `kafka-protocol` knows this message up to version 1, and brokers 4.3.1 speak version 2.

/// A message under way, and its version.
struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
}

impl<'a> Walk<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
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

    /// One transaction's end: its answer.
    fn marker(&mut self) -> Vec<u8> {
        let whose = self.take(8 + 2 + 1);
        let mut answer = whose[..8].to_vec();
        let topics = self.count();
        put_count(&mut answer, topics);
        for _ in 0..topics {
            let length = self.count();
            put_count(&mut answer, length);
            answer.extend(self.take(length));
            let partitions = self.count();
            put_count(&mut answer, partitions);
            for index in self.take(4 * partitions).chunks(4) {
                answer.extend(index);
                // No error, no tagged fields.
                answer.extend([0, 0, 0]);
            }
            self.tags();
            answer.push(0);
        }
        let _epochs = self.take(if self.version >= 2 { 5 } else { 4 });
        self.tags();
        answer.push(0);
        answer
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

/// The frame that answers such a frame.
pub(super) fn answer(frame: &[u8]) -> Vec<u8> {
    let version = i16::from_be_bytes([frame[6], frame[7]]);
    assert!((1..=2).contains(&version), "version {version} is not known");
    let mut walk = Walk {
        rest: &frame[4..],
        version,
    };
    let head = walk.take(8);
    let client = walk.take(2);
    let _name = walk.take(usize::from(u16::from_be_bytes([client[0], client[1]])));
    walk.tags();
    let mut body = [&head[4..8], &[0]].concat();
    let markers = walk.count();
    put_count(&mut body, markers);
    for _ in 0..markers {
        body.extend(walk.marker());
    }
    walk.tags();
    body.push(0);
    let length = u32::try_from(body.len()).unwrap();
    [length.to_be_bytes().to_vec(), body].concat()
}
