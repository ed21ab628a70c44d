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
        let places = text.iter_mut().enumerate();
        let places = places.filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        for ((_, place), nibble) in places.zip(nibbles) {
            *place = match nibble {
                0..=9 => b'0' + nibble,
                _ => b'a' + nibble - 10,
            };
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
        if text.len() != 36 {
            return Err(NotAnId);
        }
        let mut bytes = [0; 16];
        let mut nibbles = 0_usize;
        for (at, character) in text.bytes().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if character != b'-' {
                    return Err(NotAnId);
                }
                continue;
            }
            let nibble = match character {
                b'0'..=b'9' => character - b'0',
                b'a'..=b'f' => character - b'a' + 10,
                _ => return Err(NotAnId),
            };
            let byte = bytes.get_mut(nibbles / 2).ok_or(NotAnId)?;
            *byte = *byte << 4 | nibble;
            nibbles += 1;
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
