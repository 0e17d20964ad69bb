//! Faults on demand: wrappers that fail, delay or shorten the calls that a plan names.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Body, Capabilities, Container, Destination, Discovery, Error, ErrorKind, Event, Finding, ListPage,
    ObjectInfo, ObjectKey, Offer, Reader, ReaderHost, Result, Source,
};

/// A call of one of the traits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named like the methods")]
pub enum Call {
    Put,
    PutIfAbsent,
    Get,
    GetRange,
    Head,
    List,
    Delete,
    Validate,
    Discover,
    Read,
    Next,
    Open,
    ReadBody,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails with this kind and is not made.
    Fail(ErrorKind),
    /// It is made, and its answer is lost: an error of this kind.
    LoseAnswer(ErrorKind),
    /// It is made after a wait.
    Delay(Duration),
    /// Bytes or entries that it returns are cut in half.
    Short,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which call; `None` counts all of them.
    pub call: Option<Call>,
    /// The first time it strikes, counted from 1.
    pub nth: u64,
    /// How often, from then on.
    pub times: u64,
    /// What happens.
    pub effect: Effect,
}

/// A plan of faults and a count of calls. Clones share both.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    faults: Vec<Fault>,
    calls: u64,
    by_call: BTreeMap<Call, u64>,
}

impl Faults {
    /// No faults.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds a fault.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        self.add(fault);
        self
    }
    /// Every call from the nth on fails, as when a process is killed.
    #[must_use]
    pub fn fail_from(self, nth: u64, kind: ErrorKind) -> Self {
        self.with(Fault { call: None, nth, times: u64::MAX, effect: Effect::Fail(kind) })
    }
    /// Adds a fault to a plan in use.
    pub fn add(&self, fault: Fault) {
        self.plan().faults.push(fault);
    }
    /// How many calls were made.
    pub fn calls(&self) -> u64 {
        self.plan().calls
    }
    /// How many of one kind.
    pub fn calls_of(&self, call: Call) -> u64 {
        self.plan().by_call.get(&call).copied().unwrap_or(0)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what happens to it.
    fn strike(&self, call: Call) -> Option<Effect> {
        let mut plan = self.plan();
        plan.calls += 1;
        let all = plan.calls;
        let own = plan.by_call.entry(call).or_default();
        *own += 1;
        let own = *own;
        let strikes = |fault: &&Fault| {
            let count = match fault.call {
                Some(only) if only == call => own,
                Some(_) => return false,
                None => all,
            };
            count >= fault.nth && count - fault.nth < fault.times
        };
        plan.faults.iter().find(strikes).map(|fault| fault.effect)
    }

    /// Makes a call under the plan.
    async fn around<T: Shorten>(&self, call: Call, work: impl Future<Output = Result<T>>) -> Result<T> {
        let error = |kind| Error::new(kind, format!("a planned fault in {call:?}"));
        match self.strike(call) {
            None => work.await,
            Some(Effect::Fail(kind)) => Err(error(kind)),
            Some(Effect::LoseAnswer(kind)) => work.await.and(Err(error(kind))),
            Some(Effect::Delay(wait)) => {
                tokio::time::sleep(wait).await;
                work.await
            }
            Some(Effect::Short) => work.await.map(Shorten::half),
        }
    }
}

/// What [`Effect::Short`] does to an answer.
trait Shorten: Sized {
    fn half(self) -> Self {
        self
    }
}

impl Shorten for () {}
impl Shorten for ObjectInfo {}
impl Shorten for Discovery {}
impl Shorten for Box<dyn Reader> {}
impl Shorten for Box<dyn Body> {}
impl<T> Shorten for Vec<T> {
    fn half(mut self) -> Self {
        self.truncate(self.len() / 2);
        self
    }
}
impl Shorten for Bytes {
    fn half(self) -> Self {
        self.slice(..self.len() / 2)
    }
}
impl Shorten for Option<Bytes> {
    fn half(self) -> Self {
        self.map(Shorten::half).filter(|piece| !piece.is_empty())
    }
}
impl Shorten for ListPage {
    fn half(mut self) -> Self {
        self.objects = self.objects.half();
        self
    }
}

/// A destination with faults.
#[derive(Clone)]
pub struct FaultyDestination {
    inner: Arc<dyn Destination>,
    faults: Faults,
}

impl FaultyDestination {
    /// Wraps a destination.
    pub fn new(inner: Arc<dyn Destination>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
impl Destination for FaultyDestination {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    async fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.faults.around(Call::Put, self.inner.put(key, data)).await
    }
    async fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.faults.around(Call::PutIfAbsent, self.inner.put_if_absent(key, data)).await
    }
    async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.faults.around(Call::Get, self.inner.get(key)).await
    }
    async fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        self.faults.around(Call::GetRange, self.inner.get_range(key, range)).await
    }
    async fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.faults.around(Call::Head, self.inner.head(key)).await
    }
    async fn list(&self, folder: &str, token: Option<String>) -> Result<ListPage> {
        self.faults.around(Call::List, self.inner.list(folder, token)).await
    }
    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.faults.around(Call::Delete, self.inner.delete(key)).await
    }
}

/// A source with faults, in its readers and bodies too.
#[derive(Clone)]
pub struct FaultySource {
    inner: Arc<dyn Source>,
    faults: Faults,
}

impl FaultySource {
    /// Wraps a source.
    pub fn new(inner: Arc<dyn Source>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
impl Source for FaultySource {
    async fn validate(&self) -> Result<Vec<Finding>> {
        self.faults.around(Call::Validate, self.inner.validate()).await
    }
    async fn discover(&self) -> Result<Discovery> {
        self.faults.around(Call::Discover, self.inner.discover()).await
    }
    async fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        let inner = self.faults.around(Call::Read, self.inner.read(container, host)).await?;
        Ok(Box::new(FaultyReader { inner, faults: self.faults.clone() }))
    }
}

struct FaultyReader {
    inner: Box<dyn Reader>,
    faults: Faults,
}

#[async_trait]
impl Reader for FaultyReader {
    async fn next(&self) -> Result<Vec<Event>> {
        self.faults.around(Call::Next, self.inner.next()).await
    }
    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
        let inner = self.faults.around(Call::Open, self.inner.open(offer, stream)).await?;
        Ok(Box::new(FaultyBody { inner, faults: self.faults.clone() }))
    }
}

struct FaultyBody {
    inner: Box<dyn Body>,
    faults: Faults,
}

#[async_trait]
impl Body for FaultyBody {
    async fn read(&mut self) -> Result<Option<Bytes>> {
        self.faults.around(Call::ReadBody, self.inner.read()).await
    }
}
