//! What a check found.

/// Most problems listed one by one; the rest is counted.
const PROBLEMS_MAX: usize = 10_000;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The object, or the snapshot and path, it is about.
    pub subject: String,
    /// What is wrong, and why.
    pub message: String,
}

/// What a check looked at and found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Snapshots read.
    pub snapshots: u64,
    /// Packs found.
    pub packs: u64,
    /// Blobs in the index.
    pub blobs: u64,
    /// Items in all containers of all snapshots, each tree once.
    pub items: u64,
    /// Bytes of all packs.
    pub pack_bytes: u64,
    /// Packs read and verified.
    pub read_packs: u64,
    /// Bytes of packs read and verified.
    pub read_bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// How many more problems there are than are listed.
    pub more_problems: u64,
    /// What is not as it could be, and harms nothing.
    pub notes: Vec<String>,
}

impl CheckReport {
    /// True if nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn problem(&mut self, subject: impl Into<String>, message: impl Into<String>) {
        if self.problems.len() >= PROBLEMS_MAX {
            self.more_problems += 1;
            return;
        }
        let problem = Problem { subject: subject.into(), message: message.into() };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }
}
