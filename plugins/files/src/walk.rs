//! The walk over a root: every folder's entries sorted by id, folders before what they hold.
//!
//! It holds the names of the folder it is in and, for each folder above, the names of the folders still to visit: depth
//! costs memory for names, never stack. At most two folders are open at a time.

use std::{
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use larder_sdk::{
    Error, Event, Item, ItemId, Name, Offer, Owed, Result, ScopeId, Unread,
    limits::{BATCH_BYTES, BATCH_EVENTS_MAX},
};
use rustix::{
    fd::OwnedFd,
    fs::{Dir, FileType, Mode, OFlags},
    io::Errno,
};

use crate::{
    failure::{failed, is_gone},
    item::Facts,
    names::Names,
    options::Rules,
    path_id,
    root::Root,
};

/// The file that marks a folder as a cache, and how it begins (<https://bford.info/cachedir/>).
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";
/// What an event takes in a batch beside its id, parent, name and target: streams, times, numbers.
const EVENT_BYTES: usize = 96;

/// Events up to the size of one batch.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Event>,
    bytes: usize,
}

impl Batch {
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= BATCH_BYTES || self.events.len() >= BATCH_EVENTS_MAX
    }

    pub(crate) fn push(&mut self, event: Event) {
        self.bytes += EVENT_BYTES
            + match &event {
                Event::Offer(Offer { item, .. }) => {
                    let target = item.posix.as_ref().map_or(0, |posix| posix.target.len());
                    item.id.as_bytes().len()
                        + item.parent.as_bytes().len()
                        + item.name.as_bytes().len()
                        + target
                }
                Event::Unread(unread) => 2 * unread.id.as_bytes().len() + unread.error.message().len(),
                _ => 0,
            };
        self.events.push(event);
    }

    fn offer(&mut self, item: Item) {
        self.push(Event::Offer(Offer { scope: ScopeId::default(), item, carry: None }));
    }

    fn unread(&mut self, id: ItemId, error: Error) {
        let (parent, name) = path_id::split(id.as_bytes());
        let (parent, name) = (ItemId::new(parent), Name::new(name));
        self.push(Event::Unread(Unread { scope: ScopeId::default(), id, parent, name, error }));
    }
}

/// A walk that goes on where the last batch ended.
pub(crate) struct Walk {
    root: Arc<Root>,
    rules: Arc<Rules>,
    /// The root's file system, as `st_dev`.
    device: u64,
    /// True if the root is only the directory of some configured files: no exclusions, no folders.
    partial: bool,
    here: Option<Folder>,
    above: Vec<Level>,
    complete: bool,
}

/// The folder whose entries are being told.
struct Folder {
    id: Vec<u8>,
    place: OwnedFd,
    names: Names,
    next: usize,
    /// The folders among the names told so far, to be visited next.
    folders: Names,
}

/// A folder whose entries are told, with its folders still to visit.
struct Level {
    id: Vec<u8>,
    folders: Names,
    next: usize,
}

impl Walk {
    /// Begins at the root. Of a root that is only the directory of some configured files, `only` names them. An error
    /// means that the root itself cannot be listed.
    pub(crate) fn new(root: Arc<Root>, rules: Arc<Rules>, only: Option<Names>) -> Result<Self> {
        let path = root.path_of(&[]);
        let place = root.open_place(&[]).map_err(|errno| failed(errno, "opening", &path))?;
        let facts = Facts::look(&place, b".").map_err(|errno| failed(errno, "looking at", &path))?;
        let mut walk = Self {
            root,
            rules,
            device: facts.device,
            partial: only.is_some(),
            here: None,
            above: Vec::new(),
            complete: true,
        };
        walk.here = Some(match only {
            Some(mut names) => {
                names.sort();
                Folder { id: Vec::new(), place, names, next: 0, folders: Names::default() }
            }
            None => walk.list(Vec::new()).map_err(|(_, errno)| failed(errno, "listing", &path))?,
        });
        Ok(walk)
    }

    /// True if everything below the root could be listed so far, so that what was not told is gone.
    pub(crate) fn complete(&self) -> bool {
        self.complete
    }

    /// The folder the walk is in, for the progress shown.
    pub(crate) fn place(&self) -> Option<PathBuf> {
        self.here.as_ref().map(|folder| self.root.path_of(&folder.id))
    }

    /// Tells entries until the batch is full. True if there are more.
    pub(crate) fn fill(&mut self, batch: &mut Batch) -> bool {
        while !batch.is_full() {
            if let Some(mut folder) = self.here.take() {
                while let Some(name) = folder.names.get(folder.next)
                    && !batch.is_full()
                {
                    if self.tell(&folder.place, &folder.id, name, batch) {
                        folder.folders.push(name);
                    }
                    folder.next += 1;
                }
                self.leave(folder);
            } else if let Some(id) = self.next_folder() {
                self.enter(id, batch);
            } else {
                return false;
            }
        }
        true
    }

    /// Keeps a folder that has more names; else closes it and keeps its folders to visit.
    fn leave(&mut self, folder: Folder) {
        if folder.names.get(folder.next).is_some() {
            self.here = Some(folder);
        } else if !folder.folders.is_empty() {
            self.above.push(Level { id: folder.id, folders: folder.folders, next: 0 });
        }
    }

    fn next_folder(&mut self) -> Option<Vec<u8>> {
        while let Some(level) = self.above.last_mut() {
            if let Some(name) = level.folders.get(level.next) {
                level.next += 1;
                return Some(path_id::child(&level.id, name));
            }
            self.above.pop();
        }
        None
    }

    fn enter(&mut self, id: Vec<u8>, batch: &mut Batch) {
        let entered = self.list(id);
        match entered {
            Ok(folder) => self.here = Some(folder),
            // It was removed since it was offered, and what it held with it.
            Err((_, errno)) if is_gone(errno) => {}
            Err((id, errno)) => {
                self.complete = false;
                let error = failed(errno, "listing", &self.root.path_of(&id));
                batch.unread(ItemId::new(id.as_slice()), error);
            }
        }
    }

    /// Opens a folder and reads its names. Gives the id back with an error.
    fn list(&self, id: Vec<u8>) -> std::result::Result<Folder, (Vec<u8>, Errno)> {
        let listed = self.root.open_item(&id, OFlags::RDONLY | OFlags::DIRECTORY).and_then(|place| {
            let names = self.names_of(&place)?;
            Ok((place, names))
        });
        match listed {
            Ok((place, names)) => Ok(Folder { id, place, names, next: 0, folders: Names::default() }),
            Err(errno) => Err((id, errno)),
        }
    }

    fn names_of(&self, place: &OwnedFd) -> rustix::io::Result<Names> {
        let mut names = Names::default();
        for entry in Dir::read_from(place)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort();
        if self.rules.exclude_caches && names.contains(CACHE_TAG) && is_cache(place) {
            names = Names::from_iter([CACHE_TAG]);
        }
        Ok(names)
    }

    /// Tells one entry. True if it is a folder to visit.
    fn tell(&mut self, place: &OwnedFd, parent: &[u8], name: &[u8], batch: &mut Batch) -> bool {
        let id = path_id::child(parent, name);
        match self.examine(place, &id) {
            Ok(Some((item, visit))) => {
                batch.offer(item);
                visit
            }
            Ok(None) => false,
            Err(refused) if id.len() > path_id::ID_BYTES_MAX => {
                batch.unread(path_id::stand_in(id), refused.error);
                false
            }
            Err(refused) => {
                self.complete &= !refused.hides;
                batch.unread(ItemId::new(id), refused.error);
                false
            }
        }
    }

    /// Tells what has become of an item that an earlier run could not read.
    pub(crate) fn tell_owed(&self, owed: &Owed, batch: &mut Batch) {
        let id = owed.id.as_bytes();
        let examined = match self.root.open_place(path_id::split(id).0) {
            Ok(place) => self.examine(&place, id),
            Err(errno) if is_gone(errno) => Ok(None),
            Err(errno) => Err(self.refused(errno, "looking at", id, true)),
        };
        match examined {
            Ok(Some((item, _))) => batch.offer(item),
            Ok(None) => batch.push(Event::Deleted(owed.id.clone())),
            Err(refused) => batch.unread(owed.id.clone(), refused.error),
        }
    }

    /// The entry of a folder as an item, and whether it is a folder to visit; `None` if it is gone or left out.
    fn examine(&self, place: &OwnedFd, id: &[u8]) -> std::result::Result<Option<(Item, bool)>, Refused> {
        let (parent, name) = path_id::split(id);
        let facts = match Facts::look(place, name) {
            Ok(facts) => facts,
            Err(errno) if is_gone(errno) => return Ok(None),
            Err(errno) => return Err(self.refused(errno, "looking at", id, true)),
        };
        let folder = facts.kind == FileType::Directory;
        let left_out = if self.partial { folder } else { self.excluded(id, folder) };
        if left_out {
            return Ok(None);
        }
        if id.len() > path_id::ID_BYTES_MAX {
            return Err(self.refused(Errno::NAMETOOLONG, "reaching", id, false));
        }
        let visit = folder && !(self.rules.one_file_system && facts.device != self.device);
        if visit {
            may_list(place, name).map_err(|errno| self.refused(errno, "listing", id, true))?;
        }
        match facts.into_item(place, parent, name) {
            Ok(item) => Ok(Some((item, visit))),
            Err(errno) if is_gone(errno) => Ok(None),
            Err(errno) => Err(self.refused(errno, "reading the link", id, false)),
        }
    }

    fn refused(&self, errno: Errno, doing: &str, id: &[u8], hides: bool) -> Refused {
        Refused { error: failed(errno, doing, &self.root.path_of(id)), hides }
    }

    fn excluded(&self, id: &[u8], folder: bool) -> bool {
        !self.rules.exclude.is_empty() && self.rules.exclude.excludes(&self.root.path_of(id), folder)
    }
}

/// Why an entry cannot be offered.
struct Refused {
    error: Error,
    /// True if it is, or may be, a folder that an earlier run could list: what it held then must stay.
    hides: bool,
}

/// Checks that a folder can be listed before it is offered, so that one that cannot is told once, in its place. By
/// doing it: `access` answers for the real user and knows nothing of capabilities.
fn may_list(place: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::openat(place, name, flags, Mode::empty())?;
    // Opening needs the right to read; naming anything in it, be it itself, needs the right to search.
    Facts::look(folder, b".").map(drop)
}

/// True if the folder's `CACHEDIR.TAG` begins with the signature.
fn is_cache(folder: impl AsFd) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut start = [0; CACHE_SIGNATURE.len()];
    rustix::fs::openat(folder, CACHE_TAG, flags, Mode::empty())
        .and_then(|file| rustix::io::read(file, &mut start))
        .is_ok_and(|length| start[..length] == *CACHE_SIGNATURE)
}

/// Checks that a path can be listed or opened as a root, without reading it.
pub(crate) fn probe(path: &Path, folder: bool) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = if folder { flags | OFlags::DIRECTORY } else { flags };
    rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty()).map(drop)
}
