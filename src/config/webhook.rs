//! Who is told of escalations over HTTP, and of which.

use quorate_core::records::Stakes;
use serde::Deserialize;

/// Where escalations are told, and which.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// What it is called: by this it is found again after a restart.
    pub name: String,
    /// Where to.
    pub url: String,
    /// File of what is signed with.
    pub secret_file: String,
    /// Prefixes of domains; empty: every domain.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The least stakes.
    #[serde(default)]
    pub stakes: Least,
    /// Whether the address may be of this machine or a network of one's own.
    #[serde(default)]
    pub allow_private: bool,
    /// Whether the proposal's summary is told.
    #[serde(default)]
    pub summary: bool,
    /// File of certificates by which it is trusted, too; empty: the system's alone.
    #[serde(default)]
    pub ca_location: String,
}

/// The least stakes, of those there are: what nobody knows is refused here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Least {
    /// All of them.
    #[default]
    Low,
    /// Medium and above.
    Medium,
    /// High and above.
    High,
    /// The highest alone.
    Critical,
}

impl From<Least> for Stakes {
    fn from(least: Least) -> Self {
        match least {
            Least::Low => Self::Low,
            Least::Medium => Self::Medium,
            Least::High => Self::High,
            Least::Critical => Self::Critical,
        }
    }
}

/// What is wrong with webhooks: an option, and why.
pub(super) fn flaw(webhooks: &[Webhook]) -> Option<(String, String)> {
    let mut names = std::collections::BTreeSet::new();
    let twice = webhooks
        .iter()
        .find(|webhook| !names.insert(&webhook.name))?;
    let why = format!("`{}` is the name of two", twice.name);
    Some(("gateway.webhooks.name".to_owned(), why))
}
