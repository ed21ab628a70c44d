//! What the topics need to be as the protocol has them: compared here, carried out by `apply`.
//!
//! Nothing is changed here. One function compares, so that what is foretold is what is done.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, ConfigSource, OwnedResourceSpecifier,
    ResourceSpecifier,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use serde::Serialize;
use tokio::time::sleep;

use super::topics::{present, settings};
use super::{Connection, Error, Layout};

/// How long it may take until every broker knows what one was told.
const KNOWN_WITHIN: Duration = Duration::from_secs(3);
/// How often to look whether it does.
const LOOK: Duration = Duration::from_millis(50);

/// What a topic needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// It is as it should be.
    Ok,
    /// It is not there; to be created with so many partitions.
    Create(i32),
    /// These settings differ.
    Set(Vec<Setting>),
    /// It has another number of partitions, and nothing can change that: why, and what to do.
    Refused(String),
}

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// What it is; none if the broker does not have it.
    pub from: Option<String>,
    /// What it should be.
    pub to: String,
}

/// A topic, and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The topic.
    pub topic: Topic,
    /// What it needs.
    pub step: Step,
    /// Every setting of the topic's own once it is as it should be. The broker's call replaces
    /// them all, so those an operator made are among them.
    pub(super) settings: BTreeMap<String, String>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Create(partitions) => write!(f, "create, {partitions} partitions"),
            Self::Set(settings) => {
                let each: Vec<_> = settings.iter().map(ToString::to_string).collect();
                write!(f, "set {}", each.join(", "))
            }
            Self::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = self.from.as_deref().unwrap_or("nothing");
        write!(f, "{} {from}→{}", self.key, self.to)
    }
}

/// What each topic needs to be as the protocol has it.
///
/// # Errors
/// [`Error::Log`] if no broker answers, or one does not tell.
pub async fn plan(connection: &Connection, layout: &Layout) -> Result<Vec<Planned>, Error> {
    let admin = connection.admin()?;
    let present = present(&admin)?;
    let names: BTreeMap<_, _> = Topic::ALL
        .iter()
        .map(|&topic| (topic, connection.topic(topic)))
        .collect();
    let there: Vec<_> = names
        .values()
        .filter(|n| present.contains_key(*n))
        .collect();
    let found = describe(&admin, &there).await?;
    let compared = names.iter().map(|(&topic, name)| {
        let wanted = wanted(topic, layout);
        let partitions = present.get(name).copied();
        let (settings, step) = match (partitions, found.get(name)) {
            (None, _) => (wanted, Step::Create(layout.partitions_of(topic))),
            (Some(partitions), found) => {
                let (settings, step) = compare(wanted, found);
                let refused = refused(name, partitions, layout.partitions_of(topic));
                (settings, refused.unwrap_or(step))
            }
        };
        Planned {
            topic,
            step,
            settings,
        }
    });
    Ok(compared.collect())
}

/// What a topic that is there needs, whatever partitions it has.
pub(super) async fn plan_one(
    admin: &AdminClient<DefaultClientContext>,
    topic: Topic,
    name: &String,
    layout: &Layout,
) -> Result<Planned, Error> {
    let found = describe(admin, &[name]).await?;
    let (settings, step) = compare(wanted(topic, layout), found.get(name));
    Ok(Planned {
        topic,
        step,
        settings,
    })
}

fn wanted(topic: Topic, layout: &Layout) -> BTreeMap<String, String> {
    let settings = settings(topic, layout).into_iter();
    settings.map(|(k, v)| (k.to_owned(), v)).collect()
}

fn refused(name: &str, found: i32, wanted: i32) -> Option<Step> {
    (found != wanted).then(|| {
        Step::Refused(format!(
            "topic `{name}` has {found} partitions, not {wanted}; the number is fixed once \
             rounds are there, so set `topics.partitions` to what is there, or use a new prefix"
        ))
    })
}

/// A topic's settings as a broker tells them.
#[derive(Clone, Debug, Default)]
struct Found {
    /// Those of the topic's own.
    own: BTreeMap<String, String>,
    /// All, with the brokers' defaults.
    all: BTreeMap<String, String>,
}

/// Lays what is wanted over a topic's own settings, and says what differs.
fn compare(
    wanted: BTreeMap<String, String>,
    found: Option<&Found>,
) -> (BTreeMap<String, String>, Step) {
    let Found { own, all } = found.cloned().unwrap_or_default();
    let mut differ = Vec::new();
    for (key, to) in &wanted {
        let from = all.get(key);
        if from != Some(to) {
            differ.push(Setting {
                key: key.clone(),
                from: from.cloned(),
                to: to.clone(),
            });
        }
    }
    let mut settings = own;
    settings.extend(wanted);
    let step = if differ.is_empty() {
        Step::Ok
    } else {
        Step::Set(differ)
    };
    (settings, step)
}

/// The settings of topics that are there, by their full names.
///
/// ORDER: nothing is compared with settings nobody told. The client does not pass on that a broker
/// refused to, but no topic is without any; one that was just made may not be known everywhere yet.
async fn describe(
    admin: &AdminClient<DefaultClientContext>,
    names: &[&String],
) -> Result<BTreeMap<String, Found>, Error> {
    let until = Instant::now() + KNOWN_WITHIN;
    loop {
        let found = ask(admin, names).await?;
        let is_told = |name: &String| found.get(name).is_some_and(|found| !found.all.is_empty());
        let Some(name) = names.iter().find(|name| !is_told(name)) else {
            return Ok(found);
        };
        if Instant::now() > until {
            let what = format!("no broker tells the settings of topic `{name}`");
            let mend = "see that this principal may describe and alter them";
            return Err(Error::Unfit(format!("{what}; {mend}")));
        }
        sleep(LOOK).await;
    }
}

/// Waits until a topic has settings it was given: the client does not pass on that they were
/// refused.
pub(super) async fn until_set(
    admin: &AdminClient<DefaultClientContext>,
    name: &String,
    settings: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let until = Instant::now() + KNOWN_WITHIN;
    loop {
        let found = describe(admin, &[name]).await?;
        let (_, step) = compare(settings.clone(), found.get(name));
        if step == Step::Ok {
            return Ok(());
        }
        if Instant::now() > until {
            let what = format!("topic `{name}` does not have the settings it was given: {step}");
            let mend = "see that this principal may alter them";
            return Err(Error::Unfit(format!("{what}; {mend}")));
        }
        sleep(LOOK).await;
    }
}

async fn ask(
    admin: &AdminClient<DefaultClientContext>,
    names: &[&String],
) -> Result<BTreeMap<String, Found>, Error> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let doing = || Error::kafka("describe the topics' settings");
    let resources: Vec<_> = names
        .iter()
        .map(|name| ResourceSpecifier::Topic(name))
        .collect();
    let described = admin.describe_configs(&resources, &AdminOptions::new());
    let mut found = BTreeMap::new();
    for described in described.await.map_err(doing())? {
        let described = described.map_err(|code| doing()(KafkaError::AdminOp(code)))?;
        if let OwnedResourceSpecifier::Topic(name) = &described.specifier {
            found.insert(name.clone(), Found::of(&described));
        }
    }
    Ok(found)
}

impl Found {
    fn of(described: &ConfigResource) -> Self {
        let mut found = Self::default();
        for entry in &described.entries {
            let value = entry.value.clone().unwrap_or_default();
            if entry.source == ConfigSource::DynamicTopic {
                found.own.insert(entry.name.clone(), value.clone());
            }
            found.all.insert(entry.name.clone(), value);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
        of.iter().map(owned).collect()
    }

    #[test]
    fn what_differs_is_named_and_what_an_operator_set_is_kept() {
        let found = Found {
            own: map(&[("a", "1"), ("mine", "x")]),
            all: map(&[("a", "1"), ("b", "2"), ("mine", "x"), ("default", "d")]),
        };
        let (settings, step) = compare(map(&[("a", "3"), ("b", "2"), ("c", "4")]), Some(&found));
        assert_eq!(step.to_string(), "set a 1→3, c nothing→4");
        assert_eq!(
            settings,
            map(&[("a", "3"), ("b", "2"), ("c", "4"), ("mine", "x")])
        );
    }

    #[test]
    fn nothing_is_to_be_done_where_nothing_differs() {
        let found = Found {
            own: BTreeMap::new(),
            all: map(&[("a", "1")]),
        };
        assert_eq!(compare(map(&[("a", "1")]), Some(&found)).1, Step::Ok);
        assert_eq!(refused("t", 3, 3), None);
        assert!(refused("t", 3, 6).is_some());
    }
}
