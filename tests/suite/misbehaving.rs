//! Every rule that a plugin breaks is answered with an error that names it, and the next call on another plugin works.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use larder::{
    plugin::{CallLimits, Fetched, LoadedPlugin, ReaderEvent, ReaderHandle, Registry, Want},
    store::Store,
};
use larder_sdk::{Error, ErrorKind, ObjectKey, Result, testing::ReaderMemory};
use serde_json::json;

use crate::support::plugins::{Installed, find, host};

/// Long for what works, short for what stalls.
const LIMIT: Duration = Duration::from_secs(2);
/// More batches than any well-behaved mode has.
const BATCHES_MAX: usize = 100;

fn load() -> (Installed, Registry) {
    let installed = Installed::new("larder_misbehaving", "");
    let registry = installed.load(CallLimits::all(LIMIT));
    (installed, registry)
}

fn options(mode: &str) -> String {
    json!({ "mode": mode }).to_string()
}

fn open(plugin: &LoadedPlugin, mode: &str) -> Result<ReaderHandle> {
    let source = plugin.source(&options(mode), host())?;
    source.validate()?;
    let found = source.discover()?;
    source.read(&found.containers[0], Arc::new(ReaderMemory::new()))
}

/// Everything an engine does with a source, up to the first error.
fn read_all(plugin: &LoadedPlugin, mode: &str) -> Result<u64> {
    let reader = open(plugin, mode)?;
    let mut bytes = 0;
    for _ in 0..BATCHES_MAX {
        let batch = reader.next()?;
        if batch.is_empty() {
            return Ok(bytes);
        }
        let offers = offers(&batch);
        reader.answer(&vec![true; offers.len()])?;
        for fetched in reader.fetch(&wants(&offers))? {
            bytes += length(fetched?)?;
        }
        reader.finish(&offers)?;
    }
    Err(Error::bug("endless"))
}

fn offers(batch: &[ReaderEvent]) -> Vec<u64> {
    let number = |event: &ReaderEvent| match event {
        ReaderEvent::Offer { number, .. } => Some(*number),
        ReaderEvent::Other(_) => None,
    };
    batch.iter().filter_map(number).collect()
}

fn wants(offers: &[u64]) -> Vec<Want> {
    offers.iter().map(|offer| Want { offer: *offer, stream: 0 }).collect()
}

fn length(fetched: Fetched) -> Result<u64> {
    match fetched {
        Fetched::Whole(bytes) => Ok(bytes.len() as u64),
        Fetched::Open { first, mut rest } => {
            let mut bytes = first.len() as u64;
            while let Some(piece) = rest.read()? {
                bytes += piece.len() as u64;
            }
            Ok(bytes)
        }
    }
}

/// An error with its causes, as a report shows it.
fn text(error: &Error) -> String {
    let first = std::error::Error::source(error);
    let causes = std::iter::successors(first, |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Another plugin works as if nothing had been.
fn others_work(registry: &Registry) {
    let source = find(registry, "files").source(&json!({ "paths": ["/dev"] }).to_string(), host()).unwrap();
    source.discover().unwrap();
}

#[test]
fn a_good_source_is_read_to_its_end() {
    let (_installed, registry) = load();
    let bytes = read_all(find(&registry, "misbehaving"), "good").unwrap();
    assert_eq!(bytes, (0..50).sum::<u64>() * 100 + (3 << 20));
}

#[test]
fn broken_rules_of_a_source_are_errors_that_name_the_plugin() {
    let (_installed, registry) = load();
    let plugin = find(&registry, "misbehaving");
    for (mode, words) in [
        ("no-such-mode", "which rule is to be broken"),
        ("panic-open", "panicked: as told"),
        ("panic-validate", "panicked: as told"),
        ("panic-discover", "panicked: as told"),
        ("panic-read", "panicked: as told"),
        ("panic-next", "panicked: as told"),
        ("panic-fetch", "panicked: as told"),
        ("panic-body", "panicked: as told"),
        ("stall-next", "next did not return within 2s"),
        ("stall-body", "reading a body did not return within 2s"),
        ("oversize-item", "at most 1048576 are allowed"),
        ("long-id", "4097 bytes where at most 4096 are allowed"),
        ("empty-id", "an empty id"),
        ("dot-name", "\"..\" is no name"),
        ("slash-name", "\"../../etc/passwd\" is no name"),
        ("zero-name", "is no name"),
        ("twin-streams", "two streams are called \"content\""),
        ("many-streams", "4097 streams"),
        ("many-events", "a batch of 4097 events"),
        ("twin-containers", "is listed twice"),
        ("deep-value", "nested too deeply"),
        ("empty-piece", "a piece of 0 bytes"),
        ("oversize-piece", "a piece of 1048577 bytes"),
        ("garbage-answer", "answer to next: "),
        ("empty-answer", "too few for an envelope"),
        ("wrong-kind", "where a batch was expected"),
        ("cut-answer", "answer to next: an envelope announces"),
        ("huge-count", "a batch of 9223372036854775808 events"),
        ("extra-payload", "answer to fetch: 4 bytes too many"),
        ("missing-payload", "bytes announced"),
        ("false-handle", "is not open"),
    ] {
        let error = read_all(plugin, mode).expect_err(mode);
        let text = text(&error);
        assert!(text.contains("plugin `misbehaving`"), "{mode}: the plugin is not named: {text}");
        assert!(text.contains(words), "{mode}: {text}");
        others_work(&registry);
    }
    read_all(plugin, "good").expect("the same plugin still works");
}

#[test]
fn a_panic_while_closing_or_cancelling_harms_nobody() {
    let (_installed, registry) = load();
    let plugin = find(&registry, "misbehaving");
    read_all(plugin, "panic-close").unwrap();
    let reader = open(plugin, "panic-cancel").unwrap();
    reader.cancel();
    assert_eq!(reader.next().unwrap_err().kind(), ErrorKind::Cancelled);
    drop(reader);
    others_work(&registry);
    read_all(plugin, "good").unwrap();
}

#[test]
fn an_endless_body_is_read_until_cancelled() {
    let (_installed, registry) = load();
    let reader = open(find(&registry, "misbehaving"), "endless-body").unwrap();
    let offers = offers(&reader.next().unwrap());
    reader.answer(&vec![true; offers.len()]).unwrap();
    let fetched = reader.fetch(&wants(&offers[..1])).unwrap().pop().unwrap().unwrap();
    let Fetched::Open { mut rest, .. } = fetched else {
        panic!("an endless body came whole");
    };
    for _ in 0..100 {
        assert!(rest.read().unwrap().is_some());
    }
    reader.cancel();
    assert_eq!(rest.read().unwrap_err().kind(), ErrorKind::Cancelled);
    others_work(&registry);
}

#[test]
fn cancelling_ends_a_pending_call() {
    // Long limits: it is the cancelling that ends the call.
    let installed = Installed::new("larder_misbehaving", "");
    let registry = installed.load(CallLimits::default());
    for (mode, soon) in [("stall-next", Duration::from_secs(1)), ("block-next", Duration::from_secs(6))] {
        let reader = open(find(&registry, "misbehaving"), mode).unwrap();
        thread::scope(|scope| {
            let pending = scope.spawn(|| reader.next());
            thread::sleep(Duration::from_millis(300));
            let cancelled = Instant::now();
            reader.cancel();
            let error = pending.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "{mode}: {error}");
            assert!(cancelled.elapsed() < soon, "{mode}: {:?}", cancelled.elapsed());
        });
    }
    others_work(&registry);
}

#[test]
fn cancelling_a_source_cancels_its_readers() {
    let installed = Installed::new("larder_misbehaving", "");
    let registry = installed.load(CallLimits::default());
    let source = find(&registry, "misbehaving").source(&options("stall-next"), host()).unwrap();
    let container = &source.discover().unwrap().containers[0];
    let reader = source.read(container, Arc::new(ReaderMemory::new())).unwrap();
    thread::scope(|scope| {
        let pending = scope.spawn(|| reader.next());
        thread::sleep(Duration::from_millis(300));
        source.cancel();
        assert_eq!(pending.join().unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
    });
    assert_eq!(source.validate().unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn a_plugin_that_keeps_eight_threads_is_not_called_any_more() {
    let installed = Installed::new("larder_misbehaving", "");
    let registry = installed.load(CallLimits::all(Duration::from_millis(200)));
    let plugin = find(&registry, "misbehaving");
    for _ in 0..8 {
        let error = read_all(plugin, "block-next").unwrap_err();
        assert!(error.message().contains("did not return"), "{error}");
    }
    let error = read_all(plugin, "good").unwrap_err();
    assert!(error.message().contains("plugin `misbehaving`"), "{error}");
    assert!(error.message().contains("not called any more"), "{error}");
    others_work(&registry);
}

#[test]
fn a_cancel_and_a_close_that_stall_are_left_behind() {
    let installed = Installed::new("larder_misbehaving", "");
    let registry = installed.load(CallLimits::all(Duration::from_millis(200)));
    let plugin = find(&registry, "misbehaving");
    for mode in ["block-cancel", "block-close"] {
        let begun = Instant::now();
        let reader = open(plugin, mode).unwrap();
        reader.cancel();
        drop(reader);
        assert!(begun.elapsed() < Duration::from_secs(3), "{mode}: {:?}", begun.elapsed());
    }
    others_work(&registry);
}

#[test]
fn broken_rules_of_a_destination_are_errors_that_name_the_plugin() {
    let (_installed, registry) = load();
    let plugin = find(&registry, "misbehaving");
    let key = ObjectKey::new("a/b").unwrap();
    for (mode, words) in [
        ("panic-capabilities", "panicked: as told"),
        ("panic-put", "panicked: as told"),
        ("short-range", "4 bytes for a range of 8"),
        ("outside-list", "in the listing of folder"),
        ("endless-list", "a listing that does not end"),
        ("garbage-answer", "answer to list: "),
    ] {
        let use_it = || -> Result<()> {
            let store = plugin.destination(&options(mode), host())?;
            store.put(&key, vec![7; 16].into())?;
            store.get_range(&key, 4..12)?;
            store.list_all("a").map(drop)
        };
        let error = use_it().expect_err(mode);
        let text = text(&error);
        assert!(text.contains("plugin `misbehaving`") && text.contains(words), "{mode}: {text}");
        others_work(&registry);
    }
}
