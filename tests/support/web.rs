//! The HTTP gateway, started as a person would, and a client that says what it is told to.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use quorate::wire::sha256;
use quorate_core::topic::Topic;
use serde_json::Value;
use tempfile::TempDir;

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
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut config = String::new();
        if let Some(tokens) = tokens {
            std::fs::write(path("tokens.toml"), tokens).unwrap();
            let file: PathBuf = path("tokens.toml");
            config = format!("[gateway]\ntokens_file = \"{}\"\n", file.display());
        }
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
    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.server.take().unwrap().stop();
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

    /// Gets something as somebody.
    pub(crate) fn get(&self, name: &str, path: &str) -> Answer {
        self.ask("GET", path, &[bearer(name)], "")
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
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(of, _)| of.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.to_owned())
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a gateway logged:\n{}", self.read("log"));
        }
    }
}
