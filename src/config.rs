//! What a processor or a command is told: `config/quorate.toml`, a file, flags, in that order.
//!
//! The documented file is compiled in and is itself the defaults, so that the two cannot differ
//! and a key it does not have is refused, naming the nearest. Secrets come from the environment or
//! from files of their own.

mod console;
mod security;
mod webhook;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

pub use console::{Codes, Console, Domain, Links};
pub use security::{Given, Mechanism, Properties, Protocol, Secret, Security};
pub use webhook::{Least, Webhook};

/// The documented defaults.
const DEFAULTS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/config/quorate.toml"));
/// The table whose keys are librdkafka's, not ours.
const PASSED_ON: &str = "kafka";

/// The shortest and the longest session: below, a busy machine takes engines for dead that are
/// alive; above, nobody takes over from one that is dead.
const SESSION_MS: (u64, u64) = (1_000, 300_000);

/// The longest a claim to an escalation stands, in minutes.
const CLAIM_MINUTES: u32 = 120;

/// Every option; what each means is said in `config/quorate.toml`.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// File that is the log instead of Kafka; empty: Kafka.
    pub blackboard: String,
    /// Brokers to start from.
    pub bootstrap: String,
    /// Base URL of the schema registry.
    pub registry: String,
    /// User of the registry; empty: none.
    pub registry_user: String,
    /// File that holds the registry's password; empty: none.
    pub registry_password_file: String,
    /// File of certificates by which a registry's is trusted, too; empty: the system's alone.
    pub registry_ca_location: String,
    /// What names of topics, groups and transactional ids begin with.
    pub prefix: String,
    /// librdkafka properties.
    pub kafka: Properties,
    /// How brokers are reached and who we are to them.
    pub security: Security,
    /// How topics are created.
    pub topics: Topics,
    /// How the processor runs.
    pub run: Run,
    /// How others take part over HTTP.
    pub gateway: Gateway,
    /// What people see who decide.
    pub console: Console,
    /// What is logged.
    pub log: Log,
}

/// How topics are created.
#[derive(Clone, Debug, Deserialize)]
pub struct Topics {
    /// Partitions of every topic routed by proposal.
    pub partitions: i32,
    /// Copies of each partition; -1: the brokers' default.
    pub replication_factor: i32,
    /// Milliseconds inputs and outputs are kept; -1: for ever.
    pub retention_ms: i64,
}

/// How the processor runs.
#[derive(Clone, Debug, Deserialize)]
pub struct Run {
    /// Engines in this process.
    pub engines: u16,
    /// What tells this process from others, the same after a restart; empty: made up.
    pub instance: String,
    /// Milliseconds between commits.
    pub commit_interval_ms: u64,
    /// Milliseconds after which the brokers give up a dead process's transaction.
    pub transaction_timeout_ms: u64,
    /// Milliseconds without a sign after which an engine on a blackboard is taken for dead.
    pub session_ms: u64,
    /// Milliseconds a partition waits for a schema.
    pub schema_wait_ms: u64,
    /// Where metrics and health are served; empty: nowhere.
    pub observe: String,
    /// Milliseconds something may stand still before that is an illness.
    pub stall_ms: u64,
}

/// How others take part over HTTP.
#[derive(Clone, Debug, Deserialize)]
pub struct Gateway {
    /// Where it listens.
    pub listen: String,
    /// File that says who is let in; empty: nobody by one.
    pub tokens_file: String,
    /// Connections at once.
    pub connections: NonZeroU32,
    /// Requests of one subject a second.
    pub rate: NonZeroU32,
    /// Requests of one subject at once.
    pub burst: NonZeroU32,
    /// Requests a second from one address by which nobody is known.
    pub failure_rate: NonZeroU32,
    /// Such requests at once.
    pub failure_burst: NonZeroU32,
    /// Header that says whose requests are passed on; empty: they are the peer's own.
    pub address_header: String,
    /// Where browsers find it; empty: where it listens.
    pub public_url: String,
    /// File of the key that sessions are kept by; empty: one that is gone with the process.
    pub session_key_file: String,
    /// Minutes after which people sign in again.
    pub session_minutes: NonZeroU32,
    /// Minutes for which a claim to an escalation stands.
    pub claim_minutes: NonZeroU32,
    /// Who is told of escalations.
    pub webhooks: Vec<Webhook>,
    /// Hours that what is over is remembered.
    pub memory_hours: NonZeroU32,
    /// MiB of rounds that do not run.
    pub memory_rounds_mib: NonZeroU32,
    /// MiB of dead letters.
    pub memory_refused_mib: NonZeroU32,
    /// MiB of each topic that can be followed.
    pub memory_stream_mib: NonZeroU32,
    /// MiB of what people did, of how trust moved, and of former policies: of each.
    pub memory_history_mib: NonZeroU32,
    /// Where it is told whether it runs and is ready; empty: nowhere.
    pub observe: String,
    /// Whether operators suspend and resume by way of it.
    pub operates: bool,
    /// Whose tokens let in, too.
    pub oidc: Oidc,
}

/// An issuer of tokens.
#[derive(Clone, Debug, Deserialize)]
pub struct Oidc {
    /// As its tokens name it; empty: none.
    pub issuer: String,
    /// Whom its tokens must be for.
    pub audience: String,
    /// As what it knows us where people sign in at its page; empty: they do not.
    pub client_id: String,
    /// File of the secret by which it believes us; empty: none.
    pub client_secret_file: String,
    /// What is asked for of who signs in, separated by spaces.
    pub scopes: String,
    /// Where its keys are; empty: where it says.
    pub jwks_url: String,
    /// File of certificates by which it is trusted, too; empty: the system's alone.
    pub ca_location: String,
    /// The claim that names the subject.
    pub subject_claim: String,
    /// The claim that lists the roles.
    pub roles_claim: String,
    /// Seconds its clock and ours may be apart.
    pub leeway_s: u64,
    /// Seconds between two times its keys are fetched.
    pub refresh_s: u64,
    /// Seconds known keys go on where it does not answer.
    pub stale_s: u64,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize)]
pub struct Log {
    /// A level or directives.
    pub level: String,
    /// `text` or `json`.
    pub format: Format,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read configuration `{}`", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// The file is not TOML, or a value has another type.
    #[error("configuration is not sound")]
    Parse(#[from] toml::de::Error),
    /// A key that does not exist.
    #[error("unknown option `{key}`; nearest is `{nearest}`")]
    UnknownKey {
        /// As given, with its table.
        key: String,
        /// The option most like it.
        nearest: String,
    },
    /// A value that no part could work with.
    #[error("option `{0}` must be above 0")]
    NotPositive(&'static str),
    /// A value that works, but not well.
    #[error("option `{key}` must be from {least} to {most}")]
    OutOfBounds {
        /// Which.
        key: &'static str,
        /// The least it may be.
        least: u64,
        /// The most it may be.
        most: u64,
    },
    /// A value that has no use, and why.
    #[error("option `{option}` {why}")]
    Unsound {
        /// Which.
        option: String,
        /// What is wrong with it.
        why: String,
    },
    /// The file of a secret cannot be read.
    #[error("cannot read secret `{}`", .0.display())]
    Secret(PathBuf, #[source] std::io::Error),
    /// An option that others make necessary.
    #[error("option `{0}` must be set")]
    Incomplete(&'static str),
    /// An option that others leave without effect.
    #[error("option `{option}` has no effect with `security.protocol` `{protocol}`")]
    Pointless {
        /// Which.
        option: &'static str,
        /// The protocol that has no use for it.
        protocol: &'static str,
    },
    /// A property that an option says already.
    #[error("kafka property `{0}` is said by `[security]` already; say it once")]
    Twice(String),
}

impl Config {
    /// The defaults, with what a file says laid over them.
    ///
    /// # Errors
    /// [`Error`] if the file cannot be read, has a key that does not exist or a value that cannot
    /// be used.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        match file {
            None => Self::parse(""),
            Some(path) => {
                let text = std::fs::read_to_string(path);
                Self::parse(&text.map_err(|error| Error::Read(path.to_owned(), error))?)
            }
        }
    }

    /// The defaults, with this text laid over them.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut merged: Table = DEFAULTS.parse()?;
        overlay(&mut merged, text.parse()?, "")?;
        let config: Self = Value::Table(merged).try_into()?;
        config.check()?;
        Ok(config)
    }

    /// Every property of the connection: those that `[kafka]` passes on, and `[security]`.
    ///
    /// # Errors
    /// As [`Security::properties`]; [`Error::Twice`] if both say the same property.
    pub fn properties(&self, given: Given) -> Result<BTreeMap<String, String>, Error> {
        let mut properties = self.security.properties(given)?;
        for (key, value) in &self.kafka.0 {
            if properties.insert(key.clone(), value.clone()).is_some() {
                return Err(Error::Twice(key.clone()));
            }
        }
        Ok(properties)
    }

    fn check(&self) -> Result<(), Error> {
        let positive = [
            ("topics.partitions", self.topics.partitions > 0),
            ("run.engines", self.run.engines > 0),
            ("run.commit_interval_ms", self.run.commit_interval_ms > 0),
            ("run.stall_ms", self.run.stall_ms > 0),
            (
                "run.transaction_timeout_ms",
                self.run.transaction_timeout_ms > 0,
            ),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, sound)| !sound) {
            return Err(Error::NotPositive(key));
        }
        let (least, most) = SESSION_MS;
        if !(least..=most).contains(&self.run.session_ms) {
            let key = "run.session_ms";
            return Err(Error::OutOfBounds { key, least, most });
        }
        if self.gateway.claim_minutes.get() > CLAIM_MINUTES {
            let (key, most) = ("gateway.claim_minutes", CLAIM_MINUTES.into());
            let least = 1;
            return Err(Error::OutOfBounds { key, least, most });
        }
        let flaw = webhook::flaw(&self.gateway.webhooks);
        match flaw.or_else(|| self.console.flaw()) {
            Some((option, why)) => Err(Error::Unsound { option, why }),
            None => Ok(()),
        }
    }
}

/// Lays a table over another that has every key there may be.
fn overlay(base: &mut Table, over: Table, path: &str) -> Result<(), Error> {
    for (key, value) in over {
        let full = format!("{path}{key}");
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) if full == PASSED_ON => {
                inner.extend(over);
            }
            (Some(Value::Table(inner)), Value::Table(over)) => {
                overlay(inner, over, &format!("{full}."))?;
            }
            (Some(known), value) => *known = value,
            (None, _) => {
                let nearest = base
                    .keys()
                    .max_by(|a, b| {
                        strsim::jaro_winkler(a, &key).total_cmp(&strsim::jaro_winkler(b, &key))
                    })
                    .map_or_else(String::new, |nearest| format!("{path}{nearest}"));
                return Err(Error::UnknownKey { key: full, nearest });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_file_is_the_defaults_and_a_file_lies_over_them() {
        let config = Config::parse("[run]\nengines = 3\n[kafka]\n\"client.rack\" = \"a\"").unwrap();
        assert_eq!(config.run.engines, 3);
        assert_eq!(config.run.commit_interval_ms, 100);
        assert_eq!(config.prefix, "acp.");
        assert_eq!(config.kafka.0.get("client.rack").unwrap(), "a");
    }

    #[test]
    fn an_unknown_key_is_refused_naming_the_nearest() {
        let error = Config::parse("[run]\nengine = 3").unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown option `run.engine`; nearest is `run.engines`"
        );
    }

    #[test]
    fn every_option_is_documented_above_it() {
        let mut before = "";
        for line in DEFAULTS.lines() {
            let is_option = !line.starts_with('#') && line.contains(" = ");
            assert!(
                !is_option || before.starts_with('#'),
                "`{line}` says nothing"
            );
            before = line;
        }
    }

    #[test]
    fn a_webhook_is_told_what_there_is_and_called_by_one_name() {
        let entry = "[[gateway.webhooks]]\nname = \"a\"\nurl = \"\"\nsecret_file = \"\"\n";
        let of = |more: &str| Config::parse(&format!("{entry}{more}"));
        let webhooks = of("stakes = \"HIGH\"").unwrap().gateway.webhooks;
        assert_eq!(webhooks[0].stakes, Least::High);
        assert!(matches!(of("stakes = \"HUGE\""), Err(Error::Parse(_))));
        assert!(matches!(of("domain = \"pay\""), Err(Error::Parse(_))));
        assert!(matches!(of(entry), Err(Error::Unsound { .. })));
    }

    #[test]
    fn a_property_is_said_once() {
        let text = "[security]\nprotocol = \"ssl\"\n[kafka]\n\"security.protocol\" = \"ssl\"";
        let said = Config::parse(text).unwrap().properties(Given::default());
        assert!(matches!(said, Err(Error::Twice(key)) if key == "security.protocol"));
    }

    #[test]
    fn a_value_of_another_type_or_out_of_bounds_is_refused() {
        assert!(matches!(Config::parse("prefix = 3"), Err(Error::Parse(_))));
        assert!(matches!(
            Config::parse("[run]\nengines = 0"),
            Err(Error::NotPositive("run.engines"))
        ));
        for (session, sound) in [
            (999, false),
            (1_000, true),
            (300_000, true),
            (300_001, false),
        ] {
            let parsed = Config::parse(&format!("[run]\nsession_ms = {session}"));
            assert_eq!(parsed.is_ok(), sound, "{session}");
        }
    }
}
