//! Webhooks: each escalation is told, signed, again and again until it is taken; across restarts, by
//! one of several gateways; never where a redirect leads, nor at addresses that are not public.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::web::{AGENTS, POLICIES, Web, everybody};
use crate::support::{House, until};

/// The secret, and the bytes it tells.
pub(crate) const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const BYTES: &str = "0123456789abcdef0123456789abcdef";

/// What came.
#[derive(Clone, Debug)]
pub(crate) struct Came {
    head: String,
    body: String,
}

impl Came {
    fn header(&self, name: &str) -> String {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(of, _)| of.eq_ignore_ascii_case(name));
        found
            .unwrap_or_else(|| panic!("no {name}: {self:?}"))
            .1
            .to_owned()
    }

    pub(crate) fn told(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Somebody who is told, and answers as long as the test runs.
pub(crate) struct Receiver {
    port: u16,
    came: Arc<Mutex<Vec<Came>>>,
    /// How many answers of the first kind are left.
    first: Arc<AtomicUsize>,
}

impl Receiver {
    /// Answers so the first so many times, and 204 from then on.
    pub(crate) fn answering(first: &'static str, times: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            came: Arc::default(),
            first: Arc::new(AtomicUsize::new(times)),
        };
        let (came, left) = (Arc::clone(&receiver.came), Arc::clone(&receiver.first));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                stream
                    .set_read_timeout(Some(Duration::from_secs(60)))
                    .unwrap();
                let mut text = Vec::new();
                let whole = loop {
                    let mut some = [0; 4096];
                    match stream.read(&mut some) {
                        Ok(count) if count > 0 => text.extend(&some[..count]),
                        _ => break false,
                    }
                    if is_whole(&String::from_utf8_lossy(&text)) {
                        break true;
                    }
                };
                let text = String::from_utf8_lossy(&text).into_owned();
                let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
                let (head, body) = (head.to_owned(), body.to_owned());
                came.lock().unwrap().push(Came { head, body });
                let one_less = |left: usize| left.checked_sub(1);
                let is_first = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
                let status = if is_first.is_ok() {
                    first
                } else {
                    "204 No Content"
                };
                let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n");
                if whole {
                    // Whoever asked may be gone by now.
                    let _answered = stream.write_all(answer.as_bytes());
                }
            }
        });
        receiver
    }

    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Which escalations came, each as often as it did.
    fn ids(&self) -> Vec<String> {
        let ids = self.came().into_iter();
        ids.map(|came| came.header("webhook-id")).collect()
    }
}

/// Whether all of a request is there.
fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_some_and(|length| body.len() >= length.parse().unwrap())
}

/// The part of a configuration that tells an address, with a file of the secret in a folder.
pub(crate) fn telling(folder: &TempDir, name: &str, url: &str, more: &str) -> String {
    let file = folder.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let file = file.display();
    format!(
        "[[gateway.webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret_file = \"{file}\"\n{more}\n"
    )
}

/// The same of a receiver of a test.
fn told(folder: &TempDir, name: &str, receiver: &Receiver, more: &str) -> String {
    let url = format!("http://127.0.0.1:{}/hook?key=1", receiver.port);
    telling(folder, name, &url, &format!("allow_private = true\n{more}"))
}

/// Has a round about something escalated; its id.
pub(crate) fn escalate_as(web: &Web, subject: &str) -> String {
    let proposal = json!({
        "domain": "pay.big",
        "action": { "type": "payment.block", "subject": subject },
        "summary": "secretive words",
        "confidence": 0.9,
        "stakes": "LOW",
    });
    let said = web.post("desk", "/v1/proposals?wait=30", &proposal);
    said.body["id"].as_str().unwrap().to_owned()
}

fn with_tier(ids: &[String]) -> BTreeSet<String> {
    ids.iter().map(|id| format!("{id}.1")).collect()
}

/// The signature as somebody else computes it.
fn signature(came: &Came) -> String {
    let script = "import base64, hashlib, hmac, sys\n\
        key, signed = sys.argv[1].encode(), sys.argv[2].encode()\n\
        print(base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode())";
    let (id, at) = (came.header("webhook-id"), came.header("webhook-timestamp"));
    let signed = format!("{id}.{at}.{}", came.body);
    let mut command = std::process::Command::new("python3");
    let said = command
        .args(["-c", script, BYTES, &signed])
        .output()
        .unwrap();
    format!("v1,{}", String::from_utf8(said.stdout).unwrap().trim())
}

#[test]
fn an_escalation_is_told_signed_until_it_is_taken_and_dead_ends_keep_nobody_back() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let _processor = house.run();
    let folder = TempDir::new().unwrap();
    let busy = Receiver::answering("500 Busy", 2);
    let elsewhere = Receiver::answering("204 No Content", 0);
    let lost = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}/", lost.local_addr().unwrap());
    let far = Box::leak(
        format!(
            "302 Found\r\nLocation: http://127.0.0.1:{}/",
            elsewhere.port
        )
        .into_boxed_str(),
    );
    let moved = Receiver::answering(far, 1);
    let other = Receiver::answering("204 No Content", 0);
    drop(lost);
    let besides = [
        "public_url = \"https://quorate.example\"\nobserve = \"127.0.0.1:0\"\n".to_owned(),
        telling(&folder, "dead", &dead, "allow_private = true"),
        told(&folder, "busy", &busy, ""),
        told(&folder, "moved", &moved, "summary = true"),
        told(
            &folder,
            "other",
            &other,
            "stakes = \"MEDIUM\"\ndomains = [\"pay\"]",
        ),
    ]
    .concat();
    let web = house.serve_told(Some(&everybody()), &besides);
    let round = escalate_as(&web, "payment-7");
    for receiver in [&busy, &moved] {
        until("it is taken", || {
            receiver.first.load(Ordering::SeqCst) == 0 && receiver.came().len() > 1
        });
    }
    until("it is taken the third time", || busy.came().len() == 3);
    let all = busy.came();
    let first = &all[0];
    for came in &all {
        assert!(came.head.starts_with("POST /hook?key=1 "), "{came:?}");
        assert_eq!(came.body, first.body);
        assert_eq!(came.header("webhook-id"), format!("{round}.1"));
        assert_eq!(came.header("webhook-signature"), signature(came));
    }
    let package = house.records("escalations", Some(&round), 1).remove(0);
    let expected = json!({
        "type": "escalation",
        "id": format!("{round}.1"),
        "proposal_id": round,
        "domain": "pay.big",
        "stakes": "LOW",
        "action": { "type": "payment.block", "subject": "payment-7" },
        "reasons": package["content"]["decision"]["reasons"],
        "tier": 1,
        "due": package["due"],
        "package_digest": package["package_digest"],
        "url": format!("https://quorate.example/console/?round={round}"),
    });
    assert_eq!(first.told(), expected, "and nothing an agent wrote");
    assert_eq!(moved.came()[0].told()["summary"], "secretive words");
    assert!(elsewhere.came().is_empty(), "where a redirect leads");
    assert!(other.came().is_empty(), "its stakes are too low");
    until("the dead one is said", || web.log().contains("\"dead\""));
    assert!(web.log().contains("an escalation was not taken"));
    what_was_told_is_counted(&web);
    let log = web.log();
    assert!(!log.contains("key=1") && !log.contains("whsec"), "{log}");
    web.stop();
}

/// By webhook's names, and without where they are.
fn what_was_told_is_counted(web: &Web) {
    let counted = |what: &str, webhook: &str| {
        let of = format!("quorate_gateway_webhook_{what}{{webhook=\"{webhook}\"}} ");
        let metrics = web.observed("/metrics");
        let mut lines = metrics.lines();
        let count = lines.find_map(|line| line.strip_prefix(&*of));
        count.map(|count| count.parse::<u64>().unwrap())
    };
    until("what was taken is counted", || {
        counted("delivered_total", "busy") == Some(1)
            && counted("delivered_total", "moved") == Some(1)
    });
    assert_eq!(counted("failed_tries_total", "busy"), Some(2));
    assert_eq!(counted("failed_tries_total", "moved"), Some(1));
    until("nothing waits where all is taken", || {
        counted("waiting", "busy") == Some(0)
    });
    assert_eq!(counted("waiting", "dead"), Some(1));
    assert_eq!(counted("delivered_total", "dead"), Some(0));
    assert!(counted("failed_tries_total", "dead") > Some(0));
    assert_eq!(counted("given_up_total", "dead"), Some(0));
    for what in ["delivered_total", "failed_tries_total", "waiting"] {
        assert_eq!(counted(what, "other"), Some(0), "{what}");
    }
    let metrics = web.observed("/metrics");
    assert!(!metrics.contains("127.0.0.1") && !metrics.contains("key=1"));
}

#[test]
fn whoever_leads_to_this_machine_is_not_told_unless_that_is_allowed() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let _processor = house.run();
    let folder = TempDir::new().unwrap();
    let [secret, open] = [(); 2].map(|()| Receiver::answering("204 No Content", 0));
    let url = |receiver: &Receiver| format!("https://localhost:{}/", receiver.port);
    let besides = [
        telling(&folder, "guarded", &url(&secret), ""),
        telling(&folder, "allowed", &url(&open), "allow_private = true"),
    ]
    .concat();
    let web = house.serve_told(Some(&everybody()), &besides);
    escalate_as(&web, "payment-8");
    until("it is refused", || {
        web.log().contains("`localhost` leads to no public address")
    });
    // Not in TLS, of which it knows nothing; but it was asked.
    until("the other one is asked", || !open.came().is_empty());
    assert!(secret.came().is_empty());
    web.stop();
}

/// A gateway that is stopped, others that go on, and nothing that is not told.
fn is_told_across_restarts(house: &House) {
    let _processor = house.run();
    let folder = TempDir::new().unwrap();
    let receiver = Receiver::answering("503 Later", usize::MAX);
    let besides = told(&folder, "desk", &receiver, "");
    // What waits before anybody is told is told, too, and what is decided by then is not.
    let plain = house.serve(Some(&everybody()));
    let over = escalate_as(&plain, "over");
    let mut ids = vec![escalate_as(&plain, "before")];
    let package = house.records("escalations", Some(&over), 1).remove(0);
    let decision = json!({
        "proposal_id": over, "package_digest": package["package_digest"], "verdict": "REJECT",
    });
    plain
        .post("rita", "/v1/decisions?wait=30", &decision)
        .with(200);
    house.records("escalations", Some(&ids[0]), 1);
    until("it is known to be over", || {
        let round = plain.get("op", &format!("/v1/rounds/{over}")).body;
        round["state"] == "CLOSED"
    });
    let web = house.serve_told(Some(&everybody()), &besides);
    ids.push(escalate_as(&web, "first"));
    until("it is tried in vain", || {
        with_tier(&ids).is_subset(&receiver.ids().into_iter().collect())
    });
    web.stop();
    ids.push(escalate_as(&plain, "while nobody tells"));
    receiver.first.store(0, Ordering::SeqCst);
    let before = receiver.came().len();
    let webs = [(); 2].map(|()| house.serve_told(Some(&everybody()), &besides));
    ids.push(escalate_as(&webs[1], "with two"));
    until("all are taken", || {
        let since = &receiver.ids()[before..];
        with_tier(&ids).is_subset(&since.iter().cloned().collect())
    });
    assert!(!receiver.ids().contains(&format!("{over}.1")));
    for web in webs {
        web.stop();
    }
    let before = receiver.came().len();
    let web = house.serve_told(Some(&everybody()), &besides);
    let last = escalate_as(&web, "last");
    until("it is taken", || {
        receiver.ids().contains(&format!("{last}.1"))
    });
    let since = &receiver.ids()[before..];
    assert_eq!(
        since,
        [format!("{last}.1")],
        "what was taken is not told again"
    );
    web.stop();
    plain.stop();
}

#[test]
fn what_is_escalated_is_told_across_restarts() {
    is_told_across_restarts(&House::on_blackboard(2, AGENTS, POLICIES));
}

#[test]
fn on_kafka_what_is_escalated_is_told_across_restarts() {
    is_told_across_restarts(&House::with(2, AGENTS, POLICIES));
}

#[test]
fn a_webhook_that_cannot_be_used_stops_the_start() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let folder = TempDir::new().unwrap();
    let config = folder.path().join("quorate.toml");
    for (url, why) in [
        ("https://127.0.0.1/", "an address that is not public"),
        ("http://hooks.example/", "no URL under https"),
    ] {
        std::fs::write(&config, telling(&folder, "desk", url, "")).unwrap();
        let said = house.call(&["serve", "--config", config.to_str().unwrap()]);
        let complaint = String::from_utf8_lossy(&said.stderr);
        assert!(
            !said.status.success() && complaint.contains(why),
            "{complaint}"
        );
        assert!(complaint.contains("webhook `desk`"), "{complaint}");
    }
}
