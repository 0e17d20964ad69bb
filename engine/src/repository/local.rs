//! What this machine remembers of a repository: the highest run number seen of each set, and who is running it now.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use crate::{
    error::{EngineError, EngineErrorKind, Result},
    hash::{ObjectName, RepositoryId},
};

/// A folder of this machine's knowledge of one repository. Losing it loses no backup, only the memory of what was seen.
pub struct LocalState {
    folder: PathBuf,
}

impl LocalState {
    /// The state of a repository below a base folder; makes it if needed.
    pub fn open(base: &Path, repository: RepositoryId) -> Result<Self> {
        let folder = base.join(repository.to_string());
        fs::create_dir_all(&folder).map_err(|error| failed("making", &folder, error))?;
        Ok(Self { folder })
    }

    /// Locks a set for this process; released when the file is dropped, also by a crash.
    pub fn lock(&self, set: &str) -> Result<File> {
        let busy = || {
            EngineError::new(EngineErrorKind::Busy, format!("set `{set}` is being run by another process"))
                .with_hint("wait until it ends; other sets can run meanwhile")
        };
        self.lock_file(&format!("{}.lock", safe(set)), busy)
    }

    /// Locks prunes of the repository from this machine for this process.
    pub fn lock_prune(&self) -> Result<File> {
        let busy = || {
            EngineError::new(EngineErrorKind::Busy, "the repository is being pruned by another process")
                .with_hint("wait until it ends; sets can run meanwhile")
        };
        // No set's name has a dot in its file's name.
        self.lock_file("prune.of.repository.lock", busy)
    }

    fn lock_file(&self, name: &str, busy: impl Fn() -> EngineError) -> Result<File> {
        let path = self.folder.join(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| failed("opening", &path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(busy()),
            Err(error) => Err(failed("locking", &path, error.into())),
        }
    }

    /// A name of this folder that no other has: whoever holds a lock in it knows what was left behind in its name.
    pub fn machine(&self) -> Result<ObjectName> {
        let path = self.folder.join("machine");
        let read = || fs::read_to_string(&path).ok().and_then(|text| ObjectName::parse(text.trim()));
        if let Some(name) = read() {
            return Ok(name);
        }
        let name = ObjectName::random()?;
        let fresh = path.with_extension(format!("{name}.new"));
        fs::write(&fresh, format!("{name}\n"))
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| failed("writing", &path, error))?;
        // Another process may have written it at the same time: what stands there now counts.
        Ok(read().unwrap_or(name))
    }

    /// The highest run number of a set that this machine has seen, and that run's snapshot.
    pub fn highest_run(&self, set: &str) -> Result<Option<(u64, ObjectName)>> {
        let path = self.run_path(set);
        match fs::read_to_string(&path) {
            Ok(text) => parse(&text).map(Some).ok_or_else(|| {
                EngineError::failed(format!("`{}` holds no run number", path.display()))
                    .with_hint("remove the file: it is this machine's memory only")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("reading", &path, error)),
        }
    }

    /// Remembers a run number, if it is higher.
    pub fn saw_run(&self, set: &str, run: u64, snapshot: ObjectName) -> Result<()> {
        if self.highest_run(set)?.is_some_and(|(highest, _)| run <= highest) {
            return Ok(());
        }
        let path = self.run_path(set);
        let fresh = path.with_extension("new");
        File::create(&fresh)
            .and_then(|mut file| {
                file.write_all(format!("{run} {snapshot}\n").as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&fresh, &path))
            .map_err(|error| failed("writing", &path, error))
    }

    /// The sets of which runs were seen. A set whose name is no plain file name is not among them.
    pub fn sets(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.folder).map_err(|error| failed("reading", &self.folder, error))?;
        let mut sets = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| failed("reading", &self.folder, error))?.file_name();
            if let Some(set) = name.to_str().and_then(|name| name.strip_suffix(".run"))
                && safe(set) == set
            {
                sets.push(set.to_owned());
            }
        }
        Ok(sets)
    }

    fn run_path(&self, set: &str) -> PathBuf {
        self.folder.join(format!("{}.run", safe(set)))
    }
}

/// A run number and a snapshot's id.
fn parse(text: &str) -> Option<(u64, ObjectName)> {
    let (run, snapshot) = text.trim().split_once(' ')?;
    Some((run.parse().ok()?, ObjectName::parse(snapshot)?))
}

/// A set's name as a file name: what is not plain is written as its digest.
fn safe(set: &str) -> String {
    let plain = !set.is_empty()
        && set.len() <= 100
        && set.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if plain { set.to_owned() } else { format!("set.{}", blake3::hash(set.as_bytes()).to_hex()) }
}

fn failed(what: &str, path: &Path, error: std::io::Error) -> EngineError {
    EngineError::failed(format!("{what} `{}`", path.display()))
        .with_source(error)
        .with_hint("the state folder must be writable; choose another with $LARDER_STATE")
}
