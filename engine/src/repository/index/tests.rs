//! The index against a model: whatever is added, dropped, moved and damaged, it answers as a map would.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use proptest::prelude::*;

mod going;

use super::{Claim, Index, IndexView, Limits};
use crate::{
    cache::Cache,
    crypto::Keys,
    events::{Event, Events},
    hash::{BlobId, ObjectName, RepositoryId, ShortId},
    index::{BlobKind, IndexEntry, encode_segment},
    pack::FramePlace,
    repository::layout,
    store::{Store, memory::MemoryStore},
};

const REPOSITORY: RepositoryId = RepositoryId([8; 16]);
/// So small that tables are built, merged and spilled all the time.
const SMALL: Limits = Limits {
    rows_beside_min: 40,
    rows_beside_max: 80,
    segments_beside: 4,
    run_rows: 100,
    read_whole_bytes: 600,
    small_segment_bytes: 4000,
};

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Events for Told {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// What was inserted must be found; what each segment holds.
type Model = BTreeMap<(BlobKind, ObjectName), Vec<IndexEntry>>;

struct World {
    store: Arc<MemoryStore>,
    keys: Arc<Keys>,
    folder: tempfile::TempDir,
    told: Arc<Told>,
    model: Model,
    /// Ids used so far.
    ids: u32,
}

fn id(number: u32) -> ShortId {
    BlobId(*blake3::hash(&number.to_le_bytes()).as_bytes()).short()
}

fn entry(id: ShortId, number: u32) -> IndexEntry {
    IndexEntry {
        id,
        pack: ObjectName([(number / 50) as u8; 16]),
        frame: FramePlace { number: number % 7, offset: 48 + number, sealed_bytes: 1000 },
        offset: number * 3,
        bytes: 10 + number,
    }
}

impl World {
    fn new() -> Self {
        Self {
            store: Arc::default(),
            keys: Arc::new(Keys::generate().unwrap()),
            folder: tempfile::tempdir().unwrap(),
            told: Arc::default(),
            model: Model::new(),
            ids: 0,
        }
    }

    fn cache_in(&self, base: &Path) -> Option<Cache> {
        Cache::open(base, REPOSITORY, Arc::<Told>::clone(&self.told))
    }

    /// As another process would open it.
    fn open(&self) -> Index {
        let mut index = self.without_cache();
        index.set_cache(Arc::new(self.cache_in(self.folder.path()).unwrap()));
        index
    }

    fn without_cache(&self) -> Index {
        let store: Arc<dyn Store> = self.store.clone();
        let mut index = Index::new(store, Arc::clone(&self.keys), REPOSITORY);
        index.limits = SMALL;
        index
    }

    /// Entries never seen before, and some that are stored already: those lie in a second pack.
    fn entries(&mut self, count: u32, again: u32) -> Vec<IndexEntry> {
        let known: Vec<ShortId> = self.model.values().flatten().map(|entry| entry.id).collect();
        let new = (self.ids..self.ids + count).map(|number| entry(id(number), number));
        let mut entries: Vec<_> = new.collect();
        self.ids += count;
        for place in 0..again.min(known.len() as u32) {
            let number = 7000 + self.ids + place;
            entries.push(entry(known[(place as usize * 31) % known.len()], number));
        }
        entries.sort_unstable_by_key(|entry| entry.id);
        entries.dedup_by_key(|entry| entry.id);
        entries
    }

    /// Another machine writes a segment.
    fn add(&mut self, kind: BlobKind, count: u32, again: u32) {
        let mut entries = self.entries(count, again);
        let (name, bytes) =
            encode_segment(&self.keys, REPOSITORY, layout::index_kind(kind), &mut entries, &[]).unwrap();
        self.store.put(&layout::in_folder(layout::index_folder(kind), name).unwrap(), bytes).unwrap();
        self.model.insert((kind, name), entries);
    }

    /// This process writes one.
    fn insert(&mut self, index: &Index, kind: BlobKind, count: u32) {
        let mut entries = self.entries(count, 0);
        for entry in &entries {
            assert_eq!(index.claim(entry.id).unwrap(), Claim::New);
            assert_eq!(index.claim(entry.id).unwrap(), Claim::Pending);
        }
        let (name, bytes) =
            encode_segment(&self.keys, REPOSITORY, layout::index_kind(kind), &mut entries, &[]).unwrap();
        let key = layout::in_folder(layout::index_folder(kind), name).unwrap();
        self.store.put(&key, bytes.clone()).unwrap();
        index.insert(kind, name, &bytes, &entries).unwrap();
        self.model.insert((kind, name), entries);
    }

    /// Prune merges two segments into one.
    fn prune(&mut self, which: usize) {
        let kind = self.model.keys().nth(which % self.model.len().max(1)).map(|(kind, _)| *kind);
        let Some(kind) = kind else { return };
        let old: Vec<_> = self.model.keys().filter(|(of, _)| *of == kind).take(2).copied().collect();
        let mut entries: Vec<IndexEntry> = Vec::new();
        for at in &old {
            entries.extend(self.model.remove(at).unwrap());
            self.store.delete(&layout::in_folder(layout::index_folder(kind), at.1).unwrap()).unwrap();
        }
        // What is no longer in use goes.
        entries.retain(|entry| !entry.bytes.is_multiple_of(5));
        let (name, bytes) =
            encode_segment(&self.keys, REPOSITORY, layout::index_kind(kind), &mut entries, &[]).unwrap();
        self.store.put(&layout::in_folder(layout::index_folder(kind), name).unwrap(), bytes).unwrap();
        self.model.insert((kind, name), entries);
    }

    fn cache_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }

    /// Flips a byte of a file of the cache, or cuts the file.
    fn damage(&self, which: usize, place: usize, cut: bool) {
        let files = self.cache_files();
        if files.is_empty() {
            return;
        }
        let file = &files[which % files.len()];
        let mut bytes = fs::read(file).unwrap();
        if bytes.is_empty() {
            return;
        }
        let place = place % bytes.len();
        if cut {
            bytes.truncate(place);
        } else {
            bytes[place] ^= 0x40;
        }
        fs::write(file, bytes).unwrap();
    }

    fn rows(&self) -> BTreeSet<(ShortId, ObjectName, u32)> {
        let rows = self
            .model
            .iter()
            .flat_map(|((kind, _), entries)| entries.iter().map(move |entry| (*kind, entry)));
        rows.map(|(_, entry)| (entry.id, entry.pack, entry.offset)).collect()
    }

    /// Everything that an index says must be what the model says.
    fn agrees(&self, index: &Index, whole: bool) {
        let rows = self.rows();
        for (id, ..) in &rows {
            let found = index.find(*id).unwrap().expect("a stored blob is found");
            assert!(rows.contains(&(*id, found.pack, found.offset)));
            let found = index.find_tree(*id).unwrap().expect("a stored blob is found");
            assert!(rows.contains(&(*id, found.pack, found.offset)));
            assert!(!whole || matches!(index.claim(*id).unwrap(), Claim::Stored(_)));
        }
        for number in 1_000_000..1_000_050 {
            assert_eq!(index.find(id(number)).unwrap(), None);
        }
        if !whole {
            return;
        }
        let mut seen = BTreeSet::new();
        index
            .each(|id, location| {
                seen.insert((id, location.pack, location.offset));
            })
            .unwrap();
        assert_eq!(seen, rows);
        numbers(index);
    }
}

/// Every row has a number of its own; a blob's is that of its first row.
fn numbers(index: &Index) {
    let view = index.view().unwrap();
    for kind in BlobKind::ALL {
        let mut numbers = BTreeSet::new();
        let mut last: Option<(ShortId, u64)> = None;
        view.each(kind, |number, id, _| {
            assert!(number < view.len(kind) && numbers.insert(number));
            match last {
                Some((before, first)) if before == id => {
                    assert_eq!(view.ordinal(kind, &id).unwrap(), Some(first));
                }
                before => {
                    assert!(before.is_none_or(|(before, _)| before < id), "in order of id");
                    assert_eq!(view.ordinal(kind, &id).unwrap(), Some(number));
                    last = Some((id, number));
                }
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(numbers.len() as u64, view.len(kind), "the numbers are dense");
        assert_eq!(view.ordinal(kind, &id(2_000_000)).unwrap(), None);
        together(&view, kind);
    }
}

/// Many at once are told what each alone is, in whatever order they come.
fn together(view: &IndexView, kind: BlobKind) {
    let mut ids: Vec<ShortId> = (2_000_000..2_000_020).map(id).collect();
    view.each(kind, |_, id, _| {
        ids.push(id);
        Ok(())
    })
    .unwrap();
    for sorted in [false, true] {
        if sorted {
            ids.sort_unstable();
        }
        let mut told = Vec::new();
        view.ordinals(kind, &ids, |id, number| told.push((*id, number))).unwrap();
        let alone: Vec<_> = ids.iter().map(|id| (*id, view.ordinal(kind, id).unwrap())).collect();
        assert_eq!(told, alone);
    }
}

fn whole(index: &Index) {
    for kind in BlobKind::ALL {
        assert!(index.load_whole(kind).unwrap().is_empty());
    }
}

fn for_reading(index: &Index) {
    index.load_when_asked(BlobKind::Data);
    assert!(index.load_for_reading(BlobKind::Tree).unwrap().is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Add(bool, u32, u32),
    Insert(bool, u32),
    Prune(usize),
    Damage(usize, usize, bool),
    Whole,
    Reading,
    Reload,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any::<bool>(), 0_u32..150, 0_u32..20).prop_map(|(tree, count, again)| Step::Add(tree, count, again)),
        2 => (any::<bool>(), 0_u32..120).prop_map(|(tree, count)| Step::Insert(tree, count)),
        2 => any::<usize>().prop_map(Step::Prune),
        3 => (any::<usize>(), any::<usize>(), any::<bool>()).prop_map(|(which, place, cut)| Step::Damage(which, place, cut)),
        3 => Just(Step::Whole),
        2 => Just(Step::Reading),
        2 => Just(Step::Reload),
    ]
}

fn kind(tree: bool) -> BlobKind {
    if tree { BlobKind::Tree } else { BlobKind::Data }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn it_answers_as_a_map_would(steps in proptest::collection::vec(step(), 1..25)) {
        let mut world = World::new();
        let mut index = world.open();
        let mut is_whole = true;
        whole(&index);
        for step in steps {
            match step {
                Step::Add(tree, count, again) => world.add(kind(tree), count, again),
                Step::Insert(tree, count) => {
                    if !is_whole {
                        index = world.open();
                        whole(&index);
                        is_whole = true;
                    }
                    world.insert(&index, kind(tree), count);
                }
                Step::Prune(which) => world.prune(which),
                Step::Damage(which, place, cut) => world.damage(which, place, cut),
                Step::Whole => {
                    index = world.open();
                    whole(&index);
                    is_whole = true;
                    world.agrees(&index, true);
                }
                Step::Reading => {
                    index = world.open();
                    for_reading(&index);
                    is_whole = false;
                    world.agrees(&index, false);
                }
                Step::Reload => {
                    for kind in BlobKind::ALL {
                        index.reload(kind).unwrap();
                    }
                    world.agrees(&index, is_whole);
                }
            }
        }
        let last = world.open();
        whole(&last);
        world.agrees(&last, true);
    }
}

#[test]
fn a_second_opening_reads_no_segment() {
    let mut world = World::new();
    for _ in 0..30 {
        world.add(BlobKind::Data, 40, 2);
    }
    whole(&world.open());
    // Without its segments' bytes the store still lists them.
    for (key, object) in world.store.objects().iter_mut() {
        assert!(key.as_str().starts_with("index/"));
        *object = bytes::Bytes::from(vec![0; object.len()]);
    }
    let index = world.open();
    whole(&index);
    world.agrees(&index, true);
    assert!(world.told.0.lock().unwrap().is_empty());
}

#[test]
fn damage_found_while_it_is_in_use_is_mended_from_the_store() {
    let mut world = World::new();
    for tree in [false, true] {
        for _ in 0..10 {
            world.add(kind(tree), 100, 5);
        }
    }
    for reading in [false, true] {
        whole(&world.open());
        let index = world.open();
        if reading {
            for_reading(&index);
        } else {
            whole(&index);
        }
        for which in 0..world.cache_files().len() {
            for place in 0..10 {
                world.damage(which, place * 4096 + 100, false);
            }
        }
        world.agrees(&index, !reading);
        assert!(world.told.0.lock().unwrap().iter().any(|told| told.contains("made anew from the store")));
    }
}

#[test]
fn processes_that_load_and_write_at_once_do_not_disturb_one_another() {
    let mut world = World::new();
    for _ in 0..20 {
        world.add(BlobKind::Data, 60, 3);
    }
    let segments: Vec<Vec<IndexEntry>> = (0..24).map(|_| world.entries(30, 0)).collect();
    let indexes: Vec<Index> = (0..4).map(|_| world.open()).collect();
    std::thread::scope(|scope| {
        for (index, segments) in indexes.iter().zip(segments.chunks(6)) {
            let world = &world;
            scope.spawn(move || {
                whole(index);
                for entries in segments {
                    let mut entries = entries.clone();
                    let kind = BlobKind::Data;
                    let (name, bytes) =
                        encode_segment(&world.keys, REPOSITORY, layout::index_kind(kind), &mut entries, &[])
                            .unwrap();
                    let key = layout::in_folder(layout::index_folder(kind), name).unwrap();
                    world.store.put(&key, bytes.clone()).unwrap();
                    index.insert(kind, name, &bytes, &entries).unwrap();
                    for entry in &entries {
                        assert!(index.find(entry.id).unwrap().is_some());
                    }
                    whole(&world.open());
                }
            });
        }
    });
    for (place, entries) in segments.into_iter().enumerate() {
        world.model.insert((BlobKind::Data, ObjectName([place as u8; 16])), entries);
    }
    for index in &indexes {
        index.reload(BlobKind::Data).unwrap();
        world.agrees(index, true);
    }
    let index = world.open();
    whole(&index);
    world.agrees(&index, true);
    let left: Vec<_> = world
        .cache_files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "new"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn one_of_many_threads_gets_a_claim() {
    let mut world = World::new();
    world.add(BlobKind::Data, 500, 0);
    let index = world.open();
    whole(&index);
    let granted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let index = &index;
                scope.spawn(move || {
                    (0..1000).filter(|number| index.claim(id(*number)).unwrap() == Claim::New).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(granted, 500);
}

#[test]
fn without_a_usable_cache_folder_it_goes_on_in_memory() {
    let mut world = World::new();
    for _ in 0..20 {
        world.add(BlobKind::Data, 60, 3);
    }
    let file = world.folder.path().join("a file");
    fs::write(&file, b"").unwrap();
    assert!(world.cache_in(&file).is_none());
    assert!(world.told.0.lock().unwrap().pop().unwrap().contains("$LARDER_CACHE"));
    let index = world.without_cache();
    whole(&index);
    world.agrees(&index, true);

    // A folder that can no longer be written to, as when its disk is full.
    let base = world.folder.path().join("cache");
    let mut index = world.without_cache();
    index.set_cache(Arc::new(world.cache_in(&base).unwrap()));
    fs::remove_dir_all(&base).unwrap();
    fs::write(&base, b"").unwrap();
    whole(&index);
    world.agrees(&index, true);
    world.insert(&index, BlobKind::Data, 200);
    world.insert(&index, BlobKind::Tree, 200);
    world.agrees(&index, true);
    let told = world.told.0.lock().unwrap();
    assert_eq!(told.len(), 1, "told once: {told:?}");
}

#[test]
fn condemned_packs_do_not_count_as_stored_and_are_read_only_for_want_of_others() {
    let mut world = World::new();
    let stored = id(1);
    let old = entry(stored, 1);
    let copied = IndexEntry { pack: ObjectName([99; 16]), ..old };
    for mut entries in [vec![old], vec![copied]] {
        let kind = BlobKind::Data;
        let (name, bytes) =
            encode_segment(&world.keys, REPOSITORY, layout::index_kind(kind), &mut entries, &[]).unwrap();
        world.store.put(&layout::in_folder(layout::index_folder(kind), name).unwrap(), bytes).unwrap();
        world.model.insert((kind, name), entries);
    }
    let index = world.open();
    whole(&index);
    index.condemn([old.pack].into());
    assert_eq!(index.find(stored).unwrap().unwrap().pack, copied.pack);
    assert!(matches!(index.claim(stored).unwrap(), Claim::Stored(found) if found.pack == copied.pack));
    index.condemn([old.pack, copied.pack].into());
    assert!(index.find(stored).unwrap().is_some());
    assert_eq!(index.claim(stored).unwrap(), Claim::New);

    // A pack that is not there is not even read from.
    index.lose(old.pack);
    assert_eq!(index.find(stored).unwrap().unwrap().pack, copied.pack);
    let mut packs = Vec::new();
    index.each(|_, location| packs.push(location.pack)).unwrap();
    assert_eq!(packs, [copied.pack]);
    index.lose(copied.pack);
    assert_eq!(index.find(stored).unwrap(), None);
    assert_eq!(index.view().unwrap().ordinal(BlobKind::Data, &stored).unwrap(), None);
}

#[test]
fn a_damaged_segment_is_named_and_what_reads_of_it_is_known() {
    let mut world = World::new();
    world.add(BlobKind::Data, 3000, 0);
    world.add(BlobKind::Data, 10, 0);
    let (key, length) = {
        let objects = world.store.objects();
        let (key, object) = objects.iter().max_by_key(|(_, object)| object.len()).unwrap();
        (key.clone(), object.len())
    };
    let mut bytes = world.store.get(&key).unwrap().to_vec();
    bytes[length / 2] ^= 1;
    world.store.put(&key, bytes.into()).unwrap();
    let index = world.open();
    let broken = index.load_whole(BlobKind::Data).unwrap();
    assert_eq!(broken.len(), 1);
    assert!(broken[0].1.full_message().contains(key.as_str()), "{:?}", broken[0].1);
    index.load_whole(BlobKind::Tree).unwrap();
    let known = world.rows().iter().filter(|(id, ..)| matches!(index.find(*id), Ok(Some(_)))).count();
    assert!((1000..3010).contains(&known), "{known}");
    let error = world.rows().iter().find_map(|(id, ..)| index.find(*id).err()).unwrap();
    assert!(error.message().contains(key.as_str()), "{error}");
    // And again by the next process: it is not taken for covered.
    assert_eq!(world.open().load_whole(BlobKind::Data).unwrap().len(), 1);
}
