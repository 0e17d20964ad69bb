//! A store that fails on demand, for tests: it counts its calls and lets chosen ones go wrong in a chosen way.
//!
//! Use [`at_every_call`] to try a piece of work with each of its calls failing in turn, each time in a fresh world:
//!
//! ```ignore
//! at_every_call(
//!     &Fault::ALL,
//!     || World::new(),                                  // a store with what the work needs
//!     |world, store| drop(work(world, store)),          // the work; it may fail
//!     |world, what| world.assert_nothing_lost(what),    // what must hold afterwards, whatever happened
//! );
//! ```

use std::{
    fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use larder_sdk::{Capabilities, Error, ErrorKind, ObjectInfo, ObjectKey, Result};

use super::Store;

/// A delayed call waits for another one, and no longer than this: there may be none.
const DELAY_MAX: Duration = Duration::from_millis(5);

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails and did nothing.
    Error,
    /// It was done, and its answer got lost: the caller sees an error.
    LostAnswer,
    /// It is done, but not before another call has come.
    Delay,
    /// It answers with bytes without their end. A listing is never short: of a store that leaves out what is there nothing can be told, and
    /// none that backs up to it may do so.
    ShortRead,
    /// The process died: this call and all later ones fail and do nothing.
    Crash,
    /// The process died after this call was done: it and all later ones fail.
    CrashAfter,
}

impl Fault {
    /// Every one.
    pub(crate) const ALL: [Fault; 6] =
        [Fault::Error, Fault::LostAnswer, Fault::Delay, Fault::ShortRead, Fault::Crash, Fault::CrashAfter];

    /// True if a call can go wrong in this way, and in another one than by other faults: a lost answer of a call that changes nothing is an
    /// error, and a process that dies at one leaves what it leaves at the next that changes something.
    fn concerns(self, operation: Operation) -> bool {
        let changes = matches!(operation, Operation::Put | Operation::PutIfAbsent | Operation::Delete);
        match self {
            Fault::Error | Fault::Delay => true,
            Fault::LostAnswer | Fault::Crash | Fault::CrashAfter => changes,
            Fault::ShortRead => matches!(operation, Operation::Get | Operation::GetRange),
        }
    }

    fn lasts(self) -> bool {
        matches!(self, Fault::Crash | Fault::CrashAfter)
    }
}

/// What a call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Put,
    PutIfAbsent,
    Get,
    GetRange,
    Head,
    List,
    Delete,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) operation: Operation,
    /// The object or folder.
    pub(crate) subject: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} `{}`", self.operation, self.subject)
    }
}

/// Passes calls on, but for the one that is to fail.
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
    /// Another call has come.
    came: Condvar,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    planned: Option<(usize, Fault)>,
    meanwhile: Option<Meanwhile>,
}

/// Something that happens once, before the first call of this kind on an object or folder whose name begins so.
struct Meanwhile {
    operation: Operation,
    begins: &'static str,
    happens: Box<dyn FnOnce() + Send>,
}

impl FaultyStore {
    /// A store in which nothing fails yet.
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, state: Mutex::default(), came: Condvar::new() })
    }

    /// Lets the call of this number fail, counted from 0 from now on.
    pub(crate) fn fail(&self, number: usize, fault: Fault) {
        let mut state = self.state();
        state.calls.clear();
        state.planned = Some((number, fault));
    }

    /// Lets something happen before the first call of a kind on an object or folder whose name begins so.
    pub(crate) fn before(
        &self,
        operation: Operation,
        begins: &'static str,
        happens: impl FnOnce() + Send + 'static,
    ) {
        self.state().meanwhile = Some(Meanwhile { operation, begins, happens: Box::new(happens) });
    }

    /// The calls made so far, or since [`FaultyStore::fail`].
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call and makes it, or lets it go wrong.
    fn call<T>(
        &self,
        operation: Operation,
        subject: &str,
        make: impl FnOnce() -> Result<T>,
        shorten: impl FnOnce(T) -> T,
    ) -> Result<T> {
        let mut state = self.state();
        let number = state.calls.len();
        state.calls.push(Call { operation, subject: subject.to_owned() });
        self.came.notify_all();
        let fault = {
            state.planned.and_then(|(planned, fault)| match number.cmp(&planned) {
                std::cmp::Ordering::Equal => Some(fault),
                std::cmp::Ordering::Greater if fault.lasts() => Some(Fault::Crash),
                _ => None,
            })
        };
        if fault == Some(Fault::Delay) {
            let none_came = |state: &mut State| state.calls.len() == number + 1;
            state = self
                .came
                .wait_timeout_while(state, DELAY_MAX, none_came)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let due = |one: &mut Meanwhile| one.operation == operation && subject.starts_with(one.begins);
        let meanwhile = state.meanwhile.take_if(due);
        drop(state);
        if let Some(meanwhile) = meanwhile {
            (meanwhile.happens)();
        }
        let failed =
            |why: &str| Error::new(ErrorKind::Unavailable, format!("{operation:?} `{subject}`: {why}"));
        match fault {
            None | Some(Fault::Delay) => make(),
            Some(Fault::Error | Fault::Crash) => Err(failed("refused by the test")),
            Some(Fault::LostAnswer | Fault::CrashAfter) => {
                make().and_then(|_| Err(failed("its answer was lost by the test")))
            }
            Some(Fault::ShortRead) => make().map(shorten),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map`")]
fn shortened(bytes: Bytes) -> Bytes {
    bytes.slice(..bytes.len() - bytes.len().min(1 + bytes.len() / 3))
}

impl Store for FaultyStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.call(Operation::Put, key.as_str(), || self.inner.put(key, data), |done| done)
    }
    fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.call(Operation::PutIfAbsent, key.as_str(), || self.inner.put_if_absent(key, data), |done| done)
    }
    fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.call(Operation::Get, key.as_str(), || self.inner.get(key), shortened)
    }
    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        self.call(Operation::GetRange, key.as_str(), || self.inner.get_range(key, range), shortened)
    }
    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.call(Operation::Head, key.as_str(), || self.inner.head(key), |info| info)
    }
    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
        self.call(Operation::List, folder, || self.inner.list_all(folder), |found| found)
    }
    fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.call(Operation::Delete, key.as_str(), || self.inner.delete(key), |done| done)
    }
}

/// Does a piece of work once without a fault, to count its calls, and then once for each of its calls and each fault that concerns it, every
/// time in a fresh world whose store `fresh` hands over with it. `verify` gets the world and a line that says which call failed and how.
/// Returns how many calls the work makes when nothing fails. All faults are tried before it panics because of those that were not survived.
pub(crate) fn at_every_call<World>(
    faults: &[Fault],
    fresh: impl Fn() -> (World, Arc<dyn Store>),
    work: impl Fn(&World, &Arc<dyn Store>),
    verify: impl Fn(&World, &str),
) -> usize {
    let run = |planned: Option<(usize, Fault)>| {
        let (world, inner) = fresh();
        let failing = FaultyStore::new(inner);
        if let Some((number, fault)) = planned {
            failing.fail(number, fault);
        }
        let store: Arc<dyn Store> = failing.clone();
        let worked = catch_unwind(AssertUnwindSafe(|| work(&world, &store)));
        let calls = failing.calls();
        let what = match planned {
            None => "no fault".to_owned(),
            Some((number, fault)) => {
                let call = calls.get(number).map_or_else(|| "not reached".to_owned(), Call::to_string);
                format!("{fault:?} at call {number}, {call}")
            }
        };
        let survived = worked.and_then(|()| catch_unwind(AssertUnwindSafe(|| verify(&world, &what))));
        (calls, survived.is_err().then_some(what))
    };
    let (calls, failed) = run(None);
    let mut failed: Vec<String> = failed.into_iter().collect();
    for (number, call) in calls.iter().enumerate() {
        for fault in faults.iter().filter(|fault| fault.concerns(call.operation)) {
            failed.extend(run(Some((number, *fault))).1);
        }
    }
    assert!(failed.is_empty(), "not survived: {failed:#?}");
    calls.len()
}

#[cfg(test)]
mod tests {
    use super::{super::memory::MemoryStore, *};

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(name).unwrap()
    }

    fn store() -> Arc<FaultyStore> {
        FaultyStore::new(Arc::new(MemoryStore::default()))
    }

    #[test]
    fn a_call_fails_as_planned_and_the_next_goes_right() {
        let store = store();
        store.fail(1, Fault::Error);
        store.put(&key("a/1"), Bytes::from_static(b"one")).unwrap();
        assert!(store.put(&key("a/2"), Bytes::from_static(b"two")).is_err());
        assert_eq!(store.get(&key("a/2")).unwrap_err().kind(), ErrorKind::NotFound);

        store.fail(0, Fault::LostAnswer);
        assert!(store.put(&key("a/2"), Bytes::from_static(b"two")).is_err());
        assert_eq!(store.get(&key("a/2")).unwrap(), "two");

        store.fail(0, Fault::ShortRead);
        assert_eq!(store.get(&key("a/2")).unwrap(), "t");
        store.fail(0, Fault::ShortRead);
        assert_eq!(store.list_all("a").unwrap().len(), 2);
    }

    #[test]
    fn a_delayed_call_is_done_after_another_or_when_none_comes() {
        let store = store();
        store.fail(0, Fault::Delay);
        store.put(&key("alone"), Bytes::new()).unwrap();
        assert!(store.inner.head(&key("alone")).is_ok());
        store.fail(0, Fault::Delay);
        std::thread::scope(|scope| {
            for name in ["a", "b"] {
                let store = &store;
                scope.spawn(move || store.put(&key(name), Bytes::new()).unwrap());
            }
        });
        assert_eq!(store.list_all("").unwrap().len(), store.inner.list_all("").unwrap().len());
        assert!(store.inner.head(&key("a")).is_ok() && store.inner.head(&key("b")).is_ok());
    }

    #[test]
    fn after_a_crash_nothing_reaches_the_store() {
        let store = store();
        store.fail(0, Fault::CrashAfter);
        assert!(store.put(&key("a"), Bytes::new()).is_err());
        assert!(store.delete(&key("a")).is_err());
        assert_eq!(store.calls().len(), 2);
        assert!(store.inner.head(&key("a")).is_ok());
    }

    #[test]
    fn every_call_gets_its_turn() {
        let calls = at_every_call(
            &[Fault::Crash],
            || {
                let store = Arc::new(MemoryStore::default());
                (store.clone(), store)
            },
            |_, store| {
                for name in ["a", "b", "c"] {
                    if store.put(&key(name), Bytes::new()).is_err() {
                        return;
                    }
                }
            },
            |world, what| {
                let expected =
                    what.strip_prefix("Crash at call ").map_or(3, |rest| rest[..1].parse().unwrap());
                assert_eq!(world.objects().len(), expected, "{what}");
            },
        );
        assert_eq!(calls, 3);
    }
}
