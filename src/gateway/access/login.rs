//! Signing in at an issuer's page: where a browser is sent, and what the code it brings back is
//! good for (authorization code with PKCE).

use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
    BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthUrl, AuthorizationCode, Client, ClientId, ClientSecret,
    CsrfToken, EndpointNotSet, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardRevocableToken, StandardTokenResponse, TokenUrl,
};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::issuer::Unfit;
use super::keys::{Discovery, Error, PAUSE, Source, sound};
use super::unknown;
use crate::gateway::refusal::{Refusal, Sort};

/// What we are to an issuer.
#[derive(Clone, Default)]
pub struct Registration {
    /// As what it knows us.
    pub client_id: String,
    /// By what it believes us; none: it believes the browser's code alone.
    pub client_secret: Option<String>,
    /// What is asked for, `openid` among it.
    pub scopes: Vec<String>,
    /// Where browsers are sent back to.
    pub back: String,
    /// Where they are sent once they have signed out there.
    pub after: String,
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration")
            .field("client_id", &self.client_id)
            .field("back", &self.back)
            .finish_non_exhaustive()
    }
}

/// What must be remembered of somebody who is away to sign in; only who sent them may know it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pending {
    /// What comes back with them.
    pub state: String,
    /// What the issuer says of this sign-in.
    nonce: String,
    /// What shows that the code was asked for by us.
    verifier: String,
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").finish_non_exhaustive()
    }
}

/// What an issuer says of who has signed in, and of which sign-in it must be said.
pub(super) struct Said {
    pub(super) id_token: String,
    pub(super) nonce: String,
}

/// What a token endpoint answers besides what everybody's does.
#[derive(Debug, Serialize, Deserialize)]
struct Besides {
    id_token: String,
}

impl ExtraTokenFields for Besides {}

impl<'a> AsyncHttpClient<'a> for Source {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send + 'a>>;

    fn call(&'a self, request: HttpRequest) -> Self::Future {
        Box::pin(self.tell(request))
    }
}

/// Who speaks to an issuer, once it is known where.
type Speaker = Client<
    BasicErrorResponse,
    StandardTokenResponse<Besides, BasicTokenType>,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Where people sign in.
#[derive(Debug)]
pub(super) struct Login {
    registration: Registration,
    source: Source,
    found: Mutex<Found>,
}

/// What the issuer has said of itself, and when it was last asked.
#[derive(Debug, Default)]
struct Found {
    asked: Option<Instant>,
    said: Option<Places>,
}

/// Where an issuer has what.
#[derive(Clone, Debug)]
struct Places {
    page: AuthUrl,
    tokens: TokenUrl,
    end: Option<Url>,
    by: AuthType,
}

impl Login {
    /// Signing in as what the issuer knows us.
    ///
    /// # Errors
    /// [`Unfit`] if nobody could be sent back, or told apart.
    pub(super) fn new(registration: Registration, source: Source) -> Result<Self, Unfit> {
        if !registration.scopes.iter().any(|scope| scope == "openid") {
            return Err(Unfit::Scopes);
        }
        for url in [&registration.back, &registration.after] {
            let is_url = Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
            if !is_url {
                return Err(Unfit::Back(url.clone()));
            }
        }
        Ok(Self {
            registration,
            source,
            found: Mutex::default(),
        })
    }

    /// As what the issuer knows us.
    pub(super) fn client_id(&self) -> &str {
        &self.registration.client_id
    }

    /// Where to send a browser, and what to remember of it.
    pub(super) async fn send(&self) -> Result<(String, Pending), Refusal> {
        let places = self.places().await?;
        let speaker = self.speaker(&places)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = CsrfToken::new_random().into_secret();
        let scopes = self.registration.scopes.iter().cloned().map(Scope::new);
        let asked = speaker.authorize_url(CsrfToken::new_random);
        let asked = asked.add_scopes(scopes).set_pkce_challenge(challenge);
        let (url, state) = asked.add_extra_param("nonce", &nonce).url();
        let pending = Pending {
            state: state.into_secret(),
            nonce,
            verifier: verifier.into_secret(),
        };
        Ok((url.into(), pending))
    }

    /// What the issuer says of who brought a code back.
    pub(super) async fn redeem(&self, code: String, pending: &Pending) -> Result<Said, Refusal> {
        let places = self.places().await?;
        let speaker = self.speaker(&places)?;
        let verifier = PkceCodeVerifier::new(pending.verifier.clone());
        let asked = speaker.exchange_code(AuthorizationCode::new(code));
        let asked = asked.set_pkce_verifier(verifier);
        let answer = asked.request_async(&self.source).await.map_err(|error| {
            let issuer = &*self.source.issuer;
            match &error {
                RequestTokenError::ServerResponse(said) => {
                    let error = said.error().to_string();
                    tracing::info!(issuer, error, "a code of a sign-in was refused");
                    refused()
                }
                RequestTokenError::Request(error) => self.away(error),
                // What was answered may hold a token.
                RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                    tracing::warn!(issuer, "the issuer's answer to a code cannot be read");
                    refused()
                }
            }
        })?;
        Ok(Said {
            id_token: answer.extra_fields().id_token.clone(),
            nonce: pending.nonce.clone(),
        })
    }

    /// Where whoever has signed out here signs out there, if the issuer says.
    pub(super) async fn farewell(&self) -> Option<String> {
        let mut end = self.places().await.ok()?.end?;
        let Registration {
            client_id, after, ..
        } = &self.registration;
        let mut query = end.query_pairs_mut();
        query.append_pair("client_id", client_id);
        query.append_pair("post_logout_redirect_uri", after);
        drop(query);
        Some(end.into())
    }

    fn speaker(&self, places: &Places) -> Result<Speaker, Refusal> {
        let registration = &self.registration;
        let back = RedirectUrl::new(registration.back.clone()).map_err(|_| refused())?;
        let speaker = Client::new(ClientId::new(registration.client_id.clone()))
            .set_auth_uri(places.page.clone())
            .set_token_uri(places.tokens.clone())
            .set_redirect_uri(back)
            .set_auth_type(places.by.clone());
        let secret = registration.client_secret.clone().map(ClientSecret::new);
        Ok(match secret {
            Some(secret) => speaker.set_client_secret(secret),
            None => speaker,
        })
    }

    /// Where the issuer has what: asked now and then, and left alone for a while where it did not
    /// answer. What it has said goes on until it says something else.
    async fn places(&self) -> Result<Places, Refusal> {
        let mut found = self.found.lock().await;
        let rests = |span| found.asked.is_some_and(|asked| asked.elapsed() < span);
        match &found.said {
            Some(said) if rests(self.source.refresh) => return Ok(said.clone()),
            None if rests(PAUSE) => return Err(gone()),
            _ => {}
        }
        let said = self.source.discover().await.and_then(places);
        found.asked = Some(Instant::now());
        match said {
            Ok(said) => found.said = Some(said),
            Err(error) => {
                let refusal = self.away(&error);
                return found.said.clone().ok_or(refusal);
            }
        }
        found.said.clone().ok_or_else(gone)
    }

    fn away(&self, error: &Error) -> Refusal {
        let issuer = &*self.source.issuer;
        let error = error as &dyn std::error::Error;
        tracing::warn!(issuer, error, "nobody can sign in at the issuer's page");
        gone()
    }
}

fn places(said: Discovery) -> Result<Places, Error> {
    let open = |url: Option<String>| {
        let url = url.ok_or(Error::NoPage)?;
        sound(&url).ok_or(Error::Open(url))
    };
    let methods = said.token_endpoint_auth_methods_supported;
    let has = |name: &str| methods.iter().flatten().any(|method| method == name);
    let by_body = has("client_secret_post") && !has("client_secret_basic");
    Ok(Places {
        page: AuthUrl::from_url(open(said.authorization_endpoint)?),
        tokens: TokenUrl::from_url(open(said.token_endpoint)?),
        end: said.end_session_endpoint.and_then(|url| sound(&url)),
        by: if by_body {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        },
    })
}

fn refused() -> Refusal {
    unknown("the issuer does not know this code, or is not satisfied with it")
}

fn gone() -> Refusal {
    let detail = "the issuer does not answer, so nobody can sign in at its page";
    Refusal::new(Sort::Away, "issuer_unavailable", detail).after(PAUSE)
}
