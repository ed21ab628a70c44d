//! The schema registry, by Confluent's HTTP interface: put a schema in, get one by its id.

use std::time::Duration;

use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, post_schema,
};
use schema_registry_converter::schema_registry_common::{SchemaType, SuppliedSchema};

use super::Error;

/// How long one call may take.
const PATIENCE: Duration = Duration::from_secs(10);
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
        let url = url.trim_end_matches('/').to_owned();
        let doing = "set up the registry's client";
        let mut builder = SrSettings::new_builder(url.clone());
        builder.set_timeout(PATIENCE);
        let credentials = (!user.is_empty()).then(|| (user.to_owned(), password));
        if let Some((user, password)) = &credentials {
            builder.set_basic_authorization(user, password.as_deref());
        }
        Ok(Self {
            settings: builder.build().map_err(Error::registry(doing))?,
            client: reqwest::Client::builder()
                .timeout(PATIENCE)
                .build()
                .map_err(Error::registry(doing))?,
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
    /// # Errors
    /// [`Error::Registry`] if the registry does not answer.
    pub async fn schema(&self, id: i32) -> Result<Option<String>, Error> {
        let doing = || format!("fetch schema {id}");
        let number = u32::try_from(id).map_err(Error::registry(doing()))?;
        match get_schema_by_id(number, &self.settings).await {
            Ok(found) => Ok(Some(found.schema)),
            Err(error) if !error.retriable => Ok(None),
            Err(error) => Err(Error::registry(doing())(error)),
        }
    }
}
