//! The brokers and what they run, the topics and how they are set.

use std::collections::BTreeMap;

use quorate_core::topic::Topic;

use super::Findings;
use crate::command::topics::layout;
use crate::config::Config;
use crate::transport::kafka::{self, Broker, Cluster, Connection, Step};

/// The oldest release whose brokers fence a transaction's earlier owner by the group's generation.
const OLDEST: (u32, u32) = (2, 5);

/// Says which brokers there are, what they run, and who keeps watch at the door.
pub(super) fn look(found: &mut Findings, cluster: &Cluster, config: &Config) {
    let each: Vec<_> = cluster
        .brokers
        .iter()
        .map(|broker| format!("{} at {}", broker.id, broker.address))
        .collect();
    let id = cluster.id.as_deref().unwrap_or("without an id");
    found.ok(
        "brokers",
        format!("cluster {id}: broker {}", each.join(", ")),
    );
    let mut authorizers = Vec::new();
    for broker in &cluster.brokers {
        match &broker.settings {
            Ok(settings) => {
                version(found, broker, settings);
                timeout(found, broker, settings, config);
                let named = settings.get("authorizer.class.name");
                authorizers.push(named.is_some_and(|name| !name.is_empty()));
            }
            Err(why) => found.note(
                "versions",
                format!(
                    "broker {} does not tell its settings ({why}); this principal needs \
                     DescribeConfigs on the cluster",
                    broker.id
                ),
            ),
        }
    }
    access(found, &authorizers);
}

fn version(found: &mut Findings, broker: &Broker, settings: &BTreeMap<String, String>) {
    let id = broker.id;
    // KRaft alone since 4.0, where this setting went; what else brokers say of their release is
    // not passed on by the client library.
    let Some(version) = settings.get("inter.broker.protocol.version") else {
        let what = format!("broker {id} runs 4.0 or later; which, this client cannot tell");
        return found.ok("versions", what);
    };
    let mut numbers = version.split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST => {
            let what = format!("broker {id} speaks release {version}, which does not fence");
            let mend = "upgrade to 2.5 or later: exactly-once rests on it";
            found.why("versions", what, mend);
        }
        _ => found.ok(
            "versions",
            format!("broker {id} speaks release {version}; what it runs may be later"),
        ),
    }
}

fn timeout(
    found: &mut Findings,
    broker: &Broker,
    settings: &BTreeMap<String, String>,
    config: &Config,
) {
    let name = "transaction.max.timeout.ms";
    let most = settings.get(name).and_then(|text| text.parse::<u64>().ok());
    let ours = config.run.transaction_timeout_ms;
    if most.is_some_and(|most| most < ours) {
        let what = format!(
            "broker {} lets transactions last {} ms, less than the {ours} ms configured",
            broker.id,
            most.unwrap_or_default()
        );
        let mend = format!("lower `run.transaction_timeout_ms` or raise `{name}`");
        found.why("transactions", what, &mend);
    }
}

fn access(found: &mut Findings, authorizers: &[bool]) {
    let what = if authorizers.is_empty() {
        "whether access is controlled cannot be told"
    } else if authorizers.iter().all(|&there| there) {
        "access is controlled, by what this client cannot read; compare `kafka-acls --list` with \
         `quorate topics acls`"
    } else {
        "a broker has no authorizer: whoever reaches it may write everything, and be anybody; see \
         `quorate topics acls`"
    };
    found.note("access", what);
}

/// Says whether the topics are there, alike in partitions, and set as they should be.
pub(super) async fn topics(
    found: &mut Findings,
    connection: &Connection,
    cluster: &Cluster,
    config: &Config,
) {
    let counts = &cluster.partitions;
    // What the numbers should be is what they are; whether they agree is looked at by itself.
    let there = counts.iter().find(|(topic, _)| !topic.is_table());
    let number = there.map_or(config.topics.partitions, |(_, &count)| count);
    alike(found, connection, counts, number);
    if there.is_some() && number != config.topics.partitions {
        let configured = config.topics.partitions;
        let what = format!("`topics.partitions` is {configured}, and there are {number}");
        found.note("partitions", what);
    }
    let planned = kafka::plan(connection, &layout(config, number)).await;
    let mend = "see that this principal may describe the topics' settings";
    let Some(planned) = found.made("topics", planned, mend) else {
        return;
    };
    for planned in &planned {
        let topic = connection.topic(planned.topic);
        if let Step::Set(differ) = &planned.step {
            for setting in differ {
                let from = setting.from.as_deref().unwrap_or("nothing");
                let what = format!("`{topic}` has {} {from}, not {}", setting.key, setting.to);
                found.why("topics", what, "run `quorate topics apply`");
            }
        }
    }
    if !found.ails("topics") && !found.ails("partitions") {
        let what = format!("{} topics are set as they should be", planned.len());
        found.ok("topics", what);
    }
}

fn alike(
    found: &mut Findings,
    connection: &Connection,
    counts: &BTreeMap<Topic, i32>,
    number: i32,
) {
    let check = "partitions";
    for &topic in Topic::ALL {
        let name = connection.topic(topic);
        let wanted = if topic.is_table() { 1 } else { number };
        match counts.get(&topic) {
            None => found.why(
                check,
                format!("topic `{name}` is not there, or this principal may not describe it"),
                "run `quorate topics apply`, or see `quorate topics acls`",
            ),
            Some(&count) if count != wanted => found.why(
                check,
                format!("topic `{name}` has {count} partitions, not {wanted}"),
                "nothing can be decided over topics that differ: restore what was changed",
            ),
            Some(_) => {}
        }
    }
    if !found.ails(check) {
        let what = format!("{number} of every topic routed by proposal, 1 of every table");
        found.ok(check, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::State;

    fn states(found: &Findings) -> Vec<(&'static str, State)> {
        found.0.iter().map(|f| (f.check, f.state)).collect()
    }

    #[test]
    fn a_broker_too_old_to_fence_or_too_impatient_is_named() {
        let broker = |settings: &[(&str, &str)]| Broker {
            id: 1,
            address: "b:9092".to_owned(),
            settings: Ok(settings
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()),
        };
        let old = ("inter.broker.protocol.version", "2.4-IV1");
        let short = ("transaction.max.timeout.ms", "5000");
        let acl = ("authorizer.class.name", "x");
        let cluster = Cluster {
            id: None,
            brokers: vec![broker(&[old, acl]), broker(&[short, acl])],
            partitions: BTreeMap::new(),
        };
        let mut found = Findings::default();
        look(&mut found, &cluster, &Config::parse("").unwrap());
        assert_eq!(
            states(&found),
            [
                ("brokers", State::Ok),
                ("versions", State::Why),
                ("versions", State::Ok),
                ("transactions", State::Why),
                ("access", State::Note),
            ]
        );
    }

    #[test]
    fn topics_of_which_one_was_widened_are_not_alike() {
        let connection = Connection::new("b:1", "acp.", BTreeMap::new()).unwrap();
        let of = |topic: &Topic| (*topic, if topic.is_table() { 1 } else { 6 });
        let mut counts: BTreeMap<_, _> = Topic::ALL.iter().map(of).collect();
        let mut found = Findings::default();
        alike(&mut found, &connection, &counts, 6);
        assert_eq!(states(&found), [("partitions", State::Ok)]);
        counts.insert(Topic::Responses, 8);
        let mut found = Findings::default();
        alike(&mut found, &connection, &counts, 6);
        assert_eq!(states(&found), [("partitions", State::Why)]);
        assert!(found.0[0].what.contains("acp.responses"));
    }
}
