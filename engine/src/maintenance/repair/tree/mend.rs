//! Mending trees: what reads is kept, what does not is named.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use larder_sdk::{Container, ItemId, Kind, Name, ScopeId, Tag};

use super::{Trees, found, unsteady};
use crate::{
    browse,
    catalog::{self, ItemRecord, ListingRecord, OwedRecord},
    error::{EngineError, Result},
    repository::Nodes,
    tree::{self, Edit, Root},
};

/// Edits are made in batches of about this many bytes.
const BATCH_BYTES: usize = 4 << 20;
/// Saved and not yet durable nodes that trigger a flush.
const FRESH_BYTES_MAX: usize = 48 << 20;
/// Longest chain of folders followed.
const FOLDER_DEPTH_MAX: usize = 4096;
/// The stream without which an item is of no use.
const MAIN_STREAM: &str = "content";

/// A container's tree as it is afterwards.
#[derive(Clone)]
pub(in super::super) struct MendedTree {
    pub(in super::super) root: Option<Root>,
    pub(in super::super) items: u64,
    pub(in super::super) owed: u64,
    /// Items and what is lost of them.
    pub(in super::super) lost: Vec<(String, String)>,
    /// Whether more may be lost than can be named.
    pub(in super::super) nodes_lost: bool,
}

/// A sorted run of edits that is applied as it grows.
struct Batch {
    root: Option<Root>,
    edits: Vec<Edit>,
    bytes: usize,
}

impl Trees<'_> {
    /// A container's tree without what is lost, which is owed instead, so that the next run reads it again.
    ///
    /// If nodes are lost, cursors go too: the next run then lists everything, and finds what nobody can name now.
    pub(in super::super) fn mend(&mut self, container: &Container, root: Root) -> Result<MendedTree> {
        if let Some(mended) = self.mended.get(&root.id) {
            return Ok(mended.clone());
        }
        let nodes_lost = self.has_lost_nodes(root.id, root.level)?;
        let mut mend = Mend {
            nodes_lost,
            container,
            lost: Vec::new(),
            later: BTreeMap::new(),
            batch: Batch { root: None, edits: Vec::new(), bytes: 0 },
        };
        self.keep_what_reads(&mut mend, root)?;
        if nodes_lost && !container.path_ids {
            self.settle_parents(&mut mend)?;
        }
        self.settle_folders(&mut mend)?;
        let mut mended = MendedTree { root: mend.batch.root, items: 0, owed: 0, lost: mend.lost, nodes_lost };
        let mut scan = tree::scan(&*self.nodes, mended.root, b"", b"")?;
        while let Some((_, key, _)) = scan.next_entry()? {
            mended.items += u64::from(key.first() == Some(&catalog::CHILD));
            mended.owed += u64::from(key.first() == Some(&catalog::OWED));
        }
        self.mended.insert(root.id, mended.clone());
        Ok(mended)
    }

    /// Builds the tree anew from the entries that read. Untouched nodes come out as they were, and are not stored again.
    fn keep_what_reads(&mut self, mend: &mut Mend<'_>, root: Root) -> Result<()> {
        let nodes = Arc::clone(&self.nodes);
        let mut scan = tree::scan_around(&*nodes, Some(root), b"", b"")?;
        while let Some((_, key, value)) = scan.next_entry()? {
            self.interrupt.check()?;
            let kept = match key.first() {
                Some(&catalog::CHILD) => self.item(mend, &key, value)?,
                Some(&catalog::SCOPE) if mend.nodes_lost => {
                    if let Some(scope) = catalog::parse_scope(&key) {
                        self.list_anew(mend, &scope)?;
                    }
                    None
                }
                Some(&catalog::LISTING) if mend.nodes_lost || !self.entry_is_whole(&key, &value)? => {
                    Some(self.nodes.wrap(&ListingRecord::default())?)
                }
                Some(&catalog::OWED) if !self.entry_is_whole(&key, &value)? => {
                    let id = catalog::parse_owed(&key).unwrap_or_else(|| ItemId::new(&key[1..]));
                    let parent = path_parent(&id).filter(|_| mend.container.path_ids).unwrap_or_default();
                    let name = Name::new(last_part(&id));
                    self.owe(mend, &id, parent, name, None)?;
                    None
                }
                // A cursor that does not read: its scope is listed anew.
                Some(&catalog::SCOPE) if !self.entry_is_whole(&key, &value)? => {
                    if let Some(scope) = catalog::parse_scope(&key) {
                        self.list_anew(mend, &scope)?;
                    }
                    None
                }
                _ => Some(value),
            };
            if let Some(value) = kept {
                self.push(&mut mend.batch, key, Some(value))?;
            }
        }
        if !scan.broken().is_empty() && !mend.nodes_lost {
            return Err(unsteady());
        }
        if mend.nodes_lost {
            let text =
                "some of what was in it, which nobody can name any more: the next run lists everything there";
            mend.lost.push((String::new(), text.to_owned()));
        }
        self.apply(mend)
    }

    /// An item's value as it is kept; `None` if it goes.
    fn item(&mut self, mend: &mut Mend<'_>, key: &[u8], value: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let Some((parent, id)) = catalog::parse_child(key) else { return Ok(None) };
        let Some(mut record) = found(|| self.nodes.unwrap::<ItemRecord>(&value))? else {
            let name = Name::new(last_part(&id));
            mend.lost.push((mend.shown(&id, &name), "all that is known of it".to_owned()));
            self.owe(mend, &id, parent, name, None)?;
            if !mend.container.path_ids {
                mend.later.insert(catalog::where_key(&id), None);
            }
            return Ok(None);
        };
        let places = self.lost_streams(&record)?;
        if places.is_empty() {
            return Ok(Some(value));
        }
        let shown = mend.shown(&id, &record.name);
        let is_lost = |name: &str| places.iter().any(|place| &*record.streams[*place].name == name);
        let is_of_use = record.folder || (!is_lost(MAIN_STREAM) && places.len() < record.streams.len());
        let names: Vec<&str> = places.iter().map(|place| &*record.streams[*place].name).collect();
        mend.lost.push((shown, format!("stream `{}`", names.join("`, `"))));
        let scope = record.scope(&parent);
        self.owe(mend, &id, parent, record.name.clone(), Some(scope))?;
        if !is_of_use {
            if !mend.container.path_ids {
                mend.later.insert(catalog::where_key(&id), None);
            }
            return Ok(None);
        }
        let mut place = 0;
        record.streams.retain(|_| {
            place += 1;
            !places.contains(&(place - 1))
        });
        // The tag promises streams that are no longer there.
        record.tag = Tag::default();
        self.nodes.wrap(&record).map(Some)
    }

    fn list_anew(&mut self, mend: &mut Mend<'_>, scope: &ScopeId) -> Result<()> {
        let value = self.nodes.wrap(&ListingRecord::default())?;
        mend.later.insert(catalog::listing_key(scope), Some(value));
        Ok(())
    }

    fn owe(
        &mut self,
        mend: &mut Mend<'_>,
        id: &ItemId,
        parent: ItemId,
        name: Name,
        scope: Option<ScopeId>,
    ) -> Result<()> {
        let record = OwedRecord {
            scope: scope.unwrap_or_else(|| ScopeId::new(parent.as_bytes())),
            parent,
            name,
            reason: "what was stored of it got lost in the repository".to_owned(),
            since: self.now,
            tries: 0,
        };
        let value = self.nodes.wrap(&record)?;
        mend.later.insert(catalog::owed_key(id), Some(value));
        Ok(())
    }

    /// Both ways of finding an item must agree: where a record is lost, the other tells whose it was.
    fn settle_parents(&mut self, mend: &mut Mend<'_>) -> Result<()> {
        let nodes = Arc::clone(&self.nodes);
        let root = mend.batch.root;
        let mut scan = tree::scan(&*nodes, root, b"", b"")?;
        while let Some((_, key, value)) = scan.next_entry()? {
            self.interrupt.check()?;
            if let Some((parent, id)) = catalog::parse_child(&key) {
                let place = catalog::where_key(&id);
                if get(&nodes, root, &place)?.is_none() {
                    mend.later.insert(place, Some(parent.as_bytes().to_vec()));
                }
            } else if let Some(id) = catalog::parse_where(&key) {
                let parent = ItemId::new(value);
                if get(&nodes, root, &catalog::child_key(&parent, &id))?.is_none() {
                    let name = Name::new(last_part(&id));
                    mend.lost.push((mend.shown(&id, &name), "all that is known of it".to_owned()));
                    self.owe(mend, &id, parent, name, None)?;
                    mend.later.insert(key, None);
                }
            }
        }
        self.apply(mend)
    }

    /// Folders of which only what is in them is left get a plain record, so that it is reached.
    fn settle_folders(&mut self, mend: &mut Mend<'_>) -> Result<()> {
        let nodes = Arc::clone(&self.nodes);
        let root = mend.batch.root;
        let mut scan = tree::scan(&*nodes, root, &[catalog::CHILD], &[catalog::CHILD])?;
        let mut before = ItemId::default();
        let mut settled = HashSet::new();
        while let Some((_, key, _)) = scan.next_entry()? {
            let Some((parent, _)) = catalog::parse_child(&key) else { continue };
            if parent == before {
                continue;
            }
            before = parent.clone();
            let mut folder = parent;
            for _ in 0..FOLDER_DEPTH_MAX {
                if folder.as_bytes().is_empty() || !settled.insert(folder.clone()) {
                    break;
                }
                let above = if mend.container.path_ids {
                    path_parent(&folder).unwrap_or_default()
                } else {
                    get(&nodes, root, &catalog::where_key(&folder))?.map(ItemId::new).unwrap_or_default()
                };
                let place = catalog::child_key(&above, &folder);
                if get(&nodes, root, &place)?.is_some() {
                    break;
                }
                let name = Name::new(last_part(&folder));
                let value = self.nodes.wrap(&placeholder(name.clone()))?;
                mend.later.insert(place, Some(value));
                if !mend.container.path_ids {
                    mend.later.insert(catalog::where_key(&folder), Some(above.as_bytes().to_vec()));
                }
                self.owe(mend, &folder, above.clone(), name, None)?;
                folder = above;
            }
        }
        self.apply(mend)
    }

    fn apply(&mut self, mend: &mut Mend<'_>) -> Result<()> {
        self.settle_batch(&mut mend.batch)?;
        for (key, value) in std::mem::take(&mut mend.later) {
            self.push(&mut mend.batch, key, value)?;
        }
        self.settle_batch(&mut mend.batch)
    }

    fn push(&mut self, batch: &mut Batch, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<()> {
        batch.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        batch.edits.push((key, value));
        if batch.bytes >= BATCH_BYTES { self.settle_batch(batch) } else { Ok(()) }
    }

    fn settle_batch(&mut self, batch: &mut Batch) -> Result<()> {
        if !batch.edits.is_empty() {
            let edits = std::mem::take(&mut batch.edits);
            batch.bytes = 0;
            batch.root = tree::edit(&*self.nodes, batch.root, &edits)?;
        }
        if self.nodes.fresh_bytes() > FRESH_BYTES_MAX { self.flush() } else { Ok(()) }
    }
}

/// A container that is being mended.
struct Mend<'run> {
    nodes_lost: bool,
    container: &'run Container,
    lost: Vec<(String, String)>,
    /// Edits beside the order of the scan.
    later: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    batch: Batch,
}

impl Mend<'_> {
    /// An item for people: its path below the container, or its name.
    fn shown(&self, id: &ItemId, name: &Name) -> String {
        if !self.container.path_ids {
            return name.display().into_owned();
        }
        let parts: Vec<String> = id.as_bytes().split(|byte| *byte == 0).map(browse::display_name).collect();
        parts.join("/")
    }
}

fn get(nodes: &Nodes, root: Option<Root>, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let Some(root) = root else { return Ok(None) };
    tree::get(nodes, root, key).map(|entry| entry.map(|(_, value)| value)).map_err(EngineError::from)
}

/// The parent of an id that is a path.
fn path_parent(id: &ItemId) -> Option<ItemId> {
    let bytes = id.as_bytes();
    let end = bytes.iter().rposition(|byte| *byte == 0)?;
    Some(ItemId::new(&bytes[..end]))
}

/// What stands for a name that is lost: the last part of an id, which is the name if ids are paths, and is told from it otherwise.
fn last_part(id: &ItemId) -> Vec<u8> {
    let part = id.as_bytes().rsplit(|byte| *byte == 0).next().unwrap_or_default();
    let is_name =
        !part.is_empty() && !part.contains(&b'/') && part != b"." && part != b".." && part.len() <= 255;
    if is_name {
        part.to_vec()
    } else {
        format!("lost-{}", &blake3::hash(id.as_bytes()).to_hex()[..12]).into_bytes()
    }
}

fn placeholder(name: Name) -> ItemRecord {
    ItemRecord {
        name,
        kind: Kind::FOLDER,
        folder: true,
        scope: None,
        tag: Tag::default(),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: Vec::new(),
    }
}
