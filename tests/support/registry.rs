//! Registries that tests may do something to: real ones nobody else uses, and a proxy in front of
//! one that answers in its stead, as broken ones and the things before them do.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::{Started, containers, run_script};

/// A real registry with nothing in it.
#[derive(Debug)]
pub(crate) struct Fresh {
    started: Started,
}

impl Fresh {
    /// One more.
    pub(crate) fn start() -> Self {
        let started = containers::registry();
        Self {
            started: started.unwrap_or_else(|| run_script("registry.sh", &[])),
        }
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> &str {
        &self.started.address
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.started.keeper {
            drop(keeper.stdin.take());
            let _ended = keeper.wait();
        }
    }
}

/// What the proxy does with what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It passes it on.
    Sound,
    /// It passes it on, and takes its time: less than whoever asks has.
    Slow,
    /// It closes the connection.
    Deaf,
    /// It answers with a status and a body of its own.
    Page(u16, &'static str),
    /// It says of this id that there is none, as registries do.
    Without(i32),
}

#[derive(Debug)]
struct State {
    behind: String,
    mood: Mood,
    asked: BTreeMap<String, usize>,
}

/// The proxy.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    url: String,
    state: Arc<Mutex<State>>,
}

impl Door {
    /// One in front of a registry.
    pub(crate) fn before(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let path = split(registry).1;
        let door = Self {
            url: format!("http://{}{path}", listener.local_addr().unwrap()),
            state: Arc::new(Mutex::new(State {
                behind: registry.to_owned(),
                mood: Mood::Sound,
                asked: BTreeMap::new(),
            })),
        };
        let opened = door.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let door = opened.clone();
                // A client that goes away in the middle is nobody's fault.
                thread::spawn(move || drop(door.answer(&client)));
            }
        });
        door
    }

    /// Its base URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// From now on it is in this mood; what it was asked before is forgotten.
    pub(crate) fn set(&self, mood: Mood) {
        let mut state = self.state.lock().unwrap();
        state.mood = mood;
        state.asked.clear();
    }

    /// From now on another registry lies behind it.
    pub(crate) fn turn_to(&self, registry: &str) {
        self.state.lock().unwrap().behind = registry.to_owned();
    }

    /// How often it was asked for an id in this mood.
    pub(crate) fn asked_for(&self, id: i32) -> usize {
        let state = self.state.lock().unwrap();
        let count = |path: &str| state.asked.get(path).copied();
        let end = format!("/schemas/ids/{id}");
        let paths = state.asked.keys().filter(|path| path.ends_with(&end));
        paths.filter_map(|path| count(path)).sum()
    }

    fn answer(&self, client: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(client.try_clone()?);
        let mut head = String::new();
        while reader.read_line(&mut head)? > 2 {}
        let mut body = vec![0; length(&head)];
        reader.read_exact(&mut body)?;
        let path = head.split_whitespace().nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let (mood, behind) = {
            let mut state = self.state.lock().unwrap();
            *state.asked.entry(path.clone()).or_default() += 1;
            (state.mood.clone(), state.behind.clone())
        };
        let said = match mood {
            Mood::Deaf => return client.shutdown(Shutdown::Both),
            Mood::Page(status, text) => page(status, "text/html", text),
            Mood::Without(id) if path.ends_with(&format!("/schemas/ids/{id}")) => {
                let text = r#"{"error_code":40403,"message":"Schema not found"}"#;
                page(404, "application/vnd.schemaregistry.v1+json", text)
            }
            Mood::Slow => {
                // This is what it is slow by; nothing is waited for.
                thread::sleep(Duration::from_secs(5));
                pass(&behind, &head, &body)?
            }
            Mood::Sound | Mood::Without(_) => pass(&behind, &head, &body)?,
        };
        let mut client = client;
        client.write_all(&said)?;
        client.shutdown(Shutdown::Both)
    }
}

fn page(status: u16, kind: &str, text: &str) -> Vec<u8> {
    let length = text.len();
    format!(
        "HTTP/1.1 {status} So\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{text}"
    )
    .into_bytes()
}

/// Asks the registry the same on a connection of its own; all that it says.
fn pass(registry: &str, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let (host, _) = split(registry);
    let mut upstream = TcpStream::connect(&host)?;
    for line in head.trim_end().lines() {
        let name = line.split(':').next().unwrap_or_default().to_lowercase();
        if !matches!(name.as_str(), "host" | "connection") {
            write!(upstream, "{line}\r\n")?;
        }
    }
    write!(upstream, "host: {host}\r\nconnection: close\r\n\r\n")?;
    upstream.write_all(body)?;
    let mut said = Vec::new();
    upstream.read_to_end(&mut said)?;
    Ok(said)
}

/// The host and port of a URL, and its path.
fn split(url: &str) -> (String, String) {
    let rest = url.strip_prefix("http://").unwrap();
    let at = rest.find('/').unwrap_or(rest.len());
    (rest[..at].to_owned(), rest[at..].to_owned())
}

fn length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths.next().map(|(_, value)| value.trim().parse());
    length.map_or(0, Result::unwrap)
}
