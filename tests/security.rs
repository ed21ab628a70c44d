//! A house on a broker that lets in only whom it knows, and lets each do only what they must.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::people::{people, prompt_policies};
use crate::support::secured::{Listener, MASTER, PASSWORD, Secured, secured};
use crate::support::{House, parts};

/// Two experts who decide alone.
const AGENTS: &str = people!(desk ada bob);

/// Rounds close as soon as everybody active was heard.
const POLICIES: &str = prompt_policies!();

const PROPOSAL: [&str; 14] = [
    "--proposer",
    "desk",
    "--domain",
    "pay",
    "--type",
    "payment.release",
    "--subject",
    "payment-7",
    "--confidence",
    "0.9",
    "--stakes",
    "LOW",
    "--summary",
    "release it",
];

/// Furnishes a house, and takes one proposal through it.
fn decides(house: &House) {
    house.furnish(1, AGENTS, POLICIES);
    let processor = house.run();
    let id = house.propose(&PROPOSAL);
    for agent in ["ada", "bob"] {
        house.respond(&id, agent, "endorse", "0.9");
    }
    let outcome = house.records("outcomes", Some(&id), 1).remove(0);
    assert_eq!(outcome["decision"]["status"], "APPROVED");
    processor.stop();
}

#[test]
fn a_round_is_decided_by_name_and_scram_under_tls() {
    let broker = secured();
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256"] {
        let told = broker.by_name("sasl_ssl", mechanism, MASTER);
        decides(&broker.house(Listener::SaslSsl, &told));
    }
}

#[test]
fn a_round_is_decided_by_name_and_password() {
    let broker = secured();
    let told = broker.by_name("sasl_plaintext", "PLAIN", MASTER);
    decides(&broker.house(Listener::SaslPlaintext, &told));
}

#[test]
fn a_round_is_decided_by_certificate() {
    let broker = secured();
    let told = format!(
        "[security]\nprotocol = \"ssl\"\nssl_ca_location = \"{}\"\n\
         ssl_certificate_location = \"{}\"\nssl_key_location = \"{}\"\n",
        broker.file("ca.pem"),
        broker.file("house.pem"),
        broker.file("house.key"),
    );
    decides(&broker.house(Listener::Ssl, &told));
}

/// Calls that need the broker are refused, with a reason, and `run` ends as they do.
fn refused(house: &House, why: &str) {
    for call in [&["topics", "plan"][..], &["agents", "list"], &["run"]] {
        let said = house.call(call);
        let complaint = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(1), "{call:?}: {complaint}");
        assert!(complaint.contains(why), "{call:?}: {complaint}");
        assert!(complaint.contains("[security]"), "{call:?}: {complaint}");
    }
    let doctor = house.call(&["doctor"]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!(doctor.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("why  brokers: ") && said.contains(why),
        "{said}"
    );
}

#[test]
fn a_wrong_password_is_an_answer() {
    let broker = secured();
    for (listener, protocol, mechanism) in [
        (Listener::SaslSsl, "sasl_ssl", "SCRAM-SHA-512"),
        (Listener::SaslPlaintext, "sasl_plaintext", "PLAIN"),
    ] {
        let told = broker.by_name(protocol, mechanism, MASTER);
        let told = told.replace(&broker.file("password"), &broker.file("wrong"));
        refused(&broker.house(listener, &told), "uthentication failed");
    }
}

#[test]
fn a_broker_nobody_trusted_vouches_for_is_refused() {
    let broker = secured();
    let told = broker.by_name("sasl_ssl", "SCRAM-SHA-512", MASTER);
    let told = told.replace(&broker.file("ca.pem"), &broker.file("stranger.pem"));
    refused(
        &broker.house(Listener::SaslSsl, &told),
        "certificate verify failed",
    );
}

#[test]
fn whoever_comes_to_a_listener_the_wrong_way_is_told() {
    let broker = secured();
    let wrong = [
        (Listener::SaslPlaintext, "", "closed by peer"),
        (
            Listener::SaslPlaintext,
            "[security]\nprotocol = \"ssl\"\n",
            "SSL handshake failed",
        ),
    ];
    for (listener, told, why) in wrong {
        let said = broker.house(listener, told).call(&["topics", "plan"]);
        let complaint = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(1), "{complaint}");
        assert!(complaint.contains(why), "{complaint}");
    }
}

/// Registers schemas at a registry of that address, with options for it.
fn registers(broker: &Secured, registry: &str, options: &str) -> Output {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), options).unwrap();
    let prefix = House::bare().prefix;
    let call = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_quorate"))
            .arg("--config")
            .arg(file.path())
            .args(["--bootstrap", broker.open(), "--prefix", &prefix])
            .args(["--registry", registry])
            .args(arguments)
            .output()
            .unwrap()
    };
    let applied = call(&["topics", "apply", "--partitions", "1"]);
    assert!(applied.status.success(), "{applied:?}");
    call(&["schemas", "register"])
}

#[test]
fn a_registry_under_tls_is_trusted_by_certificate_and_shown_a_name() {
    let broker = secured();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/https.py");
    let who = format!("{MASTER}:{PASSWORD}");
    let mut door = Command::new("python3")
        .arg(script)
        .args([&broker.file("broker.both.pem"), &parts().registry, &who])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut port = String::new();
    let mut said = BufReader::new(door.stdout.take().unwrap());
    said.read_line(&mut port).unwrap();
    let registry = format!("https://127.0.0.1:{}", port.trim());

    let options = |password: &str| {
        format!(
            "registry_user = \"{MASTER}\"\nregistry_password_file = \"{}\"\n",
            broker.file(password)
        )
    };
    let trusted = format!("registry_ca_location = \"{}\"\n", broker.file("ca.pem"));
    let sound = registers(broker, &registry, &(options("password") + &trusted));
    assert!(sound.status.success(), "{sound:?}");
    let complaint = |options: &str| {
        let said = registers(broker, &registry, options);
        assert_eq!(said.status.code(), Some(1), "{said:?}");
        String::from_utf8(said.stderr).unwrap()
    };
    let wrong = complaint(&(options("wrong") + &trusted));
    assert!(wrong.contains("401"), "{wrong}");
    let untrusted = complaint(&options("password"));
    assert!(
        untrusted.contains("certificate verify failed"),
        "{untrusted}"
    );
    drop(door.stdin.take());
    door.wait().unwrap();
}
