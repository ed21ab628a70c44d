//! Tells other systems of escalations: one POST each, signed as Standard Webhooks has it, again and
//! again until it is taken. At least once: how far each webhook is done is kept with the log.

mod deliver;
mod guard;
mod message;

use std::time::Duration;

use quorate_core::records::Stakes;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

use self::guard::{Guard, is_public};
use self::message::Key;

/// How long an answer may take, from the beginning.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long it may take until somebody is there.
const CONNECTS: Duration = Duration::from_secs(5);

/// Where escalations are told, and which.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What it is called: by this it is found again after a restart.
    pub name: String,
    /// Where to: a URL under https; or http, in a network of one's own.
    pub url: String,
    /// What is signed with: `whsec_` and base64 of 24 to 64 bytes.
    pub secret: String,
    /// Prefixes of domains, by whole segments; empty: every domain.
    pub domains: Vec<String>,
    /// The least stakes.
    pub stakes: Stakes,
    /// Whether the address may be of this machine or a network of one's own.
    pub allow_private: bool,
    /// Whether the proposal's summary is told, which an agent wrote.
    pub summary: bool,
    /// Certificates (PEM) by which it is trusted, beside the system's; empty: none.
    pub certificates: Vec<u8>,
    /// Where browsers find the console; empty: nobody knows.
    pub console: String,
}

/// Why terms cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// It must be found again.
    #[error("`name` is not of letters, digits, `-` and `_`")]
    Name,
    /// Anybody on the way could read it.
    #[error("`url` is no URL under https")]
    Url,
    /// Whoever writes the configuration may not reach everything this machine does.
    #[error("`url` is an address that is not public; `allow_private` would allow it")]
    Private,
    /// Whoever is told could not know by whom.
    #[error("the secret is not `whsec_` and base64 of 24 to 64 bytes")]
    Secret,
    /// There is no HTTP client to be had, or the certificates are none.
    #[error("cannot set up the client")]
    Client(#[from] reqwest::Error),
}

/// Somebody who is told of escalations.
#[derive(Debug)]
pub struct Webhook {
    terms: Terms,
    url: Url,
    key: Key,
    client: Client,
}

impl Webhook {
    /// Somebody who is told on these terms; nothing is sent yet.
    ///
    /// # Errors
    /// [`Unfit`].
    pub fn new(terms: Terms) -> Result<Self, Unfit> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if terms.name.is_empty() || !terms.name.chars().all(is_plain) {
            return Err(Unfit::Name);
        }
        let url = Url::parse(&terms.url).map_err(|_| Unfit::Url)?;
        let is_open = url.scheme() == "http" && terms.allow_private;
        if url.scheme() != "https" && !is_open {
            return Err(Unfit::Url);
        }
        // An address is never looked up.
        let address = match url.host() {
            Some(url::Host::Ipv4(address)) => Some(address.into()),
            Some(url::Host::Ipv6(address)) => Some(address.into()),
            _ => None,
        };
        if !terms.allow_private && address.is_some_and(|address| !is_public(address)) {
            return Err(Unfit::Private);
        }
        let key = Key::read(&terms.secret).ok_or(Unfit::Secret)?;
        let client = Client::builder()
            // Where it is sent on to, anybody might listen; so might what the environment names.
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECTS)
            .timeout(PATIENCE)
            .user_agent(concat!("quorate/", env!("CARGO_PKG_VERSION")));
        let client = if terms.allow_private {
            client
        } else {
            client.dns_resolver(Guard)
        };
        let client = Certificate::from_pem_bundle(&terms.certificates)?
            .into_iter()
            .fold(client, reqwest::ClientBuilder::add_root_certificate)
            .build()?;
        Ok(Self {
            terms,
            url,
            key,
            client,
        })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.terms.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn terms(url: &str, allow_private: bool) -> Terms {
        Terms {
            name: "desk".to_owned(),
            url: url.to_owned(),
            secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
            domains: Vec::new(),
            stakes: Stakes::Low,
            allow_private,
            summary: false,
            certificates: Vec::new(),
            console: String::new(),
        }
    }

    #[test]
    fn an_address_that_is_not_public_is_refused_however_it_is_written() {
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
        ] {
            let refused = Webhook::new(terms(url, false));
            assert!(matches!(refused, Err(Unfit::Private)), "{url}");
            assert!(Webhook::new(terms(url, true)).is_ok(), "{url}");
        }
        assert!(Webhook::new(terms("https://203.0.114.1/", false)).is_ok());
    }

    #[test]
    fn nothing_is_told_in_the_open_beyond_a_network_of_ones_own() {
        for url in ["http://hooks.example/", "ftp://hooks.example/", "hooks"] {
            let refused = Webhook::new(terms(url, false));
            assert!(matches!(refused, Err(Unfit::Url)), "{url}");
        }
        assert!(Webhook::new(terms("http://10.0.0.1/", true)).is_ok());
    }

    #[test]
    fn a_secret_that_is_none_is_refused() {
        for secret in [
            "",
            "whsec_",
            "whsec_YWJj",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let terms = Terms {
                secret: secret.to_owned(),
                ..terms("https://hooks.example/", false)
            };
            assert!(
                matches!(Webhook::new(terms), Err(Unfit::Secret)),
                "{secret}"
            );
        }
    }
}
