//! The schema registry, by Confluent's HTTP interface: put a schema in, get one by its id.

use std::error::Error as StdError;
use std::time::Duration;

use reqwest::Certificate;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, get_schema_by_subject_and_version, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RawError, RegisteredSchema, SchemaType, SuppliedSchema,
};

use super::Error;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How a registry says that it has no such subject, version or schema.
const NOT_FOUND: [u32; 3] = [40_401, 40_402, 40_403];
/// What every subject must be.
pub const COMPATIBILITY: &str = "FULL_TRANSITIVE";

/// A schema registry.
#[derive(Clone, Debug)]
pub struct Registry {
    url: String,
    credentials: Option<(String, Option<String>)>,
    settings: SrSettings,
    client: reqwest::Client,
}

impl Registry {
    /// A registry by its base URL, with a user and password if it asks for them.
    ///
    /// # Errors
    /// [`Error::Registry`] if there is no HTTP client to be had.
    pub fn new(url: &str, user: &str, password: Option<String>) -> Result<Self, Error> {
        Self::trusting(url, user, password, None)
    }

    /// The same, trusted by certificates (PEM) beside the system's.
    ///
    /// # Errors
    /// As [`Registry::new`]; [`Error::Registry`] if these are no certificates.
    pub fn trusting(
        url: &str,
        user: &str,
        password: Option<String>,
        certificates: Option<&[u8]>,
    ) -> Result<Self, Error> {
        let url = url.trim_end_matches('/').to_owned();
        let doing = "set up the registry's client";
        let mut builder = SrSettings::new_builder(url.clone());
        builder.set_timeout(PATIENCE);
        let credentials = (!user.is_empty()).then(|| (user.to_owned(), password));
        if let Some((user, password)) = &credentials {
            builder.set_basic_authorization(user, password.as_deref());
        }
        let trusted = certificates.map_or_else(|| Ok(Vec::new()), Certificate::from_pem_bundle);
        let trusted = trusted.map_err(Error::registry("read the registry's certificates"))?;
        let client = || {
            trusted.iter().cloned().fold(
                reqwest::Client::builder().timeout(PATIENCE),
                reqwest::ClientBuilder::add_root_certificate,
            )
        };
        Ok(Self {
            settings: builder
                .build_with(client())
                .map_err(Error::registry(doing))?,
            client: client().build().map_err(Error::registry(doing))?,
            url,
            credentials,
        })
    }

    /// Registers a schema for a subject that takes none that breaks what is there; its id.
    ///
    /// # Errors
    /// [`Error::Registry`] if the registry does not answer or refuses it.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<i32, Error> {
        // ORDER: the level first, so that the schema is held to it; a registry that knows no
        // level for a subject it has not seen gets it afterwards, when it can only be the first.
        let early = self.set_level(subject).await;
        let supplied = SuppliedSchema::new(None, SchemaType::Avro, schema.to_owned());
        let registered = post_schema(&self.settings, subject.to_owned(), supplied).await;
        let registered = registered.map_err(Error::registry(format!("register `{subject}`")))?;
        if early.is_err() {
            self.set_level(subject).await?;
        }
        let id = i32::try_from(registered.id);
        id.map_err(Error::registry(format!("register `{subject}`")))
    }

    async fn set_level(&self, subject: &str) -> Result<(), Error> {
        let doing = || Error::registry(format!("set the compatibility of `{subject}`"));
        let url = format!("{}/config/{subject}", self.url);
        let mut request = self
            .client
            .put(url)
            .json(&serde_json::json!({ "compatibility": COMPATIBILITY }));
        if let Some((user, password)) = &self.credentials {
            request = request.basic_auth(user, password.as_deref());
        }
        let answer = request.send().await.map_err(doing())?;
        answer.error_for_status().map_err(doing())?;
        Ok(())
    }

    /// The compatibility level set for a subject; none if there is none of its own.
    ///
    /// # Errors
    /// [`Error::Registry`] if the registry does not answer, or not as a registry does.
    pub async fn level(&self, subject: &str) -> Result<Option<String>, Error> {
        let doing = || Error::registry(format!("ask for the compatibility of `{subject}`"));
        let mut request = self.client.get(format!("{}/config/{subject}", self.url));
        if let Some((user, password)) = &self.credentials {
            request = request.basic_auth(user, password.as_deref());
        }
        let answer = request.send().await.map_err(doing())?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = answer.error_for_status().map_err(doing())?;
        let said: serde_json::Value = answer.json().await.map_err(doing())?;
        let level = said
            .get("compatibilityLevel")
            .and_then(|level| level.as_str());
        Ok(level.map(str::to_owned))
    }

    /// The schema of an id; none if the registry says that it has none.
    ///
    /// Only a registry's own words count as such: a page of a proxy, a refusal to let us in or a
    /// failure inside say nothing about a schema.
    ///
    /// # Errors
    /// [`Error::Registry`] if the registry does not answer, or not as a registry does.
    pub async fn schema(&self, id: i32) -> Result<Option<String>, Error> {
        let doing = || format!("fetch schema {id}");
        let number = u32::try_from(id).map_err(Error::registry(doing()))?;
        let found = get_schema_by_id(number, &self.settings).await;
        is_there(found, doing).map(|found| found.map(|found| found.schema))
    }

    /// The newest schema of a subject with its id; none if the registry has no such subject.
    ///
    /// # Errors
    /// As [`Registry::schema`].
    pub async fn newest(&self, subject: &str) -> Result<Option<(i32, String)>, Error> {
        let doing = || format!("fetch the newest schema of `{subject}`");
        let found = get_schema_by_subject_and_version(&self.settings, subject, None).await;
        let Some(found) = is_there(found, doing)? else {
            return Ok(None);
        };
        let id = i32::try_from(found.id).map_err(Error::registry(doing()))?;
        Ok(Some((id, found.schema)))
    }
}

/// What was found; none if the registry itself says that there is no such thing.
fn is_there(
    found: Result<RegisteredSchema, SRCError>,
    doing: impl Fn() -> String,
) -> Result<Option<RegisteredSchema>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if says_none(&error) => Ok(None),
        Err(error) => Err(Error::registry(doing())(error)),
    }
}

fn says_none(error: &SRCError) -> bool {
    let raw = error.source().and_then(<dyn StdError>::downcast_ref);
    raw.is_some_and(|raw: &RawError| NOT_FOUND.contains(&raw.error_code))
}
