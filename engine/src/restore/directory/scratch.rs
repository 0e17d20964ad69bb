//! A nameless file in the target for what would otherwise grow in memory.

use std::sync::{Arc, Mutex, PoisonError};

use rustix::{
    fd::OwnedFd,
    fs::OFlags,
    io::{Errno, Result},
};

use super::{places::Place, temporary::Temporary};

const LENGTH_BYTES: usize = 4;

/// Records one after the other, found again by where they begin.
pub(super) struct Scratch {
    file: OwnedFd,
    end: Mutex<u64>,
}

impl Scratch {
    /// Makes the file in a folder. It has no name any more when this returns, and is gone with the process.
    pub(super) fn new(folder: &Arc<Place>) -> Result<Self> {
        let (file, name) = Temporary::file(folder, OFlags::RDWR, 0o600)?;
        drop(name);
        Ok(Self { file, end: Mutex::new(0) })
    }

    /// Adds a record. Tells where it begins.
    pub(super) fn add(&self, record: &[u8]) -> Result<u64> {
        let length = u32::try_from(record.len()).map_err(|_| Errno::FBIG)?;
        let bytes = [&length.to_le_bytes(), record].concat();
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let start = *end;
        write_all_at(&self.file, &bytes, start)?;
        *end += bytes.len() as u64;
        Ok(start)
    }

    /// The record that begins there.
    pub(super) fn get(&self, start: u64) -> Result<Vec<u8>> {
        let mut length = [0; LENGTH_BYTES];
        self.read_exact_at(&mut length, start)?;
        let mut record = vec![0; u32::from_le_bytes(length) as usize];
        self.read_exact_at(&mut record, start + LENGTH_BYTES as u64)?;
        Ok(record)
    }

    fn read_exact_at(&self, mut bytes: &mut [u8], mut at: u64) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::io::pread(&self.file, &mut *bytes, at) {
                Ok(0) => return Err(Errno::IO),
                Ok(length) => {
                    bytes = &mut bytes[length..];
                    at += length as u64;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Writes all of the bytes at a place of a file.
pub(super) fn write_all_at(file: &OwnedFd, mut bytes: &[u8], mut at: u64) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(length) => {
                bytes = &bytes[length..];
                at += length as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
