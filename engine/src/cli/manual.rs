//! `larder completions` and `larder man`: what shells offer, and the manual's page, made from the command line itself.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;
use serde_json::json;

use super::{
    arguments::Arguments,
    output::{Form, Output},
};
use crate::error::{EngineError, ExitCode, Result};

/// Print a script that lets a shell complete commands and options: `larder completions bash > /etc/bash_completion.d/larder`.
#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

impl Completions {
    /// Needs no config.
    pub(super) fn execute(&self, output: &Output) -> Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "larder", &mut script);
        print(output, "completions", &script)
    }
}

/// Print the manual's page, of Larder or of one command: `larder man restore > larder-restore.1`.
#[derive(Args, Debug)]
pub(super) struct Man {
    /// The command; without one, the page of the whole.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    /// Needs no config.
    pub(super) fn execute(&self, output: &Output) -> Result<ExitCode> {
        let mut whole = Arguments::command();
        whole.build();
        let command = match &self.command {
            None => whole,
            Some(name) => whole.find_subcommand(name).cloned().ok_or_else(|| {
                EngineError::usage(format!("there is no command `{}`", name.escape_debug()))
                    .with_hint("`larder --help` lists them")
            })?,
        };
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| EngineError::failed("making the page").with_source(error))?;
        print(output, "man", &page)
    }
}

fn print(output: &Output, kind: &str, text: &[u8]) -> Result<ExitCode> {
    match output.form() {
        Form::Text => output.bytes(text)?,
        Form::Json => {
            output.result(|| json!({ "type": kind, "text": String::from_utf8_lossy(text) }), String::new)?;
        }
    }
    Ok(ExitCode::Done)
}
