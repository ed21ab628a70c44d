//! An issuer of tokens (`OpenID` Connect): whom a token it signed names, and in which roles.

use std::collections::BTreeSet;
use std::time::Duration;

use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Validation, decode, decode_header};
use quorate_core::ids::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use serde_json::{Map, Value};

use super::keys::{Key, Keys, Missing, PAUSE, Source, sound};
use super::login::{Login, Registration, Said};
use super::{Caller, Role, unknown};
use crate::gateway::refusal::{Refusal, Sort};

/// The longest token that is looked at.
const TOKEN_MAX: usize = 16 * 1024;
/// The longest name of a subject.
const SUBJECT_MAX: usize = 256;
/// How far clocks may be apart at most.
const LEEWAY_MAX: Duration = Duration::from_secs(600);

/// Which tokens are believed, and what they are asked for.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The issuer, as its tokens name it.
    pub issuer: String,
    /// Whom its tokens must be for.
    pub audience: String,
    /// Where its keys are; empty: where it says itself.
    pub jwks_url: String,
    /// Certificates (PEM) by which it is trusted, beside the system's; empty: none.
    pub certificates: Vec<u8>,
    /// The claim that names the subject.
    pub subject_claim: String,
    /// The claim that lists the roles; dots lead into what is inside.
    pub roles_claim: String,
    /// How far the issuer's clock and ours may be apart.
    pub leeway: Duration,
    /// How often its keys are fetched.
    pub refresh: Duration,
    /// How long known keys go on where it does not answer.
    pub stale: Duration,
    /// As what people are sent there to sign in; none: they are not.
    pub registration: Option<Registration>,
}

/// Why terms cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// Something needed is not said.
    #[error("`{0}` must be set")]
    Unset(&'static str),
    /// Anybody on the way could answer instead.
    #[error("`{0}` is not a URL under https")]
    Open(String),
    /// Clocks so far apart would make a time mean nothing.
    #[error("`leeway_s` is more than {} s", LEEWAY_MAX.as_secs())]
    Leeway,
    /// It is not asked more often than that.
    #[error("`refresh_s` is less than {} s", PAUSE.as_secs())]
    Refresh,
    /// Its keys would be gone before they are fetched again.
    #[error("`stale_s` is less than `refresh_s`")]
    Stale,
    /// Who signs in must be told apart.
    #[error("`scopes` does not have `openid`")]
    Scopes,
    /// Nobody could be sent back there.
    #[error("`{0}` is not a URL that people can be sent back to")]
    Back(String),
    /// There is no HTTP client to be had, or the certificates are none.
    #[error("cannot set up the issuer's client")]
    Client(#[from] reqwest::Error),
}

/// An issuer whose tokens are believed.
#[derive(Debug)]
pub struct Issuer {
    keys: Keys,
    issuer: String,
    audience: String,
    subject_claim: String,
    roles_claim: String,
    leeway: Duration,
    login: Option<Login>,
}

impl Issuer {
    /// An issuer on these terms; nothing is asked of it yet.
    ///
    /// # Errors
    /// [`Unfit`] if they do not say enough, or would let anybody in.
    pub fn new(terms: Terms) -> Result<Self, Unfit> {
        let client_id = terms.registration.as_ref().map(|of| &of.client_id);
        let needed = [
            ("issuer", &terms.issuer),
            // Where people only sign in by it, it signs no other tokens for us.
            ("audience", client_id.unwrap_or(&terms.audience)),
            ("subject_claim", &terms.subject_claim),
            ("roles_claim", &terms.roles_claim),
        ];
        if let Some((name, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
            return Err(Unfit::Unset(name));
        }
        let open = |url: &String| Unfit::Open(url.clone());
        sound(&terms.issuer).ok_or_else(|| open(&terms.issuer))?;
        let jwks_url = match &terms.jwks_url {
            url if url.is_empty() => None,
            url => Some(sound(url).ok_or_else(|| open(url))?),
        };
        if terms.leeway > LEEWAY_MAX {
            return Err(Unfit::Leeway);
        }
        if terms.refresh < PAUSE {
            return Err(Unfit::Refresh);
        }
        if terms.stale < terms.refresh {
            return Err(Unfit::Stale);
        }
        // Where it is sent on to, anybody might answer.
        let client = Certificate::from_pem_bundle(&terms.certificates)?
            .into_iter()
            .fold(
                Client::builder().redirect(Policy::none()),
                reqwest::ClientBuilder::add_root_certificate,
            )
            .build()?;
        let source = Source {
            client,
            issuer: terms.issuer.clone(),
            jwks_url,
            refresh: terms.refresh,
            stale: terms.stale,
        };
        let login = terms.registration;
        let login = login.map(|of| Login::new(of, source.clone())).transpose()?;
        Ok(Self {
            keys: Keys::of(source),
            login,
            issuer: terms.issuer,
            audience: terms.audience,
            subject_claim: terms.subject_claim,
            roles_claim: terms.roles_claim,
            leeway: terms.leeway,
        })
    }

    /// Keeps its keys up to date, for as long as it is awaited.
    pub(super) async fn keep(&self) {
        self.keys.keep().await;
    }

    /// As it names itself.
    pub(super) fn name(&self) -> &str {
        &self.issuer
    }

    /// Where people sign in, if they do there.
    pub(super) const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }

    /// Whom a token names.
    ///
    /// # Errors
    /// A [`Refusal`] if it is not a token of this issuer for us and for now, or if that cannot be
    /// told while the issuer is away.
    pub(super) async fn caller(&self, token: &str) -> Result<Caller, Refusal> {
        if self.audience.is_empty() {
            return Err(unknown(
                "this token is of an issuer by whose page alone one signs in",
            ));
        }
        let claims = self.claims(token, &self.audience).await?;
        self.named(&claims)
    }

    /// Who has signed in at the issuer's page, by what it says of that sign-in.
    ///
    /// # Errors
    /// As [`Issuer::caller`], or if it is said of another sign-in.
    pub(super) async fn signed_in(&self, login: &Login, said: &Said) -> Result<Caller, Refusal> {
        let client_id = login.client_id();
        let claims = self.claims(&said.id_token, client_id).await?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("nonce") != Some(&said.nonce) {
            return Err(unknown("this token was made for another sign-in"));
        }
        let others = claims.get("aud").and_then(Value::as_array);
        let is_shared = others.is_some_and(|others| others.len() > 1);
        let party = text("azp");
        if party.map_or(is_shared, |party| party != client_id) {
            return Err(unknown("this token was made for somebody else"));
        }
        self.named(&claims)
    }

    /// What a token claims that is meant for somebody.
    async fn claims(&self, token: &str, audience: &str) -> Result<Map<String, Value>, Refusal> {
        if token.len() > TOKEN_MAX {
            return Err(unknown("this token is too long"));
        }
        let header = decode_header(token).map_err(|error| unfit(&error))?;
        if header.crit.is_some() {
            return Err(unknown("this token asks for what nobody here knows"));
        }
        let kid = header.kid.as_deref();
        let kid = kid.ok_or_else(|| unknown("this token does not name its key"))?;
        let key = self.keys.find(kid).await.map_err(no_key)?;
        let claims = self.checked(token, &key, audience);
        let claims = claims.map_err(|error| unfit(&error))?;
        // A list of issuers, of which one is right, is none.
        if claims.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err(unknown("this token is of another issuer"));
        }
        Ok(claims)
    }

    /// Whom claims name.
    fn named(&self, claims: &Map<String, Value>) -> Result<Caller, Refusal> {
        let subject = claims.get(&self.subject_claim).and_then(Value::as_str);
        let is_name = |name: &&str| (1..=SUBJECT_MAX).contains(&name.len());
        let subject = subject.filter(is_name);
        let subject = subject.ok_or_else(|| unknown("this token does not name a subject"))?;
        Ok(Caller {
            subject: subject.to_owned(),
            roles: roles(claim(claims, &self.roles_claim)),
            is_guest: false,
            until: self.until(claims),
        })
    }

    /// Until when what a token claims is so.
    fn until(&self, claims: &Map<String, Value>) -> Option<Timestamp> {
        let expires = claims.get("exp").and_then(Value::as_f64)?;
        let expires = Duration::try_from_secs_f64(expires).ok()?;
        let until = expires.checked_add(self.leeway)?.as_millis();
        i64::try_from(until).ok().map(Timestamp)
    }

    /// What a token claims, if a key signed it, for an audience and for now.
    fn checked(&self, token: &str, key: &Key, audience: &str) -> Result<Map<String, Value>, Error> {
        let mut validation = Validation::default();
        validation.algorithms.clone_from(&key.algorithms);
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        Ok(decode(token, &key.key, &validation)?.claims)
    }
}

/// Whether it looks like a signed token: three parts with a dot between them.
pub(super) fn is_signed(token: &str) -> bool {
    token.matches('.').count() == 2
}

/// A claim by its name, or by the names that lead to it.
fn claim<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    })
}

/// The roles a claim lists, as strings or in one with spaces; those nobody here knows are left out.
fn roles(claim: Option<&Value>) -> BTreeSet<Role> {
    let names: Vec<&str> = match claim {
        Some(Value::String(names)) => names.split_whitespace().collect(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_named = |role: &Role| names.contains(&role.name());
    Role::ALL.into_iter().filter(is_named).collect()
}

fn no_key(missing: Missing) -> Refusal {
    match missing {
        Missing::Unknown => unknown("this token is signed with a key its issuer does not have"),
        Missing::Away => {
            let detail = "the issuer of this token does not answer, so nobody can tell whose it is";
            let refusal = Refusal::new(Sort::Away, "issuer_unavailable", detail);
            refusal.after(PAUSE)
        }
    }
}

/// What is wrong with a token; never the token.
fn unfit(error: &Error) -> Refusal {
    match error.kind() {
        ErrorKind::ExpiredSignature => unknown("this token has expired"),
        ErrorKind::ImmatureSignature => unknown("this token is not valid yet"),
        ErrorKind::InvalidIssuer => unknown("this token is of another issuer"),
        ErrorKind::InvalidAudience => unknown("this token is for another audience"),
        ErrorKind::MissingRequiredClaim(name) => unknown(format!("this token has no `{name}`")),
        ErrorKind::InvalidAlgorithm => unknown("this token is not signed as its key is meant to"),
        ErrorKind::InvalidSignature => unknown("this token is not signed by its issuer"),
        _ => unknown("this is no token that can be read"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms() -> Terms {
        Terms {
            issuer: "https://id.bank.example".to_owned(),
            audience: "quorate".to_owned(),
            subject_claim: "sub".to_owned(),
            roles_claim: "roles".to_owned(),
            refresh: Duration::from_secs(300),
            stale: Duration::from_secs(3600),
            ..Terms::default()
        }
    }

    #[test]
    fn an_issuer_that_anybody_could_play_is_refused() {
        assert!(Issuer::new(terms()).is_ok());
        let with = |issuer: &str, jwks_url: &str| {
            Issuer::new(Terms {
                issuer: issuer.to_owned(),
                jwks_url: jwks_url.to_owned(),
                ..terms()
            })
        };
        let sound = [
            "http://localhost:81/a",
            "http://127.0.0.1:81",
            "http://[::1]:81",
        ];
        for url in sound {
            assert!(with(url, url).is_ok(), "{url}");
        }
        let open = [
            "http://id.bank.example",
            "http://localhost.bank.example",
            "http://127.0.0.1.bank.example",
            "ftp://localhost",
            "id.bank.example",
        ];
        for url in open {
            assert!(
                matches!(with(url, "").unwrap_err(), Unfit::Open(_)),
                "{url}"
            );
            let said = with("https://id.bank.example", url).unwrap_err();
            assert!(matches!(said, Unfit::Open(_)), "{url}");
        }
    }

    #[test]
    fn terms_that_say_too_little_are_refused() {
        let forgets: [fn(&mut Terms); 4] = [
            |terms| terms.issuer.clear(),
            |terms| terms.audience.clear(),
            |terms| terms.subject_claim.clear(),
            |terms| terms.roles_claim.clear(),
        ];
        for forget in forgets {
            let mut terms = terms();
            forget(&mut terms);
            assert!(matches!(Issuer::new(terms).unwrap_err(), Unfit::Unset(_)));
        }
        let leeway = Duration::from_secs(601);
        let said = Issuer::new(Terms { leeway, ..terms() }).unwrap_err();
        assert!(matches!(said, Unfit::Leeway));
        let refresh = Duration::from_secs(4);
        let said = Issuer::new(Terms { refresh, ..terms() }).unwrap_err();
        assert!(matches!(said, Unfit::Refresh));
        let stale = Duration::from_secs(299);
        let said = Issuer::new(Terms { stale, ..terms() }).unwrap_err();
        assert!(matches!(said, Unfit::Stale));
    }

    #[test]
    fn roles_are_found_where_the_claim_leads_and_unknown_ones_left_out() {
        let claims = json!({
            "roles": ["agent", "king", 3, "Reviewer"],
            "scope": "openid reporter operator",
            "realm_access": { "roles": ["reviewer"] },
            "https://bank.example/roles": ["agent"],
            "odd": { "roles": "agent" },
        });
        let claims = claims.as_object().unwrap();
        let at = |path: &str| Vec::from_iter(roles(claim(claims, path)));
        assert_eq!(at("roles"), [Role::Agent]);
        assert_eq!(at("scope"), [Role::Reporter, Role::Operator]);
        assert_eq!(at("realm_access.roles"), [Role::Reviewer]);
        assert_eq!(at("https://bank.example/roles"), [Role::Agent]);
        for path in [
            "odd",
            "odd.roles.agent",
            "realm_access",
            "nowhere.roles",
            "",
        ] {
            assert!(at(path).is_empty(), "{path}");
        }
    }
}
