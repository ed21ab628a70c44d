//! The topics as the protocol needs them: created, compared, put right; partitions never changed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::connection::{LARGEST_RECORD, PATIENCE};
use super::{Connection, Error};

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
/// Above the longest default deadline (seven days) and a day, so that open rounds find the scores
/// they pinned.
const TRUST_LAG_MS: i64 = 9 * 24 * 60 * 60 * 1_000;

/// The settings of a topic.
fn settings(topic: Topic, layout: &Layout) -> BTreeMap<&'static str, String> {
    let mut settings = BTreeMap::from([("message.timestamp.type", "LogAppendTime".to_owned())]);
    let bytes = match topic {
        Topic::Proposals | Topic::Responses | Topic::Decisions | Topic::Results => INPUT_BYTES,
        _ => LARGEST_RECORD,
    };
    settings.insert("max.message.bytes", bytes.to_string());
    let policy = match topic {
        Topic::Rounds | Topic::Trust => "compact",
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
            settings.insert("min.compaction.lag.ms", TRUST_LAG_MS.to_string());
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
fn present(admin: &AdminClient<DefaultClientContext>) -> Result<BTreeMap<String, i32>, Error> {
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
/// are found by that number, so it is never changed. [`Error::Kafka`] if a broker says no.
pub async fn apply(
    connection: &Connection,
    layout: &Layout,
) -> Result<Vec<(Topic, Change)>, Error> {
    let admin = connection.admin()?;
    let present = present(&admin)?;
    for &topic in Topic::ALL {
        let wanted = if topic.is_table() {
            1
        } else {
            layout.partitions
        };
        if let Some(&found) = present.get(&connection.topic(topic))
            && found != wanted
        {
            let name = connection.topic(topic);
            return Err(Error::Unfit(format!(
                "topic `{name}` has {found} partitions, not {wanted}; the number is fixed once \
                 rounds are there, so set `topics.partitions` to what is there, or use a new prefix"
            )));
        }
    }
    let mut changes = Vec::new();
    for &topic in Topic::ALL {
        let name = connection.topic(topic);
        let change = if present.contains_key(&name) {
            alter(&admin, &name, &settings(topic, layout)).await?
        } else {
            create(&admin, topic, &name, layout).await?
        };
        changes.push((topic, change));
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
    topic: Topic,
    name: &str,
    layout: &Layout,
) -> Result<Change, Error> {
    let doing = || format!("create topic `{name}`");
    let partitions = if topic.is_table() {
        1
    } else {
        layout.partitions
    };
    let settings = settings(topic, layout);
    let replication = TopicReplication::Fixed(layout.replication);
    let new = settings.iter().fold(
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
                return alter(admin, name, &settings).await;
            }
            Err((_, code)) => return Err(Error::kafka(doing())(KafkaError::AdminOp(code))),
        }
    }
    Ok(Change::Created)
}

/// Sets what differs. The broker's call replaces every setting of the topic, so those an operator
/// made are repeated.
async fn alter(
    admin: &AdminClient<DefaultClientContext>,
    name: &str,
    wanted: &BTreeMap<&'static str, String>,
) -> Result<Change, Error> {
    let doing = |what: &str| Error::kafka(format!("{what} settings of topic `{name}`"));
    let admin_op = KafkaError::AdminOp;
    let options = AdminOptions::new();
    let resource = ResourceSpecifier::Topic(name);
    let described = admin.describe_configs([&resource], &options).await;
    let mut current = BTreeMap::new();
    let mut set = BTreeMap::new();
    for described in described.map_err(doing("describe"))? {
        for entry in described
            .map_err(|code| doing("describe")(admin_op(code)))?
            .entries
        {
            let value = entry.value.unwrap_or_default();
            if entry.source == ConfigSource::DynamicTopic {
                set.insert(entry.name.clone(), value.clone());
            }
            current.insert(entry.name, value);
        }
    }
    let differs = |&(key, value): &(&&'static str, &String)| current.get(*key) != Some(value);
    let altered: Vec<_> = wanted
        .iter()
        .filter(differs)
        .map(|(key, _)| (*key).to_owned())
        .collect();
    if altered.is_empty() {
        return Ok(Change::Unchanged);
    }
    set.extend(wanted.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    let change = set
        .iter()
        .fold(AlterConfig::new(resource), |change, (k, v)| {
            change.set(k, v)
        });
    for result in admin
        .alter_configs([&change], &options)
        .await
        .map_err(doing("alter"))?
    {
        result.map_err(|(_, code)| doing("alter")(admin_op(code)))?;
    }
    Ok(Change::Altered(altered))
}

/// The number of partitions of the topics routed by proposal.
///
/// # Errors
/// [`Error::Unfit`] if a topic is missing or they do not agree; [`Error::Kafka`] if no broker
/// answers.
pub fn partitions(connection: &Connection) -> Result<i32, Error> {
    let present = present(&connection.admin()?)?;
    let mut agreed = None;
    for &topic in Topic::ALL {
        let name = connection.topic(topic);
        let Some(&count) = present.get(&name) else {
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
    fn only_rounds_and_trust_are_compacted_and_nothing_else_is_forgotten() {
        for &topic in Topic::ALL {
            let settings = settings(topic, &LAYOUT);
            let compacted = matches!(topic, Topic::Rounds | Topic::Trust);
            assert_eq!(
                settings["cleanup.policy"] == "compact",
                compacted,
                "{topic}"
            );
            assert_eq!(settings.contains_key("retention.ms"), !compacted, "{topic}");
        }
    }
}
