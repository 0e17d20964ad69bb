//! An entry of a folder as an item: kind, times, owner, tag.

use std::os::fd::AsFd;

use larder_sdk::{Item, ItemId, Kind, Name, Posix, StreamInfo, Tag, Time, Value, Word};
use rustix::fs::{AtFlags, FileType, Stat};

use crate::path_id;

/// Bytes of the digest that a tag keeps: enough to tell the states of one file apart.
const TAG_BYTES: usize = 8;

/// What `lstat` says, in the same types on every system.
pub(crate) struct Facts {
    pub(crate) kind: FileType,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) names: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) rdev: u64,
    pub(crate) size: u64,
    pub(crate) sparse: bool,
    pub(crate) modified: Time,
    pub(crate) changed: Time,
}

impl Facts {
    /// Converts the system's own structure, whose field types differ from system to system.
    #[allow(
        clippy::cast_sign_loss,
        clippy::cast_lossless,
        clippy::unnecessary_cast,
        clippy::useless_conversion,
        reason = "no-ops here, not elsewhere"
    )]
    pub(crate) fn of(stat: &Stat) -> Self {
        let size = stat.st_size.max(0) as u64;
        Self {
            kind: FileType::from_raw_mode(stat.st_mode.into()),
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            names: stat.st_nlink as u64,
            mode: stat.st_mode as u32,
            uid: stat.st_uid,
            gid: stat.st_gid,
            rdev: stat.st_rdev as u64,
            size,
            // `st_blocks` counts in units of 512 bytes, whatever the file system's own.
            sparse: (stat.st_blocks.max(0) as u64).saturating_mul(512) < size,
            modified: Time { seconds: stat.st_mtime as i64, nanos: stat.st_mtime_nsec as u32 },
            changed: Time { seconds: stat.st_ctime as i64, nanos: stat.st_ctime_nsec as u32 },
        }
    }

    /// Looks at an entry of a folder without following it.
    pub(crate) fn look(folder: impl AsFd, name: &[u8]) -> rustix::io::Result<Self> {
        rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Self::of(&stat))
    }

    /// Equal as long as nothing touched the file. Taken before reading: a change while reading shows in the next run.
    fn tag(&self) -> Tag {
        let mut hasher = blake3::Hasher::new();
        for time in [self.modified, self.changed] {
            hasher.update(&time.seconds.to_le_bytes()).update(&time.nanos.to_le_bytes());
        }
        hasher
            .update(&self.size.to_le_bytes())
            .update(&self.inode.to_le_bytes())
            .update(&self.mode_type().to_le_bytes());
        Tag::new(&hasher.finalize().as_bytes()[..TAG_BYTES])
    }

    fn mode_type(&self) -> u32 {
        const TYPE_BITS: u32 = 0o170_000;
        self.mode & TYPE_BITS
    }

    fn posix(&self) -> Posix {
        let regular = self.kind == FileType::RegularFile;
        let device_file = matches!(self.kind, FileType::BlockDevice | FileType::CharacterDevice);
        Posix {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            link: (self.names > 1 && self.kind != FileType::Directory).then_some((self.device, self.inode)),
            rdev: if device_file { self.rdev } else { 0 },
            sparse: regular && self.sparse,
            target: Vec::new(),
        }
    }

    /// The root's own mode, owner and time, as a container's metadata keeps them.
    pub(crate) fn root_meta(&self) -> Vec<(Word, Value)> {
        vec![
            ("posix.mode".into(), Value::Int(self.mode.into())),
            ("posix.uid".into(), Value::Int(self.uid.into())),
            ("posix.gid".into(), Value::Int(self.gid.into())),
            ("modified".into(), Value::Time(self.modified)),
        ]
    }

    /// The item for an entry of the folder with id `parent`; `folder` is that folder, for reading a link's target.
    pub(crate) fn into_item(self, folder: impl AsFd, parent: &[u8], name: &[u8]) -> rustix::io::Result<Item> {
        let mut posix = self.posix();
        let (kind, tag, streams) = match self.kind {
            FileType::RegularFile => {
                (Kind::FILE, self.tag(), vec![StreamInfo::content(media(name), Some(self.size))])
            }
            FileType::Directory => (Kind::FOLDER, Tag::default(), Vec::new()),
            FileType::Symlink => {
                posix.target = rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes();
                (Kind::SYMLINK, Tag::default(), Vec::new())
            }
            _ => (Kind::SPECIAL, Tag::default(), Vec::new()),
        };
        Ok(Item {
            id: ItemId::new(path_id::child(parent, name)),
            parent: ItemId::new(parent),
            name: Name::new(name),
            folder: self.kind == FileType::Directory,
            kind,
            tag,
            modified: Some(self.modified),
            posix: Some(posix),
            meta: Vec::new(),
            streams,
        })
    }
}

/// What of a file's name says how it is best cut: a message's attachments are stored once, whatever message they came in.
fn media(name: &[u8]) -> &'static str {
    const MESSAGE: &[u8] = b".eml";
    let end = name.len().checked_sub(MESSAGE.len()).map(|start| &name[start..]);
    if end.is_some_and(|end| end.eq_ignore_ascii_case(MESSAGE)) { "message/rfc822" } else { "" }
}
