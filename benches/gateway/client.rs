//! Somebody who speaks HTTP over a connection of his own, and keeps it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// A connection.
pub(crate) struct Caller {
    stream: BufReader<TcpStream>,
    token: String,
}

impl Caller {
    pub(crate) async fn new(address: &str, token: String) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let stream = BufReader::with_capacity(1024, stream);
        Self { stream, token }
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> (u16, Value) {
        self.ask("POST", path, &body.to_string()).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "").await
    }

    /// Opens a stream of events; waits for the first of a name, and tells its data.
    pub(crate) async fn event(&mut self, path: &str, name: &str) -> Value {
        self.send("GET", path, "Accept: text/event-stream\r\n", "")
            .await;
        let (mut line, mut is_it) = (String::new(), false);
        loop {
            line.clear();
            let read = self.stream.read_line(&mut line).await.unwrap();
            assert!(read > 0, "the stream has ended");
            if let Some(event) = line.strip_prefix("event:") {
                is_it = event.trim() == name;
            } else if is_it && let Some(data) = line.strip_prefix("data:") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }

    async fn send(&mut self, method: &str, path: &str, head: &str, body: &str) {
        let (token, length) = (&self.token, body.len());
        let asked = format!(
            "{method} {path} HTTP/1.1\r\nHost: it\r\nAuthorization: Bearer {token}\r\n{head}\
             Content-Length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(asked.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, Value) {
        self.send(method, path, "", body).await;
        let (mut line, mut length) = (String::new(), 0);
        self.stream.read_line(&mut line).await.unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line.trim() != "" {
            line.clear();
            self.stream.read_line(&mut line).await.unwrap();
            if let Some((name, value)) = line.split_once(": ")
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }
}

/// `desk`, once the gateway has read the log and a processor answers.
pub(crate) async fn desk(address: &str) -> Caller {
    let mut desk = Caller::new(address, "desk".to_owned()).await;
    while desk.get("/v1/inbox").await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    propose(&mut desk, "pay.out").await;
    desk
}

/// Opens a round; its id.
pub(crate) async fn propose(desk: &mut Caller, domain: &str) -> String {
    let proposal = json!({
        "domain": domain, "probability": 0.95, "stakes": "LOW",
        "action": { "type": "payment.block", "subject": "payment-1" },
    });
    let (status, body) = desk.post("/v1/proposals?wait=30", &proposal).await;
    assert_eq!(status, 200, "{body}");
    let id = body.get("id").and_then(Value::as_str);
    id.unwrap().to_owned()
}
