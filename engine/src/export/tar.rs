//! Tape archives with POSIX headers.

use std::io::{self, Write};

use larder_sdk::{Item, Kind, Time};
use rustix::fs::FileType;
use tar::{Builder, EntryType, Header};

use super::{
    content::{Outgoing, Promised},
    run::{Archive, Member, Written, unwritten},
};
use crate::error::Result;

/// Largest numbers and longest names that the plain header holds.
const ID_MAX: u32 = 0o7_777_777;
const SIZE_MAX: u64 = 0o77_777_777_777;
const NAME_BYTES_MAX: usize = 100;

/// A tape archive being written.
pub(super) struct TarFile<'run>(Builder<&'run mut dyn Write>);

impl<'run> TarFile<'run> {
    pub(super) fn new(out: &'run mut dyn Write) -> Self {
        Self(Builder::new(out))
    }

    /// Writes a member's headers: what the plain one cannot hold stands in one before it.
    fn begin(&mut self, member: &Member<'_>, kind: EntryType, path: &[u8], target: &[u8]) -> Result<Header> {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        let folder = kind == EntryType::Directory;
        header.set_mode(member.mode().unwrap_or(if folder { 0o755 } else { 0o644 }));
        let mut extra: Vec<(&str, Vec<u8>)> = Vec::new();
        if let Some(ustar) = header.as_ustar_mut() {
            put_name(&mut ustar.name, path);
            put_name(&mut ustar.linkname, target);
        }
        for (key, name) in [("path", path), ("linkpath", target)] {
            if name.len() > NAME_BYTES_MAX || !name.is_ascii() {
                extra.push((key, name.to_vec()));
            }
        }
        if [path, target].iter().any(|name| std::str::from_utf8(name).is_err()) {
            extra.insert(0, ("hdrcharset", b"BINARY".to_vec()));
        }
        let (uid, gid) = owner(member);
        header.set_uid(u64::from(if uid > ID_MAX { 0 } else { uid }));
        header.set_gid(u64::from(if gid > ID_MAX { 0 } else { gid }));
        for (key, id) in [("uid", uid), ("gid", gid)] {
            if id > ID_MAX {
                extra.push((key, id.to_string().into_bytes()));
            }
        }
        header.set_size(if member.bytes > SIZE_MAX { 0 } else { member.bytes });
        if member.bytes > SIZE_MAX {
            extra.push(("size", member.bytes.to_string().into_bytes()));
        }
        let modified = member.modified();
        let plain = u64::try_from(modified.seconds).ok().filter(|seconds| *seconds <= SIZE_MAX);
        header.set_mtime(plain.unwrap_or(0));
        if plain.is_none() || modified.nanos != 0 {
            extra.push(("mtime", seconds(modified).into_bytes()));
        }
        if !extra.is_empty() {
            let records = extra.iter().map(|(key, value)| (*key, value.as_slice()));
            self.0.append_pax_extensions(records).map_err(unwritten)?;
        }
        Ok(header)
    }

    fn append(&mut self, mut header: Header, data: impl io::Read) -> Result<()> {
        header.set_cksum();
        self.0.append(&header, data).map_err(unwritten)
    }
}

fn owner(member: &Member<'_>) -> (u32, u32) {
    let posix = member.item.filter(|_| member.main).and_then(|item| item.posix.as_ref());
    posix.map_or((0, 0), |posix| (posix.uid, posix.gid))
}

/// A name, or as much of it as has room: the header before then has the whole.
fn put_name(field: &mut [u8; NAME_BYTES_MAX], name: &[u8]) {
    let length = name.len().min(field.len());
    field[..length].copy_from_slice(&name[..length]);
}

/// Seconds since 1970 with a fraction, negative before.
fn seconds(time: Time) -> String {
    if time.seconds >= 0 || time.nanos == 0 {
        return format!("{}.{:09}", time.seconds, time.nanos);
    }
    // -1.75 is stored as -2 and a quarter.
    let (whole, fraction) = (time.seconds + 1, 1_000_000_000 - time.nanos.min(1_000_000_000));
    format!("-{}.{fraction:09}", whole.unsigned_abs())
}

fn device(item: &Item) -> Option<EntryType> {
    match FileType::from_raw_mode(item.posix.as_ref()?.mode) {
        FileType::Fifo => Some(EntryType::Fifo),
        FileType::BlockDevice => Some(EntryType::Block),
        FileType::CharacterDevice => Some(EntryType::Char),
        _ => None,
    }
}

impl Archive for TarFile<'_> {
    fn folder(&mut self, member: &Member<'_>) -> Result<Written> {
        let path = [member.path, b"/"].concat();
        let header = self.begin(member, EntryType::Directory, &path, b"")?;
        self.append(header, io::empty()).map(|()| Written::Whole)
    }

    fn file(&mut self, member: &Member<'_>, content: &mut Outgoing) -> Result<Written> {
        let header = self.begin(member, EntryType::Regular, member.path, b"")?;
        let mut promised = Promised::new(content, member.bytes);
        let appended = self.append(header, &mut promised);
        match (appended, promised.failed.take()) {
            (Ok(()), None) => promised.end().map_or(Ok(Written::Whole), Written::broken),
            (Err(unwritten), None) => Err(unwritten),
            (appended, Some(error)) => Written::broken(error).and_then(|written| appended.map(|()| written)),
        }
    }

    fn special(&mut self, member: &Member<'_>) -> Result<Written> {
        let Some(item) = member.item else { return Ok(Written::LeftOut) };
        let Some(posix) = &item.posix else { return Ok(Written::LeftOut) };
        let mut header = if item.kind == Kind::SYMLINK {
            self.begin(member, EntryType::Symlink, member.path, &posix.target)?
        } else if let Some(kind) = device(item) {
            self.begin(member, kind, member.path, b"")?
        } else {
            // Sockets mean nothing without the program that made them.
            return Ok(Written::LeftOut);
        };
        if let Some(ustar) = header.as_ustar_mut() {
            ustar.set_device_major(rustix::fs::major(posix.rdev));
            ustar.set_device_minor(rustix::fs::minor(posix.rdev));
        }
        self.append(header, io::empty()).map(|()| Written::Whole)
    }

    fn link(&mut self, member: &Member<'_>, first: &[u8]) -> Result<Written> {
        let member = Member { bytes: 0, ..*member };
        let header = self.begin(&member, EntryType::Link, member.path, first)?;
        self.append(header, io::empty()).map(|()| Written::Whole)
    }

    fn finish(&mut self) -> Result<()> {
        self.0.finish().and_then(|()| self.0.get_mut().flush()).map_err(unwritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_have_their_fraction() {
        assert_eq!(seconds(Time { seconds: 5, nanos: 250_000_000 }), "5.250000000");
        assert_eq!(seconds(Time { seconds: -2, nanos: 250_000_000 }), "-1.750000000");
        assert_eq!(seconds(Time { seconds: -1, nanos: 500_000_000 }), "-0.500000000");
        assert_eq!(seconds(Time::from_seconds(-3)), "-3.000000000");
    }
}
