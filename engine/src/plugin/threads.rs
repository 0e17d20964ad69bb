//! Threads that call into a plugin, so that a call that never returns can be given up.
//!
//! The caller hands its work to a thread kept for that and waits, but not for ever. A thread whose caller gave up is left behind
//! and counted; it ends by itself should the call return after all.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use larder_sdk::{Error, ErrorKind, Result};

/// Most threads left behind; then the plugin is no longer called.
const LEFT_BEHIND_MAX: usize = 8;
/// Most idle threads kept.
const IDLE_MAX: usize = 32;
/// How often both ends look for each other before they sleep: calls mostly come in a row and are short, and waking a sleeping
/// core takes longer than such a call. Whoever else is ready to run gets the core meanwhile.
const LOOKS_BEFORE_SLEEP: usize = 256;
/// A look that took longer gave the core to somebody who has work for it: then looking on only takes it away again.
const LOOK_ALONE: Duration = Duration::from_micros(20);
/// How often a waiting caller looks whether it was cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(100);

type Job = Box<dyn FnOnce() + Send>;

/// The threads that call one plugin.
#[derive(Default)]
pub(super) struct CallThreads {
    idle: Mutex<Vec<SyncSender<Job>>>,
    left_behind: AtomicUsize,
}

/// How long a call may take, and what cuts that short.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) limit: Duration,
    /// What is left once `cancelled` says so.
    pub(super) cancelled_limit: Duration,
    pub(super) cancelled: &'a dyn Fn() -> bool,
}

impl CallThreads {
    /// Does work on another thread and waits for it. `what` names the call in the error for one that does not return.
    pub(super) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        what: &str,
        patience: Patience<'_>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.left_behind.load(Ordering::Acquire) >= LEFT_BEHIND_MAX {
            let message = format!("{LEFT_BEHIND_MAX} calls never returned; it is not called any more");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        let worker = self.worker()?;
        let over = Arc::new(AtomicBool::new(false));
        let (done, result) = sync_channel(1);
        let job = {
            let (over, threads) = (Arc::clone(&over), Arc::clone(self));
            move || {
                let outcome = work();
                if over.swap(true, Ordering::AcqRel) {
                    threads.left_behind.fetch_sub(1, Ordering::AcqRel);
                }
                // Nobody listens any more if the caller gave up.
                let _ = done.send(outcome);
            }
        };
        worker.send(Box::new(job)).map_err(|_| ended())?;
        match wait(&result, patience) {
            Ok(outcome) => {
                self.keep(worker);
                outcome
            }
            Err(RecvTimeoutError::Disconnected) => Err(ended()),
            Err(RecvTimeoutError::Timeout) => self.give_up(what, patience, &over, &result),
        }
    }

    /// Leaves a thread behind, unless it has just finished.
    fn give_up<T>(
        &self,
        what: &str,
        patience: Patience<'_>,
        over: &AtomicBool,
        result: &Receiver<Result<T>>,
    ) -> Result<T> {
        self.left_behind.fetch_add(1, Ordering::AcqRel);
        if over.swap(true, Ordering::AcqRel) {
            self.left_behind.fetch_sub(1, Ordering::AcqRel);
            return result.recv().unwrap_or_else(|_| Err(ended()));
        }
        if (patience.cancelled)() {
            return Err(Error::cancelled().context(format!("{what} did not return after it was cancelled")));
        }
        let message = format!("{what} did not return within {:?} and was given up", patience.limit);
        Err(Error::new(ErrorKind::Unavailable, message).with_code("plugin-stalled"))
    }

    /// An idle thread, or a new one.
    fn worker(&self) -> Result<SyncSender<Job>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(worker) = idle {
            return Ok(worker);
        }
        let (jobs, queue) = sync_channel::<Job>(1);
        thread::Builder::new()
            .name("larder-call".to_owned())
            .spawn(move || {
                while let Ok(job) = look(&queue).unwrap_or_else(|| queue.recv().map_err(drop)) {
                    job();
                }
            })
            .map_err(|error| {
                Error::new(ErrorKind::Unavailable, "no thread could be started").with_source(error)
            })?;
        Ok(jobs)
    }

    fn keep(&self, worker: SyncSender<Job>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(worker);
        }
    }
}

/// Waits a moment without sleeping; `None` if nothing came, an error if nothing ever will.
fn look<T>(queue: &Receiver<T>) -> Option<std::result::Result<T, ()>> {
    let mut looked = Instant::now();
    let mut alone = true;
    for _ in 0..LOOKS_BEFORE_SLEEP {
        match queue.try_recv() {
            Ok(found) => return Some(Ok(found)),
            Err(TryRecvError::Disconnected) => return Some(Err(())),
            Err(TryRecvError::Empty) if alone => thread::yield_now(),
            Err(TryRecvError::Empty) => return None,
        }
        let now = Instant::now();
        alone = now - looked < LOOK_ALONE;
        looked = now;
    }
    None
}

fn wait<T>(result: &Receiver<T>, patience: Patience<'_>) -> std::result::Result<T, RecvTimeoutError> {
    // Most calls are over at once: neither the clock nor the flag is looked at for them.
    if let Some(done) = look(result) {
        return done.map_err(|()| RecvTimeoutError::Disconnected);
    }
    if let Ok(done) = result.recv_timeout(LOOK_EVERY.min(patience.limit)) {
        return Ok(done);
    }
    let mut deadline = Instant::now() + patience.limit.saturating_sub(LOOK_EVERY);
    let mut cancelled = false;
    loop {
        let now = Instant::now();
        if !cancelled && (patience.cancelled)() {
            cancelled = true;
            deadline = deadline.min(now + patience.cancelled_limit);
        }
        match result.recv_timeout(LOOK_EVERY.min(deadline.saturating_duration_since(now))) {
            Err(RecvTimeoutError::Timeout) if now < deadline => {}
            other => return other,
        }
    }
}

fn ended() -> Error {
    Error::bug("the thread that called it has ended")
}

#[cfg(test)]
mod tests;
