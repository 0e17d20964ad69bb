//! The file work of a folder store, one blocking call each.

use std::{
    collections::{BinaryHeap, HashSet},
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read, Write},
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use larder_sdk::{Bytes, ListPage, ObjectInfo, ObjectKey, limits};
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

/// Where objects are written before they have their name. No object's name has a `~`.
const PASSING: &str = "~tmp";
/// What lies in [`PASSING`] for longer was left behind by somebody who died.
const PASSING_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How many folders are remembered as durable; beyond that the memory is emptied.
const KNOWN_FOLDERS_MAX: usize = 4096;

/// What a put does with an object that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is replaced.
    Replace,
    /// It stays, and the put fails.
    Create,
}

/// A folder with objects.
pub(super) struct Folder {
    root: PathBuf,
    /// Folders whose own entries are known to be durable, up to the root.
    known: Mutex<HashSet<PathBuf>>,
    swept: Once,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: Mutex::default(), swept: Once::new() }
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// Writes an object; durable when it returns.
    pub(super) fn put(&self, key: &ObjectKey, data: &[u8], mode: Mode) -> io::Result<()> {
        let target = self.path(key);
        let parent = target.parent().unwrap_or(&self.root);
        let passing = self.passing()?;
        let mut file = &passing.file;
        file.write_all(data)?;
        file.sync_all()?;
        self.make_durable(parent)?;
        let name = || match mode {
            Mode::Replace => fs::rename(&passing.path, &target),
            Mode::Create => rename_new(&passing.path, &target),
        };
        match name() {
            // Somebody removed the folder after it was remembered.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
                self.make_durable(parent)?;
                name()?;
            }
            outcome => outcome?,
        }
        sync_folder(parent)
    }

    /// Reads a whole object.
    pub(super) fn get(&self, key: &ObjectKey) -> io::Result<Bytes> {
        let (file, size) = self.open(key)?;
        if size > limits::OBJECT_BYTES_MAX {
            return Err(damaged(format!("it has {size} bytes, more than an object may have")));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        // One byte more than there should be, to notice a file that grows.
        (&file).take(size + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == size {
            Ok(bytes.into())
        } else {
            Err(damaged("it changed while it was read"))
        }
    }

    /// Reads exactly a range.
    pub(super) fn get_range(&self, key: &ObjectKey, range: &Range<u64>) -> io::Result<Bytes> {
        let (file, size) = self.open(key)?;
        if range.end > size {
            return Err(damaged(format!(
                "bytes {} to {} were asked for, it has only {size}",
                range.start, range.end
            )));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    }

    /// An object's size and time.
    pub(super) fn head(&self, key: &ObjectKey) -> io::Result<ObjectInfo> {
        let metadata = fs::metadata(self.path(key)).map_err(no_folder_is_missing)?;
        if metadata.is_file() { info(&metadata) } else { Err(ErrorKind::NotFound.into()) }
    }

    /// One page of a folder: the names after `token`, in order. Holds one page in memory, however large the folder is.
    pub(super) fn list(&self, folder: &str, token: Option<&str>) -> io::Result<ListPage> {
        let path = if folder.is_empty() { self.root.clone() } else { self.root.join(folder) };
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Ok(ListPage::default());
            }
            Err(error) => return Err(error),
        };
        // The smallest names seen, the largest of them on top, and one more than a page to know whether there is a next.
        let mut smallest: BinaryHeap<ObjectKey> = BinaryHeap::new();
        for entry in entries {
            let Some(name) = object_name(folder, &entry?.file_name()) else { continue };
            if token.is_none_or(|token| name.as_str() > token) {
                smallest.push(name);
                if smallest.len() > limits::LIST_PAGE_MAX + 1 {
                    smallest.pop();
                }
            }
        }
        let mut names = smallest.into_sorted_vec();
        let more = names.len() > limits::LIST_PAGE_MAX;
        names.truncate(limits::LIST_PAGE_MAX);
        let next = names.last().filter(|_| more).map(ToString::to_string);
        let mut page = ListPage { next, ..ListPage::default() };
        for name in names {
            match fs::metadata(self.path(&name)) {
                Ok(metadata) if metadata.is_dir() => page.folders.push(name.into()),
                Ok(metadata) if metadata.is_file() => page.objects.push((name, info(&metadata)?)),
                Ok(_) => {}
                // Removed since its name was read.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }

    /// Removes an object. That it is gone need not be durable: who removes asks again after a crash.
    pub(super) fn delete(&self, key: &ObjectKey) -> io::Result<()> {
        match fs::remove_file(self.path(key)) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
            outcome => outcome,
        }
    }

    fn open(&self, key: &ObjectKey) -> io::Result<(File, u64)> {
        // What is no file, a pipe say, must not make us wait.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(self.path(key))
            .map_err(no_folder_is_missing)?;
        let metadata = file.metadata()?;
        if metadata.is_file() { Ok((file, metadata.len())) } else { Err(ErrorKind::NotFound.into()) }
    }

    /// A new file under a passing name.
    fn passing(&self) -> io::Result<Passing> {
        let folder = self.root.join(PASSING);
        let random = getrandom::u64().map_err(io::Error::from)?;
        let path = folder.join(format!("{random:016x}"));
        let open = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make_folders(&folder)?;
                open()?
            }
            outcome => outcome?,
        };
        self.swept.call_once(|| sweep(&folder, &file));
        Ok(Passing { path, file })
    }

    /// Makes a folder with all above it, so that they outlive a power cut. Each is flushed once by this store, even if it was there: who
    /// made it may not have come to that.
    fn make_durable(&self, folder: &Path) -> io::Result<()> {
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(folder) {
            return Ok(());
        }
        make_folders(folder)?;
        for above in folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.root)) {
            sync_folder(above)?;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_FOLDERS_MAX {
            known.clear();
        }
        known.insert(folder.to_owned());
        Ok(())
    }
}

/// A file without its final name; the passing name goes when this is dropped.
struct Passing {
    path: PathBuf,
    file: File,
}

impl Drop for Passing {
    fn drop(&mut self) {
        // After a rename the name is gone already; what cannot be removed is swept by a later run.
        let _ = fs::remove_file(&self.path);
    }
}

/// Gives a file its name unless the name is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(io::Error::from) {
        // Network file systems do not know the flag, but they know links.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            match fs::hard_link(from, to) {
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    Err(ErrorKind::Unsupported.into())
                }
                outcome => outcome,
            }
        }
        outcome => outcome,
    }
}

/// Makes a folder and what is missing above it, for this user alone, and flushes the entries of those it makes.
fn make_folders(folder: &Path) -> io::Result<()> {
    let make = || DirBuilder::new().mode(0o700).create(folder);
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
    let outcome = match (make(), above) {
        (Err(error), Some(above)) if error.kind() == ErrorKind::NotFound => {
            make_folders(above)?;
            make()
        }
        (outcome, _) => outcome,
    };
    match outcome {
        Ok(()) => above.map_or(Ok(()), sync_folder),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(ErrorKind::NotADirectory.into()),
        Err(error) => Err(error),
    }
}

/// Makes a folder's entries durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot, and need not.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        outcome => outcome,
    }
}

/// Removes what others left in the folder of passing names, by the file system's own clock: `now` was made just now. What goes wrong
/// is left for the next time.
fn sweep(folder: &Path, now: &File) {
    let modified = |metadata: io::Result<fs::Metadata>| metadata.and_then(|metadata| metadata.modified());
    let (Ok(now), Ok(entries)) = (modified(now.metadata()), fs::read_dir(folder)) else { return };
    for entry in entries.flatten() {
        let age = modified(entry.metadata()).ok().and_then(|time| now.duration_since(time).ok());
        if age.is_some_and(|age| age > PASSING_MAX) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The object or folder name of an entry; `None` for what is no name of ours.
fn object_name(folder: &str, entry: &OsStr) -> Option<ObjectKey> {
    let entry = entry.to_str()?;
    ObjectKey::new(if folder.is_empty() { entry.to_owned() } else { format!("{folder}/{entry}") }).ok()
}

fn info(metadata: &fs::Metadata) -> io::Result<ObjectInfo> {
    Ok(ObjectInfo { size: metadata.len(), modified: Some(metadata.modified()?.into()) })
}

/// An object below something that is no folder is not there.
fn no_folder_is_missing(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::NotADirectory { ErrorKind::NotFound.into() } else { error }
}

fn damaged(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.into())
}
