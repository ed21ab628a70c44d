//! The HTTP gateway, started as a person would, and a client that says what it is told to.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate::wire::sha256;
use quorate_core::topic::Topic;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::people::{people, prompt_policies};
use super::{House, Processor, until};

/// A gateway that runs.
#[derive(Debug)]
pub(crate) struct Web {
    server: Option<Processor>,
    address: String,
    folder: TempDir,
}

/// What it answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Value,
}

/// The token of somebody in tests.
pub(crate) fn token(name: &str) -> String {
    format!("token-of-{name}")
}

/// A file of tokens: names, and their roles.
pub(crate) fn tokens(people: &[(&str, &str)]) -> String {
    let entry = |(name, role): &(&str, &str)| {
        let digest = sha256(token(name).as_bytes());
        format!("[[token]]\nsha256 = \"{digest}\"\nsubject = \"{name}\"\nroles = [\"{role}\"]\n")
    };
    people.iter().map(entry).collect()
}

/// Who takes part in a house whose gateway is tried.
pub(crate) const AGENTS: &str = people!(desk ada bob rita ledger);
/// Closes as soon as both experts were heard; what is asked of people closes in a second.
pub(crate) const POLICIES: &str = prompt_policies!(
    "\n[[policy]]\npattern = \"pay.big\"\ndeadline_default = \"1 s\"\ndeadline_min = \"1 s\"\n\
     proposer_counts = false\n"
);

/// Their tokens, and that of somebody who only looks on.
pub(crate) fn everybody() -> String {
    tokens(&[
        ("desk", "agent"),
        ("ada", "agent"),
        ("bob", "agent"),
        ("rita", "reviewer"),
        ("ledger", "reporter"),
        ("op", "operator"),
    ])
}

/// The house, on a blackboard.
pub(crate) fn house() -> House {
    House::on_blackboard(2, AGENTS, POLICIES)
}

impl House {
    /// Where a house that is a file has it.
    pub(crate) fn file(&self) -> &Path {
        self.blackboard.as_deref().unwrap()
    }

    /// How many records lie in a topic's partitions.
    pub(crate) fn count(&self, topic: Topic, partitions: i32) -> i64 {
        let reader = self.place().reader();
        let end = |partition| reader.ends(topic, partition).unwrap().1;
        (0..partitions).map(end).sum()
    }

    /// Starts a gateway, with a file of tokens or without.
    pub(crate) fn serve(&self, tokens: Option<&str>) -> Web {
        self.serve_told(tokens, "")
    }

    /// The same, of a gateway that is told this besides.
    pub(crate) fn serve_told(&self, tokens: Option<&str>, besides: &str) -> Web {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut config = self.settings();
        if let Some(tokens) = tokens {
            std::fs::write(path("tokens.toml"), tokens).unwrap();
            let file: PathBuf = path("tokens.toml");
            config += &format!("[gateway]\ntokens_file = \"{}\"\n", file.display());
        }
        config += besides;
        std::fs::write(path("quorate.toml"), config).unwrap();
        let told = path("quorate.toml");
        let mut command = self.command(&["serve", "--config", told.to_str().unwrap()]);
        command.stdout(File::create(path("said")).unwrap());
        command.stderr(File::create(path("log")).unwrap());
        let server = Processor::start("gateway", command, Some(path("log")));
        let mut web = Web {
            server: Some(server),
            address: String::new(),
            folder,
        };
        until("it serves", || web.read("said").contains('\n'));
        web.address = web.read("said").trim().replace("http://", "");
        // Asked by anybody, so that nobody is asked before it has read the log.
        if tokens.is_some() {
            until("it has read the log", || {
                web.get("op", "/v1/rounds/-").status == 404
            });
        }
        web
    }
}

impl Web {
    /// What it logged.
    pub(crate) fn log(&self) -> String {
        self.read("log")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// What it shows of itself, where `gateway.observe` is set.
    pub(crate) fn observed(&self, path: &str) -> String {
        let log = self.log();
        let mut lines = log.lines();
        let line = lines.find(|line| line.contains("serving metrics and health"));
        let line: Value = serde_json::from_str(line.unwrap()).unwrap();
        let place = line["fields"]["address"].as_str().unwrap();
        let mut stream = TcpStream::connect(place).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// How many bytes it has in memory.
    pub(crate) fn memory(&self) -> u64 {
        self.server.as_ref().unwrap().memory()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.server.take().unwrap().stop();
    }

    /// Where something is, for other programs.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Somebody who has said nothing yet.
    pub(crate) fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    /// Asks for something with these lines in the head.
    pub(crate) fn ask(&self, method: &str, path: &str, head: &[String], body: &str) -> Answer {
        let mut stream = self.connect();
        let length = body.len();
        let mut asked = format!("{method} {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n");
        for line in head {
            asked.push_str(&format!("{line}\r\n"));
        }
        asked.push_str(&format!("Content-Length: {length}\r\n\r\n{body}"));
        stream.write_all(asked.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        Answer {
            status: status.parse().unwrap(),
            body: serde_json::from_str(body).unwrap_or_else(|_| body.into()),
            head: head.to_owned(),
        }
    }

    /// Posts JSON as somebody.
    pub(crate) fn post(&self, name: &str, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, &[bearer(name)], &body.to_string())
    }

    /// A round that is proposed; its id.
    pub(crate) fn proposed(&self, domain: &str, subject: &str) -> String {
        let proposal = json!({
            "domain": domain,
            "action": { "type": "payment.block", "subject": subject },
            "confidence": 0.9,
            "stakes": "LOW",
        });
        let answer = self.post("desk", "/v1/proposals?wait=30", &proposal);
        answer.with(200)["id"].as_str().unwrap().to_owned()
    }

    /// Gets something as somebody.
    pub(crate) fn get(&self, name: &str, path: &str) -> Answer {
        self.ask("GET", path, &[bearer(name)], "")
    }
}

/// Somebody who is told what comes.
#[derive(Debug)]
pub(crate) struct Events {
    lines: BufReader<TcpStream>,
}

/// Something that came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Web {
    /// Follows something as somebody, from where it was told before if that is given.
    pub(crate) fn events(&self, name: &str, path: &str, after: Option<&str>) -> Events {
        let mut lines = BufReader::new(self.follow(name, path, after));
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        while line != "\r\n" {
            line.clear();
            lines.read_line(&mut line).unwrap();
        }
        Events { lines }
    }

    /// The same, of which nothing is read yet. By HTTP/1.0, so that nothing is cut into chunks.
    pub(crate) fn follow(&self, name: &str, path: &str, after: Option<&str>) -> TcpStream {
        let mut stream = self.connect();
        let patience = Some(Duration::from_secs(60));
        stream.set_read_timeout(patience).unwrap();
        let head = [streaming(), bearer(name)].join("\r\n");
        let after = after.map(|id| format!("Last-Event-ID: {id}\r\n"));
        let after = after.unwrap_or_default();
        let asked = format!("GET {path} HTTP/1.0\r\nHost: it\r\n{head}\r\n{after}\r\n");
        stream.write_all(asked.as_bytes()).unwrap();
        stream
    }
}

/// The line that asks for what comes.
pub(crate) fn streaming() -> String {
    "Accept: text/event-stream".to_owned()
}

impl Iterator for Events {
    type Item = Event;

    /// What comes next, waited for; none where the stream ends.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event {
            id: String::new(),
            name: String::new(),
            data: Value::Null,
        };
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                None if !event.name.is_empty() => return Some(event),
                _ => {}
            }
        }
    }
}

/// The line that shows somebody's token.
pub(crate) fn bearer(name: &str) -> String {
    format!("Authorization: Bearer {}", token(name))
}

impl Answer {
    /// The body, of an answer with this status.
    pub(crate) fn with(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{} {}", self.head, self.body);
        self.body
    }

    /// The problem it tells: it has this status and this code, and everything that belongs to one.
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        let kind = self.header("content-type");
        assert_eq!(kind.as_deref(), Some("application/problem+json"));
        let body = self.with(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        for field in ["type", "title", "detail"] {
            assert!(!body[field].as_str().unwrap().is_empty(), "{field}: {body}");
        }
        body
    }

    /// A line of its head.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// All such lines.
    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let named = lines.filter(|(of, _)| of.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.to_owned()).collect()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a gateway logged:\n{}", self.read("log"));
        }
    }
}
