//! The topics as the protocol needs them: created, put right; partitions never changed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::connection::{LARGEST_RECORD, PATIENCE};
use super::plan::{Planned, Step, plan, plan_one, until_set};
use super::{Connection, Error};
use crate::transport::{CLAIMS_KEPT, TRUST_LAG};

/// How topics are laid out where nothing is fixed by the protocol.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Partitions of every topic that is not a table.
    pub partitions: i32,
    /// Copies of each partition; -1: the brokers' default.
    pub replication: i32,
    /// Milliseconds that inputs and outputs are kept; -1: for ever.
    pub retention_ms: i64,
}

impl Layout {
    /// How many partitions a topic has.
    pub(super) const fn partitions_of(&self, topic: Topic) -> i32 {
        if topic.is_table() { 1 } else { self.partitions }
    }
}

/// What was done to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It was not there.
    Created,
    /// These settings differed.
    Altered(Vec<String>),
    /// It was as it should be.
    Unchanged,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Altered(settings) => write!(f, "altered {}", settings.join(", ")),
            Self::Unchanged => f.write_str("unchanged"),
        }
    }
}

/// What brokers take of an input at once, in bytes. The limit is a batch's, not a record's, and
/// clients send batches of up to a million bytes: with less, a busy agent's records would be lost.
/// A record over 64 KiB is refused with a code, which it can only be if the broker takes it.
const INPUT_BYTES: usize = 1_048_588;

/// The settings of a topic.
pub(super) fn settings(topic: Topic, layout: &Layout) -> BTreeMap<&'static str, String> {
    let mut settings = BTreeMap::from([("message.timestamp.type", "LogAppendTime".to_owned())]);
    let bytes = match topic {
        Topic::Proposals | Topic::Responses | Topic::Decisions | Topic::Results => INPUT_BYTES,
        _ => LARGEST_RECORD,
    };
    settings.insert("max.message.bytes", bytes.to_string());
    let policy = match topic {
        Topic::Rounds | Topic::Trust => "compact",
        Topic::Claims => "compact,delete",
        _ => "delete",
    };
    settings.insert("cleanup.policy", policy.to_owned());
    match topic {
        // Restored from whenever a partition changes hands, so it is kept short.
        Topic::Rounds => {
            settings.insert("segment.bytes", (64 << 20).to_string());
            settings.insert("segment.ms", (10 * 60 * 1_000).to_string());
            settings.insert("min.cleanable.dirty.ratio", "0.1".to_owned());
        }
        Topic::Trust => {
            settings.insert("min.compaction.lag.ms", TRUST_LAG.0.to_string());
        }
        Topic::Claims => {
            settings.insert("min.compaction.lag.ms", CLAIMS_KEPT.0.to_string());
            settings.insert("retention.ms", (2 * CLAIMS_KEPT.0).to_string());
            settings.insert("segment.ms", CLAIMS_KEPT.0.to_string());
        }
        Topic::Agents | Topic::Policies | Topic::Schemas => {
            settings.insert("retention.ms", "-1".to_owned());
        }
        _ => {
            settings.insert("retention.ms", layout.retention_ms.to_string());
        }
    }
    settings
}

/// How many partitions each topic has; those that are not there are left out.
pub(super) fn present(
    admin: &AdminClient<DefaultClientContext>,
) -> Result<BTreeMap<String, i32>, Error> {
    let metadata = admin.inner().fetch_metadata(None, PATIENCE);
    let metadata = metadata.map_err(Error::kafka("ask the brokers for their topics"))?;
    let count = |topic: &rdkafka::metadata::MetadataTopic| {
        let partitions = i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX);
        (topic.name().to_owned(), partitions)
    };
    Ok(metadata.topics().iter().map(count).collect())
}

/// Creates what is missing and puts right what differs.
///
/// # Errors
/// [`Error::Unfit`] if a topic has another number of partitions than it should: a round's records
/// are found by that number, so it is never changed. [`Error::Log`] if a broker says no.
pub async fn apply(
    connection: &Connection,
    layout: &Layout,
) -> Result<Vec<(Topic, Change)>, Error> {
    let planned = plan(connection, layout).await?;
    for planned in &planned {
        if let Step::Refused(why) = &planned.step {
            return Err(Error::Unfit(why.clone()));
        }
    }
    let admin = connection.admin()?;
    let mut changes = Vec::new();
    for planned in planned {
        let name = connection.topic(planned.topic);
        let change = match planned.step {
            Step::Create(partitions) => create(&admin, &planned, &name, partitions, layout).await?,
            _ => alter(&admin, &planned, &name).await?,
        };
        changes.push((planned.topic, change));
    }
    wait_until_there(&admin, connection)?;
    Ok(changes)
}

/// Returns once the brokers tell of every topic, so that whoever comes next finds them.
fn wait_until_there(
    admin: &AdminClient<DefaultClientContext>,
    connection: &Connection,
) -> Result<(), Error> {
    let until = Instant::now() + PATIENCE;
    loop {
        let present = present(admin)?;
        let told = |topic: &Topic| present.contains_key(&connection.topic(*topic));
        if Topic::ALL.iter().all(told) {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(Error::TimedOut("see every topic".to_owned()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn create(
    admin: &AdminClient<DefaultClientContext>,
    planned: &Planned,
    name: &String,
    partitions: i32,
    layout: &Layout,
) -> Result<Change, Error> {
    let doing = || format!("create topic `{name}`");
    let replication = TopicReplication::Fixed(layout.replication);
    let new = planned.settings.iter().fold(
        NewTopic::new(name, partitions, replication),
        |new, (k, v)| new.set(k, v),
    );
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let results = admin.create_topics([&new], &options).await;
    for result in results.map_err(Error::kafka(doing()))? {
        match result {
            Ok(_) => {}
            // Made by somebody else, or a moment ago: the brokers tell each other with some delay.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                let planned = plan_one(admin, planned.topic, name, layout).await?;
                return alter(admin, &planned, name).await;
            }
            Err((_, code)) => return Err(Error::kafka(doing())(KafkaError::AdminOp(code))),
        }
    }
    Ok(Change::Created)
}

/// Sets what differs.
async fn alter(
    admin: &AdminClient<DefaultClientContext>,
    planned: &Planned,
    name: &String,
) -> Result<Change, Error> {
    let Step::Set(differ) = &planned.step else {
        return Ok(Change::Unchanged);
    };
    let doing = || Error::kafka(format!("alter settings of topic `{name}`"));
    let change = AlterConfig::new(ResourceSpecifier::Topic(name));
    let settings = planned.settings.iter();
    let change = settings.fold(change, |change, (k, v)| change.set(k, v));
    let results = admin.alter_configs([&change], &AdminOptions::new()).await;
    for result in results.map_err(doing())? {
        result.map_err(|(_, code)| doing()(KafkaError::AdminOp(code)))?;
    }
    until_set(admin, name, &planned.settings).await?;
    Ok(Change::Altered(
        differ.iter().map(|setting| setting.key.clone()).collect(),
    ))
}

/// The number of partitions of the topics routed by proposal.
///
/// # Errors
/// [`Error::Unfit`] if a topic is missing that there must be, or they do not agree; [`Error::Log`]
/// if no broker answers.
pub fn partitions(connection: &Connection) -> Result<i32, Error> {
    let present = present(&connection.admin()?)?;
    let mut agreed = None;
    for &topic in Topic::ALL {
        let name = connection.topic(topic);
        let Some(&count) = present.get(&name) else {
            if topic.is_optional() {
                continue;
            }
            let remedy = "run `quorate topics apply`";
            return Err(Error::Unfit(format!(
                "topic `{name}` is not there; {remedy}"
            )));
        };
        let expected = if topic.is_table() {
            1
        } else {
            *agreed.get_or_insert(count)
        };
        if count != expected {
            return Err(Error::Unfit(format!(
                "topic `{name}` has {count} partitions, not {expected}; nothing can be decided \
                 over topics that differ, so restore what was changed"
            )));
        }
    }
    Ok(agreed.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        partitions: 6,
        replication: 1,
        retention_ms: -1,
    };

    #[test]
    fn every_topic_takes_its_time_from_the_broker() {
        for &topic in Topic::ALL {
            let settings = settings(topic, &LAYOUT);
            assert_eq!(
                settings["message.timestamp.type"], "LogAppendTime",
                "{topic}"
            );
        }
    }

    #[test]
    fn a_clients_largest_batch_fits_every_topic() {
        for &topic in Topic::ALL {
            let bytes: usize = settings(topic, &LAYOUT)["max.message.bytes"]
                .parse()
                .unwrap();
            assert!(bytes > 1_000_000, "{topic}");
        }
    }

    #[test]
    fn only_rounds_and_trust_are_compacted_and_nothing_but_claims_is_forgotten() {
        for &topic in Topic::ALL {
            let settings = settings(topic, &LAYOUT);
            let policy = match topic {
                Topic::Rounds | Topic::Trust => "compact",
                Topic::Claims => "compact,delete",
                _ => "delete",
            };
            assert_eq!(settings["cleanup.policy"], policy, "{topic}");
            let kept = settings.get("retention.ms").map(String::as_str);
            let is_kept = kept.is_none_or(|kept| kept == "-1");
            assert_eq!(is_kept, topic != Topic::Claims, "{topic}");
            assert_eq!(kept.is_none(), policy == "compact", "{topic}");
        }
    }
}
