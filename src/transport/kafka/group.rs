//! What the consumer group may say that no member can work through, and what to do about it.
//!
//! Two processors of one name would take each other's place for ever, so the one that is told
//! twice that it was replaced ends. Whoever shares the partitions by another rule than `range`
//! would part a proposal from its responses, so with such a member in the group nobody works.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::{Connection, Error};
use crate::transport::INPUTS;

/// What the group says by refusing a member for good; none if there is hope.
pub(super) fn refusal(connection: &Connection, name: &str, error: &KafkaError) -> Option<Error> {
    let group = connection.group();
    match error.rdkafka_error_code()? {
        RDKafkaErrorCode::FencedInstanceId => Some(replaced(name)),
        RDKafkaErrorCode::InconsistentGroupProtocol => Some(Error::Refused(format!(
            "group `{group}` is in use by somebody who shares its partitions by another rule than \
             `range`; find them with `kafka-consumer-groups --describe --group {group} --members \
             --verbose`, stop them or give them a group of their own, and start again"
        ))),
        code @ (RDKafkaErrorCode::TransactionalIdAuthorizationFailed
        | RDKafkaErrorCode::GroupAuthorizationFailed
        | RDKafkaErrorCode::TopicAuthorizationFailed) => Some(Error::Refused(format!(
            "this principal may not do a processor's work ({code}); allow it what `quorate topics \
             acls` says of one"
        ))),
        _ => None,
    }
}

/// An error as it is, or what the group says by it.
pub(super) fn judged(connection: &Connection, name: &str, error: Error) -> Error {
    let refused = said(&error).and_then(|said| refusal(connection, name, said));
    refused.unwrap_or(error)
}

/// As [`refusal`], where the client holds back what was said.
pub(super) fn fatal<C: ConsumerContext>(consumer: &BaseConsumer<C>, name: &str) -> Option<Error> {
    let (code, why) = consumer.client().fatal_error()?;
    Some(match code {
        RDKafkaErrorCode::FencedInstanceId => replaced(name),
        _ => Error::Unfit(format!("the client has given up: {why}")),
    })
}

fn replaced(name: &str) -> Error {
    Error::Replaced(format!(
        "another processor has started under the name of this one and took the place of its \
         engine `{name}`; see that no two processors run with the same `--instance`"
    ))
}

/// Whether a producer's id was taken over; a transaction given up for its time looks the same.
pub(super) fn is_taken_over(error: &Error) -> bool {
    use RDKafkaErrorCode as Code;
    let code = said(error).and_then(KafkaError::rdkafka_error_code);
    matches!(
        code,
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
    )
}

/// What the client library said, if it was that.
fn said(error: &Error) -> Option<&KafkaError> {
    match error {
        Error::Log { source, .. } => source.downcast_ref(),
        _ => None,
    }
}

/// The partitions that were assigned, of which every input must be.
///
/// # Errors
/// [`Error::Unfit`] if somebody else was given a part of one.
pub(super) fn whole(connection: &Connection, list: &TopicPartitionList) -> Result<Vec<i32>, Error> {
    let mut given: BTreeMap<i32, BTreeSet<Topic>> = BTreeMap::new();
    for element in list.elements() {
        let topics = given.entry(element.partition()).or_default();
        topics.extend(connection.named(element.topic()));
    }
    let lacks = |topics: &BTreeSet<Topic>| INPUTS.into_iter().find(|topic| !topics.contains(topic));
    let parted = given
        .iter()
        .find_map(|(partition, topics)| Some((partition, lacks(topics)?)));
    if let Some((partition, topic)) = parted {
        let group = connection.group();
        return Err(Error::Unfit(format!(
            "group `{group}` gave us partition {partition}, but not of {topic}; see that every \
             topic has as many partitions, by `quorate topics plan`, and that no member shares \
             them by another rule than `range`, by `kafka-consumer-groups --describe --group \
             {group} --members --verbose`"
        )));
    }
    Ok(given.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        Connection::new("localhost:1", "acp.", BTreeMap::new()).unwrap()
    }

    fn list(connection: &Connection, given: &[(i32, &[Topic])]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, topics) in given {
            for topic in *topics {
                list.add_partition(&connection.topic(*topic), *partition);
            }
        }
        list
    }

    #[test]
    fn whole_partitions_are_taken_in_order() {
        let connection = connection();
        let list = list(&connection, &[(3, &INPUTS), (1, &INPUTS)]);
        assert_eq!(whole(&connection, &list).unwrap(), [1, 3]);
        let none = TopicPartitionList::new();
        assert_eq!(whole(&connection, &none).unwrap(), [] as [i32; 0]);
    }

    #[test]
    fn a_partition_shared_with_somebody_is_not_taken() {
        let connection = connection();
        let list = list(&connection, &[(1, &INPUTS), (2, &INPUTS[..4])]);
        let error = whole(&connection, &list).unwrap_err().to_string();
        assert!(
            error.contains("partition 2, but not of trust-updates"),
            "{error}"
        );
        assert!(error.contains("`range`"), "{error}");
    }
}
