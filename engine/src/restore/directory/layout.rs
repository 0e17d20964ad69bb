//! Where an item's streams lie in the target.
//!
//! `content` is NAME itself, `attachment/X` is X in the folder `NAME.attachments`, `version/X` is X in `NAME.versions`, and any
//! other stream S is `NAME.S`; so is the `content` of a folder, since NAME is the folder.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use larder_sdk::{Item, Name, StreamInfo};

use super::name::escape;

/// A path below the target's root, in escaped names. Empty for the root itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TargetPath(Vec<u8>);

/// Where an item, or a stream of it, lies below the target: relative, and leading nowhere else.
pub(crate) fn member_path(names: &[Name], stream: Option<(&Item, &str)>) -> Vec<u8> {
    let (path, _) = match stream {
        Some((item, stream)) => TargetPath::of_stream(names, item, stream),
        None => TargetPath::new(names),
    };
    path.0
}

impl TargetPath {
    /// A path from names as the snapshot has them; with the last name, if it cannot stand as it is.
    pub(super) fn new(names: &[Name]) -> (Self, Option<Name>) {
        let (mut path, mut changed) = (Self::default(), None);
        for name in names {
            changed = path.push(name.as_bytes());
        }
        (path, changed)
    }

    /// The path of a stream of the item at `names`; with the last name, if it cannot stand as it is.
    pub(super) fn of_stream(names: &[Name], item: &Item, stream: &str) -> (Self, Option<Name>) {
        if stream == StreamInfo::CONTENT && !item.folder {
            return Self::new(names);
        }
        let Some((last, folder)) = names.split_last() else { return Self::new(names) };
        let (mut path, _) = Self::new(folder);
        let beside = |suffix: &str| [last.as_bytes(), b".", suffix.as_bytes()].concat();
        let changed = if let Some(name) = stream.strip_prefix("attachment/") {
            path.push(&beside("attachments"));
            path.push(name.as_bytes())
        } else if let Some(name) = stream.strip_prefix("version/") {
            path.push(&beside("versions"));
            path.push(name.as_bytes())
        } else {
            path.push(&beside(stream))
        };
        (path, changed)
    }

    /// A path from bytes that [`Self::as_bytes`] gave.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The names from the top down.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/').filter(|part| !part.is_empty())
    }

    pub(super) fn depth(&self) -> usize {
        self.parts().count()
    }

    /// The folder it lies in and its name; `None` for the root.
    pub(super) fn split(&self) -> Option<(TargetPath, &[u8])> {
        match self.0.iter().rposition(|&byte| byte == b'/') {
            Some(at) => Some((Self(self.0[..at].to_vec()), &self.0[at + 1..])),
            None if self.0.is_empty() => None,
            None => Some((Self::default(), &self.0)),
        }
    }

    /// The whole path, for people.
    pub(super) fn below(&self, root: &Path) -> PathBuf {
        if self.0.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(&self.0)) }
    }

    fn push(&mut self, name: &[u8]) -> Option<Name> {
        let escaped = escape(name);
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(&escaped.bytes);
        escaped.changed.then(|| Name::new(name))
    }
}
