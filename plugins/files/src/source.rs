//! The configured paths as containers.
//!
//! A path that is a directory is a container of its own. A path that is a file, or a symbolic link (which is never
//! followed), is the only item of a container for its directory, together with others of the same directory.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use larder_sdk::{
    Container, ContainerId, Discovery, Error, ErrorKind, Finding, FindingLevel, Kind, Name, Reader,
    ReaderHost, Result, Source, async_trait,
};
use rustix::fs::{CWD, FileType};

use crate::{
    failure::{failed, quoted},
    item::Facts,
    names::Names,
    options::{Options, Rules},
    reader::{FilesReader, aside},
    root::Root,
    walk::{self, Walk},
};

/// The source of one backup set.
pub(crate) struct FilesSource {
    paths: Arc<[PathBuf]>,
    rules: Arc<Rules>,
}

impl FilesSource {
    pub(crate) fn new(options: Options) -> Self {
        Self { paths: options.paths.into(), rules: Arc::new(options.rules) }
    }
}

#[async_trait]
impl Source for FilesSource {
    async fn validate(&self) -> Result<Vec<Finding>> {
        let paths = Arc::clone(&self.paths);
        aside(move || {
            let mut findings: Vec<Finding> = paths.iter().map(|path| check(path)).collect();
            if !rustix::process::geteuid().is_root() {
                findings.push(not_root());
            }
            findings
        })
        .await
    }

    async fn discover(&self) -> Result<Discovery> {
        let paths = Arc::clone(&self.paths);
        aside(move || discover(&paths)).await?
    }

    async fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        let path = PathBuf::from(OsStr::from_bytes(container.id.as_bytes()));
        let only = self.names_in(&path)?;
        let rules = Arc::clone(&self.rules);
        let opened = aside(move || {
            // The folder of a single file is reached as the config names it; a root itself must be a folder, not a link to one.
            let root = Root::open(&path, only.is_some()).map_err(|errno| failed(errno, "opening", &path))?;
            let root = Arc::new(root);
            Ok::<_, Error>((Arc::clone(&root), Walk::new(root, rules, only)?))
        });
        let (root, walk) = opened.await??;
        Ok(Box::new(FilesReader::new(root, walk, host)))
    }
}

impl FilesSource {
    /// Which of a container's entries belong to the set: all (`None`) if it is a configured path, else the files configured in it.
    fn names_in(&self, path: &Path) -> Result<Option<Names>> {
        if self.paths.iter().any(|root| root == path) {
            return Ok(None);
        }
        let inside = self.paths.iter().filter(|file| file.parent() == Some(path));
        let names: Names = inside.filter_map(|file| file.file_name()).map(OsStr::as_bytes).collect();
        if names.is_empty() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("{} is not among the set's `paths`", quoted(path)),
            ));
        }
        Ok(Some(names))
    }
}

fn discover(paths: &[PathBuf]) -> Result<Discovery> {
    let mut discovery = Discovery::default();
    let mut folders: BTreeMap<&Path, Facts> = BTreeMap::new();
    for path in paths {
        let found = look(path).and_then(|facts| match (facts.kind, path.parent()) {
            (FileType::Directory, _) | (_, None) => Ok((path.as_path(), facts)),
            (_, Some(parent)) => rustix::fs::stat(parent).map(|stat| (parent, Facts::of(&stat))),
        });
        match found {
            Ok((folder, facts)) => {
                folders.insert(folder, facts);
            }
            Err(_) => discovery.findings.push(check(path)),
        }
    }
    for folder in folders.keys() {
        if let Some(outer) = folders.keys().find(|outer| folder != *outer && folder.starts_with(outer)) {
            let (inner, outer) = (quoted(folder), quoted(outer));
            let message = format!(
                "a file in {outer} cannot be in one set with {inner}, which lies inside that directory"
            );
            let hint =
                format!("back up all of {outer} and exclude what you do not want, or use a second set");
            return Err(Error::new(ErrorKind::Configuration, message).with_hint(hint));
        }
    }
    discovery.containers = folders.into_iter().map(|(folder, facts)| container(folder, &facts)).collect();
    Ok(discovery)
}

fn container(path: &Path, facts: &Facts) -> Container {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(Name::new(name.as_bytes())),
        _ => None,
    });
    Container {
        id: ContainerId::new(path.as_os_str().as_bytes()),
        path: parts.collect(),
        kind: Kind::new("directory"),
        title: path.display().to_string(),
        path_ids: true,
        meta: facts.root_meta(),
    }
}

fn look(path: &Path) -> rustix::io::Result<Facts> {
    Facts::look(CWD, path.as_os_str().as_bytes())
}

/// Checks one configured path.
fn check(path: &Path) -> Finding {
    let subject = path.display().to_string();
    let finding = |level, code: &str, message: String, hint: Option<&str>| Finding {
        level,
        subject: subject.clone(),
        code: code.to_owned(),
        message,
        hint: hint.map(str::to_owned),
    };
    let looked = look(path).and_then(|facts| {
        if matches!(facts.kind, FileType::Directory | FileType::RegularFile) {
            walk::probe(path, facts.kind == FileType::Directory)?;
        }
        Ok(facts.kind)
    });
    match looked {
        Ok(FileType::Directory) => {
            finding(FindingLevel::Good, "path-readable", "can be read".to_owned(), None)
        }
        Ok(FileType::Symlink) => finding(
            FindingLevel::Warning,
            "path-is-link",
            "is a symbolic link: the link itself is backed up, not what it points to".to_owned(),
            Some("name the directory it points to as well"),
        ),
        Ok(_) => finding(FindingLevel::Good, "path-readable", "is a single file".to_owned(), None),
        Err(errno) => {
            let error = failed(errno, "opening", path);
            let (code, hint) = match error.kind() {
                ErrorKind::NotFound => ("path-missing", "correct `paths`, or mount what should be there"),
                ErrorKind::Denied => ("path-denied", "run as a user who may read it"),
                _ => ("path-unreadable", "see whether the file system is in order"),
            };
            finding(FindingLevel::Error, code, error.message().to_owned(), Some(hint))
        }
    }
}

fn not_root() -> Finding {
    Finding {
        level: FindingLevel::Warning,
        subject: "user".to_owned(),
        code: "not-root".to_owned(),
        message: "not running as root: files that this user may not read will be reported as unread"
            .to_owned(),
        hint: Some("run as root, or with the capability CAP_DAC_READ_SEARCH, to read everything".to_owned()),
    }
}
