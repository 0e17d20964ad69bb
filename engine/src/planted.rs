//! Bugs that tests plant, to see that the simulation of runs and prunes finds each. Outside tests there are none.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests plant bugs, also some in code of their own"))]
pub(crate) enum Bug {
    /// The index segments of a run are written after its snapshot.
    IndexAfterSnapshot,
    /// Prune lists the sessions before it puts its mark.
    SessionsBeforeMark,
    /// A writer takes as stored what only condemned packs hold.
    CondemnedTakenAsStored,
    /// A writer neither announces the roots it builds on nor looks whether they are still there.
    BaseNotPinned,
    /// Prune does not take checkpoints as in use.
    CheckpointNoRoot,
    /// A writer takes an error of the last put for its not having happened.
    LostAnswerTakenForFailure,
    /// A writer merges index segments.
    MergeByWriter,
    /// What a dead session wrote after its end is gone on from.
    CheckpointOfTheDead,
    /// Prune removes removal records though no other names what they do.
    RemovalForgotten,
}

/// True if this thread's test planted the bug.
#[cfg(not(test))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}

#[cfg(test)]
pub(crate) use in_tests::{plant, planted};

#[cfg(test)]
mod in_tests {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Plants a bug in what this thread does, or takes it out.
    pub(crate) fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}
