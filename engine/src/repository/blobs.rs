//! Reading blobs: by index, through a cache of opened frames.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use larder_sdk::ErrorKind;

use super::{
    Repository,
    held::{Held, HeldBlobs},
    layout,
    objects::PACK_HEADER_BYTES,
};
use crate::{
    error::{EngineError, EngineErrorKind, Result},
    hash::{BlobId, Digest, ObjectName},
    index::{BlobKind, Location},
    pack::{FramePlace, LargeReader, decode_frame},
    snapshot::SnapshotRecord,
};

/// Reads blobs. Safe to use from many threads.
pub struct BlobReader {
    repository: Arc<Repository>,
    frames: Mutex<FrameCache>,
    packs: Mutex<HashMap<(BlobKind, ObjectName), Arc<LargeReader>>>,
    held: HeldBlobs,
    snapshot: Option<Watched>,
}

/// The snapshot that blobs are read for.
struct Watched {
    id: ObjectName,
    record: SnapshotRecord,
    /// Blobs that could not be had.
    missed: AtomicU64,
}

impl BlobReader {
    /// A reader that keeps up to this many bytes of opened frames.
    pub fn new(repository: Arc<Repository>, cache_bytes: usize) -> Self {
        Self {
            repository,
            frames: Mutex::new(FrameCache { bytes_max: cache_bytes, ..FrameCache::default() }),
            packs: Mutex::default(),
            held: HeldBlobs::default(),
            snapshot: None,
        }
    }

    /// A reader of one snapshot: what is missing because that was forgotten meanwhile is an error of kind [`EngineErrorKind::Gone`] then.
    #[must_use]
    pub fn of_snapshot(mut self, id: ObjectName, record: &SnapshotRecord) -> Self {
        self.snapshot = Some(Watched { id, record: record.clone(), missed: AtomicU64::new(0) });
        self
    }

    /// The repository read from.
    pub fn repository(&self) -> &Arc<Repository> {
        &self.repository
    }

    /// Reads blobs, each frame of them once, and keeps them apart from their frames until what is returned is dropped. What cannot be read
    /// is not kept, and found out about when it is wanted.
    pub fn hold(self: &Arc<Self>, ids: &[BlobId]) -> Held {
        let mut held = Vec::with_capacity(ids.len());
        self.read_each(ids, |at, blob| {
            if let Ok(blob) = blob {
                self.held.add(ids[at], &blob);
                held.push(ids[at]);
            }
        });
        Held::new(Arc::clone(self), held)
    }

    /// Blobs that are held.
    pub(super) fn held(&self) -> &HeldBlobs {
        &self.held
    }

    /// A blob's bytes, checked against its id. They keep their frame in memory.
    pub fn read(&self, id: &BlobId) -> Result<Bytes> {
        self.read_found(id, &|| self.repository.index().find(id.short()))
    }

    /// [`BlobReader::read`] for a tree blob: a cold reader then looks among trees first.
    pub fn read_tree(&self, id: &BlobId) -> Result<Bytes> {
        self.read_found(id, &|| self.repository.index().find_tree(id.short()))
    }

    /// Says which tree blobs will be read soon. What cannot be found now is found out about then.
    pub fn prefetch_trees(&self, ids: &[BlobId]) {
        let mut ranges = BTreeMap::new();
        for id in ids {
            let Ok(Some(location)) = self.repository.index().find_tree(id.short()) else { continue };
            let Ok(key) = layout::pack_key(location.kind, location.pack) else { continue };
            if !self.holds(&location) {
                let at = (location.pack, location.frame.number);
                ranges.insert(at, (key, frame_range(&location.frame)));
            }
        }
        // What opens the frames of a pack stands at its beginning.
        let mut headers = Vec::new();
        {
            let packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
            let mut last = None;
            for ((pack, _), (key, _)) in &ranges {
                if last.replace(pack) != Some(pack) && !packs.contains_key(&(BlobKind::Tree, *pack)) {
                    headers.push((key.clone(), 0..PACK_HEADER_BYTES));
                }
            }
        }
        let ranges: Vec<_> = ranges.into_values().chain(headers).collect();
        self.repository.store().prefetch(&ranges);
    }

    fn read_found(&self, id: &BlobId, find: &dyn Fn() -> Result<Option<Location>>) -> Result<Bytes> {
        let mut tries = 0;
        loop {
            let version = self.repository.index_version();
            let error = match self.try_read(id, find) {
                Err(error) if error.kind() == EngineErrorKind::Damaged => error,
                read => return read,
            };
            // A prune may have copied it elsewhere since the index was loaded; and of the places that segments name, several may be gone.
            tries += 1;
            let pack = find().ok().flatten().map(|location| (location.kind, location.pack));
            if tries > PLACES_MAX || !self.repository.reload_index(version, pack)? {
                return Err(self.explain(error));
            }
        }
    }

    /// Where much is damaged, the store is not asked about the snapshot every time.
    fn explain(&self, error: EngineError) -> EngineError {
        let Some(Watched { id, record, missed }) = &self.snapshot else { return error };
        let asks = error.kind() == EngineErrorKind::Damaged
            && (missed.fetch_add(1, Ordering::Relaxed) + 1).is_power_of_two();
        if asks { self.repository.explain_read(*id, record, error) } else { error }
    }

    fn try_read(&self, id: &BlobId, find: &dyn Fn() -> Result<Option<Location>>) -> Result<Bytes> {
        let location = Self::located(id, find()?)?;
        self.take_out(id, &location, &self.frame(&location, None)?)
    }

    /// Where a blob lies.
    pub fn locate(&self, id: &BlobId) -> Result<Location> {
        Self::located(id, self.repository.index().find(id.short())?)
    }

    fn located(id: &BlobId, found: Option<Location>) -> Result<Location> {
        found.ok_or_else(|| {
            EngineError::damaged(format!("blob {id} is in no index segment"))
                .with_hint("run `larder check` to see what is damaged")
        })
    }

    /// A blob out of its frame, checked against its id.
    pub(super) fn take_out(&self, id: &BlobId, location: &Location, frame: &Bytes) -> Result<Bytes> {
        let blob = Self::slice(location, frame)
            .ok_or_else(|| damaged(location.kind, location.pack, "a frame is shorter than the index says"))?;
        if self.repository.keys().blob_id(&Digest::of(&blob)) != *id {
            return Err(damaged(
                location.kind,
                location.pack,
                &format!("what lies where blob {id} should be is another blob"),
            ));
        }
        Ok(blob)
    }

    /// A blob out of its frame, if that is long enough; not checked against its id.
    pub(super) fn slice(location: &Location, frame: &Bytes) -> Option<Bytes> {
        let start = location.offset as usize;
        let end = start + location.bytes as usize;
        (end <= frame.len()).then(|| frame.slice(start..end))
    }

    /// True if a blob's frame is in memory.
    pub(super) fn holds(&self, location: &Location) -> bool {
        self.frames().slots.contains_key(&(location.pack, location.frame.number))
    }

    /// The plain blobs of a blob's frame, whose sealed bytes may have been read before. Who asks for a frame that another thread is
    /// reading waits for that one.
    pub(super) fn frame(&self, of: &Location, sealed: Option<&[u8]>) -> Result<Bytes> {
        let (kind, pack, place) = (of.kind, of.pack, of.frame);
        let at = (pack, place.number);
        let slot = self.frames().slot(at);
        let mut held = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frame) = &*held {
            return Ok(frame.clone());
        }
        let read = match sealed {
            Some(sealed) => self.open_frame(kind, pack, place, sealed.to_vec()),
            None => self
                .read_range(kind, pack, frame_range(&place))
                .and_then(|sealed| self.open_frame(kind, pack, place, sealed.into())),
        };
        match &read {
            Ok(frame) => {
                *held = Some(frame.clone());
                self.frames().filled(at, frame.len());
            }
            Err(_) => self.frames().forget(&at),
        }
        read
    }

    /// Bytes of a pack as they are stored.
    pub(super) fn read_range(&self, kind: BlobKind, pack: ObjectName, range: Range<u64>) -> Result<Bytes> {
        let key = layout::pack_key(kind, pack)?;
        self.repository.store().get_range(&key, range).map_err(|error| unreadable(&key, error))
    }

    /// A frame's bytes as they were before sealing, compressed. They are not kept.
    pub fn encoded_frame(&self, kind: BlobKind, pack: ObjectName, place: FramePlace) -> Result<Vec<u8>> {
        let sealed = Vec::from(self.read_range(kind, pack, frame_range(&place))?);
        self.unseal(kind, pack, place, sealed)
    }

    fn open_frame(
        &self,
        kind: BlobKind,
        pack: ObjectName,
        place: FramePlace,
        sealed: Vec<u8>,
    ) -> Result<Bytes> {
        let frame = decode_frame(&self.unseal(kind, pack, place, sealed)?);
        let key = layout::pack_key(kind, pack)?;
        Ok(frame.map_err(|error| EngineError::from(error).context(format_args!("`{key}`")))?.into())
    }

    fn unseal(
        &self,
        kind: BlobKind,
        pack: ObjectName,
        place: FramePlace,
        mut sealed: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let reader = self.pack(kind, pack)?;
        let key = layout::pack_key(kind, pack)?;
        let length = reader
            .frame(place.number, &mut sealed)
            .map_err(|error| EngineError::from(error).context(format_args!("`{key}`")))?
            .len();
        sealed.truncate(length);
        Ok(sealed)
    }

    fn pack(&self, kind: BlobKind, pack: ObjectName) -> Result<Arc<LargeReader>> {
        if let Some(reader) = self.packs.lock().unwrap_or_else(PoisonError::into_inner).get(&(kind, pack)) {
            return Ok(Arc::clone(reader));
        }
        let key = layout::pack_key(kind, pack)?;
        let header = self
            .repository
            .store()
            .get_range(&key, 0..PACK_HEADER_BYTES)
            .map_err(|error| unreadable(&key, error))?;
        let reader = LargeReader::open(
            self.repository.keys(),
            self.repository.id(),
            layout::pack_kind(kind),
            pack,
            &header,
        )
        .map_err(|error| EngineError::from(error).context(format_args!("`{key}`")))?;
        let reader = Arc::new(reader);
        let mut packs = self.packs.lock().unwrap_or_else(PoisonError::into_inner);
        if packs.len() >= PACKS_MAX {
            packs.clear();
        }
        packs.insert((kind, pack), Arc::clone(&reader));
        Ok(reader)
    }

    fn frames(&self) -> std::sync::MutexGuard<'_, FrameCache> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a frame lies in its pack, in bytes.
pub(super) fn frame_range(place: &FramePlace) -> Range<u64> {
    u64::from(place.offset)..u64::from(place.offset) + u64::from(place.sealed_bytes)
}

/// Most places at which a blob is looked for before it counts as lost.
const PLACES_MAX: u32 = 16;
/// Most pack headers kept.
const PACKS_MAX: usize = 16 << 10;

fn unreadable(key: &larder_sdk::ObjectKey, error: larder_sdk::Error) -> EngineError {
    match error.kind() {
        ErrorKind::NotFound => {
            EngineError::damaged(format!("`{key}` is missing from the store")).with_source(error)
        }
        ErrorKind::CorruptItem => EngineError::damaged(format!("`{key}` is cut short")).with_source(error),
        _ => EngineError::store(error).context(format_args!("`{key}`")),
    }
}

fn damaged(kind: BlobKind, pack: ObjectName, why: &str) -> EngineError {
    let name = layout::pack_key(kind, pack).map_or_else(|_| pack.to_string(), |key| key.to_string());
    EngineError::damaged(format!("`{name}` is damaged: {why}"))
}

/// A frame, or the place where one will be.
type Slot = Arc<Mutex<Option<Bytes>>>;

/// Opened frames, the oldest thrown out first.
#[derive(Default)]
struct FrameCache {
    slots: HashMap<(ObjectName, u32), Slot>,
    /// Those that hold a frame, and how many bytes.
    filled: VecDeque<((ObjectName, u32), usize)>,
    bytes: usize,
    bytes_max: usize,
}

impl FrameCache {
    fn slot(&mut self, at: (ObjectName, u32)) -> Slot {
        Arc::clone(self.slots.entry(at).or_default())
    }

    fn filled(&mut self, at: (ObjectName, u32), bytes: usize) {
        self.filled.push_back((at, bytes));
        self.bytes += bytes;
        while self.bytes > self.bytes_max
            && let Some((oldest, bytes)) = self.filled.pop_front()
        {
            self.slots.remove(&oldest);
            self.bytes -= bytes;
        }
    }

    fn forget(&mut self, at: &(ObjectName, u32)) {
        self.slots.remove(at);
    }
}
