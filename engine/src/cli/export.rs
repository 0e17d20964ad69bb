//! `larder export`: from a snapshot into a file that other programs read.

use std::{io, path::PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    arguments::Selection,
    context::Context,
    format,
    output::{Form, Output},
    progress::Told,
    restore::{list, pairs},
    target::Target,
};
use crate::{
    engine::Engine,
    error::{EngineError, ExitCode, Result},
    export::{ExportFormat, ExportReport, ExportTo},
};

/// Write a snapshot, or a part of it, into a file that other programs read: `tar` and `zip` hold everything, `mbox` and `eml` the messages,
/// each as it was sent, attachments and all. Names are escaped as `restore` does.
#[derive(Args, Debug)]
pub(super) struct Export {
    /// The beginning of a snapshot's id, or `latest`; perhaps a path: `latest:/exchange/ann@contoso.com/Inbox`
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    target: Target,
    /// What to make.
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Format,
    /// The file to write, which must not be there yet; for `eml` a folder. `-` is standard output.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

/// What to make.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A folder of messages.
    Eml,
    /// A mailbox file (mboxrd).
    Mbox,
    /// A tape archive (pax): names, sizes, times, modes, owners, links.
    Tar,
    /// A zip file.
    Zip,
}

impl From<Format> for ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Eml => Self::Eml,
            Format::Mbox => Self::Mbox,
            Format::Tar => Self::Tar,
            Format::Zip => Self::Zip,
        }
    }
}

impl Export {
    /// What cannot be read is told, and makes the exit code 3.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let streamed = self.to.as_os_str() == "-";
        let output = &context.output;
        if streamed && output.form() == Form::Json {
            return Err(EngineError::usage("`--to -` and `--json` both want standard output")
                .with_hint("name a file, or leave out --json"));
        }
        if streamed && matches!(self.format, Format::Eml) {
            return Err(EngineError::usage(
                "`eml` makes a folder of messages, which standard output cannot hold",
            )
            .with_hint("name a folder, or take `mbox` or `tar`"));
        }
        let running = context.engine(Told::Progress)?;
        let report = if streamed {
            self.stream(context, &running.engine)
        } else {
            let spec = context.snapshot(&self.target, &self.selection)?;
            let to = ExportTo::Path(self.to.clone());
            running.engine.export(&spec, &self.target.path, self.format.into(), to)
        }?;
        running.finish();
        if streamed {
            output.note(&self.text(&report));
        } else {
            output.result(|| self.record(&report), || self.text(&report))?;
        }
        Ok(if report.failed.is_empty() { ExitCode::Done } else { ExitCode::Incomplete })
    }

    fn stream(&self, context: &Context, engine: &Engine) -> Result<ExportReport> {
        let spec = context.snapshot(&self.target, &self.selection)?;
        let mut out = Raw { output: &context.output, failed: None };
        let to = ExportTo::Stream(&mut out);
        let done = engine.export(&spec, &self.target.path, self.format.into(), to);
        // What the output itself says of a failure tells more than what `io::Error` can carry.
        out.failed.map_or(done, Err)
    }

    fn record(&self, report: &ExportReport) -> Value {
        json!({
            "type": "summary",
            "command": "export",
            "format": ExportFormat::from(self.format).as_str(),
            "to": self.to.display().to_string(),
            "folders": report.folders,
            "items": report.items,
            "files": report.files,
            "bytes": report.bytes,
            "left_out": report.left_out,
            "failed": pairs(&report.failed, "path", "reason"),
            "more_failed": report.more_failed,
        })
    }

    fn text(&self, report: &ExportReport) -> String {
        let format = ExportFormat::from(self.format);
        let noun = if format.is_for_messages() { "message" } else { "item" };
        let mut lines = vec![format!(
            "exported {}, {} as {} to {}",
            format::counted(report.items, noun),
            format::bytes(report.bytes),
            format.as_str(),
            if self.to.as_os_str() == "-" { "standard output".into() } else { self.to.display().to_string() }
        )];
        if report.left_out > 0 {
            let why = if format.is_for_messages() { "no messages" } else { "nothing this format can hold" };
            lines.push(format!("  {} left out: {why}", format::counted(report.left_out, "item")));
        }
        list(&mut lines, "not whole", "because", &report.failed);
        lines.join("\n")
    }
}

/// Writes bytes to standard output.
struct Raw<'a> {
    output: &'a Output,
    failed: Option<EngineError>,
}

impl Raw<'_> {
    fn keep(&mut self, written: Result<()>) -> io::Result<()> {
        written.map_err(|error| {
            self.failed.get_or_insert(error);
            io::Error::other("standard output cannot be written")
        })
    }
}

impl io::Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.output.bytes(bytes);
        self.keep(written).map(|()| bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.output.flush();
        self.keep(flushed)
    }
}
