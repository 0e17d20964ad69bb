//! Finds the value behind a reference to a secret. Nothing here repeats a value, in no message and no log.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use larder_sdk::{Error, ErrorKind, Result, Secret, SecretRef};
use zeroize::Zeroizing;

use super::keyring;
use crate::events::{Event, Events};

/// Largest secret, in bytes: room for a certificate with its chain.
const SECRET_BYTES_MAX: usize = 64 << 10;
/// How long a command may take to print a secret.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(30);

type Variables = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Finds secrets' values.
#[derive(Clone)]
pub struct SecretResolver {
    base: PathBuf,
    variables: Arc<Variables>,
    events: Arc<dyn Events>,
    command_time_max: Duration,
}

impl SecretResolver {
    /// Relative files start from `base`, the config's folder; warnings go to `events`.
    pub fn new(base: impl Into<PathBuf>, events: Arc<dyn Events>) -> Self {
        Self {
            base: base.into(),
            variables: Arc::new(|name| std::env::var_os(name)),
            events,
            command_time_max: COMMAND_TIME_MAX,
        }
    }

    /// Looks variables up there instead of in the process's environment. For tests.
    #[must_use]
    pub fn with_variables(
        mut self,
        variables: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        self.variables = Arc::new(variables);
        self
    }

    /// The value: at most 64 KiB of UTF-8, without the newline at its end, not empty. May block for 30 s, for a command. May be called
    /// again, and finds what is there then.
    pub fn resolve(&self, reference: &SecretRef) -> Result<Secret> {
        match reference {
            SecretRef::Env(name) => self.variable(name),
            SecretRef::File(path) => self.file(Path::new(path)),
            SecretRef::Command(line) => self.command(line),
            SecretRef::Keyring(place) => {
                keyring::secret(place).and_then(|secret| not_empty(secret, reference))
            }
        }
    }

    fn variable(&self, name: &str) -> Result<Secret> {
        let shown = name.escape_debug();
        let value = (self.variables)(name).ok_or_else(|| {
            wrong(format!("the environment variable `{shown}` is not set"))
                .with_hint(format!("set it before larder starts: export {shown}=…"))
        })?;
        let value = value
            .into_string()
            .map_err(|_| wrong(format!("the environment variable `{shown}` is no UTF-8 text")))?;
        not_empty(Secret::new(value), &SecretRef::Env(name.to_owned()))
    }

    fn file(&self, path: &Path) -> Result<Secret> {
        let full = self.base.join(path);
        let failed = |error: io::Error| {
            wrong(format!("the secret's file `{}` cannot be read: {error}", full.display()))
                .with_source(error)
        };
        let file = File::open(&full).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(wrong(format!("the secret's file `{}` is a folder", full.display())));
        }
        self.warn_if_open_to_others(&full, &metadata);
        let bytes = read_bounded(file).map_err(failed)?;
        Self::text(bytes, &format!("the secret's file `{}`", full.display()))
    }

    /// A warning and no refusal: secrets that an orchestrator mounts into a container are readable by all in it, and rightly so.
    fn warn_if_open_to_others(&self, path: &Path, metadata: &std::fs::Metadata) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            if metadata.is_file() && metadata.mode() & 0o007 != 0 {
                self.events.event(Event::warning(
                    "larder",
                    format!("the secret's file `{0}` is open to every user: chmod 600 {0}", path.display()),
                ));
            }
        }
    }

    fn command(&self, line: &str) -> Result<Secret> {
        let mut words = line.split_whitespace();
        let program = words.next().ok_or_else(|| wrong("the command for a secret is empty"))?;
        // Arguments may name more than they should: only the program is repeated.
        let what = format!("the command `{}` for a secret", program.escape_debug());
        let mut child = Command::new(program)
            .args(words)
            .current_dir(&self.base)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| wrong(format!("{what} cannot be started: {error}")).with_source(error))?;
        let output = self.output(&mut child, &what);
        if output.is_err() {
            // It may have ended by itself; then there is nothing to kill.
            drop(child.kill());
        }
        let status =
            child.wait().map_err(|error| wrong(format!("{what} cannot be waited for")).with_source(error))?;
        let bytes = output?;
        if !status.success() {
            return Err(
                wrong(format!("{what} failed: {status}")).with_hint("its own words, if any, stand above")
            );
        }
        Self::text(bytes, &what)
    }

    /// What the child prints. A thread reads it, so that a child that never ends, or hands its output to one, cannot hold us up.
    fn output(&self, child: &mut Child, what: &str) -> Result<Zeroizing<Vec<u8>>> {
        let stdout =
            child.stdout.take().ok_or_else(|| Error::bug("a child without the output it was given"))?;
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::spawn(move || {
            // The receiver is gone once the time is over.
            drop(sender.send(read_bounded(stdout)));
        });
        match receiver.recv_timeout(self.command_time_max) {
            Ok(read) => read.map_err(|error| {
                wrong(format!("{what}: its output cannot be read: {error}")).with_source(error)
            }),
            Err(_) => {
                Err(wrong(format!("{what} did not finish within {} s", self.command_time_max.as_secs()))
                    .with_hint("it gets no input: it cannot ask for anything"))
            }
        }
    }

    /// Bytes as a secret: text, without the newline at its end.
    fn text(mut bytes: Zeroizing<Vec<u8>>, what: &str) -> Result<Secret> {
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        match std::str::from_utf8(&bytes) {
            Ok("") => Err(wrong(format!("{what} is empty"))),
            Ok(text) => Ok(Secret::new(text)),
            Err(_) => Err(wrong(format!("{what} is no UTF-8 text"))),
        }
    }
}

fn not_empty(secret: Secret, reference: &SecretRef) -> Result<Secret> {
    if !secret.expose().is_empty() {
        return Ok(secret);
    }
    Err(wrong(match reference {
        SecretRef::Env(name) => format!("the environment variable `{}` is empty", name.escape_debug()),
        _ => "the secret is empty".to_owned(),
    })
    .with_hint("put the secret where the config says it is, then start larder again"))
}

/// Reads to the end, which must come within the bound.
fn read_bounded(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all from the beginning: a vector that grows leaves copies behind that nobody wipes.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES_MAX + 1));
    from.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(io::Error::other("it is larger than 64 KiB"));
    }
    Ok(bytes)
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests;
