//! Segments that go while they are read, as they do beside a prune; and loads that are told to stop.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
};

use bytes::Bytes;
use larder_sdk::{Capabilities, ObjectInfo, ObjectKey, Result};

use super::{Index, REPOSITORY, SMALL, World, for_reading, whole};
use crate::{
    crypto::Keys,
    error::EngineErrorKind,
    index::{BlobKind, IndexEntry, encode_segment},
    process::Interrupt,
    repository::layout,
    store::{Store, memory::MemoryStore},
};

/// What a store does before it answers a call that reads a segment.
type Before = dyn Fn(&ObjectKey) + Send + Sync;

struct Meanwhile {
    inner: Arc<MemoryStore>,
    before: Box<Before>,
    /// A listing goes on showing what was there at first.
    stale: Option<Vec<(ObjectKey, ObjectInfo)>>,
    listings: AtomicUsize,
}

impl Store for Meanwhile {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn put(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.inner.put(key, data)
    }
    fn put_if_absent(&self, key: &ObjectKey, data: Bytes) -> Result<()> {
        self.inner.put_if_absent(key, data)
    }
    fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        (self.before)(key);
        self.inner.get(key)
    }
    fn get_range(&self, key: &ObjectKey, range: Range<u64>) -> Result<Bytes> {
        (self.before)(key);
        self.inner.get_range(key, range)
    }
    fn head(&self, key: &ObjectKey) -> Result<ObjectInfo> {
        self.inner.head(key)
    }
    fn list_all(&self, folder: &str) -> Result<Vec<(ObjectKey, ObjectInfo)>> {
        self.listings.fetch_add(1, Ordering::Relaxed);
        self.stale.clone().map_or_else(|| self.inner.list_all(folder), Ok)
    }
    fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.inner.delete(key)
    }
}

/// An index over a store in which something happens before each segment is read.
fn index(world: &World, cached: bool, before: Box<Before>, stale: bool) -> (Index, Arc<Meanwhile>) {
    let folder = layout::index_folder(BlobKind::Data);
    let store = Arc::new(Meanwhile {
        inner: Arc::clone(&world.store),
        before,
        stale: stale.then(|| world.store.list_all(folder).unwrap()),
        listings: AtomicUsize::new(0),
    });
    let mut index = Index::new(Arc::clone(&store) as Arc<dyn Store>, Arc::clone(&world.keys), REPOSITORY);
    index.limits = SMALL;
    if cached {
        index.set_cache(Arc::new(world.cache_in(world.folder.path()).unwrap()));
    }
    (index, store)
}

/// A prune that puts another in place of every other segment that is to be read, so many times.
fn prune_loop(world: &World, times: usize) -> Box<Before> {
    let store = Arc::clone(&world.store);
    let keys: Arc<Keys> = Arc::clone(&world.keys);
    let segments: BTreeMap<ObjectKey, Vec<IndexEntry>> = world
        .model
        .iter()
        .map(|((kind, name), entries)| {
            (layout::in_folder(layout::index_folder(*kind), *name).unwrap(), entries.clone())
        })
        .collect();
    let state = Mutex::new((segments, 0));
    Box::new(move |key| {
        let mut state = state.lock().unwrap();
        let (segments, reads) = &mut *state;
        *reads += 1;
        if *reads % 2 == 0 || *reads > 2 * times {
            return;
        }
        let Some(mut entries) = segments.remove(key) else { return };
        let kind = if key.as_str().starts_with("index/data") { BlobKind::Data } else { BlobKind::Tree };
        let (name, bytes) =
            encode_segment(&keys, REPOSITORY, layout::index_kind(kind), &mut entries, &[]).unwrap();
        let merged = layout::in_folder(layout::index_folder(kind), name).unwrap();
        store.put(&merged, bytes).unwrap();
        store.delete(key).unwrap();
        segments.insert(merged, entries);
    })
}

fn world(segments: u32, rows: u32) -> World {
    let mut world = World::new();
    for _ in 0..segments {
        world.add(BlobKind::Data, rows, 2);
        world.add(BlobKind::Tree, rows, 0);
    }
    world
}

#[test]
fn beside_a_prune_loop_every_load_comes_to_its_end() {
    // In memory, and in tables.
    for (segments, rows) in [(3, 5), (30, 40)] {
        for cached in [false, true] {
            let world = world(segments, rows);
            let (one, _) = index(&world, cached, prune_loop(&world, 40), false);
            whole(&one);
            world.agrees(&one, true);
        }
        for cached in [false, true] {
            let world = world(segments, rows);
            let (one, _) = index(&world, cached, prune_loop(&world, 40), false);
            for kind in BlobKind::ALL {
                let (_, broken) = one.load_verified(kind, &|| Ok(())).unwrap();
                assert!(broken.is_empty());
            }
            world.agrees(&one, true);
        }
        for cached in [false, true] {
            let world = world(segments, rows);
            let (one, _) = index(&world, cached, prune_loop(&world, 40), false);
            for_reading(&one);
            world.agrees(&one, false);
        }
    }
}

#[test]
fn a_store_that_goes_on_listing_what_went_is_not_asked_for_ever() {
    let world = world(3, 5);
    let went = world.store.list_all("index/data").unwrap()[0].0.clone();
    let (index, store) = index(&world, false, Box::new(|_| ()), true);
    world.store.delete(&went).unwrap();
    let error = index.load_whole(BlobKind::Data).unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Busy);
    assert!(error.message().contains(went.as_str()) && error.hint().is_some(), "{error:?}");
    assert!(store.listings.load(Ordering::Relaxed) < 10);
    // Once it is back, or out of the listing, the same index is loaded whole.
    world.store.put(&went, Bytes::from_static(b"no segment")).unwrap();
    assert_eq!(index.load_whole(BlobKind::Data).unwrap().len(), 1);
}

#[test]
fn a_load_that_is_told_to_stop_does_not_wait_for_the_store() {
    let world = world(3, 5);
    let interrupt = Interrupt::new();
    let (asked, asking): (Sender<()>, Receiver<()>) = channel();
    let (release, released): (Sender<()>, Receiver<()>) = channel();
    let (asked, released) = (Mutex::new(asked), Mutex::new(released));
    let before = move |_: &ObjectKey| {
        let _ = asked.lock().unwrap().send(());
        // The store answers once the load is over.
        let _ = released.lock().unwrap().recv();
    };
    let (mut index, _) = index(&world, false, Box::new(before), false);
    index.set_interrupt(interrupt.clone());
    let error = std::thread::scope(|scope| {
        let loading = scope.spawn(|| index.load_whole(BlobKind::Data));
        asking.recv().unwrap();
        interrupt.request();
        loading.join().unwrap().unwrap_err()
    });
    assert_eq!(error.kind(), EngineErrorKind::Interrupted);
    drop(release);
}
