//! The `quorate` binary: everything is in [`quorate::command`].

use std::process::ExitCode;

/// Rounds come and go by the million, on several threads: the system's allocator grows its arenas
/// by system calls and gives little back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quorate::command::main()
}
