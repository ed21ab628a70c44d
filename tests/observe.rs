//! What a processor shows of itself, on a real broker: metrics after a history that is known,
//! readiness while it restores, health where it does not get on, and the trace of a proposal.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate::clock::{Clock as _, System};
use quorate::telemetry::METRICS;
use quorate::transport::kafka::{Appender, Reader, Schemas, Stored};
use quorate::wire::partition_of;
use quorate_core::records::{Action, DeadLetter, Proposal, Stakes, TrustUpdate};
use quorate_core::topic::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

use crate::support::people::people;
use crate::support::{House, Observed, parts, until};

/// Two experts, a proposer without a vote, a person and a source of results.
const AGENTS: &str = people!(desk ada bob rita ledger);

/// Closes as soon as both were heard, so that nothing has to wait for a deadline.
const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
proposer_counts = false
revision = "first"
early_close = true
deadline_default = "10 min"
deadline_min = "10 ms"
"#;

const PROPOSE: &[&str] = &[
    "--proposer",
    "desk",
    "--domain",
    "pay.out",
    "--type",
    "payment.release",
    "--subject",
    "p1",
    "--confidence",
    "0.9",
    "--stakes",
    "LOW",
];

/// The metrics by name and labels, as they are written.
fn metrics(observed: &Observed) -> BTreeMap<String, f64> {
    let (status, text) = observed.get("/metrics");
    assert_eq!(status, 200, "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(sample).collect()
}

fn sum(metrics: &BTreeMap<String, f64>, name: &str) -> f64 {
    let named = metrics.iter().filter(|(of, _)| {
        of.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
    });
    named.map(|(_, value)| value).sum()
}

fn asked(observed: &Observed, path: &str) -> (u16, Value) {
    let (status, text) = observed.get(path);
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn metrics_tell_a_history_that_is_known() {
    let house = House::with(2, AGENTS, POLICIES);
    let observed = house.run_observed("one", "");
    until("it is ready", || observed.get("/readyz").0 == 200);
    let decided = house.propose(PROPOSE);
    house.respond(&decided, "ada", "endorse", "0.9");
    house.respond(&decided, "bob", "endorse", "0.9");
    let open = house.propose(PROPOSE);
    house.respond(&open, "nobody", "endorse", "0.9");
    house.respond(&open, "stranger", "endorse", "0.9");
    house.respond(&open, "ada", "endorse", "0.9");
    let deadline = (System.now().0 + 4_000).to_string();
    let silent = house.propose(&[PROPOSE, &["--deadline", &deadline]].concat());
    house.records("outcomes", Some(&decided), 1);
    house.records("outcomes", Some(&silent), 1);
    house.records("dead-letters", Some(&open), 2);
    until("everything is passed", || {
        let seen = metrics(&observed);
        sum(&seen, "quorate_passed_records_total{topic=\"responses\"}") >= 5.0
            && sum(&seen, "quorate_backlog_records") == 0.0
    });
    let seen = metrics(&observed);
    assert_eq!(seen["quorate_rounds_opened_total"], 3.0);
    assert_eq!(
        seen["quorate_rejects_total{code=\"agent_not_listed\"}"],
        2.0
    );
    assert_eq!(sum(&seen, "quorate_rejects_total"), 2.0);
    assert_eq!(sum(&seen, "quorate_outcomes_total"), 2.0);
    let approved = "quorate_outcomes_total{status=\"approved\",resolved_by=\"protocol\"}";
    assert_eq!(seen[approved], 1.0);
    // Nobody answered one of them, so a tick closed it and showed the leader's clock: ours.
    assert!(seen["quorate_ticks_total"] >= 1.0);
    let clocks: Vec<_> = seen
        .iter()
        .filter(|(name, _)| name.contains("clock_skew"))
        .collect();
    assert!(
        !clocks.is_empty() && clocks.iter().all(|(_, skew)| skew.abs() < 0.5),
        "{clocks:?}"
    );
    assert_eq!(sum(&seen, "quorate_open_rounds"), 1.0);
    assert!(sum(&seen, "quorate_oldest_open_round_seconds") > 0.0);
    assert!(seen["quorate_commits_total"] >= 1.0);
    assert_eq!(seen["quorate_partitions{state=\"live\"}"], 2.0);
    let (status, health) = asked(&observed, "/healthz");
    assert_eq!(
        (status, &health["ok"]),
        (200, &Value::Bool(true)),
        "{health}"
    );
    assert_eq!(health["partitions"].as_array().unwrap().len(), 2);
}

/// Whoever stands still for this long is ill.
const IMPATIENT: &str = "[run]\nstall_ms = 1500\n";

/// Somebody else's client, set up as they please.
#[expect(
    clippy::disallowed_methods,
    reason = "this is somebody else's tool, not ours"
)]
fn strange() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &parts().bootstrap);
    config
}

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A transaction of a stranger that has written to a topic and does not end.
pub(crate) fn hanging(house: &House, topic: Topic) -> BaseProducer {
    let mut config = strange();
    config.set("transactional.id", format!("{}stranger", house.prefix));
    // It is for the test to end it, however slow the machine.
    config.set("transaction.timeout.ms", "600000");
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(LONG).unwrap();
    producer.begin_transaction().unwrap();
    let topic = format!("{}{topic}", house.prefix);
    let record = BaseRecord::<[u8], [u8]>::to(&topic).partition(0);
    producer.send(record.key(b"k").payload(b"v")).unwrap();
    producer.flush(LONG).unwrap();
    producer
}

fn why(report: &Value) -> String {
    report["why"].to_string()
}

#[test]
fn a_transaction_in_front_of_an_input_is_an_illness_until_it_ends() {
    let house = House::with(1, AGENTS, POLICIES);
    let observed = house.run_observed("one", IMPATIENT);
    until("it is well", || observed.get("/healthz").0 == 200);
    until("it is ready", || observed.get("/readyz").0 == 200);
    let stranger = hanging(&house, Topic::Responses);
    let stall = "quorate_last_stable_offset_stall_seconds{partition=\"0\",topic=\"responses\"}";
    until("the stall shows", || {
        metrics(&observed).get(stall) > Some(&1.5)
    });
    until("it is ill", || {
        let (status, report) = asked(&observed, "/healthz");
        status == 503 && why(&report).contains("last stable offset of partition 0 of responses")
    });
    stranger.abort_transaction(LONG).unwrap();
    until("it is well again", || observed.get("/healthz").0 == 200);
    assert_eq!(metrics(&observed)[stall], 0.0);
    // What was aborted and the end of it leave nothing to read, and count for nothing.
    until("there is no backlog", || {
        let (name, ends) = ("quorate_backlog_records", house.ends(Topic::Responses));
        ends == (0, 2) && sum(&metrics(&observed), name) == 0.0
    });
    until("it stays well", || observed.get("/healthz").0 == 200);
}

#[test]
fn it_is_not_ready_while_it_restores() {
    let house = House::with(1, AGENTS, POLICIES);
    let observed = house.run_observed("one", "");
    until("it is ready", || observed.get("/readyz").0 == 200);
    let id = house.propose(PROPOSE);
    house.respond(&id, "ada", "endorse", "0.9");
    until("both are passed", || {
        sum(&metrics(&observed), "quorate_passed_records_total") >= 2.0
    });
    observed.stop();
    // A restore reads the scores to their end, which this hides.
    let stranger = hanging(&house, Topic::Trust);
    let observed = house.run_observed("one", "");
    until("it restores", || {
        let (status, report) = asked(&observed, "/readyz");
        status == 503 && why(&report).contains("partition 0 is being restored")
    });
    let seen = metrics(&observed);
    assert_eq!(seen["quorate_ready"], 0.0);
    assert_eq!(seen["quorate_partitions{state=\"restoring\"}"], 1.0);
    assert_eq!(seen["quorate_restore_progress_ratio{partition=\"0\"}"], 0.0);
    assert_eq!(observed.get("/healthz").0, 200);
    stranger.abort_transaction(LONG).unwrap();
    until("it is ready", || observed.get("/readyz").0 == 200);
    let seen = metrics(&observed);
    assert_eq!(seen["quorate_restore_progress_ratio{partition=\"0\"}"], 1.0);
    // The round and the response it rests on.
    assert_eq!(seen["quorate_restored_records_total"], 2.0);
    assert_eq!(seen["quorate_open_rounds{partition=\"0\"}"], 1.0);
    assert!(seen["quorate_restore_duration_seconds{partition=\"0\"}"] > 0.0);
    assert!(seen["quorate_restore_rate_records_per_second{partition=\"0\"}"] > 0.0);
}

#[test]
fn a_halted_partition_is_an_illness_that_is_named() {
    let house = House::with(1, AGENTS, POLICIES);
    let observed = house.run_observed("one", "");
    until("it is ready", || observed.get("/readyz").0 == 200);
    // Somebody lets senders say what time it is.
    let name = format!("{}responses", house.prefix);
    let admin: AdminClient<DefaultClientContext> = strange().create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name));
    let change = change.set("message.timestamp.type", "CreateTime");
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let altered = runtime.block_on(admin.alter_configs([&change], &AdminOptions::new()));
    altered.unwrap().remove(0).unwrap();
    let id = house.propose(PROPOSE);
    house.respond(&id, "ada", "endorse", "0.9");
    for path in ["/healthz", "/readyz"] {
        until("it is ill", || {
            let (status, report) = asked(&observed, path);
            status == 503 && why(&report).contains("partition 0 is halted: ")
        });
    }
    until("it has joined again", || {
        metrics(&observed)["quorate_partitions{state=\"halted\"}"] == 1.0
    });
    assert!(metrics(&observed)["quorate_aborts_total"] >= 1.0);
}

#[test]
fn a_round_that_cannot_be_read_halts_its_partition_alone() {
    let house = House::with(2, AGENTS, POLICIES);
    let on = |partition| {
        let ids = std::iter::repeat_with(|| uuid::Uuid::now_v7().to_string());
        let mut here = ids.filter(|id| partition_of(id.as_bytes(), 2) == partition);
        here.next().unwrap()
    };
    let decide = |id: &str| {
        house.propose(&[PROPOSE, &["--id", id]].concat());
        for agent in ["ada", "bob"] {
            house.respond(id, agent, "endorse", "0.9");
        }
        house.records("outcomes", Some(id), 1);
    };
    let observed = house.run_observed("one", "");
    decide(&on(0));
    observed.stop();
    let appender = Appender::open(&house.connection()).unwrap();
    let (key, value) = (on(0), &b"nonsense"[..]);
    appender
        .append(Topic::Rounds, 0, Some(key.as_bytes()), Some(value), &[])
        .unwrap();
    appender.settle().unwrap();
    let observed = house.run_observed("one", "");
    until("it is named", || {
        let why = observed.get("/readyz").1;
        why.contains("partition 0 is halted: rounds at offset ") && why.contains("cannot be read")
    });
    decide(&on(1));
    observed.stop();
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Proposes on the wrong partition, with a trace; the proposal's id.
fn propose_astray(house: &House, partitions: i32) -> String {
    let id = uuid::Uuid::now_v7().to_string();
    let proposal = Proposal {
        proposal_id: id.clone(),
        proposer: "desk".to_owned(),
        domain: "pay.out".to_owned(),
        action: Action {
            r#type: "payment.release".to_owned(),
            subject: "p1".to_owned(),
            parameters: Vec::new(),
        },
        summary: String::new(),
        rationale: String::new(),
        confidence: 0.9,
        stakes: Stakes::High,
        deadline: None,
        supersedes: None,
        labels: Vec::new(),
    };
    let connection = house.connection();
    let schemas = Schemas::load(&connection).unwrap();
    let value = schemas.codec().encode(&proposal).unwrap();
    let right = partition_of(id.as_bytes(), partitions);
    let (key, trace) = (Some(id.as_bytes()), [("traceparent", TRACE.as_bytes())]);
    let appender = Appender::open(&connection).unwrap();
    let astray = (right + 1) % partitions;
    appender
        .append(Topic::Proposals, astray, key, Some(&value), &trace)
        .unwrap();
    appender.settle().unwrap();
    id
}

/// What lies in a topic.
fn read(house: &House, topic: Topic, partitions: i32) -> Vec<Stored> {
    let reader = Reader::open(&house.connection()).unwrap();
    let mut found = Vec::new();
    for partition in 0..partitions {
        let (start, end) = reader.ends(topic, partition).unwrap();
        let read = reader.read_to(topic, partition, start, end, |stored| {
            found.push(stored);
            Ok(())
        });
        read.unwrap();
    }
    found
}

fn updates(house: &House, partitions: i32) -> Vec<TrustUpdate> {
    let schemas = Schemas::load(&house.connection()).unwrap();
    let read = read(house, Topic::TrustUpdates, partitions).into_iter();
    let decoded = read.map(|stored| schemas.codec().decode(&stored.value.unwrap()).unwrap().0);
    decoded.collect()
}

#[test]
fn a_trace_goes_from_the_proposal_to_whatever_follows_and_so_do_the_log_lines() {
    const PARTITIONS: i32 = 2;
    let house = House::with(2, AGENTS, POLICIES);
    let json = "[log]\nlevel = \"info,quorate=debug\"\nformat = \"json\"\n";
    let observed = house.run_observed("one", json);
    let id = propose_astray(&house, PARTITIONS);
    house.respond(&id, "nobody", "endorse", "0.9");
    // After this no answer can change that a person must decide.
    house.respond(&id, "ada", "endorse", "0.9");
    let package = house.records("escalations", Some(&id), 1).remove(0);
    let digest = package["package_digest"].as_str().unwrap();
    let who = ["decide", "--proposal", &id, "--reviewer", "rita"];
    let what = ["--package", digest, "--verdict", "approve"];
    house.ok(&[&who[..], &what[..]].concat());
    let outcomes = house.records("outcomes", Some(&id), 2);
    let who = ["report", "--proposal", &id, "--reporter", "ledger"];
    house.ok(&[&who[..], &["--result", "right"]].concat());
    until("it teaches", || !updates(&house, PARTITIONS).is_empty());
    let update = updates(&house, PARTITIONS).remove(0);
    assert_eq!(update.outcome.traceparent.as_deref(), Some(TRACE));
    let trace = Value::String(TRACE.to_owned());
    for coordinates in [
        &package["coordinates"],
        &outcomes[0]["coordinates"],
        &outcomes[1]["coordinates"],
    ] {
        assert_eq!(coordinates["traceparent"], trace, "{coordinates}");
    }
    for topic in [
        Topic::Proposals,
        Topic::Rounds,
        Topic::Outcomes,
        Topic::Escalations,
        Topic::TrustUpdates,
    ] {
        let found = read(&house, topic, PARTITIONS).into_iter();
        let found: Vec<_> = found.map(|stored| stored.traceparent).collect();
        assert!(!found.is_empty(), "{topic}");
        assert!(
            found.iter().all(|trace| trace.as_deref() == Some(TRACE)),
            "{topic}: {found:?}"
        );
    }
    told_in_json(&observed, &id);
}

/// A trace of the same shape, told from others by its last digits.
fn trace(number: u8) -> String {
    format!("{}{number:02x}-01", &TRACE[..TRACE.len() - 5])
}

/// Appends something to the responses, with a header that is no trace.
fn respond_nonsense(house: &House, key: &str) {
    let appender = Appender::open(&house.connection()).unwrap();
    let long = trace(9) + &"-more".repeat(10_000);
    let headers = [("traceparent", long.as_bytes())];
    let (key, value) = (Some(key.as_bytes()), Some(&b"nonsense"[..]));
    appender
        .append(Topic::Responses, 0, key, value, &headers)
        .unwrap();
    appender.settle().unwrap();
}

#[test]
fn whoever_is_refused_finds_the_trace_in_the_dead_letter() {
    let house = House::with(1, AGENTS, POLICIES);
    let _observed = house.run_observed("one", "");
    let id = house.propose(&[PROPOSE, &["--traceparent", &trace(1)]].concat());
    let call = |arguments: &[&str], number| {
        house.ok(&[arguments, &["--traceparent", &trace(number)]].concat());
    };
    let verdict = ["--verdict", "abstain", "--confidence", "0.5"];
    let nobody = ["respond", "--proposal", &id, "--agent", "nobody"];
    call(&[&nobody[..], &verdict].concat(), 2);
    respond_nonsense(&house, &id);
    for agent in ["ada", "bob"] {
        house.respond(&id, agent, "endorse", "0.9");
    }
    let outcome = house.records("outcomes", Some(&id), 1).remove(0);
    assert_eq!(outcome["coordinates"]["traceparent"], trace(1));
    // What waits before it is judged keeps its trace, too.
    let digest = "0".repeat(64);
    let who = ["decide", "--proposal", &id, "--reviewer", "rita"];
    let what = ["--package", &digest, "--verdict", "approve"];
    call(&[&who[..], &what].concat(), 3);
    let who = ["report", "--proposal", &id, "--reporter", "nobody"];
    call(&[&who[..], &["--result", "right"]].concat(), 4);
    until("all are refused", || {
        read(&house, Topic::DeadLetters, 1).len() == 4
    });
    let codec = Schemas::load(&house.connection()).unwrap();
    let letters = read(&house, Topic::DeadLetters, 1)
        .into_iter()
        .map(|letter| {
            let (of, _) = codec.codec().decode(&letter.value.unwrap()).unwrap();
            let of: DeadLetter = of;
            (of.topic, letter.traceparent)
        });
    let mut letters: Vec<_> = letters.collect();
    letters.sort();
    let of = |topic: &str, trace| (topic.to_owned(), trace);
    let traced = [
        of("decisions", Some(trace(3))),
        of("responses", None),
        of("responses", Some(trace(2))),
        of("results", Some(trace(4))),
    ];
    assert_eq!(letters, traced);

    let zeros = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    for (wrong, why) in [
        ("00-x", "lower-case hex"),
        (&zeros, "trace id is all zeros"),
    ] {
        for verb in ["propose", "respond", "decide", "report"] {
            let said = house.call(&[verb, "--traceparent", wrong]);
            assert_eq!(said.status.code(), Some(2), "{verb}");
            let said = String::from_utf8(said.stderr).unwrap();
            assert!(said.contains(why), "{said}");
        }
    }
}

/// Looks whether every line is JSON, and what is decisive was said.
fn told_in_json(observed: &Observed, id: &str) {
    let log = observed.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines {
        for field in ["timestamp", "level", "target", "fields"] {
            assert!(!line[field].is_null(), "{line}");
        }
    }
    let of = |message: &str| {
        let mut said = lines.iter().map(|line| &line["fields"]);
        let said = said.find(|fields| fields["message"] == message);
        said.unwrap_or_else(|| panic!("nobody said `{message}`"))
    };
    for message in ["round opened", "round decided", "round put before people"] {
        let fields = of(message);
        assert_eq!(
            (&fields["proposal_id"], &fields["traceparent"]),
            (&id.into(), &TRACE.into())
        );
        for field in ["partition", "offset"] {
            assert!(fields[field].is_i64(), "{fields}");
        }
    }
    assert_eq!(of("round put before people")["domain"], "pay.out");
    assert_eq!(of("record refused")["code"], "agent_not_listed");
    assert_eq!(of("record forwarded")["topic"], "proposals");
    for message in ["assigned", "restored", "serving metrics and health"] {
        of(message);
    }
}

#[test]
fn log_lines_for_people_name_the_same_fields() {
    let house = House::with(1, AGENTS, POLICIES);
    let observed = house.run_observed("one", "[log]\nlevel = \"quorate=debug\"\n");
    let id = house.propose(PROPOSE);
    let opened = format!("round opened proposal_id={id}");
    until("it is told", || observed.log().contains(&opened));
    assert!(!observed.log().contains('\u{1b}'), "nobody coloured a file");
}

fn file(path: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The table in the docs is the one in the program; `UPDATE=1` writes it.
#[test]
fn the_docs_say_of_every_metric_what_the_program_says() {
    let mut table = "| Metric | Kind | Labels | Meaning | What to do |\n".to_owned();
    table += "| --- | --- | --- | --- | --- |\n";
    for metric in METRICS {
        table += &metric.line();
        table.push('\n');
    }
    let path = file("docs/metrics.md");
    let docs = std::fs::read_to_string(&path).unwrap();
    let before = docs.find("| Metric |").unwrap_or(docs.len());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, docs[..before].to_owned() + &table).unwrap();
        return;
    }
    assert_eq!(&docs[before..], table, "UPDATE=1 writes it anew");
}

#[test]
fn every_alert_rests_on_metrics_there_are_and_says_what_to_do() {
    let alerts = std::fs::read_to_string(file("deploy/prometheus/alerts.yaml")).unwrap();
    // Of each metric there is, of a verifier too, the page has a line with its labels.
    let docs = std::fs::read_to_string(file("docs/metrics.md")).unwrap();
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: Vec<_> = rows.filter_map(|row| row.split_once("` | ")).collect();
    let is_told =
        |metric: &quorate::telemetry::Metric| rows.iter().any(|(name, _)| *name == metric.name());
    assert!(METRICS.iter().all(is_told));
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let rules: Vec<&str> = alerts.split("- alert: ").skip(1).collect();
    assert!(rules.len() > 10);
    for rule in rules {
        let expr = rule
            .lines()
            .find(|line| line.trim().starts_with("expr: "))
            .unwrap();
        let words = expr
            .split(|c| !is_word(c))
            .filter(|word| word.starts_with("quorate_"));
        let words: Vec<_> = words.map(|word| word.trim_end_matches("_bucket")).collect();
        assert!(!words.is_empty(), "{rule}");
        for word in words {
            let row = rows.iter().find(|(name, _)| *name == word);
            let (_, told) = row.unwrap_or_else(|| panic!("{word} is no metric"));
            // What it selects is one of its labels.
            let selects = expr.split_once(&format!("{word}{{"));
            let selects = selects.and_then(|(_, rest)| rest.split_once('}'));
            for selected in selects.iter().flat_map(|(all, _)| all.split(',')) {
                let (label, value) = selected.split_once("=\"").unwrap();
                let value = value.trim_end_matches('"');
                assert!(
                    told.contains(&format!("`{label}`")),
                    "{word} has no {label}"
                );
                // Where the page lists its values, this is one.
                let is_listed = told.contains(&format!("`{label}` ("));
                let is_known = told.contains(&format!("`{value}`"));
                assert!(is_known || !is_listed, "{word} is never {value}");
            }
        }
        for key in ["severity: ", "summary: ", "remedy: "] {
            assert!(rule.contains(key), "{rule} has no {key}");
        }
    }
}

/// A message that holds what differs cannot be searched for, nor counted.
#[test]
fn what_differs_in_a_warning_is_in_its_fields() {
    let mut folders = vec![file("src")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for level in ["tracing::warn!(", "tracing::error!("] {
                for said in text.split(level).skip(1) {
                    let said = said.split(");").next().unwrap();
                    let mut parts = said.split('"');
                    let (fields, message) = (parts.next().unwrap(), parts.next().unwrap());
                    assert!(!message.contains('{'), "{}: {said}", path.display());
                    assert!(!fields.trim().is_empty(), "{}: {said}", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 5, "{seen}");
}
