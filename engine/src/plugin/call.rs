//! One handle on a plugin's side, and calls on it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use larder_sdk::{
    Error, Result,
    abi::{
        Answer, PluginLink,
        messages::{Op, Opened},
    },
    codec::{self, Record},
};

use super::{
    CallLimits,
    threads::{CallThreads, Patience},
};

/// What all handles of one plugin share.
pub(super) struct Callee {
    pub(super) name: String,
    pub(super) link: PluginLink,
    pub(super) threads: Arc<CallThreads>,
    pub(super) limits: CallLimits,
}

impl Callee {
    /// Makes a call on another thread and names the plugin in what goes wrong.
    pub(super) fn run<T: Send + 'static>(
        &self,
        what: &str,
        limit: Duration,
        cancelled: &dyn Fn() -> bool,
        work: impl FnOnce(&PluginLink) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let link = self.link;
        let patience = Patience { limit, cancelled_limit: self.limits.cancelled, cancelled };
        self.threads.run(what, patience, move || work(&link)).map_err(|error| self.named(error))
    }

    /// Puts the plugin's name before an error's message.
    pub(super) fn named(&self, error: Error) -> Error {
        error.context(format_args!("plugin `{}`", self.name))
    }
}

/// Whether something was cancelled, itself or what it was opened through.
#[derive(Clone, Default)]
pub(super) struct Cancel {
    own: Arc<AtomicBool>,
    above: Option<Arc<AtomicBool>>,
}

impl Cancel {
    /// For something opened through this.
    pub(super) fn below(&self) -> Self {
        Self { own: Arc::default(), above: Some(Arc::clone(&self.own)) }
    }
    fn set(&self) {
        self.own.store(true, Ordering::Release);
    }
    pub(super) fn is_set(&self) -> bool {
        self.own.load(Ordering::Acquire)
            || self.above.as_ref().is_some_and(|above| above.load(Ordering::Acquire))
    }
}

/// Something a plugin holds open for us. Closed on drop.
pub(super) struct Handle {
    pub(super) callee: Arc<Callee>,
    number: u64,
    pub(super) cancel: Cancel,
}

impl Handle {
    /// Takes over what an [`Opened`] answer names.
    pub(super) fn opened(callee: &Arc<Callee>, answer: &Answer, cancel: Cancel) -> Result<Self> {
        let Opened { handle } = codec::decode(&answer.message).map_err(|error| callee.named(error))?;
        Ok(Self::numbered(callee, handle, cancel))
    }

    /// Takes over a handle by its number.
    pub(super) fn numbered(callee: &Arc<Callee>, number: u64, cancel: Cancel) -> Self {
        Self { callee: Arc::clone(callee), number, cancel }
    }

    /// Does one operation without a payload.
    pub(super) fn call<Q: Record>(&self, op: Op, question: &Q, limit: Duration) -> Result<Answer> {
        self.call_with(op, question, Bytes::new(), limit)
    }

    /// Does one operation. The payload is lent to the plugin.
    pub(super) fn call_with<Q: Record>(
        &self,
        op: Op,
        question: &Q,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Answer> {
        if self.cancel.is_set() {
            return Err(self.callee.named(Error::cancelled()));
        }
        let (number, message) = (self.number, codec::encode(question)?);
        let cancelled = || self.cancel.is_set();
        self.callee.run(name_of(op), limit, &cancelled, move |link| {
            link.call(number, op.number(), &message, payload)
        })
    }

    /// Does one operation and decodes the answer.
    pub(super) fn ask<Q: Record, A: Record>(&self, op: Op, question: &Q, limit: Duration) -> Result<A> {
        let answer = self.call(op, question, limit)?;
        codec::decode(&answer.message).map_err(|error| self.broken(op, error))
    }

    /// An error for an answer that breaks the rules.
    pub(super) fn broken(&self, op: Op, error: Error) -> Error {
        self.callee.named(error.context(format_args!("answer to {}", name_of(op))))
    }

    /// Ends pending and later calls. Returns soon.
    pub(super) fn cancel(&self) {
        self.cancel.set();
        let number = self.number;
        // A plugin that stalls even here loses a thread; the waiting callers give up by themselves.
        let _ = self.callee.run("cancel", self.callee.limits.cancelled, &|| false, move |link| {
            link.cancel(number);
            Ok(())
        });
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let number = self.number;
        // What does not close stays open in the plugin; there is nobody to tell.
        let _ = self.callee.run("close", self.callee.limits.quick, &|| self.cancel.is_set(), move |link| {
            link.close(number);
            Ok(())
        });
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.callee.name, self.number)
    }
}

/// The operation in the traits' words.
fn name_of(op: Op) -> &'static str {
    match op {
        Op::Validate => "validate",
        Op::Discover | Op::DiscoverMore => "discover",
        Op::Read => "read",
        Op::Next => "next",
        Op::AnswerOffers => "answer",
        Op::Fetch => "fetch",
        Op::Finish => "finish",
        Op::ReadBody => "reading a body",
        Op::Capabilities => "capabilities",
        Op::Put => "put",
        Op::PutIfAbsent => "put_if_absent",
        Op::Get => "get",
        Op::GetRange => "get_range",
        Op::Head => "head",
        Op::List => "list",
        Op::Delete => "delete",
        _ => "a call",
    }
}
