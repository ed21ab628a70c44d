//! A file of tokens: the digest of each, whose it is, and what it allows.

use std::collections::BTreeSet;

use quorate_core::ids::Digest;
use serde::Deserialize;

use super::{Caller, Role};
use crate::wire::sha256;

/// The tokens that are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens {
    entries: Vec<Entry>,
}

/// A file of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Entry>,
}

/// One token: its digest, and whose it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    sha256: Digest,
    subject: String,
    roles: BTreeSet<Role>,
}

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not TOML, or not of this form.
    #[error("tokens are not sound")]
    Parse(#[from] toml::de::Error),
    /// A token that stands twice would have two subjects.
    #[error("the token of `{0}` stands twice")]
    Twice(String),
    /// An entry that lets nobody do anything.
    #[error("token {0} has no subject, or no role")]
    Idle(usize),
}

impl Tokens {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`Error`] if it is not one, or is ambiguous.
    pub(super) fn from_toml(text: &str) -> Result<Self, Error> {
        let File { token: entries } = toml::from_str(text)?;
        let mut seen = BTreeSet::new();
        for (at, entry) in entries.iter().enumerate() {
            if entry.subject.is_empty() || entry.roles.is_empty() {
                return Err(Error::Idle(at + 1));
            }
            if !seen.insert(entry.sha256) {
                return Err(Error::Twice(entry.subject.clone()));
            }
        }
        Ok(Self { entries })
    }

    /// Whose token it is; how long that takes does not tell how much of it is right.
    pub(super) fn find(&self, token: &str) -> Option<Caller> {
        let shown = sha256(token.as_bytes());
        let mut found = None;
        for entry in &self.entries {
            if same(&entry.sha256, &shown) {
                found = Some(entry);
            }
        }
        found.map(|entry| Caller {
            subject: entry.subject.clone(),
            roles: entry.roles.clone(),
            is_guest: false,
            until: None,
        })
    }
}

/// Compares digests to the last byte, whatever the first ones are.
fn same(a: &Digest, b: &Digest) -> bool {
    let differ = |differ, (a, b): (&u8, &u8)| differ | (a ^ b);
    a.0.iter().zip(&b.0).fold(0, differ) == 0
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    #[test]
    fn every_byte_of_a_digest_counts() {
        let right = sha256(b"a");
        assert!(same(&right, &right));
        for at in 0..32 {
            let mut wrong = right;
            wrong.0[at] ^= 1;
            assert!(!same(&right, &wrong), "{at}");
        }
    }

    #[test]
    fn a_file_that_says_too_little_or_too_much_is_refused() {
        let read = |text: &str| Tokens::from_toml(text).unwrap_err();
        let one = entry("a", "ada", "\"agent\"");
        assert!(matches!(read(&(one.clone() + &one)), Error::Twice(_)));
        assert!(matches!(read(&entry("a", "", "\"agent\"")), Error::Idle(1)));
        assert!(matches!(read(&entry("a", "ada", "")), Error::Idle(1)));
        for text in [
            entry("a", "ada", "\"king\""),
            one.clone() + "expires = 3\n",
            "[[tokens]]\n".to_owned(),
            one.replace("sha256 = \"", "sha256 = \"00"),
        ] {
            assert!(matches!(read(&text), Error::Parse(_)), "{text}");
        }
    }
}
