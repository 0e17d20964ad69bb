//! A repository's small objects: snapshots, removal records, and what lives short.

use bytes::Bytes;
use larder_sdk::{ErrorKind, ObjectKey, codec::Record};

use super::{Repository, layout};
use crate::{
    crypto::{ObjectKind, claims_kind},
    error::{EngineError, Result},
    hash::ObjectName,
    pack::{open_small, seal_small},
    planted::{Bug, planted},
    snapshot::{CheckpointRecord, EndRecord, MarkRecord, RemovalRecord, SessionRecord, SnapshotRecord},
};

impl Repository {
    /// Writes a small object under a name.
    pub fn put_record<R: Record>(
        &self,
        folder: &str,
        kind: ObjectKind,
        name: ObjectName,
        record: &R,
    ) -> Result<()> {
        let bytes = seal_small(self.keys(), self.id(), kind, name, record)?;
        self.store().put(&layout::in_folder(folder, name)?, Bytes::from(bytes)).map_err(EngineError::store)
    }

    /// Writes a small object unless one of that name is there: `false` if so. When the answer was lost, reading back settles it.
    pub fn put_record_once<R: Record>(
        &self,
        folder: &str,
        kind: ObjectKind,
        name: ObjectName,
        record: &R,
    ) -> Result<bool> {
        let key = layout::in_folder(folder, name)?;
        let bytes = Bytes::from(seal_small(self.keys(), self.id(), kind, name, record)?);
        let Err(error) = self.store().put_if_absent(&key, bytes.clone()) else { return Ok(true) };
        if planted(Bug::LostAnswerTakenForFailure) {
            return Err(EngineError::store(error));
        }
        match self.store().get(&key) {
            Ok(found) => Ok(found == bytes),
            Err(_) if error.kind() != ErrorKind::AlreadyExists => Err(EngineError::store(error)),
            Err(unread) => Err(EngineError::store(unread)),
        }
    }

    /// Reads a small object.
    pub fn get_record<R: Record>(&self, folder: &str, kind: ObjectKind, name: ObjectName) -> Result<R> {
        let key = layout::in_folder(folder, name)?;
        let bytes = self
            .store()
            .get(&key)
            .map_err(|error| EngineError::store(error).context(format_args!("`{key}`")))?;
        self.open_record(&key, kind, name, &bytes)
    }

    /// Reads a small object that others may remove at any time; `None` if they did.
    pub fn find_record<R: Record>(
        &self,
        folder: &str,
        kind: ObjectKind,
        name: ObjectName,
    ) -> Result<Option<R>> {
        let key = layout::in_folder(folder, name)?;
        match self.store().get(&key) {
            Ok(bytes) => self.open_record(&key, kind, name, &bytes).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EngineError::store(error).context(format_args!("`{key}`"))),
        }
    }

    fn open_record<R: Record>(
        &self,
        key: &ObjectKey,
        kind: ObjectKind,
        name: ObjectName,
        bytes: &[u8],
    ) -> Result<R> {
        open_small(self.keys(), self.id(), kind, name, bytes)
            .map_err(|error| EngineError::from(error).context(format_args!("`{key}`")))
    }

    /// Removes a small object.
    pub fn remove(&self, folder: &str, name: ObjectName) -> Result<()> {
        self.store().delete(&layout::in_folder(folder, name)?).map_err(EngineError::store)
    }

    /// The names in a folder.
    pub fn names(&self, folder: &str) -> Result<Vec<ObjectName>> {
        let objects = self.store().list_all(folder).map_err(EngineError::store)?;
        Ok(objects.iter().filter_map(|(key, _)| layout::name_of(key)).collect())
    }

    /// Every snapshot, each with its own error if it cannot be read.
    pub fn snapshots(&self) -> Result<Vec<(ObjectName, Result<SnapshotRecord>)>> {
        let names = self.names(layout::SNAPSHOTS)?;
        Ok(names.into_iter().filter_map(|name| Some((name, self.snapshot(name).transpose()?))).collect())
    }

    /// A snapshot; `None` if it is gone, or if its session ended without one.
    pub fn snapshot(&self, name: ObjectName) -> Result<Option<SnapshotRecord>> {
        let key = layout::in_folder(layout::SNAPSHOTS, name)?;
        let bytes = match self.store().get(&key) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EngineError::store(error).context(format_args!("`{key}`"))),
        };
        if claims_kind(&bytes, ObjectKind::End) {
            // It is opened all the same: an altered header must not hide a snapshot.
            return self.open_record::<EndRecord>(&key, ObjectKind::End, name, &bytes).map(|_| None);
        }
        self.open_record(&key, ObjectKind::Snapshot, name, &bytes).map(Some)
    }

    /// How a session ended without a snapshot; `None` if it did not, or ended with one.
    pub fn end_of(&self, session: ObjectName) -> Result<Option<EndRecord>> {
        let key = layout::in_folder(layout::SNAPSHOTS, session)?;
        match self.store().get(&key) {
            Ok(bytes) if claims_kind(&bytes, ObjectKind::End) => {
                self.open_record(&key, ObjectKind::End, session, &bytes).map(Some)
            }
            Ok(_) => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EngineError::store(error).context(format_args!("`{key}`"))),
        }
    }

    /// A set's snapshots in the order of their runs. One that cannot be read is an error, whatever set it is of.
    pub fn snapshots_of(&self, set: &str) -> Result<Vec<(ObjectName, SnapshotRecord)>> {
        let mut found = Vec::new();
        for (name, snapshot) in self.snapshots()? {
            let snapshot = snapshot?;
            if snapshot.set == set {
                found.push((name, snapshot));
            }
        }
        found.sort_by_key(|(name, snapshot)| (snapshot.run, snapshot.finished, *name));
        Ok(found)
    }

    /// Every removal record, each with its own error if it cannot be read.
    pub fn removals(&self) -> Result<Vec<(ObjectName, Result<RemovalRecord>)>> {
        self.records(layout::REMOVED, ObjectKind::Removal)
    }

    /// Every checkpoint, each with its own error if it cannot be read. Whether it still counts is for [`super::counting`] to tell.
    pub fn checkpoints(&self) -> Result<Vec<(ObjectName, Result<CheckpointRecord>)>> {
        self.records(layout::CHECKPOINTS, ObjectKind::Checkpoint)
    }

    /// Every session that is announced, each with its own error if it cannot be read.
    pub fn sessions(&self) -> Result<Vec<(ObjectName, Result<SessionRecord>)>> {
        self.records(layout::SESSIONS, ObjectKind::Session)
    }

    /// Every mark, each with its own error if it cannot be read.
    pub fn marks(&self) -> Result<Vec<(ObjectName, Result<MarkRecord>)>> {
        self.records(layout::MARKS, ObjectKind::Mark)
    }

    /// What is in a folder. An object that goes while it is listed is not in it.
    fn records<R: Record>(&self, folder: &str, kind: ObjectKind) -> Result<Vec<(ObjectName, Result<R>)>> {
        let names = self.names(folder)?;
        Ok(names
            .into_iter()
            .filter_map(|name| Some((name, self.find_record(folder, kind, name).transpose()?)))
            .collect())
    }
}
