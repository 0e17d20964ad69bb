//! One stream into chunks: cut, digested, deduplicated, listed.

use larder_sdk::StreamInfo;

use crate::{
    catalog::{Content, StreamRecord},
    chunker::{CHUNK_BYTES_MIN, Chunker, Cutter, is_message},
    error::Result,
    hash::{BlobId, Digest},
    index::BlobKind,
    repository::{FrameSlot, Repository, Saver},
};

/// Most ids that stand in one list: in the record, or in one blob of a longer list.
const LIST_IDS_MAX: usize = 4096;

/// Stores streams, one after another, for one thread.
pub(super) struct StreamStore<'run> {
    repository: &'run Repository,
    saver: &'run Saver,
    chunker: Chunker,
    data: FrameSlot,
    lists: FrameSlot,
    /// What is read and not yet cut.
    buffer: Vec<u8>,
}

impl<'run> StreamStore<'run> {
    pub(super) fn new(repository: &'run Repository, saver: &'run Saver) -> Self {
        Self {
            repository,
            saver,
            chunker: Chunker::new(repository.keys()),
            data: saver.slot(BlobKind::Data),
            lists: saver.slot(BlobKind::Tree),
            buffer: Vec::new(),
        }
    }

    /// Stores a stream that is in memory.
    pub(super) fn whole(&mut self, info: &StreamInfo, bytes: &[u8]) -> Result<StreamRecord> {
        if bytes.is_empty() || bytes.len() > CHUNK_BYTES_MIN || is_message(&info.media) {
            let mut open = self.begin(info);
            open.write(bytes)?;
            return open.finish();
        }
        let digest = Digest::of(bytes);
        self.saver.add(&self.data, self.repository.keys().blob_id(&digest).short(), bytes)?;
        Ok(record(info, bytes.len() as u64, digest, Content::One))
    }

    /// Begins a stream that comes in pieces.
    pub(super) fn begin<'store>(&'store mut self, info: &'store StreamInfo) -> OpenStream<'store, 'run> {
        self.buffer.clear();
        let cutter = Cutter::new(self.chunker.clone(), &info.media);
        OpenStream {
            store: self,
            info,
            cutter,
            hasher: blake3::Hasher::new(),
            bytes: 0,
            levels: vec![Vec::new()],
        }
    }

    fn save(&self, slot: &FrameSlot, bytes: &[u8]) -> Result<BlobId> {
        let id = self.repository.keys().blob_id(&Digest::of(bytes));
        self.saver.add(slot, id.short(), bytes)?;
        Ok(id)
    }
}

/// A stream under way.
pub(super) struct OpenStream<'store, 'run> {
    store: &'store mut StreamStore<'run>,
    info: &'store StreamInfo,
    cutter: Cutter,
    hasher: blake3::Hasher,
    bytes: u64,
    /// Ids of chunks, then of blobs of ids, level by level.
    levels: Vec<Vec<BlobId>>,
}

impl OpenStream<'_, '_> {
    /// The next piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.hasher.update(piece);
        self.bytes += piece.len() as u64;
        self.cutter.feed(piece);
        self.store.buffer.extend_from_slice(piece);
        self.cut(self.cutter.needs())
    }

    /// Cuts chunks as long as this many bytes are there.
    fn cut(&mut self, bytes_min: usize) -> Result<()> {
        let mut start = 0;
        while self.store.buffer.len() - start >= bytes_min.max(1) {
            let end = start + self.cutter.chunk(&self.store.buffer[start..]);
            let id = self.store.save(&self.store.data, &self.store.buffer[start..end])?;
            self.push(0, id)?;
            start = end;
        }
        self.store.buffer.drain(..start);
        Ok(())
    }

    fn push(&mut self, level: usize, id: BlobId) -> Result<()> {
        if self.levels[level].len() == LIST_IDS_MAX {
            self.fold(level)?;
        }
        self.levels[level].push(id);
        Ok(())
    }

    /// Puts a full list into a blob, which stands for it one level up.
    fn fold(&mut self, level: usize) -> Result<()> {
        let ids = std::mem::take(&mut self.levels[level]);
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
        let id = self.store.save(&self.store.lists, &bytes)?;
        if self.levels.len() == level + 1 {
            self.levels.push(Vec::new());
        }
        self.push(level + 1, id)
    }

    /// Ends the stream.
    pub(super) fn finish(mut self) -> Result<StreamRecord> {
        self.cutter.end();
        self.cut(1)?;
        let mut level = 0;
        while level + 1 < self.levels.len() {
            if !self.levels[level].is_empty() {
                self.fold(level)?;
            }
            level += 1;
        }
        let ids = std::mem::take(&mut self.levels[level]);
        let content = match (ids.len(), level) {
            (0, _) => Content::Empty,
            (1, 0) => Content::One,
            _ => Content::List { depth: level as u8, ids },
        };
        Ok(record(self.info, self.bytes, Digest(*self.hasher.finalize().as_bytes()), content))
    }
}

fn record(info: &StreamInfo, bytes: u64, digest: Digest, content: Content) -> StreamRecord {
    StreamRecord { name: info.name.clone(), media: info.media.clone(), bytes, digest, content }
}
