//! A repository's small objects: snapshots, removal records, and what lives short.

use bytes::Bytes;
use larder_sdk::{ErrorKind, ObjectInfo, ObjectKey, codec::Record};

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
        let bytes = self.find_object(folder, name)?;
        bytes.map(|bytes| self.open_record(&key, kind, name, &bytes)).transpose()
    }

    /// The bytes of an object that others may remove at any time.
    fn find_object(&self, folder: &str, name: ObjectName) -> Result<Option<Bytes>> {
        let key = layout::in_folder(folder, name)?;
        match self.store().get(&key) {
            Ok(bytes) => Ok(Some(bytes)),
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
        self.read_folder(layout::SNAPSHOTS, &|name, bytes| self.open_snapshot(name, bytes))
    }

    /// A snapshot; `None` if it is gone, or if its session ended without one.
    pub fn snapshot(&self, name: ObjectName) -> Result<Option<SnapshotRecord>> {
        let bytes = self.find_object(layout::SNAPSHOTS, name)?;
        bytes.map_or(Ok(None), |bytes| self.open_snapshot(name, &bytes))
    }

    fn open_snapshot(&self, name: ObjectName, bytes: &Bytes) -> Result<Option<SnapshotRecord>> {
        let key = layout::in_folder(layout::SNAPSHOTS, name)?;
        if claims_kind(bytes, ObjectKind::End) {
            // It is opened all the same: an altered header must not hide a snapshot.
            return self.open_record::<EndRecord>(&key, ObjectKind::End, name, bytes).map(|_| None);
        }
        self.open_record(&key, ObjectKind::Snapshot, name, bytes).map(Some)
    }

    /// How a session ended without a snapshot; `None` if it did not, or ended with one.
    pub fn end_of(&self, session: ObjectName) -> Result<Option<EndRecord>> {
        let ended = self.find_object(layout::SNAPSHOTS, session)?;
        let end = ended.filter(|bytes| claims_kind(bytes, ObjectKind::End));
        let key = layout::in_folder(layout::SNAPSHOTS, session)?;
        end.map(|bytes| self.open_record(&key, ObjectKind::End, session, &bytes)).transpose()
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
    fn records<R: Record + Send>(
        &self,
        folder: &str,
        kind: ObjectKind,
    ) -> Result<Vec<(ObjectName, Result<R>)>> {
        self.read_folder(folder, &|name, bytes| {
            self.open_record(&layout::in_folder(folder, name)?, kind, name, bytes).map(Some)
        })
    }

    /// Opens the objects of a folder, in the order in which they are listed; from copies in the cache where there are some that open.
    fn read_folder<T: Send>(&self, folder: &str, open: &Open<'_, T>) -> Result<Vec<(ObjectName, Result<T>)>> {
        let objects = self.store().list_all(folder).map_err(EngineError::store)?;
        let listed: Vec<(ObjectName, ObjectInfo)> =
            objects.into_iter().filter_map(|(key, info)| Some((layout::name_of(&key)?, info))).collect();
        if let Some(copies) = self.copies() {
            copies.retain(folder, &listed);
        }
        let mut found: Vec<Option<Result<T>>> = Vec::with_capacity(listed.len());
        let mut missing = Vec::new();
        for (name, info) in &listed {
            let copy = self.copies().and_then(|copies| copies.read(folder, *name, info));
            match copy.map(|copy| open(*name, &copy)) {
                Some(Ok(opened)) => found.push(opened.map(Ok)),
                _ => {
                    missing.push((found.len(), *name, info));
                    found.push(None);
                }
            }
        }
        let fetch = |(_, name, info): &(usize, ObjectName, &ObjectInfo)| -> Result<Option<T>> {
            let Some(bytes) = self.find_object(folder, *name)? else { return Ok(None) };
            let opened = open(*name, &bytes)?;
            if let Some(copies) = self.copies() {
                copies.keep(folder, *name, info, &bytes);
            }
            Ok(opened)
        };
        for ((place, ..), fetched) in missing.iter().zip(self.fetch_all(&missing, &fetch)) {
            found[*place] = fetched.transpose();
        }
        Ok(listed.into_iter().zip(found).filter_map(|((name, _), found)| Some((name, found?))).collect())
    }

    /// Fetches things in their order, several at once if they are many.
    fn fetch_all<I: Sync, T: Send>(
        &self,
        wanted: &[I],
        fetch: &(dyn Fn(&I) -> Result<T> + Sync),
    ) -> Vec<Result<T>> {
        let at_once = (self.store().capabilities().concurrency as usize).clamp(1, FETCHERS_MAX);
        if at_once == 1 || wanted.len() < TOGETHER_MIN {
            return wanted.iter().map(fetch).collect();
        }
        let share = wanted.len().div_ceil(at_once);
        std::thread::scope(|scope| {
            let fetch_some = |some: &[I]| some.iter().map(fetch).collect::<Vec<_>>();
            let threads: Vec<_> = wanted
                .chunks(share)
                .map(|some| (some.len(), scope.spawn(move || fetch_some(some))))
                .collect();
            let panicked = || Err(EngineError::failed("a thread that reads records panicked"));
            let joined = threads.into_iter().flat_map(|(length, thread)| {
                thread.join().unwrap_or_else(|_| (0..length).map(|_| panicked()).collect())
            });
            joined.collect()
        })
    }
}

/// Opens an object; `None` for one that is no such thing.
type Open<'run, T> = dyn Fn(ObjectName, &Bytes) -> Result<Option<T>> + Sync + 'run;

/// Records fetched at once.
const FETCHERS_MAX: usize = 8;
/// Fewer are fetched one after the other.
const TOGETHER_MIN: usize = 8;
