//! Lies beneath the traits: messages that no SDK would send.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use larder_sdk::{
    Bytes, Error, Plugin, PluginInfo, Result,
    abi::{
        Answer, Guest, HostLink, Shim,
        messages::{Described, Done, FetchResult, Fetched, Op, Opened, Role},
    },
    codec::{self, ENVELOPE_BYTES},
};

use crate::mode::Mode;

/// Longer than any test's limit.
const HOUR: Duration = Duration::from_hours(1);

/// The SDK's shim, with some of its answers changed.
pub(crate) struct Tampering {
    shim: Shim,
    modes: Mutex<BTreeMap<u64, Mode>>,
}

impl Tampering {
    pub(crate) const fn new(plugin: &'static dyn Plugin) -> Self {
        Self { shim: Shim::new(plugin), modes: Mutex::new(BTreeMap::new()) }
    }

    fn mode(&self, handle: u64) -> Mode {
        self.modes.lock().unwrap_or_else(PoisonError::into_inner).get(&handle).copied().unwrap_or(Mode::Good)
    }

    /// Notes the mode of what was opened.
    fn opened(&self, answer: &Answer, mode: Mode) -> Result<()> {
        let Opened { handle } = codec::decode(&answer.message)?;
        self.modes.lock().unwrap_or_else(PoisonError::into_inner).insert(handle, mode);
        Ok(())
    }
}

impl Guest for Tampering {
    fn describe(&self) -> Result<Answer> {
        self.shim.describe()
    }

    fn open(&self, host: HostLink, role: Role, options: &str) -> Result<Answer> {
        let answer = self.shim.open(host, role, options)?;
        self.opened(&answer, Mode::parse(options)?)?;
        Ok(answer)
    }

    fn call(&self, handle: u64, op: u32, message: &[u8], payload: Bytes) -> Result<Answer> {
        let mode = self.mode(handle);
        let answer = self.shim.call(handle, op, message, payload)?;
        if op == Op::Read.number() {
            self.opened(&answer, mode)?;
        }
        let what = Op::from_number(op)?;
        if matches!(what, Op::Next | Op::Fetch | Op::List) { tamper(mode, what, answer) } else { Ok(answer) }
    }

    fn cancel(&self, handle: u64) {
        match self.mode(handle) {
            Mode::PanicCancel => panic!("as told"),
            Mode::BlockCancel => thread::sleep(HOUR),
            _ => self.shim.cancel(handle),
        }
    }

    fn close(&self, handle: u64) {
        if self.mode(handle) == Mode::BlockClose {
            thread::sleep(HOUR);
        }
        self.shim.close(handle);
    }
}

/// Breaks a rule in an answer.
fn tamper(mode: Mode, op: Op, mut answer: Answer) -> Result<Answer> {
    let mut message = answer.message.to_vec();
    match (mode, op) {
        (Mode::GarbageAnswer, _) => message = vec![0xA5; 1000],
        (Mode::EmptyAnswer, _) => message.clear(),
        (Mode::WrongKind, _) => message = codec::encode(&Done {})?,
        (Mode::CutAnswer, _) => message.truncate(message.len() / 2),
        // A count of 2^63 events, with the envelope's length put right.
        (Mode::HugeCount, _) => {
            message.truncate(ENVELOPE_BYTES);
            message.extend_from_slice(&[0xFD, 0, 0, 0, 0, 0, 0, 0, 0x80]);
            message[4..ENVELOPE_BYTES].copy_from_slice(&9_u32.to_le_bytes());
        }
        (Mode::ExtraPayload, Op::Fetch) => {
            answer.payload = [answer.payload, Bytes::from_static(b"more")].concat().into();
        }
        (Mode::MissingPayload, Op::Fetch) => {
            answer.payload = answer.payload.slice(..answer.payload.len() / 2);
        }
        (Mode::FalseHandle, Op::Fetch) => {
            let Fetched { results } = codec::decode(&message)?;
            let results = results.into_iter().map(|result| match result {
                FetchResult::Open { length, .. } | FetchResult::Whole { length } => {
                    FetchResult::Open { length, body: 1 << 60 }
                }
                failed @ FetchResult::Failed(_) => failed,
            });
            message = codec::encode(&Fetched { results: results.collect() })?;
        }
        _ => {}
    }
    answer.message = message.into();
    Ok(answer)
}

/// A plugin that does not say who it is.
pub(crate) enum Undescribed {
    Panics,
    Garbage,
    Nameless,
}

impl Guest for Undescribed {
    fn describe(&self) -> Result<Answer> {
        let message = match self {
            Self::Panics => panic!("as told"),
            Self::Garbage => vec![0xA5; 100],
            Self::Nameless => codec::encode(&Described { info: PluginInfo::new("../x", "1", "") })?,
        };
        Ok(Answer { message: message.into(), payload: Bytes::new() })
    }
    fn open(&self, _host: HostLink, _role: Role, _options: &str) -> Result<Answer> {
        Err(Error::bug("nobody gets here"))
    }
    fn call(&self, _handle: u64, _op: u32, _message: &[u8], _payload: Bytes) -> Result<Answer> {
        Err(Error::bug("nobody gets here"))
    }
    fn cancel(&self, _handle: u64) {}
    fn close(&self, _handle: u64) {}
}
