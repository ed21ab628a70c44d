//! Records that say nothing, in topics of outputs: what ends transactions there that nobody else
//! would end (`src/transport/kafka/settle.rs`). Whoever reads goes on as if they were not there.

use quorate::engine::TICK;
use quorate::transport::kafka::Appender;
use quorate::wire::partition_of;
use quorate_core::topic::Topic;
use serde_json::{Value, json};

use crate::support::web::{AGENTS, POLICIES, Web, everybody};
use crate::support::{House, until};

const PARTITIONS: i32 = 3;

/// One in every partition of every topic that a processor writes to.
fn say_nothing(house: &House) {
    let appender = Appender::open(&house.connection()).unwrap();
    let tick: &[(&str, &[u8])] = &[TICK];
    let outputs = [
        Topic::Outcomes,
        Topic::Escalations,
        Topic::DeadLetters,
        Topic::TrustUpdates,
    ];
    for partition in 0..PARTITIONS {
        for topic in outputs {
            appender.append(topic, partition, None, None, tick).unwrap();
        }
        let bytes = uuid::Uuid::now_v7().into_bytes();
        let nobody = uuid::Builder::from_custom_bytes(bytes).into_uuid();
        let nobody = nobody.to_string().into_bytes();
        let belongs = partition_of(&nobody, PARTITIONS);
        let nobody = Some(&nobody[..]);
        appender
            .append(Topic::Rounds, belongs, nobody, None, &[])
            .unwrap();
        appender.append(Topic::Trust, 0, nobody, None, &[]).unwrap();
    }
    appender.settle().unwrap();
}

/// A round that stays open, and one that comes to wait for a person.
fn proposed(web: &Web) -> [String; 2] {
    ["pay.out", "pay.big"].map(|domain| web.proposed(domain, domain))
}

fn asked(house: &House, arguments: &[&str]) -> Value {
    let said = house.ok(&[arguments, &["--output", "json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{said}"))
}

#[test]
fn what_says_nothing_is_passed_over_by_everybody() {
    let house = House::with(PARTITIONS.unsigned_abs(), AGENTS, POLICIES);
    let web = house.serve(Some(&everybody()));
    say_nothing(&house);
    let one = house.run();
    let mut rounds = Vec::from(proposed(&web));
    let appender = Appender::open(&house.connection()).unwrap();
    let nonsense = Some(&b"nonsense"[..]);
    appender
        .append(Topic::Responses, 0, Some(b"k"), nonsense, &[])
        .unwrap();
    appender.settle().unwrap();
    let waits = |round: &str| {
        until("it is escalated", || {
            web.get("rita", &format!("/v1/escalations/{round}")).status == 200
        });
    };
    waits(&rounds[1]);
    say_nothing(&house);
    // Engines and gateways that read all of it go on, and those that begin with it there.
    rounds.extend(proposed(&web));
    waits(&rounds[3]);
    one.stop();
    let again = house.run();
    rounds.extend(proposed(&web));
    waits(&rounds[5]);
    for round in &rounds {
        assert_eq!(asked(&house, &["show", round])["proposal_id"], **round);
    }
    for round in rounds.iter().skip(1).step_by(2) {
        house.ok(&["explain", round]);
    }
    let letters = asked(&house, &["dead-letters", "list"]);
    assert_eq!(letters.as_array().map(Vec::len), Some(1), "{letters}");
    house.ok(&["watch", "--from-beginning", "--to-end"]);
    let verified = asked(&house, &["verify"]);
    assert_eq!(verified["broken"], json!([]), "{verified}");
    let file = std::env::temp_dir().join(format!("{}empties.avro", house.prefix));
    let place = file.to_str().unwrap();
    house.ok(&["export", place]);
    house.ok(&["verify", "--export", place]);
    house.ok(&["replay", "--export", place]);
    std::fs::remove_file(file).unwrap();
    let fresh = house.serve(Some(&everybody()));
    let waiting = fresh.get("rita", "/v1/escalations").with(200);
    assert_eq!(waiting["escalations"].as_array().map(Vec::len), Some(3));
    again.stop();
}
