//! The keys an issuer signs tokens with: fetched, kept, and fetched again.
//!
//! One task fetches, however many ask: regularly, and when somebody shows a key nobody knows, but
//! then not sooner than some seconds after the last time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use oauth2::{HttpRequest, HttpResponse};
use reqwest::{Client, Request, Response, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long an issuer has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it is left alone after it was asked.
pub(super) const PAUSE: Duration = Duration::from_secs(5);
/// The longest document that is read.
const DOCUMENT_MAX: usize = 1024 * 1024;
/// The most keys that are kept.
const KEYS_MAX: usize = 100;
/// Where an issuer says where its keys are.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Every algorithm a token may be signed by: whoever can check one of these cannot make one.
const RSA: [Algorithm; 6] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A key, and what it may be used with.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

/// What is known of an issuer's keys.
#[derive(Clone, Default)]
struct Held {
    keys: BTreeMap<String, Key>,
    /// When they were fetched.
    fetched: Option<Instant>,
    /// When it was last tried, and whether they came.
    tried: Option<(Instant, bool)>,
}

/// Where keys are from, and for how long they are good.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) client: Client,
    pub(super) issuer: String,
    /// None: the issuer says so itself.
    pub(super) jwks_url: Option<Url>,
    /// How often they are fetched.
    pub(super) refresh: Duration,
    /// How long they go on where the issuer does not answer.
    pub(super) stale: Duration,
}

/// The keys of an issuer.
pub(super) struct Keys {
    source: Source,
    held: watch::Sender<Held>,
    /// How often a key was shown that nobody knew.
    wanted: watch::Sender<u64>,
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The issuer has none of this name.
    Unknown,
    /// The issuer does not say.
    Away,
}

/// Why an issuer says nothing, or nothing that is of use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("the issuer does not answer")]
    Http(#[from] reqwest::Error),
    #[error("the issuer says more than {DOCUMENT_MAX} bytes")]
    TooLong,
    #[error("what the issuer says is not sound")]
    Json(#[from] serde_json::Error),
    #[error("the issuer calls itself `{0}`")]
    Stranger(String),
    #[error("the issuer has something at `{0}`, which is not under https")]
    Open(String),
    #[error("the issuer does not say where people sign in")]
    NoPage,
}

/// What an issuer says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Discovery {
    issuer: String,
    jwks_uri: String,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) token_endpoint: Option<String>,
    pub(super) end_session_endpoint: Option<String>,
    pub(super) token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// A set of keys; each is read on its own, since one may be of a kind nobody here knows.
#[derive(Debug, Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Keys {
    pub(super) fn of(source: Source) -> Self {
        Self {
            source,
            held: watch::Sender::default(),
            wanted: watch::Sender::default(),
        }
    }

    /// A key by its name; waits for the issuer if nobody knows it.
    pub(super) async fn find(&self, kid: &str) -> Result<Key, Missing> {
        let mut held = self.held.subscribe();
        let (known, rests) = {
            let held = held.borrow_and_update();
            (self.known(&held, kid), held.rests())
        };
        if let Some(key) = known {
            return Ok(key);
        }
        if !rests {
            self.wanted
                .send_modify(|times| *times = times.wrapping_add(1));
            // Whether it came or not: what is known then is the answer.
            let _came = timeout(2 * PATIENCE, held.changed()).await;
        }
        let held = held.borrow();
        let came = held.tried.is_some_and(|(_, came)| came);
        let missing = if came {
            Missing::Unknown
        } else {
            Missing::Away
        };
        self.known(&held, kid).ok_or(missing)
    }

    fn known(&self, held: &Held, kid: &str) -> Option<Key> {
        let fetched = held.fetched?;
        let is_good = fetched.elapsed() <= self.source.stale;
        is_good.then(|| held.keys.get(kid).cloned()).flatten()
    }

    /// Fetches keys for as long as it is awaited: regularly, or when one is wanted, and after a
    /// while where the issuer did not answer.
    pub(super) async fn keep(&self) {
        let mut wanted = self.wanted.subscribe();
        let issuer = &*self.source.issuer;
        let mut came_before = None;
        loop {
            let fetched = self.source.fetch().await;
            let came = fetched.is_ok();
            match &fetched {
                Err(error) if came_before != Some(false) => {
                    let error = error as &dyn std::error::Error;
                    tracing::warn!(issuer, error, "keys of tokens cannot be fetched");
                }
                Ok(keys) if came_before != Some(true) => {
                    tracing::info!(issuer, keys = keys.len(), "keys of tokens are fetched");
                }
                _ => {}
            }
            came_before = Some(came);
            // Whoever wanted a key until now has been waiting for this.
            wanted.borrow_and_update();
            self.held.send_modify(|held| {
                let now = Instant::now();
                held.tried = Some((now, came));
                if let Ok(keys) = fetched {
                    (held.keys, held.fetched) = (keys, Some(now));
                }
            });
            sleep(PAUSE).await;
            if came {
                let rest = self.source.refresh.saturating_sub(PAUSE);
                let _wanted = timeout(rest, wanted.changed()).await;
            }
        }
    }
}

impl Held {
    /// Whether the issuer is left alone for now.
    fn rests(&self) -> bool {
        self.tried.is_some_and(|(tried, _)| tried.elapsed() < PAUSE)
    }
}

impl Source {
    async fn fetch(&self) -> Result<BTreeMap<String, Key>, Error> {
        let url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => {
                let uri = self.discover().await?.jwks_uri;
                sound(&uri).ok_or(Error::Open(uri))?
            }
        };
        let Set { keys } = serde_json::from_slice(&self.get(url).await?)?;
        let keys = keys.into_iter().filter_map(|key| {
            let jwk: Jwk = serde_json::from_value(key).ok()?;
            read(&jwk)
        });
        Ok(keys.take(KEYS_MAX).collect())
    }

    /// What the issuer says of itself.
    pub(super) async fn discover(&self) -> Result<Discovery, Error> {
        let url = format!("{}{DISCOVERY}", self.issuer.trim_end_matches('/'));
        let url = sound(&url).ok_or(Error::Open(url))?;
        let said: Discovery = serde_json::from_slice(&self.get(url).await?)?;
        if said.issuer != self.issuer {
            return Err(Error::Stranger(said.issuer));
        }
        Ok(said)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, Error> {
        let answer = self.client.get(url).timeout(PATIENCE).send().await?;
        read_all(answer.error_for_status()?).await
    }

    /// What the issuer answers to something, whatever it says.
    pub(super) async fn tell(&self, request: HttpRequest) -> Result<HttpResponse, Error> {
        let mut request = Request::try_from(request)?;
        *request.timeout_mut() = Some(PATIENCE);
        let answer = self.client.execute(request).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = HttpResponse::new(read_all(answer).await?);
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }
}

/// All that is answered, if that is not too much.
async fn read_all(mut answer: Response) -> Result<Vec<u8>, Error> {
    let mut said = Vec::new();
    while let Some(some) = answer.chunk().await? {
        if said.len() + some.len() > DOCUMENT_MAX {
            return Err(Error::TooLong);
        }
        said.extend_from_slice(&some);
    }
    Ok(said)
}

/// A URL nobody on the way can answer for: under https, or of this machine.
pub(super) fn sound(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']);
    let is_here = host == "localhost" || {
        let address: Option<std::net::IpAddr> = host.parse().ok();
        address.is_some_and(|address| address.is_loopback())
    };
    let is_sound = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    is_sound.then_some(url)
}

/// A key that tokens may be signed with, and its name.
fn read(jwk: &Jwk) -> Option<(String, Key)> {
    let kid = jwk.common.key_id.clone()?;
    let is_for_signing = !matches!(
        jwk.common.public_key_use,
        Some(PublicKeyUse::Encryption | PublicKeyUse::Other(_))
    );
    let fit: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &RSA,
        AlgorithmParameters::EllipticCurve(ec) => match ec.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => return None,
        },
        AlgorithmParameters::OctetKeyPair(pair) => match pair.curve {
            EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            _ => return None,
        },
        // A secret that is shown to whoever asks is none.
        _ => return None,
    };
    let said = jwk.common.key_algorithm;
    let is_meant = |fit: &Algorithm| match said {
        Some(said) => said == (*fit).into(),
        None => true,
    };
    let algorithms: Vec<_> = fit.iter().copied().filter(is_meant).collect();
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let is_fit = is_for_signing && !algorithms.is_empty();
    is_fit.then_some((kid, Key { key, algorithms }))
}
