//! Copying what is in use out of packs that go.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use larder_sdk::codec;

use crate::{
    crypto::HEADER_BYTES,
    error::{EngineError, Result},
    hash::{ObjectName, ShortId},
    index::{BlobKind, IndexEntry, encode_segment},
    pack::{
        Compression, FrameBlob, FrameBuilder, LargeReader, PackDirectory, RawFrame, TREE_FRAME_BYTES, Tail,
        decode_frame, encode_frame,
    },
    repository::{
        Repository, layout,
        packer::{FinishedPack, Packer},
    },
};

/// A frame of which at least this share is in use is copied as it is, without being compressed anew.
const WHOLE_FRAME_PERCENT: u64 = 75;
/// Entries of a segment.
pub(crate) const SEGMENT_ENTRIES_MAX: usize = 256 << 10;
/// The most a pack's end is first asked for: nearly always its directory is in it.
const TAIL_BYTES: u64 = 64 << 10;
/// Copies are packed as runs pack without being told otherwise: a prune knows no config of a set.
const COMPRESSION: Compression = Compression::Default;

/// Copies blobs into new packs, and names them in new segments.
pub(crate) struct Copier<'run> {
    repository: &'run Arc<Repository>,
    packers: [Packer; 2],
    builders: [FrameBuilder; 2],
    /// Stored, and in no segment yet.
    entries: [Vec<IndexEntry>; 2],
    /// Bytes of packs and segments stored.
    pub(super) stored_bytes: u64,
}

impl<'run> Copier<'run> {
    pub(crate) fn new(repository: &'run Arc<Repository>) -> Self {
        Self {
            repository,
            packers: BlobKind::ALL.map(Packer::new),
            builders: [COMPRESSION.data_frame_bytes(), TREE_FRAME_BYTES].map(FrameBuilder::new),
            entries: Default::default(),
            stored_bytes: 0,
        }
    }

    /// Copies some blobs of a pack.
    pub(super) fn copy(
        &mut self,
        kind: BlobKind,
        name: ObjectName,
        object_bytes: u64,
        wanted: &HashSet<ShortId>,
    ) -> Result<()> {
        let pack = SourcePack::open(self.repository, kind, name, object_bytes)?;
        let mut missing = wanted.clone();
        for (number, frame) in &pack.frames {
            let blobs = || frame.blobs.iter().filter(|blob| wanted.contains(&blob.id));
            if blobs().next().is_none() {
                continue;
            }
            blobs().for_each(|blob| {
                missing.remove(&blob.id);
            });
            let encoded = pack.frame(self.repository, *number, frame)?;
            let used: u64 = blobs().map(|blob| u64::from(blob.bytes)).sum();
            let whole: u64 = frame.blobs.iter().map(|blob| u64::from(blob.bytes)).sum();
            if used * 100 >= whole * WHOLE_FRAME_PERCENT {
                self.append(kind, &frame.blobs, &encoded)?;
            } else {
                self.take_out(kind, &frame.blobs, wanted, &decode_frame(&encoded)?)?;
            }
        }
        match missing.iter().next() {
            Some(id) => Err(EngineError::damaged(format!(
                "`{}` should hold blob {id} and its directory does not name it",
                layout::pack_key(kind, name)?
            ))
            .with_hint("run `larder check --read-data` to see what is damaged")),
            None => Ok(()),
        }
    }

    fn take_out(
        &mut self,
        kind: BlobKind,
        blobs: &[FrameBlob],
        wanted: &HashSet<ShortId>,
        plain: &[u8],
    ) -> Result<()> {
        let mut rest = plain;
        for blob in blobs {
            let Some((bytes, later)) = rest.split_at_checked(blob.bytes as usize) else {
                return Err(EngineError::damaged("a frame is shorter than its pack's directory says"));
            };
            rest = later;
            if wanted.contains(&blob.id) {
                self.add(kind, blob.id, bytes)?;
            }
        }
        Ok(())
    }

    /// Adds one blob.
    pub(crate) fn add(&mut self, kind: BlobKind, id: ShortId, bytes: &[u8]) -> Result<()> {
        match self.builders[kind as usize].push(id, bytes)? {
            Some(full) => self.encode(kind, &full),
            None => Ok(()),
        }
    }

    fn encode(&mut self, kind: BlobKind, frame: &RawFrame) -> Result<()> {
        self.append(kind, &frame.blobs, &encode_frame(&frame.bytes, COMPRESSION.level(frame.blobs.len()))?)
    }

    /// Appends an encoded frame as it is.
    pub(crate) fn append(&mut self, kind: BlobKind, blobs: &[FrameBlob], encoded: &[u8]) -> Result<()> {
        match self.packers[kind as usize].append(self.repository, blobs, encoded)? {
            Some(full) => self.store(full),
            None => Ok(()),
        }
    }

    fn store(&mut self, pack: FinishedPack) -> Result<()> {
        let key = layout::pack_key(pack.kind, pack.name)?;
        self.stored_bytes += pack.bytes.len() as u64;
        self.repository.store().put(&key, pack.bytes).map_err(EngineError::store)?;
        let entries = &mut self.entries[pack.kind as usize];
        entries.extend(pack.entries);
        if entries.len() >= SEGMENT_ENTRIES_MAX {
            self.index(pack.kind)?;
        }
        Ok(())
    }

    fn index(&mut self, kind: BlobKind) -> Result<()> {
        let mut entries = std::mem::take(&mut self.entries[kind as usize]);
        if !entries.is_empty() {
            self.stored_bytes += put_segment(self.repository, kind, &mut entries, &[])?;
        }
        Ok(())
    }

    /// Makes everything copied durable, index included.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.finish_packs()?;
        BlobKind::ALL.into_iter().try_for_each(|kind| self.index(kind))
    }

    pub(crate) fn finish_packs(&mut self) -> Result<()> {
        for kind in BlobKind::ALL {
            if let Some(frame) = self.builders[kind as usize].take() {
                self.encode(kind, &frame)?;
            }
            if let Some(pack) = self.packers[kind as usize].finish()? {
                self.store(pack)?;
            }
        }
        Ok(())
    }
}

/// Writes a segment and adds it to the index in memory; returns how many bytes it has.
pub(crate) fn put_segment(
    repository: &Repository,
    kind: BlobKind,
    entries: &mut [IndexEntry],
    replaces: &[ObjectName],
) -> Result<u64> {
    let (name, bytes) = store_segment(repository, kind, entries, replaces)?;
    repository.index().insert(kind, name, &bytes, entries)?;
    Ok(bytes.len() as u64)
}

/// Writes a segment; returns its name and its sealed bytes.
pub(super) fn store_segment(
    repository: &Repository,
    kind: BlobKind,
    entries: &mut [IndexEntry],
    replaces: &[ObjectName],
) -> Result<(ObjectName, Bytes)> {
    let (name, bytes) =
        encode_segment(repository.keys(), repository.id(), layout::index_kind(kind), entries, replaces)?;
    let key = layout::in_folder(layout::index_folder(kind), name)?;
    repository.store().put(&key, bytes.clone()).map_err(EngineError::store)?;
    Ok((name, bytes))
}

/// A frame of a pack that is read, and where it begins.
struct SourceFrame {
    offset: u64,
    sealed_bytes: u64,
    blobs: Vec<FrameBlob>,
}

/// A pack that is read.
struct SourcePack {
    key: larder_sdk::ObjectKey,
    reader: LargeReader,
    frames: Vec<(u32, SourceFrame)>,
}

impl SourcePack {
    fn open(repository: &Repository, kind: BlobKind, name: ObjectName, object_bytes: u64) -> Result<Self> {
        let key = layout::pack_key(kind, name)?;
        let store = repository.store();
        let read = |range| store.get_range(&key, range).map_err(EngineError::store);
        let damaged = |error: larder_sdk::Error| EngineError::from(error).context(format_args!("`{key}`"));
        let header = read(0..(HEADER_BYTES as u64).min(object_bytes))?;
        let reader =
            LargeReader::open(repository.keys(), repository.id(), layout::pack_kind(kind), name, &header)
                .map_err(damaged)?;
        let mut tail_bytes = TAIL_BYTES.min(object_bytes);
        let directory = loop {
            let tail = read(object_bytes - tail_bytes..object_bytes)?;
            match reader.tail(&tail, object_bytes).map_err(damaged)? {
                Tail::Directory(directory, _) => break directory,
                Tail::Needs(more) if more > tail_bytes && more <= object_bytes => tail_bytes = more,
                Tail::Needs(_) => {
                    return Err(EngineError::damaged(format!(
                        "the directory of `{key}` does not fit into it"
                    )));
                }
            }
        };
        let directory: PackDirectory = codec::decode(&directory).map_err(damaged)?;
        let mut offset = HEADER_BYTES as u64;
        let mut frames = Vec::with_capacity(directory.frames.len());
        for (number, frame) in directory.frames.into_iter().enumerate() {
            let blobs = frame.blobs.iter().map(|blob| FrameBlob { id: blob.id, bytes: blob.bytes }).collect();
            let sealed_bytes = u64::from(frame.sealed_bytes);
            frames.push((number as u32, SourceFrame { offset, sealed_bytes, blobs }));
            offset += sealed_bytes;
        }
        Ok(Self { key, reader, frames })
    }

    /// A frame's bytes as they were before sealing.
    fn frame(&self, repository: &Repository, number: u32, frame: &SourceFrame) -> Result<Vec<u8>> {
        let range = frame.offset..frame.offset + frame.sealed_bytes;
        let mut sealed =
            Vec::from(repository.store().get_range(&self.key, range).map_err(EngineError::store)?);
        let encoded = self
            .reader
            .frame(number, &mut sealed)
            .map_err(|error| EngineError::from(error).context(format_args!("`{}`", self.key)))?;
        Ok(encoded.to_vec())
    }
}
