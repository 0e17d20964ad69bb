//! What the plugin boundary costs, with a plugin loaded from a file.
//!
//! `cargo bench -p larder-bench --bench boundary` prints bytes and items per second, and fails if they are under the targets. The
//! same work without a boundary is measured beside it, and every figure is given for a second of the clock and for a second of a
//! processor, so that a slow or busy machine can be told from a slow boundary.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    env::consts::{DLL_PREFIX, DLL_SUFFIX},
    error::Error,
    fs,
    hint::black_box,
    sync::{Arc, mpsc::sync_channel},
    thread,
    time::{Duration, Instant},
};

use larder::{
    plugin::{Fetched, ReaderEvent, ReaderHandle, Registry, SourceHandle, Want},
    store::Store,
};
use larder_bench::read_every_byte;
use larder_sdk::{
    Bytes, ObjectKey,
    testing::{ReaderMemory, TestHost},
};
use rustix::time::{ClockId, clock_gettime};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const MEBIBYTE: usize = 1 << 20;
/// Bytes moved for a figure.
const BYTES: usize = 8 << 30;
/// Items moved for a figure.
const ITEMS: usize = 2_000_000;
/// The targets: bytes and items a second.
const BYTES_TARGET: f64 = 5e9;
const ITEMS_TARGET: f64 = 500_000.0;

fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let name = format!("{DLL_PREFIX}larder_bench{DLL_SUFFIX}");
    let path = folder.path().join(&name);
    fs::copy(std::env::current_exe()?.with_file_name(&name), &path)?;
    let mut registry = Registry::new();
    registry.add_path(&path, None)?;
    let plugin = registry.find("bench")?;
    let source = plugin.source("{}", Arc::new(TestHost::new()))?;
    let store = plugin.destination("{}", Arc::new(TestHost::new()))?;

    let bare = bare();
    show("bytes read without a boundary", bare, "GB/s", 1e9);
    let read = bytes_in(&source)?;
    show("1 MiB pieces, plugin to host, every byte read", read, "GB/s", 1e9);
    let put = bytes_out(&store)?;
    show("1 MiB buffers, host to plugin, every byte read", put, "GB/s", 1e9);
    show("items, one thread", items_one_thread(&source)?, "items/s", 1.0);
    let items = items_two_threads(&source)?;
    show("items, offers and contents on two threads", items, "items/s", 1.0);

    let met = read.wall >= BYTES_TARGET && put.wall >= BYTES_TARGET && items.wall >= ITEMS_TARGET;
    if met { Ok(()) } else { Err("under the target: 5 GB/s and 500,000 items/s".into()) }
}

/// An amount a second: of the clock, and of all processors together.
#[derive(Clone, Copy)]
struct Rate {
    wall: f64,
    processor: f64,
}

struct Watch(Instant, Duration);

impl Watch {
    fn start() -> Self {
        Self(Instant::now(), processor_time())
    }
    fn rate(&self, amount: usize) -> Rate {
        let per_second = |time: Duration| amount as f64 / time.as_secs_f64();
        Rate {
            wall: per_second(self.0.elapsed()),
            processor: per_second(processor_time().saturating_sub(self.1)),
        }
    }
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

fn show(what: &str, rate: Rate, unit: &str, scale: f64) {
    println!("{what:<50} {:>10.2} {unit}, {:>10.2} a processor", rate.wall / scale, rate.processor / scale);
}

/// Different buffers of 1 MiB, so that they come from memory.
fn buffers() -> Vec<Bytes> {
    (0..64_u8).map(|seed| vec![seed; MEBIBYTE].into()).collect()
}

fn bare() -> Rate {
    let buffers = buffers();
    let watch = Watch::start();
    for buffer in buffers.iter().cycle().take(BYTES / MEBIBYTE) {
        black_box(read_every_byte(buffer));
    }
    watch.rate(BYTES)
}

fn reader(source: &SourceHandle, name: &str) -> Outcome<ReaderHandle> {
    let found = source.discover()?;
    let container = found.containers.iter().find(|container| container.title == name);
    Ok(source.read(container.ok_or("no such container")?, Arc::new(ReaderMemory::new()))?)
}

fn bytes_in(source: &SourceHandle) -> Outcome<Rate> {
    let reader = reader(source, "bytes")?;
    reader.next()?;
    reader.answer(&[true])?;
    let fetched = reader.fetch(&[Want { offer: 0, stream: 0 }])?.pop().ok_or("nothing was fetched")??;
    let Fetched::Open { mut rest, .. } = fetched else {
        return Err("an endless body came whole".into());
    };
    let watch = Watch::start();
    for _ in 0..BYTES / MEBIBYTE {
        let piece = rest.read()?.ok_or("an endless body ended")?;
        assert_eq!(piece.len(), MEBIBYTE);
        black_box(read_every_byte(&piece));
    }
    Ok(watch.rate(BYTES))
}

fn bytes_out(store: &dyn Store) -> Outcome<Rate> {
    let key = ObjectKey::new("object")?;
    let buffers = buffers();
    let watch = Watch::start();
    for buffer in buffers.iter().cycle().take(BYTES / MEBIBYTE) {
        store.put(&key, buffer.clone())?;
    }
    Ok(watch.rate(BYTES))
}

fn offered(batch: &[ReaderEvent]) -> Vec<u64> {
    let number = |event: &ReaderEvent| match event {
        ReaderEvent::Offer { number, .. } => Some(*number),
        ReaderEvent::Other(_) => None,
    };
    batch.iter().filter_map(number).collect()
}

/// Fetches the contents of offers, reads them, and lets go.
fn send(reader: &ReaderHandle, offers: &[u64]) -> Outcome<()> {
    let wants: Vec<_> = offers.iter().map(|offer| Want { offer: *offer, stream: 0 }).collect();
    for fetched in reader.fetch(&wants)? {
        let Fetched::Whole(content) = fetched? else {
            return Err("a small content did not come whole".into());
        };
        black_box(read_every_byte(&content));
    }
    Ok(reader.finish(offers)?)
}

fn items_one_thread(source: &SourceHandle) -> Outcome<Rate> {
    let reader = reader(source, "items")?;
    let watch = Watch::start();
    let mut sent = 0;
    while sent < ITEMS {
        let offers = offered(&reader.next()?);
        reader.answer(&vec![true; offers.len()])?;
        send(&reader, &offers)?;
        sent += offers.len();
    }
    Ok(watch.rate(sent))
}

fn items_two_threads(source: &SourceHandle) -> Outcome<Rate> {
    let reader = reader(source, "items")?;
    let watch = Watch::start();
    let sent = thread::scope(|scope| -> Outcome<usize> {
        let (batches, queue) = sync_channel::<Vec<u64>>(2);
        let sender = scope.spawn(|| queue.into_iter().try_for_each(|offers| send(&reader, &offers)));
        let mut sent = 0;
        while sent < ITEMS {
            let offers = offered(&reader.next()?);
            reader.answer(&vec![true; offers.len()])?;
            sent += offers.len();
            batches.send(offers)?;
        }
        drop(batches);
        sender.join().map_err(|_| "the sending thread panicked")??;
        Ok(sent)
    })?;
    Ok(watch.rate(sent))
}
