//! Who may speak at an edge, and as whom: the one authorisation every gateway asks.
//!
//! A token names a subject and its roles. Whoever shows it speaks only as that subject, in those
//! roles. A token is known by its digest, of a file, or vouched for by an issuer; without either
//! nobody is let in.

mod issuer;
mod keys;
mod limits;
mod login;
pub mod rights;
mod tokens;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::IpAddr;

use quorate_core::ids::Timestamp;

use super::refusal::{Refusal, Sort};
pub use issuer::{Issuer, Terms, Unfit};
use limits::Limits;
pub use limits::Rate;
use login::Login;
pub use login::{Pending, Registration};
pub use rights::{Role, Verb};
pub use tokens::Error;
use tokens::Tokens;

/// Who is let in.
#[derive(Debug, Default)]
pub struct Access {
    tokens: Tokens,
    issuer: Option<Issuer>,
    /// None: however often.
    limits: Option<Limits>,
    /// Whether a token nobody has is the name of a guest.
    guests: bool,
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
    /// Until when that is so; none: for ever.
    pub until: Option<Timestamp>,
}

impl Access {
    /// Reads a file of tokens.
    ///
    /// # Errors
    /// [`Error`] if it is not one, or is ambiguous.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Ok(Self {
            tokens: Tokens::from_toml(text)?,
            ..Self::default()
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

    /// The same, and whoever shows a token that an issuer signed is let in as it says.
    #[must_use]
    pub fn with_issuer(self, issuer: Issuer) -> Self {
        Self {
            issuer: Some(issuer),
            ..self
        }
    }

    /// The same, of each subject at most at a rate, and at another from each address that nobody
    /// known asks from.
    #[must_use]
    pub fn with_limits(self, subjects: Rate, failures: Rate) -> Self {
        Self {
            limits: Some(Limits::new(subjects, failures)),
            ..self
        }
    }

    /// Keeps what is known of an issuer up to date, for as long as it is awaited.
    pub async fn keep(&self) {
        match &self.issuer {
            Some(issuer) => issuer.keep().await,
            None => std::future::pending().await,
        }
    }

    /// Who shows this token, from an address.
    ///
    /// # Errors
    /// A [`Refusal`] if there is no token, or nobody has it, or nobody can tell for now, or too
    /// much is asked.
    pub async fn caller(&self, token: Option<&str>, from: IpAddr) -> Result<Caller, Refusal> {
        let caller = match token.and_then(|token| self.tokens.find(token)) {
            Some(caller) => caller,
            None => self.look(token, from).await?,
        };
        self.known(caller)
    }

    /// Somebody who was let in before, if it does not ask for too much.
    ///
    /// # Errors
    /// A [`Refusal`], `rate_limited`.
    pub fn known(&self, caller: Caller) -> Result<Caller, Refusal> {
        match &self.limits {
            Some(limits) => limits.take(&caller.subject).map(|()| caller),
            None => Ok(caller),
        }
    }

    /// Where somebody signs in at an issuer's page, and what to remember until they are back.
    ///
    /// # Errors
    /// A [`Refusal`] if nobody does, or the issuer does not answer, or too much is asked.
    pub async fn send(&self, from: IpAddr) -> Result<(String, Pending), Refusal> {
        let (_, login) = self.login()?;
        self.try_from(from, login.send()).await
    }

    /// Who has come back from an issuer's page with a code.
    ///
    /// # Errors
    /// A [`Refusal`] if the issuer does not know the code, or what it says of it is not for us, or
    /// tells of nobody who may do anything here.
    pub async fn returned(
        &self,
        code: String,
        pending: &Pending,
        from: IpAddr,
    ) -> Result<Caller, Refusal> {
        let (issuer, login) = self.login()?;
        let caller = self.try_from(from, async {
            let said = login.redeem(code, pending).await?;
            issuer.signed_in(login, &said).await
        });
        let caller = caller.await?;
        if caller.roles.is_empty() {
            let detail = format!("`{}` has no role here", caller.subject);
            return Err(Refusal::new(Sort::Forbidden, "role_missing", detail));
        }
        // What is said of a sign-in is good for minutes: who came, not for how long they stay.
        let until = None;
        self.known(Caller { until, ..caller })
    }

    /// Where people sign in, if they do at an issuer's page.
    fn login(&self) -> Result<(&Issuer, &Login), Refusal> {
        let issuer = self.issuer.as_ref();
        let found = issuer.and_then(|issuer| Some((issuer, issuer.login()?)));
        found.ok_or_else(|| {
            let detail = "nobody signs in at an issuer's page here";
            Refusal::new(Sort::Missing, "not_found", detail)
        })
    }

    /// Something that is tried from an address, where it may still try something.
    async fn try_from<T>(
        &self,
        from: IpAddr,
        tried: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let Some(limits) = &self.limits else {
            return tried.await;
        };
        limits.may_try(from)?;
        let tried = tried.await;
        if let Err(Refusal { sort, .. }) = &tried
            && *sort == Sort::Unknown
        {
            limits.failed(from);
        }
        tried
    }

    /// The issuer, as it names itself.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.issuer.as_ref().map(Issuer::name)
    }

    /// Whether people sign in at an issuer's page.
    #[must_use]
    pub fn has_page(&self) -> bool {
        self.login().is_ok()
    }

    /// Where whoever signs out here may sign out at the issuer, too, if it says.
    pub async fn farewell(&self) -> Option<String> {
        let (_, login) = self.login().ok()?;
        login.farewell().await
    }

    /// Whether people are let in by a name alone.
    #[must_use]
    pub const fn knows_names(&self) -> bool {
        self.guests
    }

    /// A person who says a name, where that is enough: in every role but an agent's.
    ///
    /// # Errors
    /// A [`Refusal`] where it is not, or if that is no name.
    pub fn by_name(&self, name: &str) -> Result<Caller, Refusal> {
        if !self.guests || !is_name(name) {
            return Err(unknown("a token is needed, not a name"));
        }
        Ok(Caller {
            subject: name.to_owned(),
            roles: BTreeSet::from([Role::Reporter, Role::Reviewer, Role::Operator]),
            is_guest: false,
            until: None,
        })
    }

    /// Who shows a token of which no digest is known.
    async fn look(&self, token: Option<&str>, from: IpAddr) -> Result<Caller, Refusal> {
        self.try_from(from, self.vouched(token)).await
    }

    async fn vouched(&self, token: Option<&str>) -> Result<Caller, Refusal> {
        let token = token.ok_or_else(|| unknown("a bearer token is needed"))?;
        match &self.issuer {
            Some(issuer) if issuer::is_signed(token) => issuer.caller(token).await,
            _ if self.guests && is_name(token) => Ok(Caller {
                subject: token.to_owned(),
                roles: BTreeSet::from([Role::Agent]),
                is_guest: true,
                until: None,
            }),
            _ => Err(unknown("nobody is known by this token")),
        }
    }
}

impl Caller {
    /// Whether it may do something by way of a gateway.
    ///
    /// # Errors
    /// A [`Refusal`], `role_missing`.
    pub fn may(&self, verb: Verb) -> Result<(), Refusal> {
        let roles = verb.roles();
        if roles.iter().any(|role| self.roles.contains(role)) {
            return Ok(());
        }
        let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
        let (subject, names) = (&self.subject, names.join("` or `"));
        let detail = format!("`{subject}` is not in the role `{names}`");
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

fn unknown(detail: impl Into<String>) -> Refusal {
    Refusal::new(Sort::Unknown, "unauthenticated", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sha256;

    pub(super) fn entry(token: &str, subject: &str, roles: &str) -> String {
        let digest = sha256(token.as_bytes());
        format!("[[token]]\nsha256 = \"{digest}\"\nsubject = \"{subject}\"\nroles = [{roles}]\n")
    }

    /// Who shows a token, where nobody has to be asked.
    fn caller(access: &Access, token: Option<&str>) -> Result<Caller, Refusal> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let from = IpAddr::from([127, 0, 0, 1]);
        runtime
            .build()
            .unwrap()
            .block_on(access.caller(token, from))
    }

    #[test]
    fn a_token_is_one_subject_in_its_roles() {
        let text =
            entry("a", "ada", "\"agent\"") + &entry("b", "bob", "\"reviewer\", \"reporter\"");
        let access = Access::from_toml(&text).unwrap();
        let bob = caller(&access, Some("b")).unwrap();
        assert_eq!(bob.subject, "bob");
        assert!(bob.may(Verb::Decide).is_ok() && bob.may(Verb::Report).is_ok());
        assert_eq!(bob.may(Verb::Respond).unwrap_err().code, "role_missing");
        assert!(bob.speaks_as("bob").is_ok());
        for other in ["ada", "", "bo", "bobb", "Bob"] {
            assert_eq!(bob.speaks_as(other).unwrap_err().code, "not_yourself");
        }
    }

    #[test]
    fn without_a_known_token_nobody_is_let_in() {
        let some = Access::from_toml(&entry("a", "ada", "\"agent\"")).unwrap();
        for access in [Access::default(), some] {
            for token in [None, Some(""), Some("b"), Some("a "), Some("a.b.c")] {
                assert_eq!(caller(&access, token).unwrap_err().sort, Sort::Unknown);
            }
        }
    }

    #[test]
    fn guests_are_let_in_by_name_only_where_they_are_wanted() {
        let known = Access::from_toml(&entry("a", "ada", "\"reviewer\"")).unwrap();
        assert!(caller(&known, Some("visitor")).is_err());
        let open = known.with_guests();
        let guest = caller(&open, Some("visitor")).unwrap();
        assert_eq!((&*guest.subject, guest.is_guest), ("visitor", true));
        assert!(guest.may(Verb::Respond).is_ok());
        assert!(guest.may(Verb::Decide).is_err());
        // Who is known is no guest, and who has no name is nobody.
        assert!(!caller(&open, Some("a")).unwrap().is_guest);
        for token in [None, Some(""), Some("Visitor"), Some("a b"), Some("a:b")] {
            assert!(caller(&open, token).is_err(), "{token:?}");
        }
    }
}
