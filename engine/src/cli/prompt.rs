//! Asking for a secret on the terminal, without showing what is typed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
};

use larder_sdk::Secret;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr},
};
use zeroize::Zeroizing;

use crate::{
    error::{EngineError, Result},
    process::Interrupt,
};

/// Longest line taken, in bytes.
const LINE_BYTES_MAX: usize = 4096;
/// How long to wait for a key before looking whether to stop.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The process's terminal, which shows nothing of what is typed while this lives.
struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    fn open() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }

    fn line(&mut self, question: &str, interrupt: &Interrupt) -> Result<Secret> {
        let failed = |error: io::Error| EngineError::failed("reading from the terminal").with_source(error);
        self.terminal.write_all(question.as_bytes()).map_err(failed)?;
        let mut line = Zeroizing::new([0; LINE_BYTES_MAX]);
        let mut length = 0;
        while !line[..length].ends_with(b"\n") {
            interrupt.check()?;
            let mut waited = [PollFd::new(&self.terminal, PollFlags::IN)];
            match poll(&mut waited, Some(&PATIENCE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(failed(error.into())),
            }
            let read = self.terminal.read(&mut line[length..]).map_err(failed)?;
            if read == 0 {
                return Err(EngineError::usage("no password was typed, or one of too many bytes"));
            }
            length += read;
        }
        match std::str::from_utf8(&line[..length]) {
            Ok(text) => Ok(Secret::new(text.trim_end_matches(['\n', '\r']))),
            Err(_) => Err(EngineError::usage("what was typed is no UTF-8 text")),
        }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Asks for a new password twice. `instead` says what to do where there is no terminal.
pub(super) fn new_password(instead: &str, interrupt: &Interrupt) -> Result<Secret> {
    let mut terminal = Silent::open().map_err(|error| {
        EngineError::usage("there is no terminal to ask for the new password on")
            .with_hint(instead)
            .with_source(error)
    })?;
    let password = terminal.line("new password: ", interrupt)?;
    if password.expose().is_empty() {
        return Err(EngineError::usage("the new password is empty"));
    }
    if terminal.line("the same again: ", interrupt)? != password {
        return Err(EngineError::usage("the two passwords are not the same")
            .with_hint("nothing was changed: try again"));
    }
    Ok(password)
}
