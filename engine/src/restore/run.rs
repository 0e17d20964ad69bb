//! One restore into a directory.

use crate::{
    browse::SnapshotView,
    error::{EngineError, Result},
    events::Events,
    process::Interrupt,
};

use super::{RestoreOptions, RestoreReport};

/// Writes what a path leads to, and everything below it, into a directory.
pub fn restore(
    view: &SnapshotView,
    path: &[String],
    options: &RestoreOptions,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<RestoreReport> {
    let _ = (view, path, options, events, interrupt);
    Err(EngineError::failed("pending"))
}
