//! Writes items into a directory. Blocking; one target may be used by many threads.
//!
//! Nothing is ever written outside the directory: every step goes from a folder held open to one name in it, never through a
//! symbolic link ([`places`]), and a name that could lead elsewhere, or that no file system holds, is escaped ([`name`]). A
//! link that stands where a folder should be is replaced or refused, as [`Overwrite`] says.
//!
//! Files are written under a temporary name and then take their own, so that what was there stays whole until it is
//! replaced. Folders get owner, mode and time at the end ([`DirectoryTarget::finish`]). What has to be remembered until
//! then, folders and the names of files with several, lies in a nameless file in the target, so that memory is bounded.

mod attributes;
mod error;
mod existing;
mod folders;
mod layout;
mod links;
mod name;
mod places;
mod scratch;
mod special;
mod temporary;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use larder_sdk::{Container, Item, Kind, Name, StreamInfo};
use rustix::{fd::OwnedFd, fs::Mode, io::Errno};

use self::{
    attributes::Attributes,
    existing::Existing,
    folders::Folders,
    layout::TargetPath,
    links::{Claim, Links, Role},
    places::Places,
    scratch::Scratch,
    temporary::Temporary,
    writer::Plan,
};
pub use self::{
    error::{RestoreError, RestoreErrorKind, Result},
    writer::FileWriter,
};
pub use super::Overwrite;

/// Most problems and changed names that [`Finished`] holds; of further ones only the number is known.
const NOTES_MAX: usize = 1000;
/// Access to a folder until it has its own mode.
const PRIVATE_MODE: u32 = 0o700;
/// For folders without a mode of their own: what the user's mask leaves of it.
const DEFAULT_MODE: u32 = 0o777;

/// How a target is written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DirectoryOptions {
    /// What becomes of what is there already.
    pub overwrite: Overwrite,
    /// Whether owners are restored; if not said, they are if the process runs as root.
    pub owners: Option<bool>,
}

impl DirectoryOptions {
    /// Says what becomes of what is there already.
    #[must_use]
    pub fn with_overwrite(mut self, overwrite: Overwrite) -> Self {
        self.overwrite = overwrite;
        self
    }
    /// Says whether owners are restored.
    #[must_use]
    pub fn with_owners(mut self, owners: bool) -> Self {
        self.owners = Some(owners);
        self
    }
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was made.
    Written,
    /// It is, or will be once the file's first name is written, another name of a file restored in this run.
    Linked,
    /// What was there stays.
    Kept,
}

/// A file to be written, or what became of it at once.
pub enum FileTarget {
    /// Write the stream's bytes and finish.
    Write(FileWriter),
    /// The stream need not be read.
    Done(Outcome),
}

/// What [`DirectoryTarget::finish`] tells.
#[derive(Debug, Default)]
pub struct Finished {
    /// How many folders got their owner, mode and time.
    pub folders: u64,
    /// What failed and was not told to a caller, at most 1000: folders' attributes, names whose file could not be written.
    pub problems: Vec<RestoreError>,
    /// How many problems are not among them.
    pub problems_more: u64,
    /// Names that could not stand as they are, at most 1000, and the paths they got.
    pub renamed: Vec<(Name, PathBuf)>,
    /// How many such names are not among them.
    pub renamed_more: u64,
}

/// A directory that items are restored to.
pub struct DirectoryTarget {
    inner: Arc<Inner>,
}

/// A directory as the target of one container. Names of one file are looked for among its items.
#[derive(Clone)]
pub struct ContainerTarget {
    target: Arc<Inner>,
    links: Arc<Links>,
}

/// What all parts of a target share.
struct Inner {
    places: Places,
    scratch: Arc<Scratch>,
    folders: Mutex<Option<Folders>>,
    overwrite: Overwrite,
    owners: bool,
    notes: Mutex<Finished>,
}

impl DirectoryTarget {
    /// Makes the directory if it is missing.
    pub fn create(root: &Path, options: &DirectoryOptions) -> Result<Self> {
        let places = Places::create(root, options.overwrite != Overwrite::Never)?;
        let scratch = Scratch::new(places.root())
            .map_err(|errno| places.failed("making a temporary file in", &TargetPath::default(), errno))?;
        let owners = options.owners.unwrap_or_else(|| rustix::process::geteuid().is_root());
        Ok(Self {
            inner: Arc::new(Inner {
                places,
                scratch: Arc::new(scratch),
                folders: Mutex::new(Some(Folders::default())),
                overwrite: options.overwrite,
                owners,
                notes: Mutex::default(),
            }),
        })
    }

    /// The target of one container's items.
    pub fn container(&self) -> ContainerTarget {
        let links = Arc::new(Links::new(Arc::clone(&self.inner.scratch)));
        ContainerTarget { target: Arc::clone(&self.inner), links }
    }

    /// Gives the folders their owner, mode and time, deepest first. Call it when all writers are done.
    pub fn finish(self) -> Finished {
        let folders = lock(&self.inner.folders).take().unwrap_or_default();
        let mut done = 0;
        folders.set_all(&self.inner.scratch, &self.inner.places, |set| match set {
            Ok(()) => done += 1,
            Err(error) => self.inner.problem(error),
        });
        let mut finished = std::mem::take(&mut *lock(&self.inner.notes));
        finished.folders = done;
        finished
    }
}

/// In all of these, `path` is the whole path below the target, the item's own name last; it need not be escaped. Folders
/// above that are missing are made.
impl ContainerTarget {
    /// Makes the container's own folder; what the container knows of its root directory is set by [`DirectoryTarget::finish`].
    pub fn root(&self, path: &[Name], container: &Container) -> Result<Outcome> {
        self.target.folder(path, Attributes::of_container(container, self.target.owners))
    }

    /// Makes a folder; its owner, mode and time are set by [`DirectoryTarget::finish`]. Call it once per folder.
    pub fn folder(&self, path: &[Name], item: &Item) -> Result<Outcome> {
        self.target.folder(path, Attributes::of_item(item, self.target.owners))
    }

    /// Begins a file for one of an item's streams.
    pub fn file(&self, path: &[Name], item: &Item, stream: &str) -> Result<FileTarget> {
        let target = &self.target;
        let (path, changed) = TargetPath::of_stream(path, item, stream);
        target.note_changed(&path, changed);
        let (folder, name) = target.enter(&path)?;
        let main = stream == StreamInfo::CONTENT && !item.folder;
        let existing = target.existing(&folder, &path, &name)?;
        if target.overwrite == Overwrite::Never && existing.is_some() {
            return Ok(FileTarget::Done(Outcome::Kept));
        }
        let mut claim = None;
        if let Some(id) = item.posix.as_ref().and_then(|posix| posix.link).filter(|_| main) {
            match self.name_of(id, &path)? {
                Ok(outcome) => return Ok(FileTarget::Done(outcome)),
                Err(first) => claim = first,
            }
        }
        let attributes =
            if main { Attributes::of_item(item, target.owners) } else { Attributes::of_side_stream(item) };
        let size = item.streams.iter().find(|info| info.name == stream).and_then(|info| info.size);
        if target.overwrite == Overwrite::Changed
            && existing.is_some_and(|there| there.is_same_file(size, item.modified))
        {
            let set = attributes.set_at(&folder, &name, false);
            if let Some(claim) = claim {
                target.link_waiting(claim, &path);
            }
            set.map_err(|errno| {
                target.places.failed("setting owner, mode and time of", &path, errno).of_attributes()
            })?;
            return Ok(FileTarget::Done(Outcome::Kept));
        }
        let sparse = main && item.posix.as_ref().is_some_and(|posix| posix.sparse);
        let plan = Plan { path, folder, name, attributes, sparse, claim };
        FileWriter::new(Arc::clone(target), plan).map(FileTarget::Write)
    }

    /// Makes a symbolic link or a special file.
    pub fn special(&self, path: &[Name], item: &Item) -> Result<Outcome> {
        let target = &self.target;
        let (path, changed) = TargetPath::new(path);
        target.note_changed(&path, changed);
        let (folder, name) = target.enter(&path)?;
        if target.overwrite == Overwrite::Never && target.existing(&folder, &path, &name)?.is_some() {
            return Ok(Outcome::Kept);
        }
        let mut claim = None;
        if let Some(id) = item.posix.as_ref().and_then(|posix| posix.link) {
            match self.name_of(id, &path)? {
                Ok(outcome) => return Ok(outcome),
                Err(first) => claim = first,
            }
        }
        let made = special::make(&folder, item).map_err(|errno| target.places.failed("making", &path, errno));
        let attributes = Attributes::of_item(item, target.owners);
        let set = |temporary: &Temporary| {
            attributes.set_at(&folder, temporary.name(), item.kind == Kind::SYMLINK).map_err(|errno| {
                target.places.failed("setting owner, mode and time of", &path, errno).of_attributes()
            })
        };
        let placed = made.and_then(|temporary| {
            let set = set(&temporary);
            Ok((target.place(temporary, &path, &name)?, set))
        });
        if let Some(claim) = claim {
            match &placed {
                Ok((Outcome::Written, _)) => target.link_waiting(claim, &path),
                _ => target.disappoint(claim),
            }
        }
        let (outcome, set) = placed?;
        set.map(|()| outcome)
    }

    /// Decides about one of a file's names: what became of it, or whether it is to be written, and with a claim.
    fn name_of(
        &self,
        id: links::FileId,
        path: &TargetPath,
    ) -> Result<std::result::Result<Outcome, Option<Claim>>> {
        let role = self.links.role(id, path);
        let role =
            role.map_err(|errno| self.target.places.failed("remembering the names of", path, errno))?;
        Ok(match role {
            Role::First(claim) => Err(Some(claim)),
            Role::Alone => Err(None),
            Role::Waiting => Ok(Outcome::Linked),
            // A file that can have no more names, or not here, is written once more.
            Role::Other(first) => self.target.link(&first, path).map_err(|_| None),
        })
    }
}

impl Inner {
    fn folder(&self, names: &[Name], attributes: Attributes) -> Result<Outcome> {
        let (path, changed) = TargetPath::new(names);
        self.note_changed(&path, changed);
        let mode = if attributes.mode.is_some() { PRIVATE_MODE } else { DEFAULT_MODE };
        let (_, made) = self.places.make(&path, Mode::from_raw_mode(mode))?;
        if attributes != Attributes::default()
            && let Some(folders) = &*lock(&self.folders)
        {
            let added = folders.add(&self.scratch, &path, attributes);
            added.map_err(|errno| self.places.failed("remembering the folder", &path, errno))?;
        }
        Ok(if made { Outcome::Written } else { Outcome::Kept })
    }

    /// Opens the folder that an entry lies in.
    fn enter(&self, path: &TargetPath) -> Result<(Arc<OwnedFd>, Vec<u8>)> {
        let (folder, name) = path.split().ok_or_else(|| self.places.failed("writing", path, Errno::ISDIR))?;
        Ok((self.places.folder(&folder)?, name.to_vec()))
    }

    /// What stands under a name now.
    fn existing(&self, folder: &OwnedFd, path: &TargetPath, name: &[u8]) -> Result<Option<Existing>> {
        Existing::look(folder, name).map_err(|errno| self.places.failed("looking at", path, errno))
    }

    /// Gives a finished entry its name.
    fn place(&self, temporary: Temporary, path: &TargetPath, name: &[u8]) -> Result<Outcome> {
        match temporary.place(name, self.overwrite != Overwrite::Never) {
            Ok(()) => Ok(Outcome::Written),
            Err(Errno::EXIST) if self.overwrite == Overwrite::Never => Ok(Outcome::Kept),
            Err(errno) => Err(self.places.failed("replacing", path, errno)),
        }
    }

    /// Makes `path` another name of the file at `first`.
    fn link(&self, first: &TargetPath, path: &TargetPath) -> Result<Outcome> {
        let (first_folder, first_name) = self.enter(first)?;
        let (folder, name) = self.enter(path)?;
        let failed = |errno| self.places.failed("linking", path, errno);
        let existing = self.existing(&folder, path, &name)?;
        if let Some(existing) = existing {
            let same = self
                .existing(&first_folder, first, &first_name)?
                .is_some_and(|first| first.is_one_with(&existing));
            if same || self.overwrite == Overwrite::Never {
                return Ok(Outcome::Kept);
            }
        }
        let make = |_: &OwnedFd, temporary: &str| {
            rustix::fs::linkat(&first_folder, &first_name, &folder, temporary, rustix::fs::AtFlags::empty())
        };
        let ((), temporary) = Temporary::new(&folder, make).map_err(failed)?;
        match self.place(temporary, path, &name)? {
            Outcome::Written => Ok(Outcome::Linked),
            outcome => Ok(outcome),
        }
    }

    /// Links the names that waited for a file.
    fn link_waiting(&self, claim: Claim, path: &TargetPath) {
        match claim.written(path) {
            Ok(waiting) => {
                for name in waiting {
                    if let Err(error) = self.link(path, &name) {
                        self.problem(error);
                    }
                }
            }
            Err(errno) => self.problem(self.places.failed("remembering the names of", path, errno)),
        }
    }

    /// Notes that the names that waited for a file are not restored.
    fn disappoint(&self, claim: Claim) {
        for name in claim.abandoned() {
            self.problem(self.places.failed(
                "linking to a file that could not be written:",
                &name,
                Errno::NOENT,
            ));
        }
    }

    fn problem(&self, error: RestoreError) {
        let mut notes = lock(&self.notes);
        if notes.problems.len() < NOTES_MAX {
            notes.problems.push(error);
        } else {
            notes.problems_more += 1;
        }
    }

    fn note_changed(&self, path: &TargetPath, changed: Option<Name>) {
        let Some(name) = changed else { return };
        let mut notes = lock(&self.notes);
        if notes.renamed.len() < NOTES_MAX {
            notes.renamed.push((name, self.places.whole(path)));
        } else {
            notes.renamed_more += 1;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
