//! A pack's directory: what lies in which frame, so that the index can be built again from packs alone.

use larder_sdk::codec::Record;
use serde::{Deserialize, Serialize};

use super::Column;
use crate::hash::ShortId;

/// What a pack holds, frame by frame from its header on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Columns", try_from = "Columns")]
pub struct PackDirectory {
    /// The frames in order.
    pub frames: Vec<DirectoryFrame>,
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryFrame {
    /// Sealed length in bytes.
    pub sealed_bytes: u32,
    /// The blobs in order.
    pub blobs: Vec<DirectoryBlob>,
}

/// One blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryBlob {
    /// The first half of its id.
    pub id: ShortId,
    /// Its plain length in bytes.
    pub bytes: u32,
}

impl Record for PackDirectory {
    const KIND: u16 = 20;
    const VERSION: u16 = 1;
}

/// A directory as stored: columns compress better than rows.
#[derive(Serialize, Deserialize)]
struct Columns {
    /// Of each frame.
    sealed_bytes: Column,
    /// Blobs in each frame.
    counts: Column,
    /// Of each blob, frame after frame.
    bytes: Column,
    ids: Vec<ShortId>,
}

impl From<PackDirectory> for Columns {
    fn from(directory: PackDirectory) -> Self {
        let blobs = || directory.frames.iter().flat_map(|frame| &frame.blobs);
        Self {
            sealed_bytes: directory.frames.iter().map(|frame| frame.sealed_bytes).collect(),
            counts: directory.frames.iter().map(|frame| frame.blobs.len() as u32).collect(),
            bytes: blobs().map(|blob| blob.bytes).collect(),
            ids: blobs().map(|blob| blob.id).collect(),
        }
    }
}

impl TryFrom<Columns> for PackDirectory {
    type Error = &'static str;

    fn try_from(columns: Columns) -> Result<Self, Self::Error> {
        let Columns { sealed_bytes, counts, bytes, ids } = columns;
        let (sealed_bytes, counts, bytes) = (sealed_bytes.numbers(), counts.numbers(), bytes.numbers());
        let blobs_counted: u64 = counts.iter().map(|count| u64::from(*count)).sum();
        if counts.len() != sealed_bytes.len() || bytes.len() != ids.len() || blobs_counted != ids.len() as u64
        {
            return Err("a pack directory's columns do not match");
        }
        let mut blobs = ids.into_iter().zip(bytes).map(|(id, bytes)| DirectoryBlob { id, bytes: *bytes });
        let frame = |(sealed_bytes, count): (&u32, &u32)| DirectoryFrame {
            sealed_bytes: *sealed_bytes,
            blobs: blobs.by_ref().take(*count as usize).collect(),
        };
        Ok(Self { frames: sealed_bytes.iter().zip(counts).map(frame).collect() })
    }
}

#[cfg(test)]
mod tests {
    use larder_sdk::codec;

    use super::*;

    #[test]
    fn a_directory_comes_back_frame_by_frame() {
        let blob = |number: u8| DirectoryBlob { id: ShortId([number; 16]), bytes: u32::from(number) * 100 };
        let frame = |sealed_bytes, blobs: &[u8]| DirectoryFrame {
            sealed_bytes,
            blobs: blobs.iter().copied().map(blob).collect(),
        };
        let directory = PackDirectory { frames: vec![frame(7, &[1, 2]), frame(8, &[]), frame(9, &[3])] };
        let bytes = codec::encode(&directory).unwrap();
        assert_eq!(codec::decode::<PackDirectory>(&bytes).unwrap(), directory);
    }

    #[test]
    fn columns_that_do_not_match_are_refused() {
        let columns = |counts: Vec<u32>| Columns {
            sealed_bytes: [1, 1].into_iter().collect(),
            counts: counts.into_iter().collect(),
            bytes: [5].into_iter().collect(),
            ids: vec![ShortId([1; 16])],
        };
        assert!(PackDirectory::try_from(columns(vec![1, 0])).is_ok());
        for counts in [vec![1], vec![1, 1], vec![0, 0], vec![u32::MAX, 2]] {
            assert!(PackDirectory::try_from(columns(counts)).is_err());
        }
    }
}
