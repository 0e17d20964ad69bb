//! What the engine tells while it works. Whoever starts it decides what becomes of that: bars, lines, JSON, nothing.

use std::time::Duration;

use larder_sdk::LogLevel;

/// Takes what happens. Called from many threads, also thousands of times a second: it must be quick and must not block for long.
pub trait Events: Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: Event);
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A new part of the work begins; counts start again from nothing.
    Phase {
        /// Which.
        phase: Phase,
        /// What is worked on: a set's or repository's name.
        subject: String,
    },
    /// How far the phase has come. Totals, not differences, so that a lost one does no harm.
    Progress(Counts),
    /// Something about a container.
    Container {
        /// The container's name.
        name: String,
        /// What.
        state: ContainerState,
    },
    /// Something about one item that the user should know.
    Item {
        /// The container's name.
        container: String,
        /// The item's name or path.
        item: String,
        /// What.
        outcome: ItemOutcome,
    },
    /// All that was done so far would survive a crash now.
    Checkpoint {
        /// Which of this run, from 1.
        number: u64,
    },
    /// An account waits because the service asked for it.
    Wait {
        /// The account.
        account: String,
        /// How long.
        wait: Duration,
    },
    /// A line for the user or the log. Holds no secret.
    Log {
        /// How important it is.
        level: LogLevel,
        /// Who says it: a plugin's name, a set, `larder`.
        origin: String,
        /// What is so.
        text: String,
    },
}

impl Event {
    /// A warning.
    pub fn warning(origin: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Log { level: LogLevel::Warning, origin: origin.into(), text: text.into() }
    }
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Making a repository.
    Creating,
    /// Reading keys and index.
    Opening,
    /// Checking that a source can be read.
    Validating,
    /// Asking the source for its containers.
    Discovering,
    /// Reading from the source and writing to the repository.
    BackingUp,
    /// Writing index and snapshot.
    Finishing,
    /// Finding what to restore.
    Planning,
    /// Writing items back.
    Restoring,
    /// Writing items into a file.
    Exporting,
    /// Checking the repository's structure.
    Checking,
    /// Reading and verifying all data.
    Verifying,
    /// Reading back what was restored.
    ReadingBack,
    /// Counting what there is.
    Counting,
    /// Copying snapshots to another repository.
    Copying,
    /// Mending what is damaged.
    Repairing,
    /// Choosing which snapshots stay.
    Forgetting,
    /// Finding what is in use, and freeing what is not.
    Pruning,
}

impl Phase {
    /// The words for people, as a beginning of a sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Opening => "Opening",
            Self::Validating => "Validating",
            Self::Discovering => "Discovering",
            Self::BackingUp => "Backing up",
            Self::Finishing => "Finishing",
            Self::Planning => "Planning",
            Self::Restoring => "Restoring",
            Self::Exporting => "Exporting",
            Self::Checking => "Checking",
            Self::Verifying => "Verifying",
            Self::ReadingBack => "Reading back",
            Self::Counting => "Counting",
            Self::Copying => "Copying from",
            Self::Repairing => "Repairing",
            Self::Forgetting => "Looking through snapshots of",
            Self::Pruning => "Pruning",
        }
    }

    /// The word that `--json` prints.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Opening => "opening",
            Self::Validating => "validating",
            Self::Discovering => "discovering",
            Self::BackingUp => "backing-up",
            Self::Finishing => "finishing",
            Self::Planning => "planning",
            Self::Restoring => "restoring",
            Self::Exporting => "exporting",
            Self::Checking => "checking",
            Self::Verifying => "verifying",
            Self::ReadingBack => "reading-back",
            Self::Counting => "counting",
            Self::Copying => "copying",
            Self::Repairing => "repairing",
            Self::Forgetting => "forgetting",
            Self::Pruning => "pruning",
        }
    }
}

/// How far a phase has come, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Containers done.
    pub containers: u64,
    /// Containers in all, once known.
    pub containers_total: Option<u64>,
    /// Items done: listed in a backup, written in a restore, objects in a check.
    pub items: u64,
    /// Items in all, once known.
    pub items_total: Option<u64>,
    /// Content bytes read or written so far.
    pub bytes: u64,
    /// Content bytes in all, once known.
    pub bytes_total: Option<u64>,
    /// Bytes sent to the store.
    pub stored: u64,
    /// Items that could not be read or written so far.
    pub failed: u64,
}

/// What happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContainerState {
    /// Its reading began.
    Began,
    /// The plugin says what it is doing there.
    Doing(String),
    /// It is done.
    Done,
    /// It could not be read to its end; its last good state stays.
    Failed(String),
    /// The source no longer has it; its last good state stays.
    Gone,
}

/// What became of an item that was not simply done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ItemOutcome {
    /// It could not be read now and is owed: the next run tries again. The reason.
    Owed(String),
    /// It is left out by rule. The cause.
    Skipped(String),
    /// It could not be written back. The reason.
    NotRestored(String),
    /// What is stored of it is damaged or missing. The reason.
    Damaged(String),
}

impl ItemOutcome {
    /// The word that `--json` prints, and the reason.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Owed(reason) => ("owed", reason),
            Self::Skipped(cause) => ("skipped", cause),
            Self::NotRestored(reason) => ("not-restored", reason),
            Self::Damaged(reason) => ("damaged", reason),
        }
    }
}

/// Takes everything and shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl Events for NoEvents {
    fn event(&self, _: Event) {}
}
