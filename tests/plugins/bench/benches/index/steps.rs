//! What is measured, a step each.

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use larder::{
    browse::{SnapshotView, split_path},
    cache::Cache,
    clock::SystemClock,
    crypto::{KdfCost, ObjectKind},
    events::{Event, Events},
    hash::ObjectName,
    index::BlobKind,
    maintenance::{self, CheckOptions, PruneOptions, PruneSetup},
    pipeline::{self, RunOptions, RunSetup},
    plugin::Registry,
    process::Interrupt,
    repository::{self, BlobReader, CreateOptions, LocalState, Repository, layout},
    restore::{self, RestoreOptions},
    snapshot::{RemovalRecord, RemovedSnapshot, SnapshotRecord},
    store::Store,
};
use larder_sdk::{Secret, Time, testing::TestHost};

use crate::{
    Outcome,
    generate::{self, SEGMENT_ENTRIES},
    store::{Counts, FolderStore},
};

const ITEMS: u64 = 1_000_000;
const FOLDERS: u64 = 1_000;
const CHANGED: u64 = 100;
/// Mailboxes of the repository whose blobs are all in use, and of how many of them much changes.
const MAILBOXES: u64 = 10;
const CHANGED_MAILBOXES: u64 = 3;
/// Made-up blobs beside the mailbox's.
const DATA_BLOBS: u64 = 8_500_000;
const TREE_BLOBS: u64 = 500_000;
/// Of these, so many are in segments of small runs.
const SMALL_RUNS: u64 = 80;
const SMALL_RUN_BLOBS: u64 = 500;
const DELAY: Duration = Duration::from_millis(20);
const LOOKUPS: u64 = 1_000_000;
/// Opened frames kept, as the engine does.
const FRAMES_BYTES: usize = 32 << 20;

/// Shows warnings: there should be none.
struct Warnings;

impl Events for Warnings {
    fn event(&self, event: Event) {
        if matches!(event, Event::Log { .. }) {
            println!("    {event:?}");
        }
    }
}

struct Opened {
    repository: Arc<Repository>,
    counts: Arc<Counts>,
}

fn store(folder: &Path, delay: Duration) -> (Arc<dyn Store>, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let store = FolderStore { folder: folder.join("repository"), delay, counts: Arc::clone(&counts) };
    (Arc::new(store), counts)
}

/// Opens the repository as the engine does.
fn open(folder: &Path, delay: Duration) -> Outcome<Opened> {
    open_with(folder, delay, true)
}

fn open_with(folder: &Path, delay: Duration, packs: bool) -> Outcome<Opened> {
    let (store, counts) = store(folder, delay);
    let repository = Repository::open(store, &Secret::new("bench"))?;
    let cache = Cache::open(&folder.join("cache"), repository.id(), Arc::new(Warnings)).ok_or("no cache")?;
    Ok(Opened { repository: Arc::new(repository.with_cache(Arc::new(cache), packs)), counts })
}

fn create(folder: &Path) -> Outcome<()> {
    let (store, _) = store(folder, Duration::ZERO);
    let cost = KdfCost { memory_kib: 1024, passes: 1, lanes: 1 };
    repository::create(&store, &Secret::new("bench"), Time::from_seconds(1), CreateOptions { cost })?;
    Ok(())
}

fn forget_cache(folder: &Path) -> Outcome<()> {
    match fs::remove_dir_all(folder.join("cache")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn tell(counts: &Counts, took: Duration) {
    println!(
        "    {:.3} s, {} requests, {:.2} MB read",
        took.as_secs_f64(),
        counts.requests(),
        counts.read_bytes() as f64 / 1e6
    );
}

/// What the requests were for.
fn tell_requests(counts: &Counts) {
    let table = counts.table();
    let told: Vec<String> =
        table.iter().map(|((what, folder), requests)| format!("{what} {folder} {requests}")).collect();
    println!("    requests: {}", told.join(" · "));
}

fn run(folder: &Path, delay: Duration) -> Outcome<()> {
    run_set(folder, delay, "mail", 0, CHANGED)
}

/// Runs a set whose mailbox has items of its own, of which so many change from run to run.
fn run_set(folder: &Path, delay: Duration, set: &str, mailbox: u64, changed: u64) -> Outcome<()> {
    // A plugin is loaded from a folder that nobody else may write to.
    let library = tempfile::tempdir()?;
    let name = format!("{DLL_PREFIX}larder_bench{DLL_SUFFIX}");
    let path = library.path().join(&name);
    fs::copy(std::env::current_exe()?.with_file_name(&name), &path)?;
    let mut registry = Registry::new();
    registry.add_path(&path, None)?;
    let options =
        format!("{{\"mailbox\":{mailbox},\"items\":{ITEMS},\"folders\":{FOLDERS},\"changed\":{changed}}}");
    let source = registry.find("bench")?.source(&options, Arc::new(TestHost::new()))?;
    let began = Instant::now();
    let Opened { repository, counts } = open(folder, delay)?;
    let setup = RunSetup {
        local: LocalState::open(&folder.join("state"), repository.id())?,
        repository,
        source,
        set: set.to_owned(),
        max_loss_percent: None,
        keep_gone_days: 90,
        containers_at_once: 4,
        checkpoint_every: Duration::from_mins(1),
        tags: Vec::new(),
        compression: larder::pack::Compression::default(),
        host: "bench".to_owned(),
        events: Arc::new(Warnings),
        clock: Arc::new(SystemClock::new()),
        interrupt: Interrupt::new(),
    };
    let summary = pipeline::run(&setup, RunOptions::default())?;
    tell(&counts, began.elapsed());
    if delay > Duration::ZERO {
        tell_requests(&counts);
    }
    println!("    {} items read", summary.totals.read_items);
    Ok(())
}

pub(crate) fn first_run(folder: &Path) -> Outcome<()> {
    if folder.join("repository/config").exists() {
        println!("    there already");
        return Ok(());
    }
    create(folder)?;
    run(folder, Duration::ZERO)
}

pub(crate) fn fill(folder: &Path) -> Outcome<()> {
    let done = folder.join("filled");
    if done.exists() {
        println!("    there already");
        return Ok(());
    }
    let began = Instant::now();
    let Opened { repository, .. } = open(folder, Duration::ZERO)?;
    let at = folder.join("repository");
    let large = TREE_BLOBS - SMALL_RUNS * SMALL_RUN_BLOBS;
    let mut segments = generate::segments(&repository, &at, BlobKind::Data, 0..DATA_BLOBS, SEGMENT_ENTRIES)?;
    segments += generate::segments(&repository, &at, BlobKind::Tree, 0..large, SEGMENT_ENTRIES)?;
    segments += generate::segments(&repository, &at, BlobKind::Tree, large..TREE_BLOBS, SMALL_RUN_BLOBS)?;
    fs::write(done, b"")?;
    println!("    {segments} segments in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn open_cold(folder: &Path) -> Outcome<()> {
    forget_cache(folder)?;
    open_warm(folder)
}

pub(crate) fn open_warm(folder: &Path) -> Outcome<()> {
    let began = Instant::now();
    let Opened { repository, counts } = open(folder, Duration::ZERO)?;
    repository.load_index()?;
    tell(&counts, began.elapsed());
    println!("    {} rows", repository.index().len());
    Ok(())
}

/// A segment that the cache's file does not cover.
pub(crate) fn open_behind(folder: &Path) -> Outcome<()> {
    let Opened { repository, .. } = open(folder, Duration::ZERO)?;
    let from = DATA_BLOBS + 1_000_000 + u64::from(std::process::id()) * 5_000;
    generate::segments(&repository, &folder.join("repository"), BlobKind::Data, from..from + 5_000, 5_000)?;
    open_warm(folder)
}

pub(crate) fn lookups(folder: &Path) -> Outcome<()> {
    let Opened { repository, .. } = open(folder, Duration::ZERO)?;
    repository.load_index()?;
    let index = repository.index();
    let stored = |number: u64| generate::id(BlobKind::Data, number * 7_919 % DATA_BLOBS);
    let new = |number: u64| generate::id(BlobKind::Data, (1 << 40) + number);
    let show = |what: &str, began: Instant| {
        println!("    {what}: {:.0} a second", LOOKUPS as f64 / began.elapsed().as_secs_f64());
    };
    let began = Instant::now();
    for number in 0..LOOKUPS {
        index.find(stored(number))?.ok_or("a blob is missing")?;
    }
    show("finding what is stored", began);
    let began = Instant::now();
    for number in 0..LOOKUPS {
        if repository.claim(stored(number))? {
            return Err("a stored blob was claimed".into());
        }
    }
    show("claiming what is stored", began);
    let began = Instant::now();
    for number in 0..LOOKUPS {
        if !repository.claim(new(number))? {
            return Err("a new blob was not claimed".into());
        }
    }
    show("claiming what is new", began);
    Ok(())
}

pub(crate) fn view(folder: &Path) -> Outcome<()> {
    let Opened { repository, .. } = open(folder, Duration::ZERO)?;
    repository.load_index()?;
    let began = Instant::now();
    let view = repository.index().view()?;
    let mut seen = BlobKind::ALL.map(|kind| vec![0_u64; view.len(kind).div_ceil(64) as usize]);
    for kind in BlobKind::ALL {
        view.each(kind, |number, _, _| {
            seen[kind as usize][(number / 64) as usize] |= 1 << (number % 64);
            Ok(())
        })?;
    }
    let rows: u32 = seen.iter().flatten().map(|word| word.count_ones()).sum();
    println!("    {rows} rows, each with a bit of its own, in {:.2} s", began.elapsed().as_secs_f64());
    Ok(())
}

fn latest(repository: &Repository, set: &str) -> Outcome<SnapshotRecord> {
    let mut snapshots = repository.snapshots_of(set)?;
    Ok(snapshots.pop().ok_or("no snapshot")?.1)
}

fn list(folder: &Path) -> Outcome<()> {
    let began = Instant::now();
    let Opened { repository, counts } = open(folder, Duration::ZERO)?;
    let snapshot = latest(&repository, "mail")?;
    repository.load_index_for_reading()?;
    let view = SnapshotView::open(Arc::new(BlobReader::new(repository, FRAMES_BYTES)), &snapshot)?;
    let entry = view.find(&split_path("/mailbox/folder-000500")?)?;
    let mut items = 0;
    view.children(&entry, &mut |found| {
        items += u64::from(found.is_ok());
        Ok(ControlFlow::Continue(()))
    })?;
    tell(&counts, began.elapsed());
    println!("    {items} items");
    Ok(())
}

pub(crate) fn list_cold(folder: &Path) -> Outcome<()> {
    forget_cache(folder)?;
    list(folder)?;
    println!("    and again:");
    list(folder)
}

pub(crate) fn list_trees_cold(folder: &Path) -> Outcome<()> {
    open(folder, Duration::ZERO)?.repository.load_index()?;
    for entry in fs::read_dir(folder.join("cache"))? {
        let trees = entry?.path().join("trees");
        if trees.exists() {
            fs::remove_dir_all(trees)?;
        }
    }
    list(folder)
}

pub(crate) fn run_warm(folder: &Path) -> Outcome<()> {
    // The run before leaves the cache as a run leaves it.
    run(folder, Duration::ZERO)?;
    println!("    and now with 20 ms a request:");
    run(folder, DELAY)
}

pub(crate) fn run_cold(folder: &Path) -> Outcome<()> {
    forget_cache(folder)?;
    run(folder, DELAY)
}

pub(crate) fn restore(folder: &Path) -> Outcome<()> {
    restore_of(folder, "mail")
}

fn restore_of(folder: &Path, set: &str) -> Outcome<()> {
    let began = Instant::now();
    let Opened { repository, counts } = open(folder, Duration::ZERO)?;
    let snapshot = latest(&repository, set)?;
    repository.load_index_for_reading()?;
    let view = SnapshotView::open(Arc::new(BlobReader::new(repository, FRAMES_BYTES)), &snapshot)?;
    let to = tempfile::tempdir()?;
    let options = RestoreOptions { to: to.path().join("restored"), ..RestoreOptions::default() };
    let path = split_path("/mailbox/folder-000500")?;
    let report = restore::restore(&view, &path, &options, &Warnings, &Interrupt::new())?;
    tell(&counts, began.elapsed());
    println!("    {} files", report.files);
    Ok(())
}

pub(crate) fn check(folder: &Path) -> Outcome<()> {
    let began = Instant::now();
    let Opened { repository, counts } = open_with(folder, Duration::ZERO, false)?;
    let local = LocalState::open(&folder.join("state"), repository.id())?;
    let report =
        maintenance::check(&repository, &local, CheckOptions::default(), &Warnings, &Interrupt::new())?;
    tell(&counts, began.elapsed());
    println!("    {} blobs, {} items, {} problems", report.blobs, report.items, report.problems.len());
    Ok(())
}

pub(crate) fn prune(folder: &Path) -> Outcome<()> {
    prune_with(folder, true)
}

fn prune_with(folder: &Path, dry_run: bool) -> Outcome<()> {
    let began = Instant::now();
    let Opened { repository, counts } = open(folder, Duration::ZERO)?;
    let setup = PruneSetup {
        repository: &repository,
        machine: ObjectName::random()?,
        host: "bench",
        clock: &SystemClock::new(),
        events: &Warnings,
        interrupt: &Interrupt::new(),
    };
    let report = maintenance::prune(&setup, PruneOptions { dry_run, ..PruneOptions::default() })?;
    tell(&counts, began.elapsed());
    println!(
        "    {} packs, of which {} could go and {} went; {:.1} MB copied, {} segments replaced",
        report.packs,
        report.condemned_packs,
        report.deleted_packs,
        report.copied_bytes as f64 / 1e6,
        report.replaced_segments
    );
    Ok(())
}

/// Where the repository lies whose ten million blobs are all in use.
fn in_use(folder: &Path) -> PathBuf {
    folder.join("in-use")
}

/// Another mailbox of a million items, until there are ten: each is a set of its own.
pub(crate) fn fill_in_use(folder: &Path) -> Outcome<()> {
    let folder = &in_use(folder);
    if !folder.join("repository/config").exists() {
        fs::create_dir_all(folder)?;
        create(folder)?;
    }
    for mailbox in 0..MAILBOXES {
        let set = format!("mail-{mailbox}");
        let Opened { repository, .. } = open(folder, Duration::ZERO)?;
        if !repository.snapshots_of(&set)?.is_empty() {
            continue;
        }
        drop(repository);
        println!("    {set}:");
        run_set(folder, Duration::ZERO, &set, mailbox, CHANGED)?;
        println!("    highest memory so far {} MiB", crate::highest_memory_kib()? / 1024);
    }
    Ok(())
}

pub(crate) fn run_in_use(folder: &Path) -> Outcome<()> {
    run_set(&in_use(folder), Duration::ZERO, "mail-0", 0, CHANGED)
}

pub(crate) fn run_in_use_cold(folder: &Path) -> Outcome<()> {
    forget_cache(&in_use(folder))?;
    run_set(&in_use(folder), DELAY, "mail-0", 0, CHANGED)
}

pub(crate) fn restore_in_use(folder: &Path) -> Outcome<()> {
    restore_of(&in_use(folder), "mail-0")
}

pub(crate) fn check_in_use(folder: &Path) -> Outcome<()> {
    check(&in_use(folder))
}

pub(crate) fn prune_in_use(folder: &Path) -> Outcome<()> {
    prune(&in_use(folder))
}

/// Every fifth item of some mailboxes changes, and what they were before is forgotten.
pub(crate) fn forget_in_use(folder: &Path) -> Outcome<()> {
    let folder = &in_use(folder);
    for mailbox in 0..CHANGED_MAILBOXES {
        let set = format!("mail-{mailbox}");
        run_set(folder, Duration::ZERO, &set, mailbox, ITEMS / 5)?;
        let Opened { repository, .. } = open(folder, Duration::ZERO)?;
        let mut snapshots = repository.snapshots_of(&set)?;
        snapshots.pop();
        let removed = snapshots.iter().map(|(id, snapshot)| RemovedSnapshot {
            run: snapshot.run,
            id: *id,
            root: snapshot.root,
        });
        let record = RemovalRecord {
            set,
            removed: removed.collect(),
            removed_at: Time::from_seconds(1),
            host: "bench".to_owned(),
        };
        repository.put_record(layout::REMOVED, ObjectKind::Removal, ObjectName::random()?, &record)?;
        for (id, _) in snapshots {
            repository.remove(layout::SNAPSHOTS, id)?;
        }
    }
    Ok(())
}

pub(crate) fn prune_in_use_really(folder: &Path) -> Outcome<()> {
    prune_with(&in_use(folder), false)
}

pub(crate) fn small_segments(folder: &Path) -> Outcome<()> {
    create(folder)?;
    let Opened { repository, .. } = open(folder, Duration::ZERO)?;
    let at = folder.join("repository");
    generate::segments(&repository, &at, BlobKind::Data, 0..500_000, 500)?;
    println!("    opening, cold");
    open_warm(folder)?;
    println!("    opening, warm");
    open_warm(folder)
}
