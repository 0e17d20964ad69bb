//! Reading one index segment whole.

use bytes::Bytes;
use larder_sdk::{ErrorKind, codec};

use super::{Repository, layout};
use crate::{
    error::{EngineError, Result},
    hash::ObjectName,
    index::{BlobKind, IndexEntry, SegmentDirectory, decode_page},
    pack::{LargeReader, Tail},
};

/// A segment in memory, sealed; its pages are opened one by one.
pub struct StoredSegment {
    what: String,
    reader: LargeReader,
    directory: SegmentDirectory,
    bytes: Bytes,
}

impl Repository {
    /// Reads an index segment; `None` if it is no longer there.
    pub fn segment(&self, kind: BlobKind, name: ObjectName) -> Result<Option<StoredSegment>> {
        let key = layout::in_folder(layout::index_folder(kind), name)?;
        let what = format!("index segment `{key}`");
        let bytes = match self.store().get(&key) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(EngineError::store(error).context(&what)),
        };
        let opened = LargeReader::open(self.keys(), self.id(), layout::index_kind(kind), name, &bytes)
            .and_then(|reader| {
                let tail = reader.tail(&bytes, bytes.len() as u64)?;
                Ok((reader, tail))
            })
            .map_err(|error| damaged(error, &what))?;
        let (reader, Tail::Directory(directory, _)) = opened else {
            return Err(EngineError::damaged(format!("{what} is cut short")));
        };
        let directory = codec::decode(&directory).map_err(|error| damaged(error, &what))?;
        Ok(Some(StoredSegment { what, reader, directory, bytes }))
    }
}

impl StoredSegment {
    /// Its directory.
    pub fn directory(&self) -> &SegmentDirectory {
        &self.directory
    }

    /// Its entries, a page at a time.
    pub fn pages(&self) -> impl Iterator<Item = Result<Vec<IndexEntry>>> {
        self.directory.pages.iter().enumerate().map(|(number, page)| {
            let start = page.offset as usize;
            let sealed = self.bytes.get(start..start + page.sealed_bytes as usize);
            let Some(sealed) = sealed else {
                return Err(EngineError::damaged(format!("{} is cut short", self.what)));
            };
            self.reader
                .frame(number as u32, &mut sealed.to_vec())
                .and_then(decode_page)
                .map_err(|error| damaged(error, &self.what))
        })
    }
}

fn damaged(error: larder_sdk::Error, what: &str) -> EngineError {
    EngineError::from(error).context(what).with_hint("run `larder check` to see what is damaged")
}
