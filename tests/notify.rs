//! The example that mails escalations, or posts them to a chat: told by a gateway, and by somebody
//! who may not.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::support::web::{AGENTS, POLICIES, everybody};
use crate::support::{House, until};
use crate::webhooks::{Receiver, SECRET, escalate_as, telling};

/// The example, for as long as it is needed.
struct Notify {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Notify {
    fn start(told: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/notify/notify.py");
        let mut child = Command::new("python3")
            .arg(script)
            .env("WEBHOOK_SECRET_FILE", secret)
            .envs(told.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        lines.read_line(&mut url).unwrap();
        Self {
            child,
            url: url.trim().to_owned(),
            _folder: folder,
        }
    }
}

impl Drop for Notify {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Somebody who takes mail, but not the first; the port, and what was taken.
fn mailbox() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mails = Arc::<Mutex<Vec<String>>>::default();
    let taken = Arc::clone(&mails);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            if let Some(mail) = taken_from(&stream.unwrap(), number == 0) {
                taken.lock().unwrap().push(mail);
            }
        }
    });
    (port, mails)
}

/// Speaks as much SMTP as is needed to be given a mail.
fn taken_from(mut stream: &TcpStream, is_full: bool) -> Option<String> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut say = |text: &str| stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
    say("220 it");
    while let Some(Ok(line)) = lines.next() {
        match &*line.chars().take(4).collect::<String>().to_uppercase() {
            "DATA" if is_full => say("452 no room"),
            "DATA" => {
                say("354 go on");
                let whole = lines.by_ref().map(Result::unwrap);
                let mail: Vec<_> = whole.take_while(|line| line != ".").collect();
                say("250 taken");
                return Some(mail.join("\n"));
            }
            "QUIT" => say("221 bye"),
            _ => say("250 well"),
        }
    }
    None
}

#[test]
fn escalations_are_mailed_and_posted_to_a_chat() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let _processor = house.run();
    let (port, mails) = mailbox();
    let room = Receiver::answering("500 Busy", 1);
    let mailer = Notify::start(&[
        ("SMTP", &format!("127.0.0.1:{port}")),
        ("MAIL_FROM", "quorate@bank.example"),
        ("MAIL_TO", "duty@bank.example"),
    ]);
    let poster = Notify::start(&[("CHAT_URL", &room.url())]);
    let folder = TempDir::new().unwrap();
    let besides = [
        "public_url = \"https://quorate.example\"\n".to_owned(),
        telling(&folder, "mail", &mailer.url, "allow_private = true"),
        telling(&folder, "chat", &poster.url, "allow_private = true"),
    ]
    .concat();
    let web = house.serve_told(Some(&everybody()), &besides);
    let round = escalate_as(&web, "payment-7\r\nBcc: all@bank.example <!channel>");
    until("it is mailed, the second time", || {
        !mails.lock().unwrap().is_empty()
    });
    until("it is posted, the second time", || room.came().len() == 2);
    let mail = mails.lock().unwrap()[0].clone();
    let (head, body) = mail.split_once("\n\n").unwrap();
    assert!(head.contains("To: duty@bank.example"), "{mail}");
    assert!(
        head.contains("Subject: ") && !head.contains("\nBcc"),
        "{mail}"
    );
    assert!(!body.is_empty());
    let posted = room.came()[1].told()["text"].as_str().unwrap().to_owned();
    let page = format!("https://quorate.example/console/?round={round}");
    assert!(posted.contains("low: payment.block payment-7"), "{posted}");
    assert!(
        posted.ends_with(&page) && posted.contains("&lt;!channel&gt;"),
        "{posted}"
    );
    web.stop();

    // Whoever does not have the secret.
    let script = "import sys, urllib.request, urllib.error\n\
        head = {'webhook-id': 'x', 'webhook-timestamp': sys.argv[2], 'webhook-signature': 'v1,AAAA'}\n\
        try: urllib.request.urlopen(urllib.request.Request(sys.argv[1], b'{}', head))\n\
        except urllib.error.HTTPError as error: print(error.code)";
    for at in ["0", "9999999999", "x"] {
        let mut command = Command::new("python3");
        let said = command
            .args(["-c", script, &poster.url, at])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), "401");
    }
    assert_eq!(room.came().len(), 2);
}
