//! Reading blobs: by index, through a cache of opened frames.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use larder_sdk::ErrorKind;

use super::{Repository, layout, objects::PACK_HEADER_BYTES};
use crate::{
    error::{EngineError, Result},
    hash::{BlobId, Digest, ObjectName},
    index::{BlobKind, Location},
    pack::{FramePlace, LargeReader, decode_frame},
};

/// Reads blobs. Safe to use from many threads.
pub struct BlobReader {
    repository: Arc<Repository>,
    frames: Mutex<FrameCache>,
    packs: Mutex<HashMap<(BlobKind, ObjectName), Arc<LargeReader>>>,
}

impl BlobReader {
    /// A reader that keeps up to this many bytes of opened frames.
    pub fn new(repository: Arc<Repository>, cache_bytes: usize) -> Self {
        Self {
            repository,
            frames: Mutex::new(FrameCache { bytes_max: cache_bytes, ..FrameCache::default() }),
            packs: Mutex::default(),
        }
    }

    /// The repository read from.
    pub fn repository(&self) -> &Arc<Repository> {
        &self.repository
    }

    /// A blob's bytes, checked against its id.
    pub fn read(&self, id: &BlobId) -> Result<Vec<u8>> {
        let location = self.repository.index().find(id.short()).ok_or_else(|| {
            EngineError::damaged(format!("blob {id} is in no index segment"))
                .with_hint("run `larder check` to see what is damaged")
        })?;
        let blob = self.read_at(&location)?;
        if self.repository.keys().blob_id(&Digest::of(&blob)) != *id {
            return Err(damaged(
                location.kind,
                location.pack,
                &format!("what lies where blob {id} should be is another blob"),
            ));
        }
        Ok(blob)
    }

    fn read_at(&self, location: &Location) -> Result<Vec<u8>> {
        let frame = self.frame(location.kind, location.pack, location.frame)?;
        let start = location.offset as usize;
        frame
            .get(start..start + location.bytes as usize)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| damaged(location.kind, location.pack, "a frame is shorter than the index says"))
    }

    /// A frame's plain blobs.
    pub fn frame(&self, kind: BlobKind, pack: ObjectName, place: FramePlace) -> Result<Arc<Vec<u8>>> {
        let slot = (pack, place.number);
        if let Some(frame) = self.frames().get(&slot) {
            return Ok(frame);
        }
        let range = u64::from(place.offset)..u64::from(place.offset) + u64::from(place.sealed_bytes);
        let reader = self.pack(kind, pack)?;
        let key = layout::pack_key(kind, pack)?;
        let bytes =
            self.repository.store().get_range(&key, range).map_err(|error| unreadable(&key, error))?;
        let mut sealed = Vec::from(bytes);
        let frame = reader
            .frame(place.number, &mut sealed)
            .and_then(decode_frame)
            .map_err(|error| EngineError::from(error).context(format_args!("`{key}`")))?;
        let frame = Arc::new(frame);
        self.frames().put(slot, Arc::clone(&frame));
        Ok(frame)
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

/// Opened frames, the oldest thrown out first.
#[derive(Default)]
struct FrameCache {
    frames: HashMap<(ObjectName, u32), Arc<Vec<u8>>>,
    order: VecDeque<(ObjectName, u32)>,
    bytes: usize,
    bytes_max: usize,
}

impl FrameCache {
    fn get(&self, slot: &(ObjectName, u32)) -> Option<Arc<Vec<u8>>> {
        self.frames.get(slot).cloned()
    }

    fn put(&mut self, slot: (ObjectName, u32), frame: Arc<Vec<u8>>) {
        self.bytes += frame.len();
        match self.frames.insert(slot, frame) {
            Some(replaced) => self.bytes -= replaced.len(),
            None => self.order.push_back(slot),
        }
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(frame) = self.frames.remove(&oldest) {
                self.bytes -= frame.len();
            }
        }
    }
}
