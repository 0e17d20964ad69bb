//! The command: arguments in, exit code out.

use std::process::ExitCode;

/// Many threads allocate and free large buffers here; the system's allocator keeps a share for each of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(larder::cli::main(std::env::args_os()).number())
}
