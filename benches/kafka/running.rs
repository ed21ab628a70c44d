//! A process that a bench runs, and that ends with it.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// A process that runs until it is let go.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    guard: Child,
}

impl Running {
    /// Starts it.
    pub(crate) fn of(command: &mut Command) -> Self {
        let child = command.spawn().unwrap();
        // However this process ends, that one goes with it.
        let guard = Command::new("sh")
            .args(["-c", &format!("read -r done || kill -9 {}", child.id())])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, guard }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    /// Kills it where it stands.
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // Told that all is done: the number may be somebody else's by now.
        let mut told = self.guard.stdin.take().unwrap();
        told.write_all(b"done\n").unwrap();
        drop(told);
        self.guard.wait().unwrap();
    }
}
