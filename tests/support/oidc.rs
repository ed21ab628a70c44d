//! An issuer of tokens that does as it is told: `oidc/issuer.mjs`.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::node;

/// Every algorithm a token may be signed by.
pub(crate) const ALGORITHMS: [&str; 9] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
];

/// An issuer that runs.
#[derive(Debug)]
pub(crate) struct Issuer {
    child: Child,
    talk: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
    address: String,
}

impl Issuer {
    /// Starts one with a key for each algorithm.
    pub(crate) fn start(algorithms: &[&str]) -> Self {
        let mut child = node("support/oidc", "issuer.mjs")
            .args(algorithms)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let talk = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        let mut issuer = Self {
            child,
            talk: RefCell::new(talk),
            address: String::new(),
        };
        issuer.address = issuer.said().as_str().unwrap().to_owned();
        issuer
    }

    fn said(&self) -> Value {
        let mut line = String::new();
        self.talk.borrow_mut().1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    fn tell(&self, what: &str, mut rest: Value) -> Value {
        rest["tell"] = what.into();
        let line = format!("{rest}\n");
        let sent = self.talk.borrow_mut().0.write_all(line.as_bytes());
        sent.unwrap();
        self.said()
    }

    /// A token, as it is asked for.
    pub(crate) fn mint(&self, how: &Value) -> String {
        let token = self.tell("mint", how.clone());
        token.as_str().unwrap().to_owned()
    }

    /// A sound token of somebody in some roles.
    pub(crate) fn token(&self, subject: &str, roles: &[&str]) -> String {
        self.mint(&json!({ "claims": claims(subject, roles) }))
    }

    /// Has somebody sign in at its page from now on: `claims` are laid over what is said of them,
    /// `brings` over what comes back with them, `answer` over what a code is answered by.
    pub(crate) fn person(&self, who: &Value) {
        self.tell("person", who.clone());
    }

    /// What was shown with the last code.
    pub(crate) fn shown(&self) -> Value {
        self.tell("shown", json!({}))
    }

    /// Has other keys from now on, and none of those before.
    pub(crate) fn rotate(&self, algorithms: &[&str]) {
        self.tell("rotate", json!({ "algorithms": algorithms }));
    }

    /// Does not answer any more.
    pub(crate) fn go_away(&self) {
        self.tell("away", json!({}));
    }

    /// Answers again.
    pub(crate) fn come_back(&self) {
        self.tell("back", json!({}));
    }

    /// Where it sends a browser that comes to a page of its.
    pub(crate) fn visit(&self, url: &str) -> String {
        let rest = url.strip_prefix(&self.address).unwrap();
        let place = self.address.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(place).unwrap();
        let asked = format!("GET {rest} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, after) = answer.split_once("\r\nLocation: ").expect(&answer);
        after.lines().next().unwrap().to_owned()
    }

    /// How often it was asked for its keys.
    pub(crate) fn times(&self) -> u64 {
        self.tell("count", json!({})).as_u64().unwrap()
    }

    /// As its tokens name it.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What a gateway is told that believes it.
    pub(crate) fn told(&self) -> String {
        let issuer = &self.address;
        format!(
            "[gateway.oidc]\nissuer = \"{issuer}\"\naudience = \"quorate\"\n\
             roles_claim = \"realm_access.roles\"\n"
        )
    }
}

/// What a sound token claims.
pub(crate) fn claims(subject: &str, roles: &[&str]) -> Value {
    json!({ "aud": "quorate", "sub": subject, "realm_access": { "roles": roles } })
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
