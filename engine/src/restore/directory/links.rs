//! Files with several names: the first name written gets the content, the others become links to it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{layout::TargetPath, scratch::Scratch};

/// Device and inode in the source.
pub(super) type FileId = (u64, u64);

/// Most files whose place is remembered, at some 40 bytes each. Names of further files become files of their own.
const FILES_MAX: usize = 1_000_000;
/// Most names that wait for the first one of a file. Further ones become files of their own.
const WAITING_MAX: usize = 10_000;

/// One container's files with several names.
pub(super) struct Links {
    scratch: Arc<Scratch>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Files being written, with the names that wait for them.
    writing: HashMap<FileId, Vec<TargetPath>>,
    /// Files written, with the place of their path in the scratch file.
    written: HashMap<FileId, u64>,
}

/// What to do about a name.
pub(super) enum Role {
    /// Write the file, then tell by the claim.
    First(Claim),
    /// Link to this path.
    Other(TargetPath),
    /// Nothing: whoever writes the file will link this name.
    Waiting,
    /// Write a file of its own: too many to remember.
    Alone,
}

/// The right and duty to write a file.
pub(super) struct Claim {
    links: Arc<Links>,
    id: FileId,
    settled: bool,
}

impl Links {
    pub(super) fn new(scratch: Arc<Scratch>) -> Self {
        Self { scratch, state: Mutex::default() }
    }

    /// Decides what becomes of a name of a file.
    pub(super) fn role(self: &Arc<Self>, id: FileId, path: &TargetPath) -> rustix::io::Result<Role> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&start) = state.written.get(&id) {
            return Ok(Role::Other(TargetPath::from_bytes(self.scratch.get(start)?)));
        }
        if let Some(waiting) = state.writing.get_mut(&id) {
            if waiting.len() >= WAITING_MAX {
                return Ok(Role::Alone);
            }
            waiting.push(path.clone());
            return Ok(Role::Waiting);
        }
        if state.written.len() + state.writing.len() >= FILES_MAX {
            return Ok(Role::Alone);
        }
        state.writing.insert(id, Vec::new());
        Ok(Role::First(Claim { links: Arc::clone(self), id, settled: false }))
    }

    fn settle(&self, id: FileId, start: Option<u64>) -> Vec<TargetPath> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(start) = start {
            state.written.insert(id, start);
        }
        state.writing.remove(&id).unwrap_or_default()
    }
}

impl Claim {
    /// The file is written, at this path. Gives the names to link to it.
    pub(super) fn written(mut self, path: &TargetPath) -> rustix::io::Result<Vec<TargetPath>> {
        let start = self.links.scratch.add(path.as_bytes())?;
        self.settled = true;
        Ok(self.links.settle(self.id, Some(start)))
    }

    /// The file could not be written. Gives the names that waited for it; the next name that comes is a first one again.
    pub(super) fn abandoned(mut self) -> Vec<TargetPath> {
        self.settled = true;
        self.links.settle(self.id, None)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled {
            self.links.settle(self.id, None);
        }
    }
}
