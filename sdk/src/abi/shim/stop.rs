//! A request to stop, which reaches whatever is being awaited.

use std::{future::Future, sync::Arc};

use tokio::sync::watch;

use crate::{Error, Result, runtime};

/// Set once and for all. What was opened through something stops with it.
#[derive(Clone)]
pub(super) struct Stop {
    own: Arc<watch::Sender<bool>>,
    above: Option<Arc<watch::Sender<bool>>>,
}

impl Stop {
    pub(super) fn new() -> Self {
        Self { own: Arc::new(watch::Sender::new(false)), above: None }
    }

    /// One for something opened through this one.
    pub(super) fn below(&self) -> Self {
        Self { own: Arc::new(watch::Sender::new(false)), above: Some(Arc::clone(&self.own)) }
    }

    pub(super) fn cancel(&self) {
        self.own.send_replace(true);
    }

    /// Drives work on this thread until it ends or is cancelled.
    pub(super) fn run<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        runtime::block_on(async {
            tokio::select! {
                biased;
                () = set(&self.own) => Err(Error::cancelled()),
                () = set_above(self.above.as_deref()) => Err(Error::cancelled()),
                done = work => done,
            }
        })
    }
}

async fn set(flag: &watch::Sender<bool>) {
    // The sender is alive, since we hold it: the only way out is the flag.
    let _ = flag.subscribe().wait_for(|set| *set).await;
}

async fn set_above(flag: Option<&watch::Sender<bool>>) {
    match flag {
        Some(flag) => set(flag).await,
        None => std::future::pending().await,
    }
}
