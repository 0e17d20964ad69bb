//! What is in use: the roots of all trees that someone has, or may have just begun to build on.

use std::collections::HashSet;

use crate::{
    crypto::ObjectKind,
    error::{EngineError, EngineErrorKind, Result},
    hash::ObjectName,
    index::BlobKind,
    maintenance::usage::Usage,
    planted::{Bug, planted},
    repository::{Repository, layout, session::counting},
    snapshot::RemovalRecord,
    tree::Root,
};

/// Roots, and the names of segments that whoever has them refers to.
#[derive(Default)]
pub(super) struct Roots {
    needed: Vec<Root>,
    /// Of sessions, some of which may have been given up, and of snapshots that were removed, some of them long ago.
    perhaps: Vec<Root>,
    segments: HashSet<ObjectName>,
}

impl Roots {
    /// Lists them in the one order in which nothing can slip through: checkpoints, sessions, snapshots, removal records. A snapshot that went
    /// since `removals` were listed is found in its removal record.
    pub(super) fn list(repository: &Repository, removals: &HashSet<ObjectName>) -> Result<Self> {
        let mut roots = Self::default();
        let mut checkpoints = Vec::new();
        for (name, checkpoint) in repository.checkpoints()? {
            checkpoints.push((name, readable(checkpoint, "checkpoint", name)?));
        }
        if planted(Bug::CheckpointNoRoot) {
            checkpoints.clear();
        }
        for (_, checkpoint) in counting(repository, checkpoints)? {
            roots.add(checkpoint.root, &checkpoint.segments);
        }
        for (name, session) in repository.sessions()? {
            roots.perhaps.extend(readable(session, "session", name)?.roots);
        }
        for (name, snapshot) in repository.snapshots()? {
            let snapshot = readable(snapshot, "snapshot", name)?;
            roots.add(snapshot.root, &snapshot.segments);
        }
        for name in repository.names(layout::REMOVED)? {
            if !removals.contains(&name) {
                let record = repository.get_record(layout::REMOVED, ObjectKind::Removal, name);
                let record: RemovalRecord = readable(record, "removal record", name)?;
                roots.perhaps.extend(record.removed.iter().filter_map(|removed| removed.root));
            }
        }
        Ok(roots)
    }

    fn add(&mut self, root: Option<Root>, segments: &[(BlobKind, ObjectName)]) {
        self.needed.extend(root);
        self.segments.extend(segments.iter().map(|(_, name)| *name));
    }

    /// Adds everything that is needed.
    pub(super) fn add_to(&self, usage: &mut Usage<'_>) -> Result<()> {
        self.needed.iter().try_for_each(|root| usage.add_containers(*root))?;
        self.perhaps.iter().try_for_each(|root| usage.add_as_it_is(*root))
    }

    /// True if a snapshot or checkpoint says that it was written with this segment.
    pub(super) fn names_segment(&self, name: ObjectName) -> bool {
        self.segments.contains(&name)
    }
}

/// What does not read may be in use: nothing can be deleted then.
fn readable<T>(record: Result<T>, what: &str, name: ObjectName) -> Result<T> {
    record.map_err(|error| match error.kind() {
        EngineErrorKind::Damaged => {
            EngineError::damaged(format!("{what} {name} does not read: {}", error.full_message())).with_hint(
                "nothing was deleted, since it cannot be told what is in use; run `larder check` to see what is damaged",
            )
        }
        _ => error,
    })
}
