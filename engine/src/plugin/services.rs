//! What the engine does for a plugin's instance, from the boundary's messages to the services' traits.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use larder_sdk::{
    Error, HostServices, ReaderServices, Result,
    abi::{
        HostServer,
        messages::{
            AskCursor, AskItem, AskOwed, AskScopes, AskSecret, Done, Log, Op, Progress, TheseOwed,
            TheseScopes, ThisCursor, ThisItem, ThisSecret, Waited,
        },
    },
    codec::{self, Record},
    limits::ERROR_TEXT_BYTES_MAX,
};
use zeroize::Zeroizing;

/// Most items owed in one answer, whatever was asked for.
const OWED_MAX: u64 = 4096;

/// The services of one instance, and of its readers by number.
pub(super) struct Services {
    host: Arc<dyn HostServices>,
    readers: Mutex<BTreeMap<u64, Arc<dyn ReaderServices>>>,
    last: AtomicU64,
}

impl Services {
    pub(super) fn new(host: Arc<dyn HostServices>) -> Self {
        Self { host, readers: Mutex::default(), last: AtomicU64::new(0) }
    }

    /// Enters a reader's services for as long as the registration lives.
    pub(super) fn register(self: &Arc<Self>, reader: Arc<dyn ReaderServices>) -> Registration {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.readers().insert(number, reader);
        Registration { services: Arc::clone(self), number }
    }

    fn reader(&self, number: u64) -> Result<Arc<dyn ReaderServices>> {
        let found = self.readers().get(&number).map(Arc::clone);
        found.ok_or_else(|| Error::bug(format!("no reader has the services {number}")))
    }

    fn readers(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<dyn ReaderServices>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn secret(&self, question: &AskSecret) -> Result<Bytes> {
        let secret = self.host.secret(&question.reference)?;
        let answer =
            Answered(Zeroizing::new(codec::encode(&ThisSecret { value: secret.expose().to_owned() })?));
        Ok(Bytes::from_owner(answer))
    }
}

impl HostServer for Services {
    fn call(&self, op: u32, message: &[u8]) -> Result<Bytes> {
        match Op::from_number(op)? {
            Op::Log => {
                let Log { level, text } = codec::decode(message)?;
                self.host.log(level, cut(&text));
                encode(&Done {})
            }
            Op::Secret => self.secret(&codec::decode(message)?),
            Op::Scopes => {
                let AskScopes { services } = codec::decode(message)?;
                encode(&TheseScopes { scopes: self.reader(services)?.scopes()? })
            }
            Op::Cursor => {
                let AskCursor { services, scope } = codec::decode(message)?;
                encode(&ThisCursor { cursor: self.reader(services)?.cursor(&scope)? })
            }
            Op::Item => {
                let AskItem { services, id } = codec::decode(message)?;
                encode(&ThisItem { item: self.reader(services)?.item(&id)? })
            }
            Op::Owed => {
                let AskOwed { services, after, most } = codec::decode(message)?;
                let owed = self.reader(services)?.owed(after.as_ref(), most.min(OWED_MAX) as usize)?;
                encode(&TheseOwed { owed })
            }
            Op::Progress => {
                let Progress { services, text } = codec::decode(message)?;
                self.reader(services)?.progress(cut(&text));
                encode(&Done {})
            }
            Op::Waited => {
                let Waited { services, on, millis } = codec::decode(message)?;
                self.reader(services)?.waited(cut(&on), Duration::from_millis(millis));
                encode(&Done {})
            }
            other => Err(Error::bug(format!("operation {other:?} is none of a host"))),
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "services of {} readers", self.readers().len())
    }
}

/// A reader's place among the services; given up on drop.
#[derive(Debug)]
pub(super) struct Registration {
    services: Arc<Services>,
    number: u64,
}

impl Registration {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.services.readers().remove(&self.number);
    }
}

/// An encoded secret, wiped when the plugin has read it.
struct Answered(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Answered {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn encode<R: Record>(record: &R) -> Result<Bytes> {
    codec::encode(record).map(Bytes::from)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ERROR_TEXT_BYTES_MAX)]
}
