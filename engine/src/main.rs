//! The command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder::process::bound_allocator();
    ExitCode::from(larder::cli::main(std::env::args_os()).number())
}
