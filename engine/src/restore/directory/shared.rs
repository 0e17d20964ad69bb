//! What all parts of a target share: its folders, its scratch file, its rules and what is told at the end.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use larder_sdk::Name;
use rustix::{
    fs::{AtFlags, Mode},
    io::Errno,
};

use super::{
    DirectoryOptions, Finished, Outcome, Overwrite,
    attributes::Attributes,
    error::{RestoreError, Result},
    existing::Existing,
    folders::Folders,
    layout::TargetPath,
    links::Claim,
    places::{Place, Places},
    scratch::Scratch,
    temporary::Temporary,
};

/// Most problems and changed names that [`Finished`] holds; of further ones only the number is known.
const NOTES_MAX: usize = 1000;
/// Access to a folder until it has its own mode.
const PRIVATE_MODE: u32 = 0o700;
/// For folders without a mode of their own: what the user's mask leaves of it.
const DEFAULT_MODE: u32 = 0o777;

/// A target directory.
pub(super) struct Shared {
    pub(super) places: Places,
    scratch: Arc<Scratch>,
    folders: Folders,
    overwrite: Overwrite,
    owners: bool,
    notes: Mutex<Finished>,
}

impl Shared {
    /// Makes the directory if it is missing.
    pub(super) fn new(root: &Path, options: &DirectoryOptions) -> Result<Self> {
        let places = Places::create(root, options.overwrite != Overwrite::Never)?;
        let scratch = Scratch::new(places.root())
            .map_err(|errno| places.failed("making a temporary file in", &TargetPath::default(), errno))?;
        Ok(Self {
            places,
            scratch: Arc::new(scratch),
            folders: Folders::default(),
            overwrite: options.overwrite,
            owners: options.owners.unwrap_or_else(|| rustix::process::geteuid().is_root()),
            notes: Mutex::default(),
        })
    }

    pub(super) fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }

    pub(super) fn overwrite(&self) -> Overwrite {
        self.overwrite
    }

    /// True if owners are restored.
    pub(super) fn owners(&self) -> bool {
        self.owners
    }

    /// Gives the folders what was noted for them, and tells what there is to tell.
    pub(super) fn finish(&self) -> Finished {
        let mut folders = 0;
        self.folders.set_all(&self.scratch, &self.places, |set| match set {
            Ok(()) => folders += 1,
            Err(error) => self.problem(error),
        });
        let mut finished = std::mem::take(&mut *self.notes());
        finished.folders = folders;
        finished
    }

    /// Makes a folder and notes what it gets at the end.
    pub(super) fn folder(&self, names: &[Name], attributes: Attributes) -> Result<Outcome> {
        let (path, changed) = TargetPath::new(names);
        self.note_changed(&path, changed);
        let mode = if attributes.mode.is_some() { PRIVATE_MODE } else { DEFAULT_MODE };
        let (_, new) = self.places.make(&path, Mode::from_raw_mode(mode))?;
        if attributes != Attributes::default() {
            let added = self.folders.add(&self.scratch, &path, attributes);
            added.map_err(|errno| self.places.failed("remembering the folder", &path, errno))?;
        }
        Ok(if new { Outcome::Written } else { Outcome::Kept })
    }

    /// Opens the folder that an entry lies in.
    pub(super) fn enter(&self, path: &TargetPath) -> Result<(Arc<Place>, Vec<u8>)> {
        let (folder, name) = path.split().ok_or_else(|| self.places.failed("writing", path, Errno::ISDIR))?;
        Ok((self.places.folder(&folder)?, name.to_vec()))
    }

    /// What stands under a name now.
    pub(super) fn existing(
        &self,
        folder: &Place,
        path: &TargetPath,
        name: &[u8],
    ) -> Result<Option<Existing>> {
        Existing::look(folder, name).map_err(|errno| self.places.failed("looking at", path, errno))
    }

    /// Gives a finished entry its name.
    pub(super) fn place(&self, temporary: Temporary, path: &TargetPath, name: &[u8]) -> Result<Outcome> {
        match temporary.place(name, self.overwrite != Overwrite::Never) {
            Ok(()) => Ok(Outcome::Written),
            Err(Errno::EXIST) if self.overwrite == Overwrite::Never => Ok(Outcome::Kept),
            Err(errno) => Err(self.places.failed("replacing", path, errno)),
        }
    }

    /// Makes `path` another name of the file at `first`.
    pub(super) fn link(&self, first: &TargetPath, path: &TargetPath) -> Result<Outcome> {
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
        let make = |_: &Place, temporary: &str| {
            rustix::fs::linkat(&first_folder, &first_name, &folder, temporary, AtFlags::empty())
        };
        let ((), temporary) = Temporary::new(&folder, make).map_err(failed)?;
        match self.place(temporary, path, &name)? {
            Outcome::Written => Ok(Outcome::Linked),
            outcome => Ok(outcome),
        }
    }

    /// Links the names that waited for a file.
    pub(super) fn link_waiting(&self, claim: Claim, path: &TargetPath) {
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
    pub(super) fn disappoint(&self, claim: Claim) {
        for name in claim.abandoned() {
            self.problem(self.places.failed(
                "linking to a file that could not be written:",
                &name,
                Errno::NOENT,
            ));
        }
    }

    fn problem(&self, error: RestoreError) {
        let mut notes = self.notes();
        if notes.problems.len() < NOTES_MAX {
            notes.problems.push(error);
        } else {
            notes.problems_more += 1;
        }
    }

    /// Notes a name that could not stand as it is.
    pub(super) fn note_changed(&self, path: &TargetPath, changed: Option<Name>) {
        let Some(name) = changed else { return };
        let mut notes = self.notes();
        if notes.renamed.len() < NOTES_MAX {
            notes.renamed.push((name, self.places.whole(path)));
        } else {
            notes.renamed_more += 1;
        }
    }

    fn notes(&self) -> MutexGuard<'_, Finished> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
