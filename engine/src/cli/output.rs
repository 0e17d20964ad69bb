//! The only place that prints. Results go to standard output, as text or as JSON Lines; everything else goes to standard error,
//! so that a pipe gets results and nothing else.

use std::{
    io::{self, BufWriter, IsTerminal as _, Write},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::{Value, json};

use super::format;
use crate::error::{EngineError, Result};

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How much is told beside results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verbosity {
    /// Errors only.
    Quiet,
    /// What a user should know.
    Normal,
    /// What helps to find faults too.
    Verbose,
}

type Stream = Mutex<Box<dyn Write + Send>>;

/// Standard output and standard error.
pub(super) struct Output {
    form: Form,
    verbosity: Verbosity,
    results: Stream,
    notes: Stream,
    bars: Option<MultiProgress>,
    closed: AtomicBool,
}

impl Output {
    /// The process's own streams. Bars are drawn if standard error is a terminal.
    pub(super) fn standard(form: Form, verbosity: Verbosity) -> Self {
        let bars = form == Form::Text && verbosity > Verbosity::Quiet && io::stderr().is_terminal();
        let mut output = Self::new(form, verbosity, io::stdout(), io::stderr());
        output.bars = bars.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        output
    }

    /// Other streams, without bars.
    pub(super) fn new(
        form: Form,
        verbosity: Verbosity,
        results: impl Write + Send + 'static,
        notes: impl Write + Send + 'static,
    ) -> Self {
        Self {
            form,
            verbosity,
            results: Mutex::new(Box::new(BufWriter::with_capacity(64 << 10, results))),
            notes: Mutex::new(Box::new(notes)),
            bars: None,
            closed: AtomicBool::new(false),
        }
    }

    /// How results are written.
    pub(super) fn form(&self) -> Form {
        self.form
    }
    /// How much is told beside results.
    pub(super) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }
    /// Where bars are drawn, if they are.
    pub(super) fn bars(&self) -> Option<&MultiProgress> {
        self.bars.as_ref()
    }

    /// Writes a result in the form that was asked for. Call [`Output::flush`] when all are written.
    pub(super) fn result(&self, record: impl FnOnce() -> Value, line: impl FnOnce() -> String) -> Result<()> {
        let mut text = match self.form {
            Form::Text => format::text(&line()),
            Form::Json => record().to_string(),
        };
        text.push('\n');
        self.bytes(text.as_bytes())
    }

    /// Writes a JSON record at once, where records were asked for: others wait for it.
    pub(super) fn record(&self, record: impl FnOnce() -> Value) -> Result<()> {
        match self.form {
            Form::Text => Ok(()),
            Form::Json => self.result(record, String::new).and_then(|()| self.flush()),
        }
    }

    /// Writes bytes to standard output as they are.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        self.check(lock(&self.results).write_all(bytes))
    }

    /// Makes sure that everything is written.
    pub(super) fn flush(&self) -> Result<()> {
        self.check(lock(&self.results).flush())
    }

    fn check(&self, written: io::Result<()>) -> Result<()> {
        written.map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                self.closed.store(true, Ordering::Relaxed);
                return EngineError::interrupted().context("standard output was closed");
            }
            EngineError::failed("standard output cannot be written").with_source(error)
        })
    }

    /// Tells something on standard error, above any bars. A standard error that cannot be written is nobody's fault.
    pub(super) fn note(&self, line: &str) {
        let mut text = format::text(line);
        text.push('\n');
        let write = || drop(lock(&self.notes).write_all(text.as_bytes()));
        match &self.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    /// Tells why it failed: on standard error, or as a JSON record. Silent if nobody reads standard output any more.
    pub(super) fn error(&self, error: &EngineError) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        if self.form == Form::Json {
            // If even this cannot be written, the exit code is all that is left to tell.
            drop(self.record(|| error_record(error)));
            return;
        }
        drop(self.flush());
        self.note(&format!("error: {}", error.full_message()));
        if let Some(hint) = error.hint() {
            self.note(&format!("hint: {hint}"));
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        drop(self.flush());
    }
}

fn lock(stream: &Stream) -> MutexGuard<'_, Box<dyn Write + Send>> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error as a JSON record.
fn error_record(error: &EngineError) -> Value {
    json!({
        "type": "error",
        "kind": error.kind().as_str(),
        "message": error.full_message(),
        "hint": error.hint(),
        "code": error.code(),
        "exit_code": error.exit_code().number(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    /// A stream that keeps what was written.
    #[derive(Clone, Default)]
    pub(in super::super) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        pub(in super::super) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that keeps both streams.
    pub(in super::super) fn kept(form: Form, verbosity: Verbosity) -> (Arc<Output>, Kept, Kept) {
        let (results, notes) = (Kept::default(), Kept::default());
        (Arc::new(Output::new(form, verbosity, results.clone(), notes.clone())), results, notes)
    }

    fn denied() -> EngineError {
        EngineError::failed("writing `a`").with_hint("make room").with_source(io::Error::other("disk full"))
    }

    #[test]
    fn text_results_and_notes_go_their_ways() {
        let (output, results, notes) = kept(Form::Text, Verbosity::Normal);
        output.result(|| json!({}), || "a \u{1b}[1mline".to_owned()).unwrap();
        output.record(|| json!({ "type": "progress" })).unwrap();
        output.note("a note");
        output.error(&denied());
        assert_eq!(results.text(), "a \\u{1b}[1mline\n");
        assert_eq!(notes.text(), "a note\nerror: writing `a`: disk full\nhint: make room\n");
    }

    #[test]
    fn json_errors_are_records() {
        let (output, results, notes) = kept(Form::Json, Verbosity::Normal);
        output.error(&denied());
        let record: Value = serde_json::from_str(&results.text()).unwrap();
        assert_eq!(
            record,
            json!({ "type": "error", "kind": "failed", "message": "writing `a`: disk full", "hint": "make room",
                    "code": null, "exit_code": 1 })
        );
        assert_eq!(notes.text(), "");
    }

    #[test]
    fn a_closed_pipe_ends_it_without_a_word() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let notes = Kept::default();
        let output = Output::new(Form::Text, Verbosity::Normal, Closed, notes.clone());
        output.bytes(b"data").unwrap();
        let error = output.flush().unwrap_err();
        output.error(&error);
        assert_eq!(notes.text(), "");
        assert_eq!(error.exit_code().number(), 130);
    }
}
