//! What a repository does with its index.

use std::{collections::HashSet, sync::atomic::Ordering};

use larder_sdk::ErrorKind;

use super::Claim;
use crate::{
    error::{EngineError, Result},
    hash::{ObjectName, ShortId},
    index::BlobKind,
    repository::{Repository, layout},
};

/// What was loaded.
#[derive(Debug, Default)]
pub struct LoadedSegments {
    /// The segments that are there, and those that they stand for.
    pub known: HashSet<(BlobKind, ObjectName)>,
    /// Those that do not read, by key, and why.
    pub broken: Vec<(String, EngineError)>,
}

impl Repository {
    /// Loads the whole index. A damaged segment is an error: blobs it names would look as if they were not stored.
    pub fn load_index(&self) -> Result<()> {
        for kind in BlobKind::ALL {
            if let Some((_, damaged)) = self.index().load_whole(kind)?.into_iter().next() {
                return Err(damaged);
            }
        }
        Ok(())
    }

    /// Brings the cache up to what is listed now, for whoever uses it next; without one nothing is done. What goes wrong is met then.
    pub fn refresh_cache(&self) {
        if self.index().writable_cache().is_some() && self.load_index().is_err() {
            self.index().clear();
        }
    }

    /// Makes the index ready for reading: little is fetched before it is needed, and of what is fetched, a copy is kept. Returns what is
    /// wrong with segments that were read; what they and others name is found to be missing when it is needed.
    pub fn load_index_for_reading(&self) -> Result<Vec<EngineError>> {
        self.index().load_when_asked(BlobKind::Data);
        let broken = self.index().load_for_reading(BlobKind::Tree)?;
        Ok(broken.into_iter().map(|(_, error)| error).collect())
    }

    /// Loads the whole index from the store, whatever the cache says, and makes the cache anew from it. `poll` is asked now and then
    /// whether to go on.
    pub fn load_index_verified(&self, poll: &dyn Fn() -> Result<()>) -> Result<LoadedSegments> {
        let mut loaded = LoadedSegments::default();
        for kind in BlobKind::ALL {
            let (known, broken) = self.index().load_verified(kind, poll)?;
            loaded.known.extend(known.into_iter().map(|name| (kind, name)));
            for (name, error) in broken {
                let key = layout::in_folder(layout::index_folder(kind), name)?;
                loaded.broken.push((key.to_string(), error));
            }
        }
        Ok(loaded)
    }

    /// Counts up whenever other segments were found than before.
    pub fn index_version(&self) -> u64 {
        self.index().version.load(Ordering::Relaxed)
    }

    /// Looks again at which segments there are, as the index was loaded before, for a reader that misses a blob of a pack. `false` if that can change
    /// nothing: the segments are the same, the pack is there, and nobody else found others since the version was asked for.
    pub fn reload_index(&self, version: u64, pack: Option<(BlobKind, ObjectName)>) -> Result<bool> {
        if self.index_version() != version {
            return Ok(true);
        }
        let lost = match pack {
            Some((kind, pack)) if !self.has_pack(kind, pack)? => {
                self.index().lose(pack);
                true
            }
            _ => false,
        };
        // Segments that do not read are passed over.
        for kind in BlobKind::ALL {
            self.index().reload(kind)?;
        }
        Ok(lost || self.index_version() != version)
    }

    /// True if a pack is in the store.
    pub fn has_pack(&self, kind: BlobKind, pack: ObjectName) -> Result<bool> {
        match self.store().head(&layout::pack_key(kind, pack)?) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(EngineError::store(error)),
        }
    }

    /// Claims a blob for this run: `true` if the caller must send it. A pack is looked at before anything relies on it for the first time: a segment
    /// that its writer put after everybody took it for dead may name packs that are gone.
    pub fn claim(&self, id: ShortId) -> Result<bool> {
        let index = self.index();
        loop {
            let location = match index.claim(id)? {
                Claim::New => return Ok(true),
                Claim::Pending => return Ok(false),
                Claim::Stored(location) => location,
            };
            if index.verdicts().relied_on.contains(&location.pack) {
                return Ok(false);
            }
            if self.has_pack(location.kind, location.pack)? {
                index.write_verdicts().relied_on.insert(location.pack);
                return Ok(false);
            }
            index.lose(location.pack);
        }
    }
}
