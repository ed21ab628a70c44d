//! A processor that is looked at from outside, and what it logs.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use quorate::transport::kafka::Reader;
use quorate_core::topic::Topic;
use tempfile::TempDir;

use super::{House, Processor, until};

/// A processor that serves metrics and health.
#[derive(Debug)]
pub(crate) struct Observed {
    processor: Option<Processor>,
    address: String,
    folder: TempDir,
}

impl House {
    /// Starts a processor that can be looked at, told more by a configuration.
    pub(crate) fn run_observed(&self, instance: &str, config: &str) -> Observed {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("quorate.toml");
        std::fs::write(&file, config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let arguments = ["run", "--instance", instance, "--observe", "127.0.0.1:0"];
        let told = ["--config", file.to_str().unwrap()];
        let command = self.command(&[&arguments[..], &told].concat());
        Observed::start(instance, command, folder, log)
    }

    /// Starts a verifier that goes on with the log and can be looked at.
    pub(crate) fn verify_on(&self, more: &[&str]) -> Observed {
        let folder = TempDir::new().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let arguments = ["verify", "--follow", "--observe", "127.0.0.1:0"];
        let mut command = self.command(&[&arguments[..], more].concat());
        command.stdout(File::create(folder.path().join("said")).unwrap());
        Observed::start("verifier", command, folder, log)
    }
}

impl House {
    /// The offsets of the first partition of a topic: the first, and the one after the last stable.
    pub(crate) fn ends(&self, topic: Topic) -> (i64, i64) {
        let reader = Reader::open(&self.connection()).unwrap();
        reader.ends(topic, 0).unwrap()
    }
}

impl Observed {
    fn start(name: &str, mut command: Command, folder: TempDir, log: File) -> Self {
        command.stderr(log);
        let path = folder.path().join("log");
        let processor = Processor::start(name, command, Some(path));
        let mut observed = Self {
            processor: Some(processor),
            address: String::new(),
            folder,
        };
        until("it serves", || observed.served_at().is_some());
        observed.address = observed.served_at().unwrap();
        observed
    }

    /// What a verifier has said so far.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// How many bytes it has in memory, and how many it ever had at a time.
    pub(crate) fn memory(&self) -> (u64, u64) {
        let processor = self.processor.as_ref().unwrap();
        (processor.memory(), processor.peak())
    }

    /// Asks a verifier to stop: the exit code, and what it has said.
    pub(crate) fn verified(mut self) -> (Option<i32>, String) {
        let processor = self.processor.take().unwrap();
        processor.signal("-TERM");
        let status = processor.ended();
        (status.code(), self.said())
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.processor.take().unwrap().stop();
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn served_at(&self) -> Option<String> {
        let log = self.log();
        let line = log
            .lines()
            .find(|line| line.contains("serving metrics and health"))?;
        let at = line.find("127.0.0.1:")?;
        let end = |c: char| !c.is_ascii_digit() && c != '.' && c != ':';
        line[at..].split(end).next().map(str::to_owned)
    }

    /// Asks it for something; the status and the body.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let asked = format!("GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n");
        stream.write_all(asked.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap();
        (status.parse().unwrap(), body.to_owned())
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a processor logged:\n{}", self.log());
        }
    }
}
