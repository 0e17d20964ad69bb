//! Writing blobs: frames, packs, uploads, index segments.
//!
//! Blobs gather in frame slots, one per reading thread; full frames go to encoding threads, which compress, seal and append them
//! to the open pack; full packs go to uploading threads. Every queue is bounded in bytes, so a slow store slows the readers. The first
//! error stops everyone: each later call returns it.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use super::{
    Repository, layout,
    packer::{FinishedPack, Packer},
};
use crate::{
    error::{EngineError, Result},
    hash::{ObjectName, ShortId},
    index::{BlobKind, IndexEntry, encode_segment},
    pack::{Compression, FrameBlob, FrameBuilder, RawFrame, TREE_FRAME_BYTES, encode_frame},
};

/// Most plain bytes of frames that wait to be encoded.
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// Most finished packs that wait for an upload.
const UPLOADS_WAITING_MAX: usize = 1;
const ENCODERS: usize = 2;
const UPLOADERS: usize = 2;
/// An index segment is written once it would have this many entries, and at every flush.
const SEGMENT_ENTRIES_MAX: usize = 256 << 10;

/// Where one thread gathers blobs of one kind.
#[derive(Clone)]
pub struct FrameSlot {
    kind: BlobKind,
    builder: Arc<Mutex<FrameBuilder>>,
}

/// Writes blobs of one run.
pub struct Saver {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    repository: Arc<Repository>,
    compression: Compression,
    state: Mutex<State>,
    changed: Condvar,
    packs: [Mutex<Packer>; 2],
    /// Every slot with blobs in it, also when nobody adds to it any more.
    slots: Mutex<Vec<FrameSlot>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(BlobKind, RawFrame)>,
    queued_bytes: usize,
    /// Frames taken out of a slot and not yet queued, and frames being encoded.
    frames_in_hand: usize,
    uploads: VecDeque<FinishedPack>,
    uploading: usize,
    /// Stored, and in no segment yet.
    unindexed: [Vec<IndexEntry>; 2],
    flushing: bool,
    closing: bool,
    failed: Option<Failure>,
    stored_bytes: u64,
    segments: Vec<(BlobKind, ObjectName)>,
}

/// What stopped the run, in words that can be told more than once.
#[derive(Clone)]
struct Failure(Arc<EngineError>);

impl Failure {
    fn error(&self) -> EngineError {
        let mut error = EngineError::new(self.0.kind(), self.0.full_message());
        if let Some(hint) = self.0.hint() {
            error = error.with_hint(hint);
        }
        error
    }
}

impl Saver {
    /// Starts the threads. The repository's index must be loaded.
    pub fn start(repository: Arc<Repository>, compression: Compression) -> Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            repository,
            compression,
            state: Mutex::default(),
            changed: Condvar::new(),
            packs: BlobKind::ALL.map(|kind| Mutex::new(Packer::new(kind))),
            slots: Mutex::default(),
        });
        let mut threads = Vec::new();
        for (name, count, work) in [
            ("encode", ENCODERS, Shared::encode as fn(&Shared) -> Result<()>),
            ("upload", UPLOADERS, Shared::upload),
        ] {
            for _ in 0..count {
                let shared = Arc::clone(&shared);
                let thread = std::thread::Builder::new()
                    .name(name.to_owned())
                    .spawn(move || {
                        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&shared)))
                            .unwrap_or_else(|_| {
                                Err(EngineError::failed("a thread that writes blobs panicked"))
                            });
                        if let Err(error) = done {
                            shared.fail(error);
                        }
                    })
                    .map_err(|error| EngineError::failed("starting a thread").with_source(error))?;
                threads.push(thread);
            }
        }
        Ok(Arc::new(Self { shared, threads }))
    }

    /// A place for one thread to gather blobs.
    pub fn slot(&self, kind: BlobKind) -> FrameSlot {
        let frame_bytes = match kind {
            BlobKind::Data => self.shared.compression.data_frame_bytes(),
            BlobKind::Tree => TREE_FRAME_BYTES,
        };
        let slot = FrameSlot { kind, builder: Arc::new(Mutex::new(FrameBuilder::new(frame_bytes))) };
        lock(&self.shared.slots).push(slot.clone());
        slot
    }

    /// Adds a blob unless it is stored or on its way. Blocks while the queues are full.
    pub fn add(&self, slot: &FrameSlot, id: ShortId, bytes: &[u8]) -> Result<()> {
        drop(self.shared.wait(|state| !state.flushing)?);
        let builder = lock(&slot.builder);
        if !self.shared.repository.claim(id)? {
            return Ok(());
        }
        self.push(slot.kind, builder, id, bytes)
    }

    /// Adds a blob that was claimed already.
    pub fn add_claimed(&self, slot: &FrameSlot, id: ShortId, bytes: &[u8]) -> Result<()> {
        drop(self.shared.wait(|state| !state.flushing)?);
        self.push(slot.kind, lock(&slot.builder), id, bytes)
    }

    /// Adds a frame that is compressed already. Its blobs must have been claimed.
    pub fn add_frame(&self, kind: BlobKind, blobs: &[FrameBlob], encoded: &[u8]) -> Result<()> {
        self.shared.wait(|state| !state.flushing)?.frames_in_hand += 1;
        let full = lock(&self.shared.packs[kind as usize]).append(&self.shared.repository, blobs, encoded)?;
        if let Some(finished) = full {
            self.shared.hand_over(finished)?;
        }
        self.shared.lock_state().frames_in_hand -= 1;
        self.shared.changed.notify_all();
        Ok(())
    }

    fn push(
        &self,
        kind: BlobKind,
        mut builder: MutexGuard<'_, FrameBuilder>,
        id: ShortId,
        bytes: &[u8],
    ) -> Result<()> {
        let Some(full) = builder.push(id, bytes)? else { return Ok(()) };
        // Counted before the slot is let go, so that a flush cannot miss it.
        self.shared.lock_state().frames_in_hand += 1;
        drop(builder);
        self.shared.enqueue(kind, full)
    }

    /// Makes everything added before durable, index included. Other threads' additions wait meanwhile.
    pub fn flush(&self) -> Result<()> {
        self.shared.wait(|state| !state.flushing)?.flushing = true;
        let flushed = self.shared.flush();
        self.shared.lock_state().flushing = false;
        self.shared.changed.notify_all();
        flushed
    }

    /// The index segments written so far.
    pub fn segments(&self) -> Vec<(BlobKind, ObjectName)> {
        self.shared.lock_state().segments.clone()
    }

    /// Bytes sent to the store so far.
    pub fn stored_bytes(&self) -> u64 {
        self.shared.lock_state().stored_bytes
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        self.shared.lock_state().closing = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic there was a failure already told.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock_state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn fail(&self, error: EngineError) {
        self.lock_state().failed.get_or_insert_with(|| Failure(Arc::new(error)));
        self.changed.notify_all();
    }

    /// Waits until something is so, or someone failed.
    fn wait(&self, ready: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>> {
        let mut state = self.lock_state();
        loop {
            if let Some(failure) = &state.failed {
                return Err(failure.error());
            }
            if ready(&state) {
                return Ok(state);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn enqueue(&self, kind: BlobKind, frame: RawFrame) -> Result<()> {
        let mut state = self.wait(|state| state.queued_bytes <= QUEUE_BYTES_MAX)?;
        state.frames_in_hand -= 1;
        state.queued_bytes += frame.bytes.len();
        state.queue.push_back((kind, frame));
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    fn encode(&self) -> Result<()> {
        loop {
            let mut state = self.wait(|state| state.closing || !state.queue.is_empty())?;
            let Some((kind, frame)) = state.queue.pop_front() else { return Ok(()) };
            state.queued_bytes -= frame.bytes.len();
            state.frames_in_hand += 1;
            drop(state);
            self.changed.notify_all();
            let sealed = encode_frame(&frame.bytes, self.compression.level(frame.blobs.len()))?;
            let full = lock(&self.packs[kind as usize]).append(&self.repository, &frame.blobs, &sealed)?;
            if let Some(finished) = full {
                self.hand_over(finished)?;
            }
            self.lock_state().frames_in_hand -= 1;
            self.changed.notify_all();
        }
    }

    fn hand_over(&self, finished: FinishedPack) -> Result<()> {
        self.wait(|state| state.uploads.len() < UPLOADS_WAITING_MAX)?.uploads.push_back(finished);
        self.changed.notify_all();
        Ok(())
    }

    fn upload(&self) -> Result<()> {
        loop {
            let mut state = self.wait(|state| state.closing || !state.uploads.is_empty())?;
            let Some(pack) = state.uploads.pop_front() else { return Ok(()) };
            state.uploading += 1;
            drop(state);
            self.changed.notify_all();
            let key = layout::pack_key(pack.kind, pack.name)?;
            let bytes = pack.bytes.len() as u64;
            self.repository.store().put(&key, pack.bytes).map_err(EngineError::store)?;
            let mut state = self.lock_state();
            state.stored_bytes += bytes;
            state.unindexed[pack.kind as usize].extend(pack.entries);
            let segment = (state.unindexed[pack.kind as usize].len() >= SEGMENT_ENTRIES_MAX)
                .then(|| std::mem::take(&mut state.unindexed[pack.kind as usize]));
            drop(state);
            if let Some(entries) = segment {
                self.write_segment(pack.kind, entries)?;
            }
            self.lock_state().uploading -= 1;
            self.changed.notify_all();
        }
    }

    fn flush(&self) -> Result<()> {
        let slots = {
            let mut slots = lock(&self.slots);
            let all = slots.clone();
            // Those that only this list knows are emptied now and not filled again.
            slots.retain(|slot| Arc::strong_count(&slot.builder) > 2);
            all
        };
        for FrameSlot { kind, builder } in slots {
            let frame = {
                let mut builder = lock(&builder);
                let frame = builder.take();
                self.lock_state().frames_in_hand += usize::from(frame.is_some());
                frame
            };
            if let Some(frame) = frame {
                self.enqueue(kind, frame)?;
            }
        }
        drop(self.wait(|state| state.queue.is_empty() && state.frames_in_hand == 0)?);
        for kind in BlobKind::ALL {
            let finished = lock(&self.packs[kind as usize]).finish()?;
            if let Some(finished) = finished {
                self.hand_over(finished)?;
            }
        }
        drop(self.wait(|state| state.uploads.is_empty() && state.uploading == 0)?);
        // Both at once: each is a wait for the store.
        let [data, trees] = BlobKind::ALL.map(|kind| {
            let entries = std::mem::take(&mut self.lock_state().unindexed[kind as usize]);
            move || if entries.is_empty() { Ok(()) } else { self.write_segment(kind, entries) }
        });
        std::thread::scope(|scope| {
            let data = scope.spawn(data);
            let trees = trees();
            let data = data
                .join()
                .unwrap_or_else(|_| Err(EngineError::failed("a thread that writes blobs panicked")));
            data.and(trees)
        })
    }

    fn write_segment(&self, kind: BlobKind, mut entries: Vec<IndexEntry>) -> Result<()> {
        let (name, bytes) = encode_segment(
            self.repository.keys(),
            self.repository.id(),
            layout::index_kind(kind),
            &mut entries,
            &[],
        )?;
        let length = bytes.len() as u64;
        let key = layout::in_folder(layout::index_folder(kind), name)?;
        self.repository.store().put(&key, bytes.clone()).map_err(EngineError::store)?;
        self.repository.index().insert(kind, name, &bytes, &entries)?;
        let mut state = self.lock_state();
        state.stored_bytes += length;
        state.segments.push((kind, name));
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
