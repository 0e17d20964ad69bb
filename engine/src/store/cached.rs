//! A store whose tree packs are kept in the local cache: browsing and incremental runs then ask the store for what is new alone.
//!
//! What is kept are ranges of packs as they were read or written, in files of their own, each piece with a keyed checksum. A piece that
//! does not verify is not believed and is read from the store.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    ops::Range,
    os::unix::fs::FileExt as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use larder_sdk::{Capabilities, ObjectInfo, ObjectKey, Result};

use super::Store;
use crate::cache::Cache;

/// What is kept: objects whose names begin so.
const KEPT: &str = "trees/";
/// The cache's folder of it.
const FOLDER: &str = "trees";
/// Bytes that verify together.
const PIECE_BYTES: u64 = 4096;
const CHECK_BYTES: u64 = 8;
/// Ranges closer than this are fetched as one.
const GAP_BYTES_MAX: u64 = 1 << 20;
/// Most bytes fetched as one.
const FETCH_BYTES_MAX: u64 = 16 << 20;
/// Most fetches at once.
const FETCHERS_MAX: usize = 8;
/// Most bytes kept; past it, what was written longest ago goes.
const KEPT_BYTES_MAX: u64 = 2 << 30;

/// Decorates a store.
pub struct CachedStore {
    inner: Arc<dyn Store>,
    cache: Arc<Cache>,
    key: [u8; 32],
    kept: Mutex<Option<Kept>>,
}

/// The ranges there are, by object.
#[derive(Default)]
struct Kept {
    ranges: HashMap<String, BTreeMap<u64, u64>>,
    bytes: u64,
}

impl CachedStore {
    /// Keeps what is read and written of tree packs in a cache; `key` verifies it.
    pub fn new(inner: Arc<dyn Store>, cache: Arc<Cache>, key: [u8; 32]) -> Self {
        Self { inner, cache, key, kept: Mutex::new(None) }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get_or_insert_with(|| {
            self.cache.sweep(FOLDER);
            let mut found = Kept::default();
            for (name, bytes) in self.cache.list(FOLDER) {
                if let Some((object, range)) = parse(&name) {
                    found.add(object, &range, bytes);
                }
            }
            found
        });
        kept
    }

    /// A range that lies within one that is kept.
    fn find(&self, key: &ObjectKey, range: &Range<u64>) -> Option<Bytes> {
        let object = object_of(key)?;
        let within = self.kept().as_ref()?.within(object, range)?;
        let file = self.cache.open_file(&file_name(object, &within))?;
        let read = read_pieces(&self.key, object, &file, &within, range);
        if read.is_none() {
            self.cache.remove(&file_name(object, &within));
            if let Some(kept) = self.kept().as_mut() {
                kept.remove(object, &within);
            }
        }
        read.map(Bytes::from)
    }

    fn keep(&self, key: &ObjectKey, start: u64, bytes: &[u8]) {
        let Some(object) = object_of(key) else { return };
        let range = start..start + bytes.len() as u64;
        if range.is_empty()
            || !self.cache.write(&file_name(object, &range), &seal(&self.key, object, start, bytes))
        {
            return;
        }
        if let Some(kept) = self.kept().as_mut() {
            kept.add(object, &range, bytes.len() as u64);
            if kept.bytes > KEPT_BYTES_MAX {
                self.make_room(kept);
            }
        }
    }

    /// Removes what was written longest ago, an eighth of all.
    fn make_room(&self, kept: &mut Kept) {
        for name in self.cache.oldest_first(FOLDER) {
            if kept.bytes < KEPT_BYTES_MAX - KEPT_BYTES_MAX / 8 {
                return;
            }
            if let Some((object, range)) = parse(&name) {
                kept.remove(object, &range);
                self.cache.remove(&format!("{FOLDER}/{name}"));
            }
        }
    }

    fn missing(&self, ranges: &[(ObjectKey, Range<u64>)]) -> Vec<(ObjectKey, Range<u64>)> {
        let kept = self.kept();
        let is_missing = |key: &ObjectKey, range: &Range<u64>| {
            object_of(key)
                .is_some_and(|object| kept.as_ref().is_some_and(|kept| kept.within(object, range).is_none()))
        };
        let mut missing: Vec<_> =
            ranges.iter().filter(|(key, range)| is_missing(key, range)).cloned().collect();
        missing.sort_by(|(a, of_a), (b, of_b)| (a, of_a.start).cmp(&(b, of_b.start)));
        let mut joined: Vec<(ObjectKey, Range<u64>)> = Vec::new();
        for (key, range) in missing {
            match joined.last_mut() {
                Some((last, so_far))
                    if *last == key
                        && range.start <= so_far.end + GAP_BYTES_MAX
                        && range.end - so_far.start <= FETCH_BYTES_MAX =>
                {
                    so_far.end = so_far.end.max(range.end);
                }
                _ => joined.push((key, range)),
            }
        }
        joined
    }
}

impl Store for CachedStore {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.inner.put(key, data.clone())?;
        self.keep(key, 0, &data);
        Ok(())
    }
    fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.inner.put_if_absent(key, data)
    }
    fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        self.inner.get(key)
    }
    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        if let Some(kept) = self.find(key, &range) {
            return Ok(kept);
        }
        let bytes = self.inner.get_range(key, range.clone())?;
        self.keep(key, range.start, &bytes);
        Ok(bytes)
    }
    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.inner.head(key)
    }
    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
        self.inner.list_all(folder)
    }
    fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.inner.delete(key)
    }

    fn prefetch(&self, ranges: &[(ObjectKey, Range<u64>)]) {
        let missing = self.missing(ranges);
        // One range is fetched by whoever reads it.
        if missing.len() + ranges.len() < 3 {
            return;
        }
        let next = AtomicUsize::new(0);
        let at_once = (self.inner.capabilities().concurrency as usize).clamp(1, FETCHERS_MAX);
        std::thread::scope(|scope| {
            for _ in 0..at_once.min(missing.len()) {
                scope.spawn(|| {
                    while let Some((key, range)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                        // Who reads it will meet the error.
                        if let Ok(bytes) = self.inner.get_range(key, range.clone()) {
                            self.keep(key, range.start, &bytes);
                        }
                    }
                });
            }
        });
    }
}

impl Kept {
    fn add(&mut self, object: &str, range: &Range<u64>, bytes: u64) {
        let ranges = self.ranges.entry(object.to_owned()).or_default();
        let end = ranges.entry(range.start).or_insert(range.end);
        *end = range.end.max(*end);
        self.bytes += bytes;
    }

    fn remove(&mut self, object: &str, range: &Range<u64>) {
        if let Some(ranges) = self.ranges.get_mut(object)
            && ranges.remove(&range.start).is_some()
        {
            self.bytes = self.bytes.saturating_sub(range.end - range.start);
        }
    }

    /// A kept range around another.
    fn within(&self, object: &str, range: &Range<u64>) -> Option<Range<u64>> {
        let before = self.ranges.get(object)?.range(..=range.start).rev();
        before.map(|(start, end)| *start..*end).find(|kept| kept.end >= range.end)
    }
}

/// The last part of a name that is kept.
fn object_of(key: &ObjectKey) -> Option<&str> {
    key.as_str().strip_prefix(KEPT)?.rsplit('/').next()
}

fn file_name(object: &str, range: &Range<u64>) -> String {
    format!("{FOLDER}/{object}.{}-{}", range.start, range.end)
}

fn parse(name: &str) -> Option<(&str, Range<u64>)> {
    let (object, range) = name.split_once('.')?;
    let (start, end) = range.split_once('-')?;
    let range = start.parse().ok()?..end.parse().ok()?;
    (range.start < range.end).then_some((object, range))
}

fn check(key: &[u8; 32], object: &str, offset: u64, piece: &[u8]) -> [u8; CHECK_BYTES as usize] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(piece);
    hasher.update(object.as_bytes());
    hasher.update(&offset.to_le_bytes());
    let mut check = [0; CHECK_BYTES as usize];
    check.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_BYTES as usize]);
    check
}

/// A range's bytes as kept: pieces, a check behind each.
fn seal(key: &[u8; 32], object: &str, start: u64, bytes: &[u8]) -> Vec<u8> {
    let pieces = bytes.chunks(PIECE_BYTES as usize);
    let mut sealed = Vec::with_capacity(bytes.len() + pieces.len() * CHECK_BYTES as usize);
    let mut offset = start;
    for piece in pieces {
        sealed.extend_from_slice(piece);
        sealed.extend_from_slice(&check(key, object, offset, piece));
        offset += piece.len() as u64;
    }
    sealed
}

/// Reads a part of a kept range; `None` if it does not verify.
fn read_pieces(
    key: &[u8; 32],
    object: &str,
    file: &File,
    kept: &Range<u64>,
    wanted: &Range<u64>,
) -> Option<Vec<u8>> {
    let first = (wanted.start - kept.start) / PIECE_BYTES;
    let last = (wanted.end - kept.start).div_ceil(PIECE_BYTES);
    let end = (last * PIECE_BYTES).min(kept.end - kept.start);
    let mut sealed = vec![0; (end - first * PIECE_BYTES + (last - first) * CHECK_BYTES) as usize];
    file.read_exact_at(&mut sealed, first * (PIECE_BYTES + CHECK_BYTES)).ok()?;
    let mut bytes = Vec::with_capacity((end - first * PIECE_BYTES) as usize);
    let mut offset = kept.start + first * PIECE_BYTES;
    for piece in sealed.chunks((PIECE_BYTES + CHECK_BYTES) as usize) {
        let (piece, seal) = piece.split_at(piece.len().checked_sub(CHECK_BYTES as usize)?);
        if check(key, object, offset, piece) != seal {
            return None;
        }
        bytes.extend_from_slice(piece);
        offset += piece.len() as u64;
    }
    let skip = (wanted.start - kept.start - first * PIECE_BYTES) as usize;
    bytes.drain(..skip);
    bytes.truncate((wanted.end - wanted.start) as usize);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{events::NoEvents, hash::RepositoryId, store::memory::MemoryStore};

    fn key(name: &str) -> ObjectKey {
        ObjectKey::new(name).unwrap()
    }

    struct World {
        folder: tempfile::TempDir,
        inner: Arc<MemoryStore>,
    }

    impl World {
        fn store(&self) -> CachedStore {
            let cache = Cache::open(self.folder.path(), RepositoryId([1; 16]), Arc::new(NoEvents)).unwrap();
            CachedStore::new(self.inner.clone(), Arc::new(cache), [5; 32])
        }
    }

    fn world() -> (World, Bytes) {
        let world = World { folder: tempfile::tempdir().unwrap(), inner: Arc::default() };
        let pack: Bytes = (0..3_000_000_u32).map(|at| ((at * 31) >> 7) as u8).collect::<Vec<_>>().into();
        world.inner.put(&key("trees/aa/aa1"), pack.clone()).unwrap();
        world.inner.put(&key("data/aa/aa1"), pack.clone()).unwrap();
        (world, pack)
    }

    #[test]
    fn what_was_read_written_or_announced_is_not_asked_for_again() {
        let (world, pack) = world();
        let store = world.store();
        let tree = key("trees/aa/aa1");
        store.get_range(&tree, 100..9_000).unwrap();
        store.put(&key("trees/bb/bb1"), pack.slice(..50_000)).unwrap();
        store.prefetch(&[
            (tree.clone(), 10_000..20_000),
            (tree.clone(), 500_000..500_001),
            (tree.clone(), 2_900_000..2_999_999),
        ]);
        drop(store);
        world.inner.objects().clear();
        let store = world.store();
        for range in
            [100..9_000, 5_000..5_001, 4_095..8_193, 10_000..20_000, 300_000..400_000, 2_900_000..2_999_999]
        {
            let expected = pack.slice(range.start as usize..range.end as usize);
            assert_eq!(store.get_range(&tree, range).unwrap(), expected);
        }
        assert_eq!(
            store.get_range(&key("trees/bb/bb1"), 49_000..50_000).unwrap(),
            pack.slice(49_000..50_000)
        );
        assert!(store.get_range(&tree, 99..101).is_err());
        assert!(store.get_range(&tree, 1_900_000..1_900_001).is_err());
    }

    #[test]
    fn data_is_not_kept_and_damage_is_read_around() {
        let (world, pack) = world();
        let store = world.store();
        store.get_range(&key("data/aa/aa1"), 0..100).unwrap();
        store.get_range(&key("trees/aa/aa1"), 0..10_000).unwrap();
        let folder = world.folder.path().join(RepositoryId([1; 16]).to_string()).join(FOLDER);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        let mut bytes = std::fs::read(&files[0]).unwrap();
        bytes[5_000] ^= 1;
        std::fs::write(&files[0], &bytes).unwrap();
        for store in [store, world.store()] {
            assert_eq!(
                store.get_range(&key("trees/aa/aa1"), 4_000..6_000).unwrap(),
                pack.slice(4_000..6_000)
            );
            assert_eq!(store.get_range(&key("trees/aa/aa1"), 0..10_000).unwrap(), pack.slice(..10_000));
        }
    }
}
