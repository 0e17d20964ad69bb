//! Packs of one kind, one after another: frames go in, finished packs come out.

use bytes::Bytes;
use larder_sdk::codec;

use super::{Repository, layout};
use crate::{
    crypto::padme,
    error::Result,
    hash::ObjectName,
    index::{BlobKind, IndexEntry},
    pack::{DirectoryBlob, DirectoryFrame, FrameBlob, LargeWriter, PackDirectory},
};

/// A pack is closed once it has this many bytes and little would be padded, or a quarter more.
pub const PACK_BYTES: usize = 16 << 20;
const PACK_BYTES_MAX: usize = PACK_BYTES / 4 * 5;
/// Little is padded if it is no larger a part than this of the pack.
const PADDING_PART: usize = 256;
/// What a directory takes for each blob and for each frame, compressed: an id cannot be, lengths can.
const DIRECTORY_BLOB_BYTES: usize = 18;
const DIRECTORY_FRAME_BYTES: usize = 8;

/// Gathers frames in a pack.
pub struct Packer {
    kind: BlobKind,
    open: Option<OpenPack>,
}

struct OpenPack {
    writer: LargeWriter,
    directory: PackDirectory,
    entries: Vec<IndexEntry>,
}

impl OpenPack {
    /// Objects are padded to one of few sizes: a pack that is closed just below one of them wastes little.
    fn is_full(&self) -> bool {
        let directory =
            self.entries.len() * DIRECTORY_BLOB_BYTES + self.directory.frames.len() * DIRECTORY_FRAME_BYTES;
        let bytes = self.writer.len() + directory;
        let padding = padme(bytes as u64) as usize - bytes;
        bytes >= PACK_BYTES_MAX || bytes >= PACK_BYTES && padding <= bytes / PADDING_PART
    }
}

/// A pack to be stored, and where its blobs lie in it.
pub struct FinishedPack {
    /// What is in it.
    pub kind: BlobKind,
    /// Its name.
    pub name: ObjectName,
    /// The object.
    pub bytes: Bytes,
    /// For the index, once it is durable.
    pub entries: Vec<IndexEntry>,
}

impl Packer {
    /// For packs of a kind.
    pub fn new(kind: BlobKind) -> Self {
        Self { kind, open: None }
    }

    /// Appends an encoded frame; returns the pack if it is now full.
    pub fn append(
        &mut self,
        repository: &Repository,
        blobs: &[FrameBlob],
        encoded: &[u8],
    ) -> Result<Option<FinishedPack>> {
        // Tree packs seldom get far; data packs get full.
        let capacity = if self.kind == BlobKind::Data { PACK_BYTES_MAX + PACK_BYTES / 8 } else { 0 };
        let pack = match &mut self.open {
            Some(pack) => pack,
            none => none.insert(OpenPack {
                writer: LargeWriter::create(
                    repository.keys(),
                    repository.id(),
                    layout::pack_kind(self.kind),
                    capacity,
                )?,
                directory: PackDirectory::default(),
                entries: Vec::new(),
            }),
        };
        let place = pack.writer.push(encoded)?;
        let listed = blobs.iter().map(|blob| DirectoryBlob { id: blob.id, bytes: blob.bytes }).collect();
        pack.directory.frames.push(DirectoryFrame { sealed_bytes: place.sealed_bytes, blobs: listed });
        let name = pack.writer.name();
        let mut offset = 0;
        for blob in blobs {
            pack.entries.push(IndexEntry {
                id: blob.id,
                pack: name,
                frame: place,
                offset,
                bytes: blob.bytes,
            });
            offset += blob.bytes;
        }
        if pack.is_full() { self.finish() } else { Ok(None) }
    }

    /// Closes the open pack.
    pub fn finish(&mut self) -> Result<Option<FinishedPack>> {
        let Some(pack) = self.open.take() else { return Ok(None) };
        let name = pack.writer.name();
        let bytes = pack.writer.finish(&codec::encode(&pack.directory)?)?;
        Ok(Some(FinishedPack { kind: self.kind, name, bytes, entries: pack.entries }))
    }
}
