//! A broker that can be killed and started again, on the same ports and with the same data.

use std::net::TcpListener;
use std::process::{Child, Command};
use std::sync::Mutex;

use tempfile::TempDir;

use super::proxy::Proxy;
use super::{script, started};

/// The broker, which its folder outlives.
#[derive(Debug)]
pub(crate) struct Mortal {
    folder: TempDir,
    address: String,
    /// Where clients are told to go, if not there.
    advertised: Option<String>,
    keeper: Mutex<Child>,
}

impl Mortal {
    /// One that runs.
    pub(crate) fn start() -> Self {
        Self::advertised(None)
    }

    /// One that runs, and a proxy in front of it that clients are told to go to.
    pub(crate) fn behind_proxy() -> (Self, String, Proxy) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let broker = Self::advertised(Some(address.clone()));
        let proxy = Proxy::between(listener, broker.address.clone());
        (broker, address, proxy)
    }

    fn advertised(advertised: Option<String>) -> Self {
        let folder = TempDir::new().unwrap();
        let (address, keeper) = run(&folder, advertised.as_deref(), false);
        Self {
            folder,
            address,
            advertised,
            keeper: Mutex::new(keeper),
        }
    }

    /// Where it is, whenever it runs.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Kills it where it stands.
    pub(crate) fn kill(&self) {
        let id = std::fs::read_to_string(self.folder.path().join("pid")).unwrap();
        let told = Command::new("kill").args(["-9", id.trim()]).status();
        assert!(told.unwrap().success());
        self.keeper.lock().unwrap().wait().unwrap();
    }

    /// Starts it again, and waits until it takes connections.
    pub(crate) fn start_again(&self) {
        let (address, keeper) = run(&self.folder, self.advertised.as_deref(), true);
        assert_eq!(address, self.address);
        *self.keeper.lock().unwrap() = keeper;
    }
}

fn run(folder: &TempDir, advertised: Option<&str>, again: bool) -> (String, Child) {
    let mut command = Command::new(script("kafka.sh"));
    command.arg(folder.path());
    if again {
        command.env("KAFKA_AGAIN", "1");
    }
    command.envs(advertised.map(|address| ("KAFKA_ADVERTISED", address)));
    // It is told that a broker is gone when that has not been heard of for so long.
    started(command.env("KAFKA_FORGETS_AFTER", "2000"))
}

impl Drop for Mortal {
    fn drop(&mut self) {
        let mut keeper = self.keeper.lock().unwrap();
        // It ends when its standard input does, and the broker with it.
        drop(keeper.stdin.take());
        let _ended = keeper.wait();
    }
}
