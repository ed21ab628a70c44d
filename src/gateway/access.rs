//! Who may speak at an edge, and as whom: the one authorisation every gateway asks.
//!
//! A token names a subject and its roles. Whoever shows it speaks only as that subject, in those
//! roles. Only digests of tokens are kept, and without a file of them nobody is let in.

use std::collections::BTreeSet;

use quorate_core::ids::Digest;
use serde::Deserialize;

use super::refusal::{Refusal, Sort};
use crate::wire::sha256;

/// The tokens that are known.
#[derive(Clone, Debug, Default)]
pub struct Access {
    entries: Vec<Entry>,
    /// Whether a token nobody has is the name of a guest.
    guests: bool,
}

/// A file of tokens.
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

/// What a subject may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Propose and respond.
    Agent,
    /// Report results.
    Reporter,
    /// Decide escalations.
    Reviewer,
    /// Look on; nothing at an edge is an operator's alone yet.
    Operator,
}

impl Role {
    /// The role as a file of tokens names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Reporter => "reporter",
            Self::Reviewer => "reviewer",
            Self::Operator => "operator",
        }
    }
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

/// Somebody whose token is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// As whom it speaks.
    pub subject: String,
    /// What it may do.
    pub roles: BTreeSet<Role>,
    /// Whether nobody vouches for it: it is to be listed as a guest, and nothing more.
    pub is_guest: bool,
}

impl Access {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`Error`] if it is not one, or is ambiguous.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
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
        Ok(Self {
            entries,
            guests: false,
        })
    }

    /// The same, and whoever shows a token nobody has is let in as an agent of that name. Only for
    /// `quorate dev`, which nobody reaches from elsewhere.
    #[must_use]
    pub fn with_guests(self) -> Self {
        Self {
            guests: true,
            ..self
        }
    }

    /// Whether there is nobody to let in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Who shows this token; how long that takes does not tell how much of it is right.
    ///
    /// # Errors
    /// A [`Refusal`] if there is no token, or nobody has it.
    pub fn caller(&self, token: Option<&str>) -> Result<Caller, Refusal> {
        let token = token.ok_or_else(|| unknown("a bearer token is needed"))?;
        let shown = sha256(token.as_bytes());
        let mut found = None;
        for entry in &self.entries {
            if same(&entry.sha256, &shown) {
                found = Some(entry);
            }
        }
        match found {
            Some(entry) => Ok(Caller {
                subject: entry.subject.clone(),
                roles: entry.roles.clone(),
                is_guest: false,
            }),
            None if self.guests && is_name(token) => Ok(Caller {
                subject: token.to_owned(),
                roles: BTreeSet::from([Role::Agent]),
                is_guest: true,
            }),
            None => Err(unknown("nobody is known by this token")),
        }
    }
}

impl Caller {
    /// Whether it may act in a role.
    ///
    /// # Errors
    /// A [`Refusal`], `role_missing`.
    pub fn in_role(&self, role: Role) -> Result<(), Refusal> {
        if self.roles.contains(&role) {
            return Ok(());
        }
        let (subject, name) = (&self.subject, role.name());
        let detail = format!("`{subject}` is not in the role `{name}`");
        Err(Refusal::new(Sort::Forbidden, "role_missing", detail))
    }

    /// Whether it may speak as somebody: only as itself.
    ///
    /// # Errors
    /// A [`Refusal`], `not_yourself`.
    pub fn speaks_as(&self, name: &str) -> Result<(), Refusal> {
        if self.subject == name {
            return Ok(());
        }
        let detail = format!(
            "this token is that of `{}`, who is somebody else",
            self.subject
        );
        Err(Refusal::new(Sort::Forbidden, "not_yourself", detail))
    }
}

/// Whether a guest may be called that.
fn is_name(text: &str) -> bool {
    let sound = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(sound)
}

/// Compares digests to the last byte, whatever the first ones are.
fn same(a: &Digest, b: &Digest) -> bool {
    let differ = |differ, (a, b): (&u8, &u8)| differ | (a ^ b);
    a.0.iter().zip(&b.0).fold(0, differ) == 0
}

fn unknown(detail: &str) -> Refusal {
    Refusal::new(Sort::Unknown, "unauthenticated", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(token: &str, subject: &str, roles: &str) -> String {
        let digest = sha256(token.as_bytes());
        format!("[[token]]\nsha256 = \"{digest}\"\nsubject = \"{subject}\"\nroles = [{roles}]\n")
    }

    #[test]
    fn a_token_is_one_subject_in_its_roles() {
        let text =
            entry("a", "ada", "\"agent\"") + &entry("b", "bob", "\"reviewer\", \"reporter\"");
        let access = Access::from_toml(&text).unwrap();
        let bob = access.caller(Some("b")).unwrap();
        assert_eq!(bob.subject, "bob");
        assert!(bob.in_role(Role::Reviewer).is_ok() && bob.in_role(Role::Reporter).is_ok());
        assert_eq!(bob.in_role(Role::Agent).unwrap_err().code, "role_missing");
        assert!(bob.speaks_as("bob").is_ok());
        for other in ["ada", "", "bo", "bobb", "Bob"] {
            assert_eq!(bob.speaks_as(other).unwrap_err().code, "not_yourself");
        }
    }

    #[test]
    fn without_a_known_token_nobody_is_let_in() {
        let some = Access::from_toml(&entry("a", "ada", "\"agent\"")).unwrap();
        for access in [Access::default(), some] {
            for token in [None, Some(""), Some("b"), Some("a ")] {
                assert_eq!(access.caller(token).unwrap_err().sort, Sort::Unknown);
            }
        }
    }

    #[test]
    fn guests_are_let_in_by_name_only_where_they_are_wanted() {
        let known = Access::from_toml(&entry("a", "ada", "\"reviewer\"")).unwrap();
        assert!(known.caller(Some("visitor")).is_err());
        let open = known.with_guests();
        let guest = open.caller(Some("visitor")).unwrap();
        assert_eq!((&*guest.subject, guest.is_guest), ("visitor", true));
        assert!(guest.in_role(Role::Agent).is_ok());
        assert!(guest.in_role(Role::Reviewer).is_err());
        // Who is known is no guest, and who has no name is nobody.
        assert!(!open.caller(Some("a")).unwrap().is_guest);
        for token in [None, Some(""), Some("Visitor"), Some("a b"), Some("a:b")] {
            assert!(open.caller(token).is_err(), "{token:?}");
        }
    }

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
        let read = |text: &str| Access::from_toml(text).unwrap_err();
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
