//! A directory as the target of one container's items.

use std::sync::Arc;

use larder_sdk::{Container, Item, Kind, Name, StreamInfo};

use super::{
    FilePlan, FileTarget, Outcome, Overwrite,
    attributes::Attributes,
    error::Result,
    layout::TargetPath,
    links::{Claim, FileId, Links, Role},
    shared::Shared,
    special,
    temporary::Temporary,
    writer::Plan,
};

/// A directory as the target of one container. Names of one file are looked for among its items.
#[derive(Clone)]
pub struct ContainerTarget {
    target: Arc<Shared>,
    links: Arc<Links>,
}

/// In all of these, `path` is the whole path below the target, the item's own name last; it need not be escaped. Folders
/// above that are missing are made.
impl ContainerTarget {
    pub(super) fn new(target: Arc<Shared>) -> Self {
        let links = Arc::new(Links::new(Arc::clone(target.scratch())));
        Self { target, links }
    }

    /// Makes the container's own folder; what the container knows of its root directory is set by [`DirectoryTarget::finish`].
    pub fn root(&self, path: &[Name], container: &Container) -> Result<Outcome> {
        self.target.folder(path, Attributes::of_container(container, self.target.owners()))
    }

    /// Makes a folder; its owner, mode and time are set by [`DirectoryTarget::finish`]. Call it once per folder.
    pub fn folder(&self, path: &[Name], item: &Item) -> Result<Outcome> {
        self.target.folder(path, Attributes::of_item(item, self.target.owners()))
    }

    /// Decides about a file for one of an item's streams.
    pub fn file(&self, path: &[Name], item: &Item, stream: &str) -> Result<FileTarget> {
        let target = &self.target;
        let (path, changed) = TargetPath::of_stream(path, item, stream);
        target.note_changed(&path, changed);
        let (folder, name) = target.enter(&path)?;
        let main = stream == StreamInfo::CONTENT && !item.folder;
        // A folder that this restore made holds nothing that it could meet.
        let existing = if folder.is_new { None } else { target.existing(&folder, &path, &name)? };
        if target.overwrite() == Overwrite::Never && existing.is_some() {
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
            if main { Attributes::of_item(item, target.owners()) } else { Attributes::of_side_stream(item) };
        let size = item.streams.iter().find(|info| info.name == stream).and_then(|info| info.size);
        if target.overwrite() == Overwrite::Changed
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
        Ok(FileTarget::Write(FilePlan::new(
            Arc::clone(target),
            Plan { path, folder, name, attributes, sparse, claim },
        )))
    }

    /// Makes a symbolic link or a special file.
    pub fn special(&self, path: &[Name], item: &Item) -> Result<Outcome> {
        let target = &self.target;
        let (path, changed) = TargetPath::new(path);
        target.note_changed(&path, changed);
        let (folder, name) = target.enter(&path)?;
        if target.overwrite() == Overwrite::Never && target.existing(&folder, &path, &name)?.is_some() {
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
        let attributes = Attributes::of_item(item, target.owners());
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
    fn name_of(&self, id: FileId, path: &TargetPath) -> Result<std::result::Result<Outcome, Option<Claim>>> {
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
