//! Bodies of files: generated at any offset from a seed, or kept as somebody uploaded them.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{Rng, word};

/// Generated bodies are made of blocks of this size; an edit replaces whole blocks.
const BLOCK_BYTES: u64 = 4096;
/// An uploaded body up to this size is kept in memory, a larger one in an unnamed temporary file.
const MEMORY_BYTES_MAX: usize = 1 << 20;
/// Bytes hashed at a time.
const READ_BYTES: u64 = 256 * 1024;

/// A body could not be kept or read back.
#[derive(Debug, thiserror::Error)]
#[error("a body kept on disk failed: {0}")]
pub struct BodyError(#[from] io::Error);

/// What a generated body looks like to a chunker and a compressor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// Words; compresses well.
    Text,
    /// Like a zipped office document: a signature, packed data, a readable part here and there.
    Office,
    /// Random bytes.
    Packed,
}

#[derive(Debug)]
struct Generated {
    kind: BodyKind,
    seed: u64,
    /// Blocks replaced since, as (index, seed), by index.
    edits: Vec<(u64, u64)>,
}

#[derive(Debug)]
enum Source {
    Generated(Generated),
    Memory(Bytes),
    Disk(File),
}

#[derive(Debug)]
struct Inner {
    source: Source,
    length: u64,
    digest: OnceLock<blake3::Hash>,
}

/// The bytes of a file; cheap to copy.
#[derive(Clone, Debug)]
pub struct FileBody {
    inner: Arc<Inner>,
}

impl FileBody {
    /// `length` bytes of `kind`, decided by `seed`.
    pub fn generated(kind: BodyKind, seed: u64, length: u64) -> Self {
        Self::new(Source::Generated(Generated { kind, seed, edits: Vec::new() }), length)
    }

    /// These bytes.
    pub fn from_bytes(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self::new(Source::Memory(bytes), length)
    }

    fn new(source: Source, length: u64) -> Self {
        Self { inner: Arc::new(Inner { source, length, digest: OnceLock::new() }) }
    }

    /// Bytes in it.
    pub fn length(&self) -> u64 {
        self.inner.length
    }

    /// A body that differs from this one in one block and, by half a chance, in length.
    #[must_use]
    pub fn edited(&self, rng: &mut Rng) -> Self {
        let length =
            if rng.chance(0.5) { self.length() + rng.below(10_000) + 1 } else { self.length().max(1) };
        let Source::Generated(old) = &self.inner.source else {
            return Self::generated(BodyKind::Text, rng.next_u64(), length);
        };
        let block = rng.below(length.div_ceil(BLOCK_BYTES));
        let mut edits = old.edits.clone();
        edits.retain(|(index, _)| *index != block);
        edits.push((block, rng.next_u64()));
        edits.sort_unstable();
        Self::new(Source::Generated(Generated { kind: old.kind, seed: old.seed, edits }), length)
    }

    /// Bytes from `offset` on, at most `most`, fewer at the end. Reads a kept body's disk.
    pub fn read(&self, offset: u64, most: u64) -> Result<Bytes, BodyError> {
        let end = self.length().min(offset.saturating_add(most));
        if offset >= end {
            return Ok(Bytes::new());
        }
        match &self.inner.source {
            Source::Memory(bytes) => Ok(bytes.slice(offset as usize..end as usize)),
            Source::Generated(generated) => Ok(generated.read(offset, end)),
            Source::Disk(file) => {
                let mut buffer = vec![0; (end - offset) as usize];
                file.read_exact_at(&mut buffer, offset)?;
                Ok(buffer.into())
            }
        }
    }

    /// BLAKE3 of all bytes; worked out once. Takes as long as reading them.
    pub fn digest(&self) -> Result<blake3::Hash, BodyError> {
        if let Some(known) = self.inner.digest.get() {
            return Ok(*known);
        }
        let mut hasher = blake3::Hasher::new();
        let mut offset = 0;
        while offset < self.length() {
            let piece = self.read(offset, READ_BYTES)?;
            offset += piece.len() as u64;
            hasher.update(&piece);
        }
        Ok(*self.inner.digest.get_or_init(|| hasher.finalize()))
    }
}

impl Generated {
    fn read(&self, offset: u64, end: u64) -> Bytes {
        let mut out = Vec::with_capacity((end - offset + 2 * BLOCK_BYTES) as usize);
        let first = offset / BLOCK_BYTES;
        for index in first..end.div_ceil(BLOCK_BYTES) {
            self.block(index, &mut out);
        }
        let skipped = (offset - first * BLOCK_BYTES) as usize;
        Bytes::from(out).slice(skipped..skipped + (end - offset) as usize)
    }

    fn block(&self, index: u64, out: &mut Vec<u8>) {
        let edit = self.edits.binary_search_by_key(&index, |(at, _)| *at).ok().map(|at| self.edits[at].1);
        let mut rng = Rng::new(edit.unwrap_or(self.seed) ^ index.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let start = out.len();
        match self.kind {
            BodyKind::Text => text_block(&mut rng, out),
            BodyKind::Office if index % 5 == 3 => text_block(&mut rng, out),
            BodyKind::Office | BodyKind::Packed => packed_block(&mut rng, out),
        }
        if index == 0 && self.kind == BodyKind::Office {
            out[start..start + 4].copy_from_slice(b"PK\x03\x04");
        }
    }
}

fn packed_block(rng: &mut Rng, out: &mut Vec<u8>) {
    for _ in 0..BLOCK_BYTES / 8 {
        out.extend_from_slice(&rng.next_u64().to_le_bytes());
    }
}

fn text_block(rng: &mut Rng, out: &mut Vec<u8>) {
    let end = out.len() + BLOCK_BYTES as usize;
    while out.len() < end {
        out.extend_from_slice(word(rng).as_bytes());
        out.push(if rng.chance(0.1) { b'\n' } else { b' ' });
    }
    out.truncate(end);
}

/// Takes an upload piece by piece and keeps it: small ones in memory, large ones on disk.
#[derive(Debug, Default)]
pub struct BodyWriter {
    memory: Vec<u8>,
    disk: Option<File>,
    length: u64,
    hasher: blake3::Hasher,
}

impl BodyWriter {
    /// Bytes taken so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        self.length += piece.len() as u64;
        self.hasher.update(piece);
        if self.disk.is_none() && self.memory.len() + piece.len() > MEMORY_BYTES_MAX {
            let mut file = tempfile::tempfile()?;
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.disk = Some(file);
        }
        match &mut self.disk {
            Some(file) => file.write_all(piece)?,
            None => self.memory.extend_from_slice(piece),
        }
        Ok(())
    }

    /// The body of all pieces.
    pub fn finish(self) -> FileBody {
        let source = match self.disk {
            Some(file) => Source::Disk(file),
            None => Source::Memory(self.memory.into()),
        };
        let body = FileBody::new(source, self.length);
        body.inner.digest.get_or_init(|| self.hasher.finalize());
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_part_of_the_whole() -> Result<(), BodyError> {
        for kind in [BodyKind::Text, BodyKind::Office, BodyKind::Packed] {
            let body = FileBody::generated(kind, 7, 50_001);
            let whole = body.read(0, u64::MAX)?;
            assert_eq!(whole.len(), 50_001);
            for (offset, most) in [(0, 1), (4095, 2), (4096, 4096), (49_999, 100), (50_001, 5)] {
                let end = (offset + most).min(50_001) as usize;
                assert_eq!(body.read(offset, most)?, whole[offset as usize..end]);
            }
        }
        Ok(())
    }

    #[test]
    fn an_edit_touches_one_block() -> Result<(), BodyError> {
        let old = FileBody::generated(BodyKind::Packed, 1, 40_960);
        let new = old.edited(&mut Rng::new(3));
        let (before, after) = (old.read(0, u64::MAX)?, new.read(0, 40_960)?);
        let differing =
            before.chunks(4096).zip(after.chunks(4096)).filter(|(one, other)| one != other).count();
        assert_eq!(differing, 1);
        Ok(())
    }

    #[test]
    fn an_upload_reads_back() -> Result<(), BodyError> {
        for size in [0usize, 10, 3 << 20] {
            let data: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let mut writer = BodyWriter::default();
            for piece in data.chunks(100_000) {
                writer.push(piece)?;
            }
            let body = writer.finish();
            assert_eq!(body.length(), size as u64);
            assert_eq!(body.read(0, u64::MAX)?, data);
            assert_eq!(body.digest()?, blake3::hash(&data));
        }
        Ok(())
    }
}
