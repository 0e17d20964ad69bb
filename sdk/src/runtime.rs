//! The plugin's own tokio runtime: one per library, behind the boundary, so that authors may await anything.
//!
//! The host calls in from threads of its own; their calls are driven right there, while timers, sockets and spawned tasks run on
//! a few threads of the runtime. It is made on first use and lives as long as the process, like the library itself.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    thread,
};

use tokio::{
    runtime::{Builder, EnterGuard, Runtime},
    task::JoinHandle,
};

use crate::{Error, ErrorKind, Result};

/// Most worker threads: a plugin waits for networks and disks, the engine has the processors.
const WORKERS_MAX: usize = 4;
/// Most threads for calls that block, such as file systems'.
const BLOCKING_MAX: usize = 64;

static RUNTIME: Mutex<Option<&'static Runtime>> = Mutex::new(None);

/// Drives a future to its end on this thread, which must not belong to a runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    runtime()?.block_on(future)
}

/// Does work on a thread of its own, which may block.
pub(crate) fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    Ok(runtime()?.spawn_blocking(work))
}

/// Lets code on this thread start tasks and timers until the guard is dropped.
pub(crate) fn enter() -> Result<EnterGuard<'static>> {
    Ok(runtime()?.enter())
}

fn runtime() -> Result<&'static Runtime> {
    let mut slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = *slot {
        return Ok(runtime);
    }
    let workers = thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX);
    let runtime = Builder::new_multi_thread()
        .worker_threads(workers)
        .max_blocking_threads(BLOCKING_MAX)
        .thread_name("larder-plugin")
        .enable_all()
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::Unavailable, "the runtime's threads could not be started")
                .with_source(error)
        })?;
    Ok(slot.insert(Box::leak(Box::new(runtime))))
}
