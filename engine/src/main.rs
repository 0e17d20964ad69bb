//! The command: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(larder::cli::main(std::env::args_os()).number())
}
