//! Names, places and times: small types, so that no two numbers of a record can be mistaken.
//!
//! Identifiers are text on the wire. A [`ProposalId`] is parsed once into its sixteen bytes, since
//! every record of a round carries it and every table of rounds is keyed by it.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

/// Milliseconds since the Unix epoch, as the log gave them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time plus a span, saturating.
    #[must_use]
    pub const fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The span since an earlier time, saturating; negative if that time is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

/// A span of time in milliseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Millis(pub i64);

/// A record's offset in its topic's partition; of a table, the last record read, inclusive.
///
/// `-1` as a pin says that nothing was read.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    /// The pin of a table of which nothing was read.
    pub const NONE: Self = Self(-1);

    /// The offset after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A proposal's id: a UUID in its canonical text form (36 characters, lower case).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProposalId([u8; 16]);

/// Where the two digits of each byte of an id begin in its text.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// A value below 16 as a digit.
const fn digit(value: u8) -> u8 {
    if value < 10 {
        b'0' + value
    } else {
        b'a' + value - 10
    }
}

/// A digit's value; 255 of what is none.
const fn value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => 255,
    }
}

/// The refusal of a text that is not a canonical UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("id is not a lower-case UUID of 36 characters")]
pub struct NotAnId;

impl ProposalId {
    /// The id of these sixteen bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The milliseconds a UUIDv7 carries; none for another version or variant.
    #[must_use]
    pub fn v7_time(&self) -> Option<Timestamp> {
        let [a, b, c, d, e, f, version, _, variant, ..] = self.0;
        if version >> 4 != 7 || variant >> 6 != 0b10 {
            return None;
        }
        Some(Timestamp(i64::from_be_bytes([0, 0, a, b, c, d, e, f])))
    }

    /// The canonical text, in ASCII.
    fn text(self) -> [u8; 36] {
        let mut text = [b'-'; 36];
        for (byte, at) in self.0.into_iter().zip(PLACES) {
            if let Some([high, low]) = text.get_mut(at..at + 2) {
                (*high, *low) = (digit(byte >> 4), digit(byte & 0x0f));
            }
        }
        text
    }

    /// The sixteen bytes as one number: compared in one step where every record is looked up.
    const fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }
}

impl PartialOrd for ProposalId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ProposalId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl FromStr for ProposalId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let text: &[u8; 36] = text.as_bytes().try_into().map_err(|_| NotAnId)?;
        let [
            ..,
            b'-',
            _,
            _,
            _,
            _,
            b'-',
            _,
            _,
            _,
            _,
            b'-',
            _,
            _,
            _,
            _,
            b'-',
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
        ] = text
        else {
            return Err(NotAnId);
        };
        let mut bytes = [0; 16];
        // A value is below 16 where all its digits are; looked at once, at the end.
        let mut seen = 0;
        for (byte, at) in bytes.iter_mut().zip(PLACES) {
            if let Some([high, low]) = text.get(at..at + 2) {
                let (high, low) = (value(*high), value(*low));
                seen |= high | low;
                *byte = high << 4 | low & 0x0f;
            }
        }
        if seen > 0x0f {
            return Err(NotAnId);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for ProposalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for ProposalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for ProposalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.text();
        serializer.serialize_str(str::from_utf8(&text).map_err(ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for ProposalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// An agent's id: text, compared byte by byte; cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(Arc<str>);

impl AgentId {
    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for AgentId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl core::borrow::Borrow<str> for AgentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for AgentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AgentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(String::deserialize(deserializer)?.into()))
    }
}

/// A SHA-256 digest, made by `wire` over bytes as they lie on the log; hexadecimal in JSON.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = octets(deserializer)?;
        let bytes = <[u8; 32]>::try_from(bytes)
            .map_err(|bytes| de::Error::invalid_length(bytes.len(), &"32 bytes"))?;
        Ok(Self(bytes))
    }
}

/// Bytes kept as they lay on the log; hexadecimal in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        octets(deserializer).map(Self)
    }
}

/// Reads bytes, or hexadecimal text where the format may have either.
fn octets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(Octets)
    } else {
        deserializer.deserialize_bytes(Octets)
    }
}

/// Reads bytes as they are (Avro), or from hexadecimal text (JSON).
struct Octets;

impl Visitor<'_> for Octets {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, or hexadecimal text")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let refuse = || E::custom("text is not hexadecimal");
        if !text.len().is_multiple_of(2) || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let byte = |at| {
            text.get(at..at + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        };
        (0..text.len())
            .step_by(2)
            .map(|at| byte(at).ok_or_else(refuse))
            .collect()
    }
}

/// The text of an id, for messages.
impl From<ProposalId> for String {
    fn from(id: ProposalId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_canonical_text_and_carries_its_time() {
        let text = "0192f0c1-2345-7abc-8def-0123456789ab";
        let id: ProposalId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.v7_time(), Some(Timestamp(0x0192_f0c1_2345)));
        assert!(text.to_uppercase().parse::<ProposalId>().is_err());
        assert!(
            "0192f0c1-2345-7abc-8def-0123456789a"
                .parse::<ProposalId>()
                .is_err()
        );
        let v4: ProposalId = "0192f0c1-2345-4abc-8def-0123456789ab".parse().unwrap();
        assert_eq!(v4.v7_time(), None);
    }

    #[test]
    fn ids_are_in_the_order_of_their_texts() {
        let texts = [
            "00000000-0000-0000-0000-0000000000ff",
            "00000000-0000-0000-0000-000000000100",
            "0192f0c1-2345-7abc-8def-0123456789ab",
            "ff92f0c1-2345-7abc-8def-0123456789ab",
        ];
        let ids = texts.map(|text| text.parse::<ProposalId>().unwrap());
        assert!(ids.is_sorted());
        assert_eq!(ids.map(|id| id.to_string()), texts);
    }
}
