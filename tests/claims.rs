//! Claims to escalations: one reviewer's at every gateway, whoever was asked; told to everybody, and in
//! what people did; and nothing is decided by them.

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use quorate::transport::Stored;
use quorate::transport::blackboard::Blackboard;
use quorate::wire::partition_of;
use quorate_core::ids::Millis;
use quorate_core::records::Claim;
use quorate_core::topic::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::people::people;
use crate::support::web::{Answer, Event, POLICIES, Web, bearer, tokens};
use crate::support::{House, until};

const AGENTS: &str = concat!(
    people!(desk ada bob rita),
    "\n[[agent]]\nagent_id = \"olga\"\nkind = \"HUMAN\"\n\
     reviews = [{ domain = \"pay\", up_to_stakes = \"CRITICAL\" }]\n"
);

fn everybody() -> String {
    tokens(&[
        ("desk", "agent"),
        ("rita", "reviewer"),
        ("olga", "reviewer"),
        ("op", "operator"),
    ])
}

/// An escalation that waits, at every one of these gateways.
fn escalated(webs: &[Web], subject: &str) -> String {
    let proposal = json!({
        "domain": "pay.big",
        "action": { "type": "payment.block", "subject": subject },
        "confidence": 0.9,
        "stakes": "LOW",
    });
    let said = webs[0].post("desk", "/v1/proposals?wait=30", &proposal);
    let id = said.with(200)["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/escalations?subject={subject}");
    for web in webs {
        until("it waits", || {
            web.get("op", &path).with(200)["escalations"] != json!([])
        });
    }
    id
}

fn claim(web: &Web, method: &str, name: &str, round: &str) -> Answer {
    let path = format!("/v1/escalations/{round}/claim");
    web.ask(method, &path, &[bearer(name)], "")
}

/// Whose claim a gateway tells of.
fn holder(web: &Web, round: &str) -> Value {
    let told = web.get("op", &format!("/v1/escalations/{round}")).with(200);
    told["claim"]["reviewer"].clone()
}

/// The next change of a claim: of which round, and whose it is then.
fn told(events: &mut impl Iterator<Item = Event>) -> (Value, Value) {
    let mut claims = events.filter(|event| event.name == "Claim");
    let data = claims.next().unwrap().data;
    (
        data["proposal_id"].clone(),
        data["claim"]["reviewer"].clone(),
    )
}

#[test]
fn a_claim_is_one_reviewers_at_every_gateway_until_it_is_given_up_or_decided() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let _processor = house.run();
    let webs = [(); 2].map(|()| house.serve(Some(&everybody())));
    let [here, there] = &webs;
    let round = escalated(&webs, "a");
    let lies = house.records("escalations", Some(&round), 1).remove(0);
    let mut olga = there.events("olga", "/v1/escalations?domain=pay", None);
    let mut elsewhere = there.events("olga", "/v1/escalations?domain=garden", None);

    let given = claim(here, "PUT", "rita", &round).with(200);
    assert_eq!(given["reviewer"], "rita");
    assert_eq!(told(&mut olga), (json!(round), json!("rita")));
    let list = there.get("op", "/v1/escalations").with(200);
    let mut listed = list["escalations"][0].clone();
    assert_eq!(listed["claim"], given, "the same to everybody");
    for beside in ["claim", "may_decide"] {
        listed.as_object_mut().unwrap().remove(beside);
    }
    assert_eq!(listed, lies, "the record is what it was");

    let problem = claim(there, "PUT", "olga", &round).problem(409, "already_claimed");
    assert_eq!(problem["claim"], given);
    claim(there, "DELETE", "olga", &round).problem(409, "already_claimed");
    for name in ["op", "desk"] {
        claim(here, "PUT", name, &round).problem(403, "role_missing");
    }
    let again = claim(there, "PUT", "rita", &round).with(200);
    assert!(
        again["until"].as_i64() >= given["until"].as_i64(),
        "renewed"
    );
    // Whoever begins to follow is told which stand.
    let mut late = here.events("op", "/v1/escalations", None);
    assert_eq!(told(&mut late), (json!(round), json!("rita")));

    claim(here, "DELETE", "rita", &round).with(204);
    claim(here, "DELETE", "rita", &round).with(204);
    until("it is free", || holder(there, &round) == Value::Null);
    claim(there, "PUT", "olga", &round).with(200);
    let decision = json!({
        "proposal_id": round, "package_digest": lies["package_digest"], "verdict": "APPROVE",
    });
    let path = "/v1/decisions?wait=30";
    let refused = json!({
        "proposal_id": round, "package_digest": "00".repeat(32), "verdict": "APPROVE",
    });
    there
        .post("olga", path, &refused)
        .problem(422, "package_mismatch");
    assert_eq!(
        holder(there, &round),
        "olga",
        "who was refused is still at it"
    );
    there.post("olga", path, &decision).with(200);
    let last = claims(&house, 2).pop().unwrap();
    assert_eq!((&*last.reviewer, last.lasts_ms), ("olga", Millis(0)));
    until("it is decided", || {
        claim(here, "PUT", "rita", &round).status == 404
    });
    let other = escalated(&webs, "b");
    // Nothing came that is not of its domain, as what comes now is the first.
    here.post("desk", "/v1/proposals", &json!({})).with(400);
    claim(here, "PUT", "rita", &other).with(200);
    assert_eq!(told(&mut olga).0, json!(round), "renewed");
    drop(webs);
    assert_eq!(elsewhere.next(), None);
}

/// Every claim there is, each partition's in order.
fn claims(house: &House, partitions: i32) -> Vec<Claim> {
    let (reader, codec) = (house.place().reader(), house.place().codec());
    let mut found = Vec::new();
    for partition in 0..partitions {
        let (start, end) = reader.ends(Topic::Claims, partition).unwrap();
        let mut each = |stored: Stored| {
            found.push(codec.decode::<Claim>(&stored.value.unwrap()).unwrap().0);
            Ok(ControlFlow::Continue(()))
        };
        let read = reader.read_to(Topic::Claims, partition, start, end, &mut each);
        read.unwrap();
    }
    found
}

/// Takes a topic away, as if an earlier release had laid the house out.
#[expect(
    clippy::disallowed_methods,
    reason = "an operator's tools are not of our making"
)]
fn lose(house: &House, topic: Topic) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", house.bootstrap());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let name = house.connection().topic(topic);
    let deleted = admin.delete_topics(&[&name], &AdminOptions::new());
    assert_eq!(runtime.block_on(deleted).unwrap(), [Ok(name.clone())]);
    until("it is gone", || {
        let all = admin
            .inner()
            .fetch_metadata(None, Duration::from_secs(30))
            .unwrap();
        !all.topics().iter().any(|topic| topic.name() == name)
    });
}

/// Two reviewers claim each of some escalations at the same time, at two gateways.
fn raced(house: &House) {
    let webs = [(); 2].map(|()| house.serve(Some(&everybody())));
    for number in 0..4 {
        let round = escalated(&webs, &format!("race-{number}"));
        let people = ["rita", "olga"];
        let answers = thread::scope(|scope| {
            let round = &round;
            let claims = webs.iter().zip(people);
            let claims = claims
                .map(|(web, name)| scope.spawn(move || claim(web, "PUT", name, round)))
                .collect::<Vec<_>>();
            claims
                .into_iter()
                .map(|claim| claim.join().unwrap())
                .collect::<Vec<_>>()
        });
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        let won = statuses.iter().position(|status| *status == 200).unwrap();
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        for answer in answers.into_iter().filter(|answer| answer.status == 409) {
            let problem = answer.problem(409, "already_claimed");
            assert_eq!(problem["claim"]["reviewer"], people[won]);
        }
        for web in &webs {
            until("both tell the same", || holder(web, &round) == people[won]);
        }
    }
    audited(house, &webs);
    for web in webs {
        web.stop();
    }
}

/// What was claimed and given up is told of as what people did, at every gateway, and in files.
fn audited(house: &House, webs: &[Web; 2]) {
    let [here, there] = webs;
    let round = escalated(webs, "audited");
    claim(here, "PUT", "rita", &round).with(200);
    assert_eq!(done(here, &round), [json!(["rita", "CLAIMED", null])]);
    claim(here, "DELETE", "rita", &round).with(204);
    claim(here, "PUT", "olga", &round).with(200);
    // As of another gateway that had not read yet whose it is; and of no round.
    let (mut pen, codec) = (house.place().pen(), house.place().codec());
    for key in ["none", &round] {
        let claim = Claim {
            proposal_id: key.to_owned(),
            reviewer: "rita".to_owned(),
            lasts_ms: Millis(900_000),
        };
        let value = codec.encode(&claim).unwrap();
        let (key, partition) = (key.as_bytes(), partition_of(round.as_bytes(), 2));
        pen.append(Topic::Claims, partition, Some(key), Some(&value), &[]);
    }
    pen.settle().unwrap();
    let all = [
        json!(["rita", "CLAIMED", "already_claimed"]),
        json!(["olga", "CLAIMED", null]),
        json!(["rita", "RELEASED", null]),
        json!(["rita", "CLAIMED", null]),
    ];
    let later = house.serve(Some(&everybody()));
    for web in [here, there, &later] {
        until("it is told", || done(web, &round) == all);
        let audit = web.get("op", "/v1/audit").with(200);
        assert_eq!(audit["lacks"], Value::Null);
        assert!(!audit.to_string().contains("\"none\""));
        let hers = web.get("op", "/v1/audit?kind=claim&by=olga").with(200);
        let hers = &hers["actions"][0];
        assert_eq!(
            (&hers["about"], &hers["topic"]),
            (&json!(round), &json!("claims"))
        );
        let csv = web.get("op", "/v1/audit/export?kind=claim&by=olga").body;
        let line = format!("\"claim\",\"olga\",\"{round}\",\"CLAIMED\"");
        assert!(
            csv.to_string().contains(&line.replace('"', "\\\"")),
            "{csv}"
        );
        let json = web.get("op", "/v1/audit/export?format=jsonl&kind=claim");
        assert!(json.body.to_string().contains("already_claimed"));
    }
    later.stop();
}

/// What a gateway tells of a round's claims, the latest first: by whom, what, and why it is none.
fn done(web: &Web, round: &str) -> Vec<Value> {
    let audit = web.get("op", "/v1/audit?kind=claim").with(200);
    let all = audit["actions"].as_array().unwrap().iter();
    let of_it = all.filter(|action| action["about"] == round);
    of_it
        .map(|action| json!([action["by"], action["says"], action["refused"]]))
        .collect()
}

#[test]
fn of_two_who_claim_at_once_one_has_it() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let _processor = house.run();
    raced(&house);
}

#[test]
fn on_kafka_one_has_it_and_a_house_without_the_topic_goes_on_without_claims() {
    let house = House::with(2, AGENTS, POLICIES);
    lose(&house, Topic::Claims);
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    goes_on_without(&house, &web);
    web.stop();
    raced(&house);
}

#[test]
fn a_file_of_an_earlier_release_goes_on_without_claims_until_they_are_added() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let file = Connection::open(house.file()).unwrap();
    file.execute_batch(
        "DROP VIEW claims; DELETE FROM topics WHERE topic = 'claims';
         DELETE FROM partitions WHERE topic = 'claims'",
    )
    .unwrap();
    drop(file);
    let _processor = house.run();
    let web = house.serve(Some(&everybody()));
    goes_on_without(&house, &web);
    let board = Blackboard::open(house.file()).unwrap();
    assert!(board.missing().unwrap().is_empty());
}

/// Everything but claims is done, it is said how to get them, and then they are there.
fn goes_on_without(house: &House, web: &Web) {
    let webs = std::slice::from_ref(web);
    let round = escalated(webs, "old");
    let problem = claim(web, "PUT", "rita", &round).problem(503, "claims_unavailable");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("run `quorate topics apply`"), "{detail}");
    assert!(web.log().contains("no escalation can be claimed"));
    let audit = web.get("op", "/v1/audit").with(200);
    let lacks = audit["lacks"].as_str().unwrap();
    assert!(lacks.contains("run `quorate topics apply`"), "{lacks}");
    assert_eq!(holder(web, &round), Value::Null);
    let partitions = ["--partitions", "2"];
    assert!(
        !house
            .call(&[&["topics", "plan"], &partitions[..]].concat())
            .status
            .success()
    );
    house.ok(&[&["topics", "apply"], &partitions[..]].concat());
    until("it can be claimed", || {
        let answer = claim(web, "PUT", "rita", &round);
        assert!([200, 503].contains(&answer.status), "{answer:?}");
        answer.status == 200
    });
}

#[test]
fn nothing_is_decided_by_claims() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let processor = house.run();
    let webs = [house.serve(Some(&everybody()))];
    let free = escalated(&webs, "same");
    let decision = |round: &str| {
        let mut outcome = house.records("outcomes", Some(round), 1).remove(0);
        let mut decision = outcome["decision"].take();
        // The proposal is its proposer's ballot, too.
        let digest = decision["proposal_digest"].take();
        assert_eq!(decision["ballots"][0]["response_digest"].take(), digest);
        decision
    };
    // Claims of the next round lie there before it is, and what is none.
    let mut pen = house.place().pen();
    let codec = quorate::wire::Codec::single_object();
    let claimed = uuid::Uuid::now_v7().to_string();
    for (key, reviewer) in [(&claimed, "rita"), (&claimed, "olga"), (&free, "rita")] {
        let claim = Claim {
            proposal_id: key.clone(),
            reviewer: reviewer.to_owned(),
            lasts_ms: Millis(900_000),
        };
        let value = codec.encode(&claim).unwrap();
        pen.append(Topic::Claims, 0, Some(key.as_bytes()), Some(&value), &[]);
    }
    pen.append(
        Topic::Claims,
        0,
        Some(claimed.as_bytes()),
        Some(b"none"),
        &[],
    );
    pen.append(Topic::Claims, 0, Some(claimed.as_bytes()), None, &[]);
    pen.settle().unwrap();
    let proposal = json!({
        "proposal_id": claimed,
        "domain": "pay.big",
        "action": { "type": "payment.block", "subject": "same" },
        "confidence": 0.9,
        "stakes": "LOW",
    });
    webs[0]
        .post("desk", "/v1/proposals?wait=30", &proposal)
        .with(200);
    assert_eq!(decision(&claimed), decision(&free));
    until("the first has it", || holder(&webs[0], &claimed) == "rita");
    let digest = house.records("escalations", Some(&claimed), 1).remove(0)["package_digest"].take();
    // Whoever decides, whosever claim it is.
    let said = json!({ "proposal_id": claimed, "package_digest": digest, "verdict": "REJECT" });
    webs[0]
        .post("olga", "/v1/decisions?wait=30", &said)
        .with(200);
    processor.stop();
    assert_eq!(house.count(Topic::DeadLetters, 1), 0);
}
