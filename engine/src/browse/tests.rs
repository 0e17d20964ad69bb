//! Looking through snapshots whose items have ids of their own: messages in folders that move and are renamed.

use std::{collections::BTreeMap, sync::Arc};

use larder_sdk::{Container, ContainerId, ItemId, Kind, Name, Secret, Tag, Time, Word};

use super::*;
use crate::{
    catalog::{self, Content, ItemRecord, StreamRecord},
    crypto::KdfCost,
    error::EngineError,
    hash::Digest,
    index::BlobKind,
    process::Interrupt,
    repository::{BlobReader, CreateOptions, Nodes, Repository, Saver, create},
    snapshot::{ContainerOutcome, ContainerRecord, ContainerWork, SnapshotOutcome, SnapshotRecord, Totals},
    store::{Store, memory::MemoryStore},
    tree::{self, Root},
};

/// An item: parent, id, name, content; without content it is a folder.
type Line = (&'static str, String, String, Option<String>);

fn folder(parent: &'static str, id: &str, name: &str) -> Line {
    (parent, id.to_owned(), name.to_owned(), None)
}

fn mail(parent: &'static str, id: &str, name: &str, content: &str) -> Line {
    (parent, id.to_owned(), name.to_owned(), Some(content.to_owned()))
}

/// A repository whose snapshots hold one mailbox.
struct World {
    repository: Arc<Repository>,
    mailbox: Option<Root>,
    lines: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
        let password = Secret::new("open");
        create(&store, &password, Time::from_seconds(1), CreateOptions { cost }).unwrap();
        let repository = Arc::new(Repository::open(store, &password).unwrap());
        Self { repository, mailbox: None, lines: BTreeMap::new() }
    }

    fn reader(&self) -> Arc<BlobReader> {
        Arc::new(BlobReader::new(Arc::clone(&self.repository), 1 << 20))
    }

    /// Puts a state of the mailbox into a snapshot; what is equal to the state before is shared with it.
    fn snapshot(&mut self, lines: &[Line]) -> SnapshotRecord {
        let saver = Saver::start(Arc::clone(&self.repository), crate::pack::Compression::default()).unwrap();
        let nodes = Nodes::writable(self.reader(), Arc::clone(&saver));
        let mut state = BTreeMap::new();
        for (parent, id, name, content) in lines {
            let (parent, id) = (ItemId::from(*parent), ItemId::from(id.as_str()));
            let record = nodes.wrap(&record(name, content.as_deref())).unwrap();
            state.insert(catalog::child_key(&parent, &id), record);
            state.insert(catalog::where_key(&id), parent.as_bytes().to_vec());
        }
        let removed =
            self.lines.keys().filter(|key| !state.contains_key(*key)).map(|key| (key.clone(), None));
        let set = state.iter().filter(|(key, value)| self.lines.get(*key) != Some(value));
        let mut edits: Vec<tree::Edit> =
            removed.chain(set.map(|(key, value)| (key.clone(), Some(value.clone())))).collect();
        edits.sort();
        self.mailbox = tree::edit(&nodes, self.mailbox, &edits).unwrap();
        self.lines = state;
        let container = ContainerRecord {
            container: Container {
                id: ContainerId::from("box"),
                path: vec![Name::from("exchange"), Name::from("ann@contoso.com")],
                kind: Kind::new("mailbox"),
                title: "Ann".to_owned(),
                path_ids: false,
                meta: Vec::new(),
            },
            root: self.mailbox,
            items: lines.len() as u64,
            owed: 0,
            read: None,
            outcome: ContainerOutcome::Done,
            gone_since: None,
            deleted: 0,
            work: ContainerWork::default(),
        };
        let value = nodes.wrap(&container).unwrap();
        let root = tree::edit(&nodes, None, &[(b"box".to_vec(), Some(value))]).unwrap();
        drop(nodes);
        saver.flush().unwrap();
        drop(saver);
        self.repository.load_index().unwrap();
        SnapshotRecord {
            set: "mail".to_owned(),
            run: 1,
            base: None,
            started: Time::from_seconds(1),
            finished: Time::from_seconds(1),
            host: String::new(),
            program: String::new(),
            tags: Vec::new(),
            root,
            outcome: SnapshotOutcome::Complete,
            totals: Totals::default(),
            segments: Vec::<(BlobKind, _)>::new(),
            findings: Vec::new(),
            more_findings: 0,
        }
    }

    /// Differences as lines, and what they come to.
    fn diff(&self, snapshots: [&SnapshotRecord; 2], path: &str) -> (Vec<String>, DiffTotals) {
        let mut lines = Vec::new();
        let path = split_path(path).unwrap();
        let totals = diff(&self.reader(), snapshots, &path, &Interrupt::new(), &mut |found| {
            let found = found.map_err(|broken| EngineError::damaged(broken.path.clone()))?;
            let place = |path: String| path.trim_start_matches("/exchange/ann@contoso.com").to_owned();
            let from = found.from_text().map(|from| place(from) + " -> ").unwrap_or_default();
            let content = if found.content { " content" } else { "" };
            let meta = found.metadata.iter().fold(String::new(), |meta, word| meta + " " + word);
            lines.push(format!("{:?} {from}{}{content}{meta}", found.change, place(found.path_text())));
            Ok(())
        })
        .unwrap();
        lines.sort();
        (lines, totals)
    }

    /// Hits as path, first, last.
    fn find(&self, snapshots: &[&SnapshotRecord], pattern: &str) -> Vec<(String, usize, usize)> {
        let mut hits = Vec::new();
        let options = FindOptions { patterns: vec![pattern.to_owned()], ..FindOptions::default() };
        find(&self.reader(), snapshots, &options, &Interrupt::new(), &mut |found| {
            let hit = found.map_err(|broken| broken.error)?;
            let path = hit.path_text();
            hits.push((path.trim_start_matches("/exchange/ann@contoso.com").to_owned(), hit.first, hit.last));
            Ok(())
        })
        .unwrap();
        hits.sort();
        hits
    }
}

fn record(name: &str, content: Option<&str>) -> ItemRecord {
    let stream = |content: &str| StreamRecord {
        name: Word::from("content"),
        media: Word::from("message/rfc822"),
        bytes: content.len() as u64,
        digest: Digest::of(content.as_bytes()),
        content: Content::One,
    };
    ItemRecord {
        name: Name::from(name),
        kind: if content.is_some() { Kind::MESSAGE } else { Kind::FOLDER },
        folder: content.is_none(),
        scope: None,
        tag: Tag::from(content.unwrap_or_default()),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: content.map(stream).into_iter().collect(),
    }
}

#[test]
fn differences_tell_moves_and_renames_from_coming_and_going() {
    let mut world = World::new();
    let old = world.snapshot(&[
        folder("", "in", "Inbox"),
        folder("", "out", "Sent"),
        mail("in", "1", "a.eml", "one"),
        mail("in", "2", "b.eml", "two"),
        mail("in", "3", "c.eml", "three"),
        mail("out", "4", "d.eml", "four"),
    ]);
    let new = world.snapshot(&[
        folder("", "in", "Inbox"),
        folder("", "out", "Sent items"),
        mail("in", "1", "a.eml", "one"),
        mail("out", "2", "b.eml", "two"),
        mail("in", "3", "c.eml", "three, longer"),
        mail("in", "5", "e.eml", "five"),
    ]);
    let (lines, totals) = world.diff([&old, &new], "");
    assert_eq!(
        lines,
        [
            "Added /Inbox/e.eml content",
            "Changed /Inbox/c.eml content version tag",
            "Moved /Inbox/b.eml -> /Sent items/b.eml",
            "Moved /Sent -> /Sent items",
            "Removed /Sent/d.eml content",
        ]
    );
    let expected = DiffTotals {
        added: 1,
        removed: 1,
        changed: 1,
        moved: 2,
        bytes_added: 4 + 13,
        bytes_removed: 4 + 5,
        ..DiffTotals::default()
    };
    assert_eq!(totals, expected);
    assert_eq!(world.diff([&old, &old], ""), (Vec::new(), DiffTotals::default()));

    // A path narrows it down; what leaves it and what comes into it counts.
    let (lines, _) = world.diff([&old, &new], "/exchange/ann@contoso.com/Sent items");
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("e.eml") || line.contains("c.eml")), "{lines:?}");
    let (lines, _) = world.diff([&new, &old], "/exchange");
    assert_eq!(lines.len(), 5);
    let nowhere = split_path("/exchange/bob").unwrap();
    let error =
        diff(&world.reader(), [&old, &new], &nowhere, &Interrupt::new(), &mut |_| Ok(())).unwrap_err();
    assert!(error.message().starts_with("neither snapshot has this path"), "{error:?}");
}

#[test]
fn the_cost_of_a_difference_goes_with_the_change() {
    let mut world = World::new();
    let mut lines: Vec<Line> = (0..50).map(|n| ("", format!("f{n}"), format!("folder {n}"), None)).collect();
    let parents: Vec<&'static str> = (0..50).map(|n| &*Box::leak(format!("f{n}").into_boxed_str())).collect();
    for n in 0..30_000 {
        let text = format!("message {n}");
        lines.push((parents[n % 50], format!("m{n}"), format!("{n}.eml"), Some(text)));
    }
    let old = world.snapshot(&lines);
    lines[777].3 = Some("other".to_owned());
    lines.remove(20_000);
    let new = world.snapshot(&lines);
    tree::nodes_entered();
    let (found, _) = world.diff([&old, &new], "");
    assert_eq!(found.len(), 2, "{found:?}");
    let entered = tree::nodes_entered();
    // A path of at most four nodes for each change, in both families of keys and both trees, and a few beside them.
    assert!(entered <= 60, "{entered} nodes were read");
    world.find(&[&old], "nothing");
    let all = tree::nodes_entered();
    assert!(all > 400, "the mailbox has {all}");
}

#[test]
fn find_follows_renamed_folders_and_tells_equal_names_apart() {
    let mut world = World::new();
    let one = world.snapshot(&[folder("", "in", "Inbox"), mail("in", "1", "a.eml", "one")]);
    let two = world.snapshot(&[
        folder("", "in", "Post"),
        mail("in", "1", "a.eml", "one"),
        mail("in", "2", "b.eml", "two"),
    ]);
    let three = world.snapshot(&[
        folder("", "in", "Post"),
        mail("in", "1", "a.eml", "one"),
        mail("in", "2", "a.eml", "two"),
    ]);
    let all = [&one, &two, &three];
    assert_eq!(world.find(&all, "**/Inbox/*"), [("/Inbox/a.eml".to_owned(), 0, 0)]);
    assert_eq!(world.find(&all, "Post"), [("/Post".to_owned(), 1, 2)]);
    assert_eq!(world.find(&all, "b.eml"), [("/Post/b.eml".to_owned(), 1, 1)]);
    let told_apart = world.find(&all, "a.eml");
    assert_eq!(told_apart.iter().map(|(_, first, last)| (*first, *last)).collect::<Vec<_>>().len(), 2);
    // The paths that are told lead to the items.
    let view = SnapshotView::open(world.reader(), &three).unwrap();
    for (path, ..) in &told_apart {
        let path = split_path(&format!("/exchange/ann@contoso.com{path}")).unwrap();
        assert!(view.find(&path).unwrap().item.is_some());
    }
    // A name told apart is good for an item that needs none.
    let view = SnapshotView::open(world.reader(), &one).unwrap();
    let suffix = name::distinct(&Name::from("a.eml"), &ItemId::from("1"));
    let path = split_path(&format!("/exchange/ann@contoso.com/Inbox/{}", suffix.display())).unwrap();
    assert_eq!(view.find(&path).unwrap().item.unwrap().1, ItemId::from("1"));
}
