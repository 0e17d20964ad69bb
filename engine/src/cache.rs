//! The local cache of one repository: a folder of files that can be had again. It may be deleted at any time, also while it is in use.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    events::{Event, Events},
    hash::{ObjectName, RepositoryId},
};

/// Ends the names of files that are being written.
const UNFINISHED: &str = ".new";

/// The folder. Whatever goes wrong in it is told once and never stops anyone.
pub struct Cache {
    folder: PathBuf,
    events: Arc<dyn Events>,
    told: AtomicBool,
}

/// How often a new file is made before its vanishing is taken for a fault.
const CREATIONS_MAX: usize = 8;

/// A file being written under a name of its own.
pub struct Unfinished {
    file: File,
    path: PathBuf,
    published: bool,
}

impl Cache {
    /// A repository's cache below a base folder; makes it if needed. `None`, with a warning, if it cannot be used.
    pub fn open(base: &Path, repository: RepositoryId, events: Arc<dyn Events>) -> Option<Self> {
        let cache = Self { folder: base.join(repository.to_string()), events, told: AtomicBool::new(false) };
        let made = cache.make_folder("").and_then(|()| cache.create("").map(drop));
        match made {
            Ok(()) => {
                cache.sweep("");
                Some(cache)
            }
            Err(error) => {
                cache.warn(&error);
                None
            }
        }
    }

    /// Says, once, that the cache cannot be used as it should.
    pub fn warn(&self, error: &io::Error) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let folder = self.folder.display();
            self.events.event(Event::warning(
                "larder",
                format!(
                    "the cache in `{folder}` cannot be used: {error}; going on without it, with more requests and more \
                     memory (choose another folder with $LARDER_CACHE)"
                ),
            ));
        }
    }

    /// Says something about the cache.
    pub fn tell(&self, text: &str) {
        self.events.event(Event::warning("larder", format!("{text} (`{}`)", self.folder.display())));
    }

    /// Opens a file; `None` if it is not there.
    pub fn open_file(&self, name: &str) -> Option<File> {
        match File::open(self.folder.join(name)) {
            Ok(file) => Some(file),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.warn(&error);
                }
                None
            }
        }
    }

    /// A whole file of at most `bytes_max`; `None` if it is not there, larger, or does not read.
    pub fn read(&self, name: &str, bytes_max: u64) -> Option<Vec<u8>> {
        let file = self.open_file(name)?;
        let size = file.metadata().ok()?.len();
        if size > bytes_max {
            return None;
        }
        let mut bytes = vec![0; size as usize];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).ok()?;
        Some(bytes)
    }

    /// Writes a whole file; readers see all of it or none. True if it is there now.
    pub fn write(&self, name: &str, bytes: &[u8]) -> bool {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let written = self.create(folder).and_then(|unfinished| {
            std::os::unix::fs::FileExt::write_all_at(unfinished.file(), bytes, 0)?;
            self.publish(unfinished, name)
        });
        written.inspect_err(|error| self.warn(error)).is_ok()
    }

    /// A new file in a folder of the cache (empty for its top), for the owner alone, gone unless it is published.
    pub fn create(&self, folder: &str) -> io::Result<Unfinished> {
        for _ in 0..CREATIONS_MAX {
            let name = ObjectName::random().map_err(io::Error::other)?;
            let path = self.folder.join(folder).join(format!("{name}{UNFINISHED}"));
            let create =
                || OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
            let file = match create() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.make_folder(folder)?;
                    create()?
                }
                other => other?,
            };
            // Held as long as it is being written, so that what a dead process left is told from what a live one writes.
            flock(&file, FlockOperation::LockExclusive)?;
            // Another process may have taken it for left behind just before.
            if path.exists() {
                return Ok(Unfinished { file, path, published: false });
            }
        }
        Err(io::Error::other("new files vanish as fast as they are made"))
    }

    /// Puts a finished file in place of any of that name. Who reads the old one goes on with it.
    pub fn publish(&self, mut unfinished: Unfinished, name: &str) -> io::Result<()> {
        fs::rename(&unfinished.path, self.folder.join(name))?;
        unfinished.published = true;
        Ok(())
    }

    /// Removes a file; a missing one is no matter.
    pub fn remove(&self, name: &str) {
        if let Err(error) = fs::remove_file(self.folder.join(name))
            && error.kind() != io::ErrorKind::NotFound
        {
            self.warn(&error);
        }
    }

    /// The finished files in a folder of the cache: name and size in bytes.
    pub fn list(&self, folder: &str) -> Vec<(String, u64)> {
        let Ok(entries) = fs::read_dir(self.folder.join(folder)) else { return Vec::new() };
        entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                let metadata = entry.metadata().ok()?;
                (metadata.is_file() && !name.ends_with(UNFINISHED)).then_some((name, metadata.len()))
            })
            .collect()
    }

    /// Removes the finished files of a folder that are not wanted, and what dead processes left there.
    pub fn retain(&self, folder: &str, wanted: impl Fn(&str) -> bool) {
        self.sweep(folder);
        for (name, _) in self.list(folder) {
            if !wanted(&name) {
                self.remove(&format!("{folder}/{name}"));
            }
        }
    }

    /// The finished files in a folder of the cache, those written longest ago first.
    pub fn oldest_first(&self, folder: &str) -> Vec<String> {
        let mut files: Vec<_> = self
            .list(folder)
            .into_iter()
            .filter_map(|(name, _)| {
                let metadata = fs::metadata(self.folder.join(folder).join(&name)).ok()?;
                Some((metadata.modified().ok()?, name))
            })
            .collect();
        files.sort();
        files.into_iter().map(|(_, name)| name).collect()
    }

    /// Removes what processes that died were writing into a folder.
    pub fn sweep(&self, folder: &str) {
        let Ok(entries) = fs::read_dir(self.folder.join(folder)) else { return };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let unfinished = path.extension().is_some_and(|extension| extension == &UNFINISHED[1..]);
            if unfinished
                && let Ok(file) = File::open(&path)
                && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            {
                // Failing to is no matter: the next process tries again.
                drop(fs::remove_file(&path));
            }
        }
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.folder.join(folder))
    }
}

impl Unfinished {
    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A handle of its own on the file.
    pub fn reopen(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.published {
            drop(fs::remove_file(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::events::NoEvents;

    fn cache(base: &Path) -> Cache {
        Cache::open(base, RepositoryId([3; 16]), Arc::new(NoEvents)).unwrap()
    }

    #[test]
    fn files_are_the_owners_alone_and_appear_whole() {
        let base = tempfile::tempdir().unwrap();
        let cache = cache(base.path());
        assert!(cache.read("a/b", 10).is_none());
        assert!(cache.write("a/b", b"bytes"));
        assert_eq!(cache.read("a/b", 10).unwrap(), b"bytes");
        assert!(cache.read("a/b", 4).is_none());
        assert_eq!(cache.list("a"), [("b".to_owned(), 5)]);
        let folder = base.path().join(RepositoryId([3; 16]).to_string());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("a/b"))), (0o700, 0o600));
        cache.remove("a/b");
        cache.remove("a/b");
        assert!(cache.list("a").is_empty());
    }

    #[test]
    fn what_a_dead_process_left_goes_and_what_a_live_one_writes_stays() {
        let base = tempfile::tempdir().unwrap();
        let first = cache(base.path());
        let live = first.create("").unwrap();
        let folder = base.path().join(RepositoryId([3; 16]).to_string());
        fs::write(folder.join("dead.new"), b"half").unwrap();
        let second = cache(base.path());
        assert!(!folder.join("dead.new").exists());
        assert!(first.publish(live, "whole").is_ok());
        assert!(second.open_file("whole").is_some());
    }
}
