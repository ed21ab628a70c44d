//! How brokers are reached and who we are to them: `[security]`, as librdkafka's properties.
//!
//! Secrets come from the environment or from files of their own, never from the configuration
//! itself, and nothing here or above prints one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::Error;

/// Something nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret from the environment if it is there, else the content of a file without the end
    /// of its line; none if no file is named either.
    ///
    /// # Errors
    /// [`Error::Secret`] if the file cannot be read.
    pub fn find(given: Option<String>, file: &str) -> Result<Option<Self>, Error> {
        if given.is_some() || file.is_empty() {
            return Ok(given.map(Self));
        }
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| Error::Secret(PathBuf::from(file), error))?;
        Ok(Some(Self(text.trim_end_matches(['\r', '\n']).to_owned())))
    }

    /// The secret itself, for whoever has to give it away.
    #[must_use]
    pub fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// librdkafka properties given from outside; their values may be secret.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Properties(pub BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// How brokers are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// In the open, as nobody.
    Plaintext,
    /// Under TLS, by a certificate if one is named.
    Ssl,
    /// By name and password, in the open.
    SaslPlaintext,
    /// By name and password, under TLS.
    SaslSsl,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    const fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    const fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// How name and password are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Mechanism {
    /// As they are.
    #[serde(rename = "PLAIN")]
    Plain,
    /// By a challenge, with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    Scram256,
    /// By a challenge, with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    Scram512,
}

impl Mechanism {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram256 => "SCRAM-SHA-256",
            Self::Scram512 => "SCRAM-SHA-512",
        }
    }
}

/// How brokers are reached and who we are to them; what each means is said in
/// `config/quorate.toml`.
#[derive(Clone, Debug, Deserialize)]
pub struct Security {
    /// How brokers are spoken to.
    pub protocol: Protocol,
    /// How name and password are shown.
    pub sasl_mechanism: Mechanism,
    /// Our name.
    pub sasl_username: String,
    /// File that holds our password.
    pub sasl_password_file: String,
    /// File of the certificates we trust; empty: the system's.
    pub ssl_ca_location: String,
    /// File of our certificate.
    pub ssl_certificate_location: String,
    /// File of our certificate's key.
    pub ssl_key_location: String,
    /// File that holds the password of the key.
    pub ssl_key_password_file: String,
}

/// Secrets from the environment, each of which stands before its file.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Our password.
    pub password: Option<String>,
    /// The password of our certificate's key.
    pub key_password: Option<String>,
}

impl Security {
    /// What librdkafka has to be told.
    ///
    /// # Errors
    /// [`Error::Secret`] if a secret's file cannot be read; [`Error::Incomplete`] if the protocol
    /// needs an option that is not set, [`Error::Pointless`] if it has no use for one that is.
    pub fn properties(&self, given: Given) -> Result<BTreeMap<String, String>, Error> {
        self.check()?;
        let mut properties = BTreeMap::new();
        let mut set = |key: &str, value: String| {
            if !value.is_empty() {
                properties.insert(key.to_owned(), value);
            }
        };
        if self.protocol != Protocol::Plaintext {
            set("security.protocol", self.protocol.name().to_owned());
        }
        if self.protocol.has_sasl() {
            let password = Secret::find(given.password, &self.sasl_password_file)?;
            let password = password.ok_or(Error::Incomplete("security.sasl_password_file"))?;
            set("sasl.mechanism", self.sasl_mechanism.name().to_owned());
            set("sasl.username", self.sasl_username.clone());
            set("sasl.password", password.reveal());
        }
        if self.protocol.has_tls() {
            set("ssl.ca.location", self.ssl_ca_location.clone());
            set(
                "ssl.certificate.location",
                self.ssl_certificate_location.clone(),
            );
            set("ssl.key.location", self.ssl_key_location.clone());
            let password = Secret::find(given.key_password, &self.ssl_key_password_file)?;
            set(
                "ssl.key.password",
                password.map_or_else(String::new, Secret::reveal),
            );
        }
        Ok(properties)
    }

    /// Whether the options go together. A client that was to be secure and is not must not start.
    fn check(&self) -> Result<(), Error> {
        let (sasl, tls) = (self.protocol.has_sasl(), self.protocol.has_tls());
        let options = [
            (sasl, "security.sasl_username", &self.sasl_username),
            (
                sasl,
                "security.sasl_password_file",
                &self.sasl_password_file,
            ),
            (tls, "security.ssl_ca_location", &self.ssl_ca_location),
            (
                tls,
                "security.ssl_certificate_location",
                &self.ssl_certificate_location,
            ),
            (tls, "security.ssl_key_location", &self.ssl_key_location),
            (
                tls,
                "security.ssl_key_password_file",
                &self.ssl_key_password_file,
            ),
        ];
        let pointless = options
            .iter()
            .find(|(used, _, value)| !used && !value.is_empty());
        if let Some((_, option, _)) = pointless {
            return Err(Error::Pointless {
                option,
                protocol: self.protocol.name(),
            });
        }
        if sasl && self.sasl_username.is_empty() {
            return Err(Error::Incomplete("security.sasl_username"));
        }
        match (
            self.ssl_certificate_location.is_empty(),
            self.ssl_key_location.is_empty(),
        ) {
            (true, false) => Err(Error::Incomplete("security.ssl_certificate_location")),
            (false, true) => Err(Error::Incomplete("security.ssl_key_location")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn told(text: &str) -> Result<BTreeMap<String, String>, Error> {
        let given = Given {
            password: Some("hunter2".to_owned()),
            key_password: None,
        };
        let text = format!("[security]\n{text}");
        Config::parse(&text).unwrap().security.properties(given)
    }

    #[test]
    fn by_default_nothing_is_said_to_the_client() {
        assert_eq!(told("").unwrap(), BTreeMap::new());
    }

    #[test]
    fn a_name_and_a_password_are_shown_under_sasl() {
        let told = told("protocol = \"sasl_ssl\"\nsasl_username = \"ada\"").unwrap();
        let told: Vec<_> = told.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            told,
            [
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("sasl.password", "hunter2"),
                ("sasl.username", "ada"),
                ("security.protocol", "sasl_ssl"),
            ]
        );
    }

    #[test]
    fn an_option_the_protocol_has_no_use_for_is_refused() {
        let error = told("sasl_username = \"ada\"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "option `security.sasl_username` has no effect with `security.protocol` `plaintext`"
        );
        assert!(told("protocol = \"ssl\"\nsasl_username = \"ada\"").is_err());
        assert!(told("protocol = \"sasl_plaintext\"\nssl_ca_location = \"ca\"").is_err());
    }

    #[test]
    fn an_option_the_protocol_needs_is_asked_for() {
        let error = told("protocol = \"sasl_ssl\"").unwrap_err();
        assert_eq!(
            error.to_string(),
            "option `security.sasl_username` must be set"
        );
        let error = told("protocol = \"ssl\"\nssl_key_location = \"key\"").unwrap_err();
        assert!(error.to_string().contains("ssl_certificate_location"));
        let text = "[security]\nprotocol = \"sasl_ssl\"\nsasl_username = \"ada\"";
        let security = Config::parse(text).unwrap().security;
        let error = security.properties(Given::default()).unwrap_err();
        assert!(error.to_string().contains("sasl_password_file"), "{error}");
    }

    #[test]
    fn a_protocol_that_does_not_exist_is_refused_naming_those_that_do() {
        let error = Config::parse("[security]\nprotocol = \"tls\"").unwrap_err();
        let Error::Parse(why) = error else {
            panic!("{error}");
        };
        assert!(why.to_string().contains("sasl_ssl"), "{why}");
    }

    #[test]
    fn a_secret_is_read_from_its_file_unless_it_is_given_and_never_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from file \n").unwrap();
        let path = file.path().to_str().unwrap();
        let find = |given: Option<&str>, file| {
            let secret = Secret::find(given.map(str::to_owned), file).unwrap();
            assert!(!format!("{secret:?}").contains("from"));
            secret.map(Secret::reveal)
        };
        assert_eq!(find(None, path).unwrap(), "from file ");
        assert_eq!(find(Some("from outside"), path).unwrap(), "from outside");
        assert_eq!(find(None, ""), None);
        assert!(Secret::find(None, "/nowhere/at/all").is_err());
    }

    #[test]
    fn a_property_passed_through_is_not_shown() {
        let config = Config::parse("[kafka]\n\"sasl.password\" = \"hunter2\"").unwrap();
        let shown = format!("{config:?}");
        assert!(
            shown.contains("sasl.password") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
