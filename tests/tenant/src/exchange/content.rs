//! The bytes of items and attachments: kept when small, made on the fly from a seed when large, never held whole.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Raw bytes made at a time; a multiple of 57, which is one full base64 line, and so of 3.
const STEP_BYTES: u64 = 57 * 1024;
/// Base64 characters of a full line, without its line end.
const LINE_CHARACTERS: usize = 76;

/// A run of bytes that is fully determined by its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Blob {
    /// Bytes at hand.
    Held(Bytes),
    /// Incompressible bytes made from a seed, `length` of them.
    Noise { seed: u64, length: u64 },
}

impl Blob {
    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Noise { length, .. } => *length,
        }
    }

    /// Bytes `start..start + length`, cut at the end of the blob.
    fn slice(&self, start: u64, length: u64) -> Bytes {
        let length = length.min(self.len().saturating_sub(start)) as usize;
        match self {
            Self::Held(bytes) => bytes.slice(start as usize..start as usize + length),
            Self::Noise { seed, .. } => {
                let mut reader = blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof();
                reader.set_position(start);
                let mut bytes = vec![0; length];
                reader.fill(&mut bytes);
                bytes.into()
            }
        }
    }
}

/// One part of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As they are.
    Plain(Blob),
    /// As MIME base64: lines of 76 characters ended by CR LF.
    Lines(Blob),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Plain(blob) => blob.len(),
            Self::Lines(blob) => {
                let characters = blob.len().div_ceil(3) * 4;
                characters + characters.div_ceil(LINE_CHARACTERS as u64) * 2
            }
        }
    }

    fn step(&self, start: u64) -> Bytes {
        match self {
            Self::Plain(blob) => blob.slice(start, STEP_BYTES),
            Self::Lines(blob) => {
                let text = STANDARD.encode(blob.slice(start, STEP_BYTES));
                let mut lines = String::with_capacity(text.len() + text.len() / 38 + 2);
                for line in text.as_bytes().chunks(LINE_CHARACTERS) {
                    // Base64 is ASCII, so every cut is a character boundary.
                    lines.push_str(&String::from_utf8_lossy(line));
                    lines.push_str("\r\n");
                }
                lines.into()
            }
        }
    }

    fn source_len(&self) -> u64 {
        match self {
            Self::Plain(blob) | Self::Lines(blob) => blob.len(),
        }
    }
}

/// The bytes of one item or attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pieces: Arc<[Piece]>,
}

impl Content {
    /// Content at hand.
    pub(crate) fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::builder().plain(bytes).build()
    }

    /// The bytes of a blob.
    pub(crate) fn from_blob(blob: Blob) -> Self {
        Self { pieces: [Piece::Plain(blob)].into() }
    }

    /// Starts a content made of several pieces.
    pub(crate) fn builder() -> ContentBuilder {
        ContentBuilder { pieces: Vec::new() }
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.pieces.iter().map(Piece::len).sum()
    }

    /// The bytes in order, at most some 80 KiB at a time.
    pub(crate) fn chunks(&self) -> Chunks {
        Chunks { pieces: Arc::clone(&self.pieces), piece: 0, offset: 0 }
    }

    /// The bytes as base64 text without line ends, a step at a time.
    pub(crate) fn base64(&self) -> Base64Chunks {
        Base64Chunks { chunks: self.chunks(), carry: Vec::new(), finished: false }
    }

    /// BLAKE3 of the bytes, in lower-case hexadecimal.
    pub(crate) fn blake3(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.chunks().for_each(|chunk| {
            hasher.update(&chunk);
        });
        hasher.finalize().to_hex().to_string()
    }

    /// All bytes at once, or nothing if there are more than `bytes_max`.
    pub(crate) fn collect(&self, bytes_max: u64) -> Option<Vec<u8>> {
        (self.len() <= bytes_max).then(|| self.chunks().flatten().collect())
    }

    /// The same content with its first piece, the header block of a message, run through `edit`.
    pub(crate) fn with_head(&self, edit: impl FnOnce(&[u8]) -> Vec<u8>) -> Self {
        let mut pieces = self.pieces.to_vec();
        if let Some(Piece::Plain(Blob::Held(head))) = pieces.first() {
            pieces[0] = Piece::Plain(Blob::Held(edit(head).into()));
        }
        Self { pieces: pieces.into() }
    }
}

/// Collects the pieces of a content.
#[derive(Debug)]
pub(crate) struct ContentBuilder {
    pieces: Vec<Piece>,
}

impl ContentBuilder {
    /// Adds bytes as they are.
    pub(crate) fn plain(mut self, bytes: impl Into<Bytes>) -> Self {
        self.pieces.push(Piece::Plain(Blob::Held(bytes.into())));
        self
    }

    /// Adds a blob in MIME base64 lines.
    pub(crate) fn lines(mut self, blob: Blob) -> Self {
        self.pieces.push(Piece::Lines(blob));
        self
    }

    /// Adds another content's pieces.
    pub(crate) fn content(mut self, content: &Content) -> Self {
        self.pieces.extend(content.pieces.iter().cloned());
        self
    }

    /// The finished content.
    pub(crate) fn build(self) -> Content {
        Content { pieces: self.pieces.into() }
    }
}

/// The bytes of a [`Content`], in steps.
#[derive(Debug)]
pub(crate) struct Chunks {
    pieces: Arc<[Piece]>,
    piece: usize,
    offset: u64,
}

impl Iterator for Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        loop {
            let piece = self.pieces.get(self.piece)?;
            if self.offset < piece.source_len() {
                let step = piece.step(self.offset);
                self.offset += STEP_BYTES;
                return Some(step);
            }
            self.piece += 1;
            self.offset = 0;
        }
    }
}

/// The bytes of a [`Content`] as base64 text, in steps.
#[derive(Debug)]
pub(crate) struct Base64Chunks {
    chunks: Chunks,
    /// Up to two bytes that wait for a full group of three.
    carry: Vec<u8>,
    finished: bool,
}

impl Iterator for Base64Chunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while !self.finished {
            let Some(chunk) = self.chunks.next() else {
                self.finished = true;
                return (!self.carry.is_empty()).then(|| STANDARD.encode(&self.carry).into());
            };
            self.carry.extend_from_slice(&chunk);
            let whole = self.carry.len() / 3 * 3;
            if whole > 0 {
                let text = STANDARD.encode(&self.carry[..whole]);
                self.carry.drain(..whole);
                return Some(text.into());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Content {
        Content::builder()
            .plain(&b"head\r\n"[..])
            .lines(Blob::Noise { seed: 7, length: 3 * STEP_BYTES + 1 })
            .plain(&b"\r\ntail"[..])
            .build()
    }

    #[test]
    fn length_is_what_the_chunks_give() {
        for length in [0, 1, 56, 57, 58, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 2] {
            let content = Content::builder().lines(Blob::Noise { seed: 1, length }).build();
            assert_eq!(
                content.len(),
                content.chunks().map(|chunk| chunk.len() as u64).sum::<u64>(),
                "{length}"
            );
        }
    }

    #[test]
    fn base64_in_steps_equals_base64_at_once() {
        let content = sample();
        let whole = content.collect(u64::MAX).expect("no limit");
        let steps: Vec<u8> = content.base64().flatten().collect();
        assert_eq!(steps, STANDARD.encode(whole).into_bytes());
    }

    #[test]
    fn encoded_lines_decode_to_the_blob() {
        let blob = Blob::Noise { seed: 9, length: STEP_BYTES * 2 + 100 };
        let lines = Content::builder().lines(blob.clone()).build().collect(u64::MAX).expect("no limit");
        assert!(lines.split(|byte| *byte == b'\n').all(|line| line.len() <= LINE_CHARACTERS + 1));
        let text: Vec<u8> = lines.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let bytes: Vec<u8> = Content::from_blob(blob).chunks().flatten().collect();
        assert_eq!(STANDARD.decode(text).expect("base64"), bytes);
    }
}
