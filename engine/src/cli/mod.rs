//! The command `larder`: arguments, one file per command, and everything that is printed.

mod arguments;
mod cat;
mod check;
mod context;
mod copy;
mod diff;
mod discover;
mod explain;
mod export;
mod find;
mod forget;
mod format;
mod init;
mod key;
mod ls;
mod manual;
mod output;
mod plugins;
mod progress;
mod prompt;
mod prune;
mod repair;
mod report;
mod report_page;
mod restore;
mod run;
mod snapshots;
mod stats;
mod target;
#[cfg(test)]
mod tests;
mod validate;
mod values;

use std::{ffi::OsString, sync::Arc};

use clap::{Parser as _, error::ErrorKind as ClapErrorKind};

use arguments::{Arguments, Command};
use context::Context;
use output::{Form, Output, Verbosity};

use crate::{
    config::Environment,
    error::{EngineError, ExitCode, Result},
    process::{self, Interrupt},
};

/// Does what the arguments (the program's name first) ask for, prints what is to be printed, and says how to end.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error, wants_json(&words)),
    };
    let output = Arc::new(context::output(&arguments.global));
    let prepared = process::forbid_core_dumps().and_then(|()| {
        Ok(Surroundings { environment: Environment::read()?, interrupt: Interrupt::on_signals()? })
    });
    finish(&output, prepared.and_then(|around| execute(&arguments, &output, &around)))
}

/// What a command finds around it.
struct Surroundings {
    environment: Environment,
    interrupt: Interrupt,
}

fn execute(arguments: &Arguments, output: &Arc<Output>, around: &Surroundings) -> Result<ExitCode> {
    let global = &arguments.global;
    let context =
        || Context::new(global, Arc::clone(output), around.environment.clone(), around.interrupt.clone());
    match &arguments.command {
        Command::Init(command) => command.execute(&context()?),
        Command::Validate(command) => command.execute(&context()?),
        Command::Discover(command) => command.execute(&context()?),
        Command::Run(command) => command.execute(&context()?),
        Command::Snapshots(command) => command.execute(&context()?),
        Command::Ls(command) => command.execute(&context()?),
        Command::Find(command) => command.execute(&context()?),
        Command::Diff(command) => command.execute(&context()?),
        Command::Cat(command) => command.execute(&context()?),
        Command::Restore(command) => command.execute(&context()?),
        Command::Export(command) => command.execute(&context()?),
        Command::Report(command) => command.execute(&context()?),
        Command::Stats(command) => command.execute(&context()?),
        Command::Check(command) => command.execute(&context()?),
        Command::Forget(command) => command.execute(&context()?),
        Command::Prune(command) => command.execute(&context()?),
        Command::Completions(command) => command.execute(output),
        Command::Man(command) => command.execute(output),
        Command::Copy(command) => command.execute(&context()?),
        Command::Key(command) => command.execute(&context()?),
        Command::Explain(command) => command.execute(global, &around.environment, output),
        Command::Plugins(command) => command.execute(global, &around.environment, output),
    }
}

/// Makes sure that everything is printed, and a failure told.
fn finish(output: &Output, done: Result<ExitCode>) -> ExitCode {
    match done.and_then(|code| output.flush().map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            error.exit_code()
        }
    }
}

/// Help and version are results; everything else is a wrong command line.
fn not_parsed(error: &clap::Error, json: bool) -> ExitCode {
    if matches!(error.kind(), ClapErrorKind::DisplayHelp | ClapErrorKind::DisplayVersion) {
        // A closed pipe is the reader's choice.
        drop(error.print());
        return ExitCode::Done;
    }
    if json {
        let text = error.render().to_string();
        let message = text.trim_end().trim_start_matches("error: ");
        Output::standard(Form::Json, Verbosity::Normal).error(&EngineError::usage(message));
    } else {
        drop(error.print());
    }
    ExitCode::Usage
}

/// True if records were asked for, by arguments that could not be parsed as a whole.
fn wants_json(words: &[OsString]) -> bool {
    words.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}
