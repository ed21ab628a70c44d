//! Records written by a schema that is not of ours, nor was released: read once it is recorded.

use quorate::wire::{Codec, Kind, partition_of, schemas, unframed};
use quorate_core::records::{Response, Verdict};
use quorate_core::topic::Topic;
use serde_json::{Value, json};

use super::{AGENTS, proposed};
use crate::support::{House, until};

const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
deadline_default = "6 s"
deadline_min = "1 s"
"#;

/// A response's schema with a field more, which comes first.
fn schema() -> String {
    let mut schema: Value = serde_json::from_str(Kind::Response.schema()).unwrap();
    let mood = json!({ "name": "mood", "type": "string" });
    schema["fields"].as_array_mut().unwrap().insert(0, mood);
    schema.to_string()
}

/// An endorsement by that schema, put into the file by plain SQL.
fn respond(house: &House, round: &str) {
    let response = Response {
        response_id: format!("of-{round}").into(),
        proposal_id: round.into(),
        proposal_digest: None,
        agent_id: "expert".into(),
        verdict: Verdict::Endorse,
        confidence: 0.9,
        reasoning: "seen".into(),
        evidence: Vec::new(),
    };
    let ours = Codec::single_object().encode(&response).unwrap();
    let fingerprint = schemas::fingerprint_of(&schema()).unwrap();
    // A string is its length, zigzag, and its bytes.
    let mood = [&[8][..], b"calm"].concat();
    let value = [
        &[0xc3, 1][..],
        &fingerprint,
        &mood,
        unframed(&ours).unwrap(),
    ]
    .concat();
    let file = rusqlite::Connection::open(house.file()).unwrap();
    let insert = "INSERT INTO responses (partition, key, value) VALUES (?1, ?2, ?3)";
    let partition = partition_of(round.as_bytes(), 2);
    file.execute(insert, (partition, round, value)).unwrap();
}

/// Whether processors have read every response.
fn is_read(house: &House) -> bool {
    let file = rusqlite::Connection::open(house.file()).unwrap();
    let unread = "SELECT NOT EXISTS (SELECT 1 FROM partitions JOIN positions
        USING (topic, partition) WHERE topic = 'responses' AND positions.next < partitions.next)";
    file.query_row(unread, [], |row| row.get(0)).unwrap()
}

/// Whether the expert was heard in a round, as its outcome says.
fn was_heard(house: &House, round: &str) -> bool {
    let outcome = house.records("outcomes", Some(round), 1).remove(0);
    let ballots = outcome["decision"]["ballots"].as_array().unwrap();
    ballots.iter().any(|ballot| ballot["agent_id"] == "expert")
}

#[test]
fn a_strangers_schema_is_learned_once_it_is_recorded_and_what_was_refused_stays_so() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let processor = house.run();
    let early = proposed(&house, "LOW");
    respond(&house, &early);
    until("it is refused", || house.count(Topic::DeadLetters, 2) == 1);
    assert!(
        house
            .ok(&["dead-letters", "list"])
            .contains("unknown_schema")
    );
    let record = ["schemas", "record", "responses-value", "-"];
    assert!(house.told(&record, &schema()).contains("recorded"));
    assert!(house.told(&record, &schema()).contains("unchanged"));
    let late = proposed(&house, "LOW");
    respond(&house, &late);
    until("it is read", || is_read(&house));
    // Both are open still, and are restored from what lies there.
    processor.kill();
    let processor = house.run();
    assert!(was_heard(&house, &late) && !was_heard(&house, &early));
    assert_eq!(house.count(Topic::DeadLetters, 2), 1);
    assert!(house.ok(&["show", &late]).contains("expert"));
    processor.stop();
}

#[test]
fn a_schema_whose_records_cannot_all_be_read_is_not_recorded() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("Other.avsc");
    let refused = |subject: &str, schema: &str, why: &str| {
        std::fs::write(&file, schema).unwrap();
        let answer = house.call(&["schemas", "record", subject, file.to_str().unwrap()]);
        let complaint = String::from_utf8(answer.stderr).unwrap();
        assert!(
            !answer.status.success() && complaint.contains(why),
            "{complaint}"
        );
    };
    refused(
        "responses-value",
        &schema().replace("confidence", "sureness"),
        "confidence",
    );
    refused(
        "opinions-value",
        &schema(),
        "`opinions-value` is no subject",
    );
    assert_eq!(house.count(Topic::Schemas, 1), 0);
}
