//! The `quorate` binary: everything is in [`quorate::command`].

use std::process::ExitCode;

fn main() -> ExitCode {
    quorate::command::main()
}
