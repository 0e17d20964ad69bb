//! `larder cat`: one item's bytes.

use std::io;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::Args;
use serde_json::json;

use super::{
    arguments::Selection,
    context::Context,
    output::{Form, Output},
    progress::Told,
    target::Target,
};
use crate::error::{EngineError, ExitCode, Result};

/// Write one item's content to standard output: a file as it is, a message as .eml, a list item as JSON. With --json its bytes come as
/// base64, in records of type `piece`.
#[derive(Args, Debug)]
pub(super) struct Cat {
    /// The beginning of a snapshot's id, or `latest`, and the item's path: `latest:/home/ann/notes.txt`
    #[arg(value_name = "SNAPSHOT:PATH")]
    target: Target,
    /// Another stream than the content: attachment/NAME, version/3.0. `larder ls --json` names an item's streams.
    #[arg(long, value_name = "NAME", default_value = "content")]
    stream: String,
    #[command(flatten)]
    selection: Selection,
}

impl Cat {
    /// Bytes come out as they are found to be right, chunk by chunk; the whole is checked at the end.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        if self.target.path.trim_matches('/').is_empty() {
            return Err(EngineError::usage("`cat` needs a path: SNAPSHOT:PATH")
                .with_hint("`larder ls --recursive SNAPSHOT` lists all paths"));
        }
        let spec = context.snapshot(&self.target, &self.selection)?;
        let running = context.engine(Told::Troubles)?;
        let mut writer = Pieces { output: &context.output, failed: None };
        let done = running.engine.cat(&spec, &self.target.path, &self.stream, &mut writer);
        // What the output itself says of a failure tells more than what `io::Error` can carry.
        match writer.failed {
            Some(error) => Err(error),
            None => done.map(|()| ExitCode::Done),
        }
    }
}

/// Writes bytes to standard output, raw or as records.
struct Pieces<'a> {
    output: &'a Output,
    failed: Option<EngineError>,
}

impl Pieces<'_> {
    fn keep(&mut self, written: Result<()>) -> io::Result<()> {
        written.map_err(|error| {
            self.failed = Some(error);
            io::Error::other("standard output cannot be written")
        })
    }
}

impl io::Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.output.form() {
            Form::Text => self.output.bytes(bytes),
            Form::Json => self
                .output
                .result(|| json!({ "type": "piece", "base64": BASE64_STANDARD.encode(bytes) }), String::new),
        };
        self.keep(written).map(|()| bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.output.flush();
        self.keep(flushed)
    }
}
