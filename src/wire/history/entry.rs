//! A record of the log as a file has it (`schemas/files/History.avsc`, `Entry`).
//!
//! A file has millions of them, of one schema that is built in, so each is written and read as it
//! lies, without a look at the schema: that the two agree is tested by another implementation.

use quorate_core::ids::Timestamp;

use super::{FileError, altered};

/// The branch of an object that is an entry: a union's second, as Avro writes numbers.
pub(super) const BRANCH: u8 = 2;

/// A record as it lay on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its topic's name without prefix.
    pub topic: &'a str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its append time; none where the topic does not stamp it.
    pub timestamp: Option<Timestamp>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value, framing header included.
    pub value: Option<&'a [u8]>,
    /// Its headers in their order.
    pub headers: Vec<Header<'a>>,
}

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub key: &'a str,
    /// Its value.
    pub value: Option<&'a [u8]>,
}

impl Entry<'_> {
    /// Appends it as an object.
    pub(super) fn write(&self, into: &mut Vec<u8>) {
        into.push(BRANCH);
        bytes(self.topic.as_bytes(), into);
        long(self.partition.into(), into);
        long(self.offset, into);
        option(self.timestamp, into, |time, into| long(time.0, into));
        option(self.key, into, bytes);
        option(self.value, into, bytes);
        if !self.headers.is_empty() {
            long(i64::try_from(self.headers.len()).unwrap_or(i64::MAX), into);
        }
        for header in &self.headers {
            bytes(header.key.as_bytes(), into);
            option(header.value, into, bytes);
        }
        long(0, into);
    }
}

impl<'a> Entry<'a> {
    /// Reads the first of several objects, which is an entry, and how many bytes it takes.
    pub(super) fn read(from: &'a [u8]) -> Result<(Self, usize), FileError> {
        let mut rest = Rest(from);
        let entry = rest.entry();
        let entry = entry.ok_or_else(|| altered("an entry does not decode"))?;
        Ok((entry, from.len() - rest.0.len()))
    }
}

fn long(number: i64, into: &mut Vec<u8>) {
    let mut zigzag = (number << 1 ^ number >> 63).cast_unsigned();
    while zigzag > 0x7f {
        into.push(zigzag.to_le_bytes()[0] | 0x80);
        zigzag >>= 7;
    }
    into.push(zigzag.to_le_bytes()[0]);
}

fn bytes(bytes: &[u8], into: &mut Vec<u8>) {
    long(i64::try_from(bytes.len()).unwrap_or(i64::MAX), into);
    into.extend_from_slice(bytes);
}

fn option<T>(value: Option<T>, into: &mut Vec<u8>, write: impl Fn(T, &mut Vec<u8>)) {
    long(value.is_some().into(), into);
    if let Some(value) = value {
        write(value, into);
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn entry(&mut self) -> Option<Entry<'a>> {
        self.take(1).filter(|branch| *branch == [BRANCH])?;
        Some(Entry {
            topic: self.text()?,
            partition: i32::try_from(self.long()?).ok()?,
            offset: self.long()?,
            timestamp: self.option(Self::long)?.map(Timestamp),
            key: self.option(Self::bytes)?,
            value: self.option(Self::bytes)?,
            headers: self.headers()?,
        })
    }

    fn headers(&mut self) -> Option<Vec<Header<'a>>> {
        let mut headers = Vec::new();
        loop {
            let count = self.long()?;
            if count == 0 {
                return Some(headers);
            }
            if count < 0 {
                // Readers that skip are told how many bytes there are.
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                headers.push(Header {
                    key: self.text()?,
                    value: self.option(Self::bytes)?,
                });
            }
        }
    }

    fn option<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.long()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.bytes()?).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.long()?).ok()?;
        self.take(length)
    }

    fn long(&mut self) -> Option<i64> {
        let mut number: u64 = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::Schema;
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::types::Value;

    use super::*;
    use crate::wire::history::TEXT;
    use crate::wire::samples::datum;

    fn entries() -> Vec<Entry<'static>> {
        let plain = Entry {
            topic: "responses",
            partition: 0,
            offset: 0,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let numbers = [-1, 1, 63, 64, -64, -65, 8_191, 8_192, i64::MIN, i64::MAX];
        let numbered = numbers.map(|offset| Entry {
            partition: i32::try_from(offset).unwrap_or(i32::MIN),
            offset,
            timestamp: Some(Timestamp(offset)),
            ..plain.clone()
        });
        let full = Entry {
            topic: "é",
            key: Some(b""),
            value: Some(&[0xff; 300]),
            headers: vec![
                Header {
                    key: "acp-tick",
                    value: None,
                },
                Header {
                    key: "",
                    value: Some(b"\0"),
                },
            ],
            ..plain.clone()
        };
        let mut entries = vec![plain, full];
        entries.extend(numbered);
        entries
    }

    fn value(entry: &Entry<'_>) -> Value {
        let option = |value: Option<Value>| match value {
            None => Value::Union(0, Box::new(Value::Null)),
            Some(value) => Value::Union(1, Box::new(value)),
        };
        let bytes = |bytes: Option<&[u8]>| option(bytes.map(|bytes| Value::Bytes(bytes.to_vec())));
        let text = |text: &str| Value::String(text.to_owned());
        let header = |header: &Header<'_>| {
            Value::Record(vec![
                ("key".to_owned(), text(header.key)),
                ("value".to_owned(), bytes(header.value)),
            ])
        };
        let fields = [
            ("topic", text(entry.topic)),
            ("partition", Value::Int(entry.partition)),
            ("offset", Value::Long(entry.offset)),
            (
                "timestamp",
                option(entry.timestamp.map(|time| Value::Long(time.0))),
            ),
            ("key", bytes(entry.key)),
            ("value", bytes(entry.value)),
            (
                "headers",
                Value::Array(entry.headers.iter().map(header).collect()),
            ),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        Value::Union(1, Box::new(Value::Record(fields.to_vec())))
    }

    #[test]
    fn an_entry_is_read_and_written_as_the_schema_says() {
        let schema = Schema::parse_str(TEXT).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        for entry in entries() {
            let mut ours = Vec::new();
            entry.write(&mut ours);
            let theirs = datum(&schema, value(&entry));
            assert_eq!(ours, theirs, "{entry:?}");
            assert_eq!(reader.read_value(&mut &ours[..]).unwrap(), value(&entry));
            ours.extend(b"what comes next");
            let (back, length) = Entry::read(&ours).unwrap();
            assert_eq!((back, length), (entry, theirs.len()));
        }
    }

    #[test]
    fn headers_in_blocks_of_which_the_length_is_said_are_read() {
        let [.., entry] = &entries()[..2] else {
            panic!("there are two")
        };
        let mut ours = Vec::new();
        entry.write(&mut ours);
        // The array of two ends the datum: two blocks of one, each with its length.
        let [first, second] = &entry.headers[..] else {
            panic!("there are two")
        };
        let written = |header: &Header<'_>| {
            let mut alone = Vec::new();
            bytes(header.key.as_bytes(), &mut alone);
            option(header.value, &mut alone, bytes);
            alone
        };
        let (first, second) = (written(first), written(second));
        ours.truncate(ours.len() - first.len() - second.len() - 2);
        for block in [first, second] {
            long(-1, &mut ours);
            bytes(&block, &mut ours);
        }
        long(0, &mut ours);
        assert_eq!(Entry::read(&ours).unwrap().0, *entry);
    }

    #[test]
    fn what_is_cut_or_unsound_is_refused_and_never_trusted() {
        for entry in entries() {
            let mut whole = Vec::new();
            entry.write(&mut whole);
            for length in 0..whole.len() {
                let cut = Entry::read(&whole[..length]);
                assert!(matches!(cut, Err(FileError::Altered(_))), "{length}");
            }
        }
        let mut long_partition = vec![BRANCH, 0];
        long(i64::from(i32::MAX) + 1, &mut long_partition);
        let refused: [&[u8]; 5] = [
            // Another branch; a text that is none; a partition out of range; a union's third
            // branch; a length below nothing.
            &[0],
            &[BRANCH, 2, 0xff, 0, 0, 0, 0, 0, 0],
            &[&long_partition[..], &[0, 0, 0, 0, 0]].concat(),
            &[BRANCH, 0, 0, 0, 4, 0, 0, 0, 0],
            &[BRANCH, 1, 0, 0, 0, 0, 0, 0],
        ];
        for bytes in refused {
            assert!(Entry::read(bytes).is_err(), "{bytes:?}");
        }
        let many = [&[BRANCH, 0, 0, 0, 0, 0, 0][..], &[0xff; 9], &[1]].concat();
        assert!(Entry::read(&many).is_err());
    }
}
