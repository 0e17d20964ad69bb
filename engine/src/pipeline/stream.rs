//! One stream into chunks: cut, digested, deduplicated, listed.

use larder_sdk::StreamInfo;

use crate::{
    catalog::{Content, StreamRecord},
    chunker::{Chunker, Cutter, is_one_chunk},
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
    /// What is read and not yet cut, behind what is cut and not yet thrown away.
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
        let digest = Digest::of(bytes);
        let length = bytes.len() as u64;
        if bytes.is_empty() {
            return Ok(record(info, length, digest, Content::Empty));
        }
        let mut list = ChunkList::default();
        if !is_one_chunk(&info.media, bytes.len()) {
            let mut cutter = Cutter::new(self.chunker.clone(), &info.media);
            cutter.feed(bytes);
            cutter.end();
            let mut rest = bytes;
            while !rest.is_empty() {
                let chunk;
                (chunk, rest) = rest.split_at(cutter.chunk(rest));
                // One chunk has its stream's digest: the longest thing to do about it is done.
                if chunk.len() == bytes.len() {
                    break;
                }
                list.push(self, 0, self.save(&self.data, chunk)?)?;
            }
        }
        if list.is_empty() {
            self.saver.add(&self.data, self.repository.keys().blob_id(&digest).short(), bytes)?;
            return Ok(record(info, length, digest, Content::One));
        }
        Ok(record(info, length, digest, list.finish(self)?))
    }

    /// Begins a stream that comes in pieces.
    pub(super) fn begin<'store>(&'store mut self, info: &'store StreamInfo) -> OpenStream<'store, 'run> {
        self.buffer.clear();
        let cutter = Cutter::new(self.chunker.clone(), &info.media);
        OpenStream { store: self, info, cutter, start: 0, bytes: 0, list: ChunkList::default() }
    }

    fn save(&self, slot: &FrameSlot, bytes: &[u8]) -> Result<BlobId> {
        let id = self.repository.keys().blob_id(&Digest::of(bytes));
        self.saver.add(slot, id.short(), bytes)?;
        Ok(id)
    }
}

/// A stream under way. Its digest is its caller's to make, who has the other core for it.
pub(super) struct OpenStream<'store, 'run> {
    store: &'store mut StreamStore<'run>,
    info: &'store StreamInfo,
    cutter: Cutter,
    /// Where in the buffer the next chunk begins.
    start: usize,
    bytes: u64,
    list: ChunkList,
}

impl OpenStream<'_, '_> {
    /// The next piece.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.bytes += piece.len() as u64;
        self.cutter.feed(piece);
        // Not after every chunk: what is left would be moved over and over.
        if self.start >= self.store.buffer.len() / 2 {
            self.store.buffer.drain(..self.start);
            self.start = 0;
        }
        self.store.buffer.extend_from_slice(piece);
        self.cut(self.cutter.needs())
    }

    /// Cuts chunks as long as this many bytes are there.
    fn cut(&mut self, bytes_min: usize) -> Result<()> {
        while self.store.buffer.len() - self.start >= bytes_min.max(1) {
            let end = self.start + self.cutter.chunk(&self.store.buffer[self.start..]);
            let id = self.store.save(&self.store.data, &self.store.buffer[self.start..end])?;
            self.list.push(self.store, 0, id)?;
            self.start = end;
        }
        Ok(())
    }

    /// Ends the stream, whose bytes have this digest.
    pub(super) fn finish(mut self, digest: Digest) -> Result<StreamRecord> {
        self.cutter.end();
        self.cut(1)?;
        let content = self.list.finish(self.store)?;
        Ok(record(self.info, self.bytes, digest, content))
    }
}

/// Ids of chunks, then of blobs of ids, level by level.
#[derive(Default)]
struct ChunkList {
    levels: Vec<Vec<BlobId>>,
}

impl ChunkList {
    fn is_empty(&self) -> bool {
        self.levels.is_empty()
    }

    fn push(&mut self, store: &StreamStore<'_>, level: usize, id: BlobId) -> Result<()> {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        if self.levels[level].len() == LIST_IDS_MAX {
            self.fold(store, level)?;
        }
        self.levels[level].push(id);
        Ok(())
    }

    /// Puts a full list into a blob, which stands for it one level up.
    fn fold(&mut self, store: &StreamStore<'_>, level: usize) -> Result<()> {
        let ids = std::mem::take(&mut self.levels[level]);
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.0).collect();
        let id = store.save(&store.lists, &bytes)?;
        self.push(store, level + 1, id)
    }

    fn finish(mut self, store: &StreamStore<'_>) -> Result<Content> {
        let mut level = 0;
        while level + 1 < self.levels.len() {
            if !self.levels[level].is_empty() {
                self.fold(store, level)?;
            }
            level += 1;
        }
        let ids = self.levels.pop().unwrap_or_default();
        Ok(match (ids.len(), level) {
            (0, _) => Content::Empty,
            (1, 0) => Content::One,
            _ => Content::List { depth: level as u8, ids },
        })
    }
}

fn record(info: &StreamInfo, bytes: u64, digest: Digest, content: Content) -> StreamRecord {
    StreamRecord { name: info.name.clone(), media: info.media.clone(), bytes, digest, content }
}
