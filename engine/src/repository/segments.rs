//! Reading index segments: all of them into the index, or one whole.

use std::collections::HashSet;

use bytes::Bytes;
use larder_sdk::{ErrorKind, codec};

use super::{Repository, layout};
use crate::{
    error::{EngineError, EngineErrorKind, Result},
    hash::{ObjectName, ShortId},
    index::{BlobKind, Claim, IndexEntry, SegmentDirectory, decode_page},
    pack::{LargeReader, Tail},
};

/// How often the segments are listed anew because one of them went.
const LISTINGS_MAX: usize = 5;
/// How often all segments are loaded anew because a pack is not where they say.
const RELOADS_MAX: u32 = 8;

/// What was loaded.
#[derive(Debug, Default)]
pub struct LoadedSegments {
    /// The segments that are there, and those that they stand for.
    pub known: HashSet<(BlobKind, ObjectName)>,
    /// Those that do not read, by key, and why.
    pub broken: Vec<(String, EngineError)>,
}

/// Which segments the index has.
#[derive(Default)]
pub(super) struct Loaded {
    segments: HashSet<(BlobKind, ObjectName)>,
    version: u64,
    /// How often all of them were loaded anew because a pack was lost.
    reloads: u32,
    /// Packs that are known to be there.
    relied_on: HashSet<ObjectName>,
}

/// A segment in memory, sealed; its pages are opened one by one.
pub struct StoredSegment {
    what: String,
    reader: LargeReader,
    directory: SegmentDirectory,
    bytes: Bytes,
}

impl Repository {
    /// Loads every index segment. A damaged one is an error: blobs it names would look as if they were not stored.
    pub fn load_index(&self) -> Result<()> {
        match self.load_index_around()?.broken.into_iter().next() {
            Some((_, damaged)) => Err(damaged),
            None => Ok(()),
        }
    }

    /// Loads every index segment that reads: enough for reading, where what the others name is found to be missing when it is needed.
    pub fn load_index_around(&self) -> Result<LoadedSegments> {
        for _ in 0..LISTINGS_MAX {
            if let Some(loaded) = self.load_listed()? {
                return Ok(loaded);
            }
        }
        Err(EngineError::new(EngineErrorKind::Busy, "index segments go as fast as they are listed")
            .with_hint("a prune is merging them; try again when it has ended"))
    }

    /// Counts up whenever [`Repository::reload_index`] found something.
    pub fn index_version(&self) -> u64 {
        self.loaded().version
    }

    /// Loads segments anew for a reader that misses a blob of a pack. `false` if that can change nothing: no segment came, the pack is there, and
    /// nobody else found anything since the version was asked for.
    pub fn reload_index(&self, version: u64, pack: Option<(BlobKind, ObjectName)>) -> Result<bool> {
        let mut loaded = self.loaded();
        if loaded.version != version {
            return Ok(true);
        }
        match pack {
            Some((kind, pack)) if loaded.reloads < RELOADS_MAX && !self.has_pack(kind, pack)? => {
                self.lose(&mut loaded, pack).map(|()| true)
            }
            _ => self.load_new(&mut loaded, false),
        }
    }

    /// A pack is not there: where else its blobs lie is told by all segments.
    fn lose(&self, loaded: &mut Loaded, pack: ObjectName) -> Result<()> {
        self.index().lose(pack);
        if loaded.reloads < RELOADS_MAX {
            loaded.reloads += 1;
            self.load_new(loaded, true)?;
        }
        Ok(())
    }

    /// Loads the segments that came since, or all of them; `false` if there is nothing to load.
    fn load_new(&self, loaded: &mut Loaded, all: bool) -> Result<bool> {
        let mut found = false;
        for kind in BlobKind::ALL {
            for name in self.names(layout::index_folder(kind))? {
                if all || !loaded.segments.contains(&(kind, name)) {
                    found |= self.load_segment(kind, name)?.is_some();
                    loaded.segments.insert((kind, name));
                }
            }
        }
        loaded.version += u64::from(found);
        Ok(found)
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
        loop {
            let location = match self.index().claim(id) {
                Claim::New => return Ok(true),
                Claim::Pending => return Ok(false),
                Claim::Stored(location) => location,
            };
            let mut loaded = self.loaded();
            if loaded.relied_on.contains(&location.pack) {
                return Ok(false);
            }
            if self.has_pack(location.kind, location.pack)? {
                loaded.relied_on.insert(location.pack);
                return Ok(false);
            }
            self.lose(&mut loaded, location.pack)?;
        }
    }

    /// Loads the segments listed now; `None` if one went meanwhile: a prune has put another in its place.
    fn load_listed(&self) -> Result<Option<LoadedSegments>> {
        let mut loaded = LoadedSegments::default();
        let mut segments = HashSet::new();
        for kind in BlobKind::ALL {
            for name in self.names(layout::index_folder(kind))? {
                segments.insert((kind, name));
                match self.load_segment(kind, name) {
                    Ok(Some(replaced)) => loaded.known.extend(replaced.into_iter().map(|name| (kind, name))),
                    Ok(None) => return Ok(None),
                    Err(error) if error.kind() == EngineErrorKind::Damaged => {
                        let key = layout::in_folder(layout::index_folder(kind), name)?;
                        loaded.broken.push((key.to_string(), error));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        loaded.known.extend(segments.iter().copied());
        self.loaded().segments = segments;
        Ok(Some(loaded))
    }

    fn load_segment(&self, kind: BlobKind, name: ObjectName) -> Result<Option<Vec<ObjectName>>> {
        let Some(segment) = self.segment(kind, name)? else { return Ok(None) };
        for page in segment.pages() {
            self.index().insert(kind, &page?);
        }
        Ok(Some(segment.directory().replaces.clone()))
    }

    /// Reads an index segment; `None` if it is no longer there.
    pub fn segment(&self, kind: BlobKind, name: ObjectName) -> Result<Option<StoredSegment>> {
        let key = layout::in_folder(layout::index_folder(kind), name)?;
        let what = format!("index segment `{key}`");
        let bytes = match self.store().get(&key) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EngineError::store(error).context(&what)),
        };
        let opened = LargeReader::open(self.keys(), self.id(), layout::index_kind(kind), name, &bytes)
            .and_then(|reader| {
                let tail = reader.tail(&bytes, bytes.len() as u64)?;
                Ok((reader, tail))
            })
            .map_err(|error| damaged(error, &what))?;
        let (reader, Tail::Directory(directory, _)) = opened else {
            return Err(EngineError::damaged(format!("{what} is cut short")));
        };
        let directory = codec::decode(&directory).map_err(|error| damaged(error, &what))?;
        Ok(Some(StoredSegment { what, reader, directory, bytes }))
    }
}

impl StoredSegment {
    /// Its directory.
    pub fn directory(&self) -> &SegmentDirectory {
        &self.directory
    }

    /// Its entries, a page at a time.
    pub fn pages(&self) -> impl Iterator<Item = Result<Vec<IndexEntry>>> {
        self.directory.pages.iter().enumerate().map(|(number, page)| {
            let start = page.offset as usize;
            let sealed = self.bytes.get(start..start + page.sealed_bytes as usize);
            let Some(sealed) = sealed else {
                return Err(EngineError::damaged(format!("{} is cut short", self.what)));
            };
            self.reader
                .frame(number as u32, &mut sealed.to_vec())
                .and_then(decode_page)
                .map_err(|error| damaged(error, &self.what))
        })
    }
}

fn damaged(error: larder_sdk::Error, what: &str) -> EngineError {
    EngineError::from(error).context(what).with_hint("run `larder check` to see what is damaged")
}
