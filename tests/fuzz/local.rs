//! Files of this machine: the config, what the state folder remembers, the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use bytes::Bytes;
use larder::{
    cache::Cache,
    config::Config,
    crypto::KdfCost,
    events::{Event, Events},
    hash::{ObjectName, RepositoryId, ShortId},
    index::{BlobKind, IndexEntry, encode_segment},
    pack::FramePlace,
    plugin::Registry,
    repository::{CreateOptions, LocalState, Repository, create, layout},
    store::{CachedStore, Store},
};
use larder_sdk::{ObjectKey, Secret, Time, testing::TestHost};
use tempfile::TempDir;

use crate::target::Target;

const REPOSITORY: RepositoryId = RepositoryId([8; 16]);
/// A round of these makes and reads files: one in so many is tried.
const EVERY: u64 = 10;
const BLOBS: u32 = 250;
const PACK_BYTES: usize = 10_000;

/// All of them.
pub(crate) fn targets() -> Vec<Target> {
    let mut targets = vec![config(), run_number(), machine()];
    targets.extend(index_cache());
    targets.push(tree_cache());
    targets
}

fn config() -> Target {
    let sets = "[repository.main]\nurl = \"s3://backups/contoso\"\npassword = { file = \"/etc/larder/main.pass\" }\n\
         compression = \"max\"\noptions = { aws_region = \"eu-central-1\" }\n\n\
         [set.contoso]\nrepository = \"main\"\nsource = \"office365\"\nschedule = \"0 2 * * *\"\nkeep_gone = 90\nmax_loss = 20\n\
         keep = { last = 7, daily = 30, within = \"1y2w\", tags = [\"keep\"] }\n\n\
         [set.contoso.options]\ntenant = \"contoso.onmicrosoft.com\"\n[[set.contoso.options.accounts]]\n\
         user = \"backup1@contoso.onmicrosoft.com\"\npassword = { env = \"BACKUP1_APP_PASSWORD\" }\n";
    let plugins = "plugin_path = [\"plugins\"]\n[plugin.mine]\nlibrary = \"/usr/lib/larder/libmine.so\"\n\
         [repository.a]\nurl = \"file:///b\"\npassword = { command = \"pass show x\" }\n\
         [set.home]\nrepository = \"a\"\nsource = \"files\"\nmax_loss = \"off\"\nisolation = \"process\"\n\
         options = { paths = [\"/home\"], exclude = [\"*.tmp\"] }\n";
    let small = "[repository.a]\nurl = \"file:///b\"\npassword = { keyring = \"x\" }\n";
    let seeds = [sets, plugins, small].map(|text| text.as_bytes().to_vec()).to_vec();
    Target::plain("config file", seeds, |bytes| {
        let Ok(text) = String::from_utf8(bytes.to_vec()) else { return false };
        match Config::parse("larder.toml", text, Path::new("/etc/larder")) {
            Ok(_) => true,
            Err(error) => {
                assert!(!error.full_message().is_empty());
                false
            }
        }
    })
}

/// A state folder, and the file of a name in it.
fn state(name: &str) -> (TempDir, LocalState, PathBuf) {
    let base = tempfile::tempdir().unwrap();
    let state = LocalState::open(base.path(), REPOSITORY).unwrap();
    let file = Path::new(&REPOSITORY.to_string()).join(name);
    (base, state, file)
}

fn run_number() -> Target {
    let (base, state, file) = state("home.run");
    let seed = format!("12 {}\n", ObjectName([0xab; 16])).into_bytes();
    Target::plain("run number", vec![seed], move |bytes| {
        fs::write(base.path().join(&file), bytes).unwrap();
        match state.highest_run("home") {
            Ok(known) => known.is_some(),
            Err(error) => {
                assert!(error.hint().is_some());
                false
            }
        }
    })
}

fn machine() -> Target {
    let (base, state, file) = state("machine");
    let name = ObjectName([0xab; 16]);
    Target::plain("machine's name", vec![format!("{name}\n").into_bytes()], move |bytes| {
        fs::write(base.path().join(&file), bytes).unwrap();
        let told = state.machine().unwrap();
        // Whatever stood there, from now on it is one name.
        assert_eq!(state.machine().unwrap(), told);
        bytes.trim_ascii() == told.to_string().as_bytes()
    })
}

/// What is told of the cache is not looked at.
struct Silent;

impl Events for Silent {
    fn event(&self, _: Event) {}
}

fn store(name: &str) -> Arc<dyn Store> {
    let options = format!(r#"{{"url": "memory:///{name}", "options": {{}}}}"#);
    let registry = Registry::new();
    let plugin = registry.find("object-store").unwrap();
    Arc::new(plugin.destination(&options, Arc::new(TestHost::new())).unwrap())
}

fn cache(base: &Path, repository: RepositoryId) -> Arc<Cache> {
    Arc::new(Cache::open(base, repository, Arc::new(Silent)).unwrap())
}

/// A repository whose index lies in a cache.
struct Indexed {
    store: Arc<dyn Store>,
    base: TempDir,
    entries: Vec<IndexEntry>,
}

impl Indexed {
    fn new() -> Self {
        let store = store("fuzz-index");
        let cost = KdfCost { memory_kib: 64, passes: 1, lanes: 1 };
        create(&store, &Secret::new("x"), Time::from_seconds(1), CreateOptions { cost }).unwrap();
        let entry = |number: u32| IndexEntry {
            id: ShortId(*blake3::hash(&number.to_le_bytes()).as_bytes().first_chunk().unwrap()),
            pack: ObjectName([(number / 100) as u8; 16]),
            frame: FramePlace { number: number % 100, offset: 48 + number, sealed_bytes: 1000 },
            offset: number,
            bytes: 12,
        };
        let mut entries: Vec<_> = (0..BLOBS).map(entry).collect();
        let base = tempfile::tempdir().unwrap();
        let repository = Repository::open(Arc::clone(&store), &Secret::new("x")).unwrap();
        for kind in BlobKind::ALL {
            let mut half = match kind {
                BlobKind::Data => entries[..entries.len() / 2].to_vec(),
                BlobKind::Tree => entries[entries.len() / 2..].to_vec(),
            };
            let (name, bytes) =
                encode_segment(repository.keys(), repository.id(), layout::index_kind(kind), &mut half, &[])
                    .unwrap();
            store.put(&layout::in_folder(layout::index_folder(kind), name).unwrap(), bytes).unwrap();
        }
        entries.sort_unstable_by_key(|entry| entry.id);
        Self { store, base, entries }
    }

    /// Opens the repository as another process would, and asks for every blob.
    fn answers(&self) -> bool {
        let repository = Repository::open(Arc::clone(&self.store), &Secret::new("x")).unwrap();
        let id = repository.id();
        let repository = repository.with_cache(cache(self.base.path(), id), false);
        repository.load_index().unwrap();
        self.entries.iter().all(|entry| {
            let found = repository.index().find(entry.id).unwrap();
            found.is_some_and(|found| {
                (found.pack, found.frame, found.offset) == (entry.pack, entry.frame, entry.offset)
            })
        })
    }

    /// The cache's files.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.base.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        files
    }
}

/// Whatever becomes of the cache's files, the index answers as the store has it.
fn index_cache() -> Vec<Target> {
    let indexed = Rc::new(Indexed::new());
    assert!(indexed.answers());
    let files = indexed.files();
    assert!(files.len() >= 2, "{files:?}");
    let names =
        ["cache of the index, 1", "cache of the index, 2", "cache of the index, 3", "cache of the index, 4"];
    let target = |(name, path): (&'static str, PathBuf)| {
        let indexed = Rc::clone(&indexed);
        Target::plain(name, vec![fs::read(&path).unwrap()], move |bytes| {
            fs::write(&path, bytes).unwrap();
            assert!(indexed.answers());
            true
        })
        .every(EVERY)
    };
    names.into_iter().zip(files).map(target).collect()
}

/// Whatever becomes of the kept pieces of a tree pack, what is read is the store's.
fn tree_cache() -> Target {
    let inner = store("fuzz-trees");
    let key = ObjectKey::new("trees/ab/abcdefabcdefabcdefabcdefabcdefab").unwrap();
    let pack: Bytes = (0..PACK_BYTES).map(|at| ((at * 31) >> 7) as u8).collect::<Vec<_>>().into();
    let base = tempfile::tempdir().unwrap();
    let opened = move || {
        (
            CachedStore::new(Arc::clone(&inner), cache(base.path(), REPOSITORY), [5; 32]),
            base.path().to_owned(),
        )
    };
    opened().0.put(&key, pack.clone()).unwrap();
    let folder = opened().1.join(REPOSITORY.to_string()).join("trees");
    let kept: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    let kept = kept[0].clone();
    Target::plain("cache of tree packs", vec![fs::read(&kept).unwrap()], move |bytes| {
        fs::write(&kept, bytes).unwrap();
        // As if it were of another range too.
        let other = folder.join(format!("abcdefabcdefabcdefabcdefabcdefab.100-{}", 100 + bytes.len()));
        fs::write(&other, bytes).unwrap();
        let store = opened().0;
        for range in [0..100, 150..5_000, 4_000..9_999, 0..PACK_BYTES as u64] {
            let expected = pack.slice(range.start as usize..range.end as usize);
            assert_eq!(store.get_range(&key, range).unwrap(), expected);
        }
        drop(fs::remove_file(other));
        true
    })
    .every(EVERY)
}
