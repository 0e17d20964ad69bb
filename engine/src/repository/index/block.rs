//! Blocks of sorted rows in a file or in memory, each with a keyed checksum: what does not verify is never believed.

use std::{
    fs::File,
    io::{self, Error, ErrorKind},
    os::unix::fs::FileExt as _,
};

use crate::{
    crypto::{KeyRole, Keys},
    hash::RepositoryId,
    index::{BlobKind, ROW_BYTES, Row},
};

/// Bytes of a block: its number, rows, a checksum.
pub(super) const BLOCK_BYTES: usize = 4096;
/// Rows in a full block.
pub(super) const BLOCK_ROWS: usize = (BLOCK_BYTES - 2 * WORD) / ROW_BYTES;
const WORD: usize = 8;
const CHECK_AT: usize = BLOCK_BYTES - WORD;

/// Makes the keys of a repository's cache files.
#[derive(Clone)]
pub(super) struct CacheKey([u8; 32]);

impl CacheKey {
    pub(super) fn new(keys: &Keys, repository: RepositoryId) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&keys.role(KeyRole::Index).bytes);
        hasher.update(b"larder cache of the index, 1");
        hasher.update(&repository.0);
        Self(*hasher.finalize().as_bytes())
    }

    /// The key of what is kept of packs.
    pub(super) fn packs(&self) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, b"packs").as_bytes()
    }

    /// The key of one file: what belongs to another, or to another kind, does not verify.
    pub(super) fn file(&self, kind: BlobKind, nonce: &[u8; 16]) -> FileKey {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[kind as u8]);
        hasher.update(nonce);
        FileKey(*hasher.finalize().as_bytes())
    }
}

/// Verifies the parts of one file.
#[derive(Clone)]
pub(super) struct FileKey([u8; 32]);

impl FileKey {
    pub(super) fn digest(&self, bytes: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, bytes).as_bytes()
    }

    fn seal(&self, number: u64, block: &mut [u8; BLOCK_BYTES]) {
        block[..WORD].copy_from_slice(&number.to_le_bytes());
        let digest = self.digest(&block[..CHECK_AT]);
        block[CHECK_AT..].copy_from_slice(&digest[..WORD]);
    }

    /// The rows of a block, verified.
    pub(super) fn open<'block>(
        &self,
        number: u64,
        rows: usize,
        block: &'block [u8],
    ) -> io::Result<&'block [[u8; ROW_BYTES]]> {
        let whole = block.len() == BLOCK_BYTES
            && block[..WORD] == number.to_le_bytes()
            && block[CHECK_AT..] == self.digest(&block[..CHECK_AT])[..WORD];
        if !whole {
            return Err(damage("a block does not verify"));
        }
        rows_of(rows, block)
    }
}

/// The first rows of a whole block that was verified.
pub(super) fn rows_of(rows: usize, block: &[u8]) -> io::Result<&[[u8; ROW_BYTES]]> {
    let short = || damage("a block has fewer rows than it should");
    let (all, _) = block.get(WORD..CHECK_AT).ok_or_else(short)?.as_chunks::<ROW_BYTES>();
    all.get(..rows).ok_or_else(short)
}

/// What is wrong with a cache file.
pub(super) fn damage(why: &str) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

/// Where a file's bytes are.
pub(super) enum Medium {
    /// On disk.
    File(File),
    /// In memory, where there is no cache folder.
    Memory(Vec<u8>),
}

impl Medium {
    pub(super) fn len(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => Ok(file.metadata()?.len()),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    pub(super) fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(into, offset),
            Self::Memory(bytes) => {
                let offset = offset as usize;
                let found = offset.checked_add(into.len()).and_then(|end| bytes.get(offset..end));
                into.copy_from_slice(found.ok_or_else(|| Error::from(ErrorKind::UnexpectedEof))?);
                Ok(())
            }
        }
    }

    pub(super) fn read_vec_at(&self, length: usize, offset: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

/// Appends to a medium through a buffer.
pub(super) struct Appender<'medium> {
    medium: &'medium mut Medium,
    buffer: Vec<u8>,
    written: u64,
}

/// Bytes gathered before they are written, and read ahead.
pub(super) const BUFFER_BYTES: usize = 64 * BLOCK_BYTES;

impl<'medium> Appender<'medium> {
    /// Goes on at the end of what is there.
    pub(super) fn new(medium: &'medium mut Medium) -> io::Result<Self> {
        let written = medium.len()?;
        Ok(Self { medium, buffer: Vec::with_capacity(BUFFER_BYTES), written })
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self.medium {
            Medium::File(file) => file.write_all_at(&self.buffer, self.written)?,
            Medium::Memory(bytes) => bytes.extend_from_slice(&self.buffer),
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Writes sorted rows as blocks.
pub(super) struct BlockWriter<'medium> {
    out: Appender<'medium>,
    key: FileKey,
    block: [u8; BLOCK_BYTES],
    filled: usize,
    number: u64,
    rows: u64,
    /// The first half of each block's first id.
    pub(super) firsts: Vec<u64>,
}

impl<'medium> BlockWriter<'medium> {
    pub(super) fn new(medium: &'medium mut Medium, key: FileKey) -> io::Result<Self> {
        let out = Appender::new(medium)?;
        let block = [0; BLOCK_BYTES];
        Ok(Self { out, key, block, filled: 0, number: 0, rows: 0, firsts: Vec::new() })
    }

    pub(super) fn push(&mut self, row: &Row) -> io::Result<()> {
        if self.filled == 0 {
            self.firsts.push((row.key() >> 64) as u64);
        }
        let at = WORD + self.filled * ROW_BYTES;
        self.block[at..at + ROW_BYTES].copy_from_slice(&row.to_bytes());
        self.filled += 1;
        self.rows += 1;
        if self.filled == BLOCK_ROWS { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> io::Result<()> {
        if self.filled > 0 {
            self.key.seal(self.number, &mut self.block);
            self.out.push(&self.block)?;
            self.block = [0; BLOCK_BYTES];
            (self.filled, self.number) = (0, self.number + 1);
        }
        Ok(())
    }

    /// Ends the last block. Returns how many rows there are, each block's first, and where to go on writing.
    pub(super) fn finish(mut self) -> io::Result<(u64, Vec<u64>, Appender<'medium>)> {
        self.close()?;
        Ok((self.rows, self.firsts, self.out))
    }
}

/// Where blocks lie in a medium.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Where the first begins.
    pub(super) offset: u64,
    /// Rows in all of them.
    pub(super) rows: u64,
}

impl Stretch {
    pub(super) fn blocks(self) -> u64 {
        self.rows.div_ceil(BLOCK_ROWS as u64)
    }

    /// Rows in a block.
    pub(super) fn rows_in(self, number: u64) -> usize {
        self.rows.saturating_sub(number * BLOCK_ROWS as u64).min(BLOCK_ROWS as u64) as usize
    }
}

/// Reads blocks one after another.
pub(super) struct BlockReader<'medium> {
    medium: &'medium Medium,
    key: FileKey,
    stretch: Stretch,
    /// The block to be read next.
    next: u64,
    buffer: Vec<u8>,
    rows: std::collections::VecDeque<Row>,
}

impl<'medium> BlockReader<'medium> {
    pub(super) fn new(medium: &'medium Medium, key: FileKey, stretch: Stretch) -> Self {
        Self { medium, key, stretch, next: 0, buffer: Vec::new(), rows: std::collections::VecDeque::new() }
    }

    pub(super) fn next_row(&mut self) -> io::Result<Option<Row>> {
        if self.rows.is_empty() && self.next < self.stretch.blocks() {
            let blocks = (self.stretch.blocks() - self.next).min((BUFFER_BYTES / BLOCK_BYTES) as u64);
            self.buffer.resize(blocks as usize * BLOCK_BYTES, 0);
            let offset = self.stretch.offset + self.next * BLOCK_BYTES as u64;
            self.medium.read_exact_at(&mut self.buffer, offset)?;
            for block in self.buffer.chunks_exact(BLOCK_BYTES) {
                let rows = self.key.open(self.next, self.stretch.rows_in(self.next), block)?;
                self.rows.extend(rows.iter().map(Row::from_bytes));
                self.next += 1;
            }
        }
        Ok(self.rows.pop_front())
    }
}
