//! A budget of bytes that readers share, so that memory is bounded whatever is read.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that may be in hand at once.
pub(super) struct Budget {
    free: Mutex<usize>,
    freed: Condvar,
    whole: usize,
}

/// Some of a budget, given back on drop.
pub(super) struct Share<'budget> {
    budget: &'budget Budget,
    bytes: usize,
}

impl Budget {
    /// A budget of this many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self { free: Mutex::new(bytes), freed: Condvar::new(), whole: bytes }
    }

    /// Takes a share, waiting until it is there. More than the whole budget is taken as the whole.
    pub(super) fn take(&self, bytes: usize) -> Share<'_> {
        let bytes = bytes.min(self.whole);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free < bytes {
            free = self.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= bytes;
        Share { budget: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.free.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.freed.notify_all();
    }
}
