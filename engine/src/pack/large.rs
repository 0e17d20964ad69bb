//! Large objects: a header, many sealed frames, a directory of them, and a trailer by which the directory is found from the size.

use bytes::Bytes;
use larder_sdk::{Error, ErrorKind, Result, limits::MESSAGE_BYTES_MAX};

use super::{
    frame::{decode_frame_up_to, encode_frame},
    small::{padded, unpad},
};
use crate::{
    crypto::{HEADER_BYTES, Keys, OVERHEAD_BYTES, ObjectKind, ObjectSealer},
    hash::{ObjectName, RepositoryId},
};

const DIRECTORY_N: u64 = u64::MAX - 1;
const TRAILER_N: u64 = u64::MAX;
const TRAILER_BYTES: usize = 8 + OVERHEAD_BYTES;
/// Most plain bytes of a directory: no record may have more.
const DIRECTORY_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
const DIRECTORY_LEVEL: i32 = 3;

/// Where a frame lies in its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FramePlace {
    /// Its number.
    pub number: u32,
    /// Offset from the object's beginning, in bytes.
    pub offset: u32,
    /// Sealed length in bytes.
    pub sealed_bytes: u32,
}

/// Builds one large object in memory.
pub struct LargeWriter {
    name: ObjectName,
    sealer: ObjectSealer,
    bytes: Vec<u8>,
    frames: u32,
}

impl LargeWriter {
    /// Starts an object of a fresh name.
    ///
    /// `capacity` is about how many bytes it will have: growing a large object doubles what it takes meanwhile.
    pub fn create(keys: &Keys, repository: RepositoryId, kind: ObjectKind, capacity: usize) -> Result<Self> {
        let name = ObjectName::random()?;
        let sealer = ObjectSealer::create(keys, repository, kind, name)?;
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(sealer.header().as_bytes());
        Ok(Self { name, sealer, bytes, frames: 0 })
    }

    /// Its name.
    pub fn name(&self) -> ObjectName {
        self.name
    }

    /// Its length so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True if it has no frame yet.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Seals a frame, opens it again and compares, and appends it.
    pub fn push(&mut self, frame: &[u8]) -> Result<FramePlace> {
        let number = self.frames;
        let start = self.bytes.len();
        self.append(u64::from(number), false, frame)?;
        self.frames += 1;
        let place = |bytes: usize| u32::try_from(bytes).map_err(|_| Error::bug("a pack grew past 4 GiB"));
        Ok(FramePlace { number, offset: place(start)?, sealed_bytes: place(self.bytes.len() - start)? })
    }

    /// Ends the object with a directory (a record in its envelope).
    pub fn finish(mut self, directory: &[u8]) -> Result<Bytes> {
        let others = self.bytes.len() + OVERHEAD_BYTES + TRAILER_BYTES;
        let directory = padded(&encode_frame(directory, DIRECTORY_LEVEL)?, others)?;
        let sealed = u32::try_from(directory.len() + OVERHEAD_BYTES)
            .map_err(|_| Error::bug("a pack's directory is too large"))?;
        self.append(DIRECTORY_N, false, &directory)?;
        let mut trailer = sealed.to_le_bytes().to_vec();
        trailer.extend_from_slice(&self.frames.to_le_bytes());
        self.append(TRAILER_N, true, &trailer)?;
        Ok(Bytes::from(self.bytes))
    }

    fn append(&mut self, n: u64, last: bool, plain: &[u8]) -> Result<()> {
        let mut sealed = plain.to_vec();
        self.sealer.seal(n, last, &mut sealed)?;
        self.bytes.extend_from_slice(&sealed);
        if self.sealer.unseal(n, last, &mut sealed).ok().as_deref() != Some(plain) {
            return Err(Error::bug(
                "a sealed frame does not open to what it was: is this machine's memory sound?",
            ));
        }
        Ok(())
    }
}

/// Opens frames and the directory of one large object.
pub struct LargeReader {
    kind: ObjectKind,
    name: ObjectName,
    sealer: ObjectSealer,
}

/// What an object's last bytes tell.
pub enum Tail {
    /// The directory's record in its envelope, and the number of frames.
    Directory(Vec<u8>, u32),
    /// The directory is longer than the bytes given: this many of the object's last bytes are needed.
    Needs(u64),
}

impl LargeReader {
    /// Opens an object by its header.
    pub fn open(
        keys: &Keys,
        repository: RepositoryId,
        kind: ObjectKind,
        name: ObjectName,
        header: &[u8],
    ) -> Result<Self> {
        Ok(Self { kind, name, sealer: ObjectSealer::open(keys, repository, kind, name, header)? })
    }

    /// Fewest bytes at the end that tell where the directory is.
    pub const TAIL_BYTES_MIN: u64 = TRAILER_BYTES as u64;

    /// Reads the directory from the object's last bytes.
    pub fn tail(&self, tail: &[u8], object_bytes: u64) -> Result<Tail> {
        let Some((rest, trailer)) = tail.split_last_chunk::<TRAILER_BYTES>() else {
            return Err(self.damaged("it is too short for a trailer"));
        };
        let mut trailer = trailer.to_vec();
        let trailer =
            self.sealer.unseal(TRAILER_N, true, &mut trailer).map_err(|error| error.context(self.what()))?;
        let [l0, l1, l2, l3, f0, f1, f2, f3] = *trailer else {
            return Err(self.damaged("its trailer has the wrong length"));
        };
        let directory_bytes = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let frames = u32::from_le_bytes([f0, f1, f2, f3]);
        if (HEADER_BYTES + directory_bytes + TRAILER_BYTES) as u64 > object_bytes {
            return Err(self.damaged("its directory is larger than itself"));
        }
        if directory_bytes > rest.len() {
            return Ok(Tail::Needs((directory_bytes + TRAILER_BYTES) as u64));
        }
        let mut directory = rest[rest.len() - directory_bytes..].to_vec();
        let plain = self
            .sealer
            .unseal(DIRECTORY_N, false, &mut directory)
            .map_err(|error| error.context(self.what()))?;
        let directory = unpad(plain).and_then(|frame| decode_frame_up_to(frame, DIRECTORY_BYTES_MAX));
        Ok(Tail::Directory(directory.map_err(|error| error.context(self.what()))?, frames))
    }

    /// Opens one frame in place.
    pub fn frame<'frame>(&self, number: u32, sealed: &'frame mut [u8]) -> Result<&'frame [u8]> {
        self.sealer
            .unseal(u64::from(number), false, sealed)
            .map(|plain| &*plain)
            .map_err(|error| error.context(format_args!("frame {number} of {}", self.what())))
    }

    fn what(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.name)
    }

    fn damaged(&self, why: &str) -> Error {
        Error::new(ErrorKind::CorruptItem, format!("{} is damaged: {why}", self.what()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_back_from_its_ends() {
        let keys = Keys::generate().unwrap();
        let repository = RepositoryId([5; 16]);
        let mut writer = LargeWriter::create(&keys, repository, ObjectKind::TreePack, 0).unwrap();
        let name = writer.name();
        let places: Vec<_> = (0..5_u8).map(|n| writer.push(&[n; 1000]).unwrap()).collect();
        let object = writer.finish(b"directory").unwrap();
        let reader = LargeReader::open(&keys, repository, ObjectKind::TreePack, name, &object).unwrap();
        let size = object.len() as u64;
        let Tail::Needs(bytes) = reader.tail(&object[object.len() - TRAILER_BYTES..], size).unwrap() else {
            panic!("the trailer alone cannot hold the directory");
        };
        let Tail::Directory(directory, 5) =
            reader.tail(&object[object.len() - bytes as usize..], size).unwrap()
        else {
            panic!("the directory should be found");
        };
        assert_eq!(directory, b"directory");
        for place in places {
            let mut sealed = object[place.offset as usize..][..place.sealed_bytes as usize].to_vec();
            assert_eq!(reader.frame(place.number, &mut sealed).unwrap(), [place.number as u8; 1000]);
        }
        assert_eq!(crate::crypto::padme(size), size);
    }
}
