//! A snapshot as a tree of names.

use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

use larder_sdk::{ItemId, Name};

use super::name::{Doubles, display_name, distinct};
use crate::{
    catalog::{self, ItemRecord},
    error::{EngineError, Result},
    repository::{BlobReader, Nodes},
    snapshot::{ContainerRecord, SnapshotRecord},
    tree,
};

/// Deepest path followed, so that damaged trees end.
const DEPTH_MAX: usize = 4096;

/// One thing that a path leads to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its path from the top, names as shown (equal ones told apart).
    pub path: Vec<Name>,
    /// The container it is in; `None` above containers.
    pub container: Option<Arc<ContainerRecord>>,
    /// The item; `None` for containers themselves and what is above them.
    pub item: Option<(ItemId, ItemId, ItemRecord)>,
}

impl Entry {
    /// The path as text.
    pub fn path_text(&self) -> String {
        self.path.iter().fold(String::new(), |path, name| path + "/" + &display_name(name.as_bytes()))
    }

    /// True if it may hold others.
    pub fn is_folder(&self) -> bool {
        self.item.as_ref().is_none_or(|(_, _, record)| record.folder)
    }

    /// True if this is its name with the suffix that tells equal names apart, which is good for any item.
    fn is_told_apart_as(&self, name: &str) -> bool {
        self.item
            .as_ref()
            .filter(|_| name.contains('~'))
            .is_some_and(|(_, id, record)| display_name(distinct(&record.name, id).as_bytes()) == name)
    }

    /// Its last name; empty for the top.
    pub fn name(&self) -> String {
        self.path.last().map_or_else(String::new, |name| display_name(name.as_bytes()))
    }
}

/// What to do after an entry.
pub type Visit = ControlFlow<(), ()>;

/// Something that is stored and cannot be read.
#[derive(Debug)]
pub struct Broken {
    /// Where it was found: the folder whose entries are concerned, or the item.
    pub path: String,
    /// What is wrong.
    pub error: EngineError,
}

/// An entry, or what stands in its place.
pub type Found = std::result::Result<Entry, Broken>;

/// A snapshot opened for looking.
pub struct SnapshotView {
    blobs: Arc<BlobReader>,
    nodes: Nodes,
    containers: Vec<Arc<ContainerRecord>>,
    /// Containers that could not be read.
    broken: Vec<String>,
}

impl SnapshotView {
    /// Opens a snapshot; the index must be loaded.
    pub fn open(blobs: Arc<BlobReader>, snapshot: &SnapshotRecord) -> Result<Self> {
        let nodes = Nodes::read_only(Arc::clone(&blobs));
        let (mut containers, mut broken) = (Vec::new(), Vec::new());
        let mut scan = tree::scan_around(&nodes, snapshot.root, b"", b"")?;
        while let Some((_, _, value)) = scan.next_entry()? {
            match nodes.unwrap::<ContainerRecord>(&value) {
                Ok(record) => containers.push(Arc::new(record)),
                Err(error) => broken.push(error.full_message()),
            }
        }
        broken.extend(scan.broken().iter().map(ToString::to_string));
        drop(scan);
        Ok(Self { blobs, nodes, containers, broken })
    }

    /// The containers.
    pub fn containers(&self) -> &[Arc<ContainerRecord>] {
        &self.containers
    }

    /// Containers that could not be read, and why.
    pub(super) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// What reads the trees.
    pub(super) fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// What reads the blobs.
    pub fn blobs(&self) -> &Arc<BlobReader> {
        &self.blobs
    }

    /// Finds what a path leads to.
    pub fn find(&self, path: &[String]) -> Result<Entry> {
        let mut entry = Entry { path: Vec::new(), container: None, item: None };
        for part in path {
            let (mut found, mut broken, mut told_apart) = (None, None, None);
            self.children(&entry, &mut |child| {
                match child {
                    Ok(child) if child.name() == *part => {
                        found = Some(child);
                        return Ok(Visit::Break(()));
                    }
                    Ok(child) if child.is_told_apart_as(part) => told_apart = Some(child),
                    Ok(_) => {}
                    Err(unread) => broken = Some(unread),
                }
                Ok(Visit::Continue(()))
            })?;
            entry = found.or(told_apart).ok_or_else(|| {
                if let Some(broken) = broken {
                    return broken.error.context(format_args!("looking for `{part}` in `{}/`", broken.path));
                }
                EngineError::failed(format!("`{part}` is not in `{}/`", entry.path_text()))
                    .with_hint("`larder ls SNAPSHOT:PATH` shows what is there")
            })?;
        }
        Ok(entry)
    }

    /// Everything below an entry, folders before what is in them. The entry itself is not visited.
    pub fn walk(&self, below: &Entry, visit: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
        let mut waiting = vec![below.clone()];
        while let Some(folder) = waiting.pop() {
            if folder.path.len() > DEPTH_MAX {
                return Err(EngineError::damaged("folders contain each other"));
            }
            let first = waiting.len();
            self.children(&folder, &mut |child| {
                if let Ok(child) = &child
                    && child.is_folder()
                {
                    waiting.push(child.clone());
                }
                visit(child)?;
                Ok(Visit::Continue(()))
            })?;
            waiting[first..].reverse();
        }
        Ok(())
    }

    /// What is directly in an entry.
    pub fn children(&self, of: &Entry, visit: &mut dyn FnMut(Found) -> Result<Visit>) -> Result<()> {
        if !of.is_folder() {
            return Ok(());
        }
        let depth = of.path.len();
        // Below a container's own folder there may be other containers: a site's sub-sites.
        let mut above = BTreeMap::new();
        if of.item.is_none() {
            for container in
                self.containers.iter().filter(|container| container.container.path.starts_with(&of.path))
            {
                if let Some(name) = container.container.path.get(depth) {
                    let is_last = container.container.path.len() == depth + 1;
                    let slot = above.entry(name.clone()).or_insert(None);
                    if is_last {
                        *slot = Some(Arc::clone(container));
                    }
                }
            }
        }
        let mut doubles = Doubles::default();
        for name in above.keys() {
            doubles.note(name.as_bytes());
        }
        for (name, container) in &above {
            let mut path = of.path.clone();
            path.push(name.clone());
            if visit(Ok(Entry { path, container: container.clone(), item: None }))?.is_break() {
                return Ok(());
            }
        }
        if depth == 0 {
            for why in &self.broken {
                let broken = Broken { path: String::new(), error: EngineError::damaged(why.clone()) };
                if visit(Err(broken))?.is_break() {
                    return Ok(());
                }
            }
        }
        match &of.container {
            Some(container) => self.items(of, container, doubles, visit),
            None => Ok(()),
        }
    }

    fn items(
        &self,
        of: &Entry,
        container: &Arc<ContainerRecord>,
        mut doubles: Doubles,
        visit: &mut dyn FnMut(Found) -> Result<Visit>,
    ) -> Result<()> {
        let parent = of.item.as_ref().map_or_else(ItemId::default, |(_, id, _)| id.clone());
        let prefix = catalog::child_prefix(&parent);
        let mut scan = tree::scan_around(&self.nodes, container.root, &prefix, &prefix)?;
        while let Some((_, _, value)) = scan.next_entry()? {
            if let Ok(record) = self.nodes.unwrap::<ItemRecord>(&value) {
                doubles.note(record.name.as_bytes());
            }
        }
        let mut scan = tree::scan_around(&self.nodes, container.root, &prefix, &prefix)?;
        while let Some((_, key, value)) = scan.next_entry()? {
            let found = self.entry(of, container, &doubles, &key, &value);
            let found = found.map_err(|error| Broken { path: of.path_text(), error });
            if visit(found)?.is_break() {
                return Ok(());
            }
        }
        for error in scan.broken() {
            let broken = Broken { path: of.path_text(), error: error.into() };
            if visit(Err(broken))?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn entry(
        &self,
        of: &Entry,
        container: &Arc<ContainerRecord>,
        doubles: &Doubles,
        key: &[u8],
        value: &[u8],
    ) -> Result<Entry> {
        let (parent, id) = catalog::parse_child(key)
            .ok_or_else(|| EngineError::damaged("a tree has a key that does not read"))?;
        let record: ItemRecord = self.nodes.unwrap(value)?;
        let mut path = of.path.clone();
        path.push(doubles.name(&record.name, &id));
        Ok(Entry { path, container: Some(Arc::clone(container)), item: Some((parent, id, record)) })
    }
}
