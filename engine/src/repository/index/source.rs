//! Index segments as they lie in the store: listed, fetched, opened.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use bytes::Bytes;
use larder_sdk::{ErrorKind, Time, codec};

use crate::{
    cache::Cache,
    crypto::Keys,
    error::{EngineError, EngineErrorKind, Result},
    hash::{ObjectName, RepositoryId},
    index::{BlobKind, IndexEntry, SegmentDirectory, decode_page},
    pack::{LargeReader, Tail},
    process::Interrupt,
    repository::layout,
    store::Store,
};

/// Segments fetched at once; of those over [`LARGE_BYTES`] one at a time.
const FETCHERS_MAX: usize = 8;
/// A segment larger than this is fetched alone, in bytes.
const LARGE_BYTES: u64 = 16 << 20;
/// Pages that wait to be taken.
const PAGES_WAITING: usize = 16;
/// How long a request to stop goes unnoticed while a segment is on its way.
const STOP_TICK: Duration = Duration::from_millis(50);
/// Largest segment kept there, in bytes.
const MIRRORED_BYTES_MAX: u64 = 8 << 20;

/// A segment in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: ObjectName,
    /// Its size in bytes.
    pub(super) bytes: u64,
    /// When it was written, by the store's clock.
    pub(super) modified: Option<Time>,
}

/// What copies of segments in the cache are good for.
#[derive(Clone, Copy)]
pub(super) enum Copies<'run> {
    /// The store is read, whatever is in the cache.
    Ignored,
    /// Those that are there are used.
    Used(Option<&'run Cache>),
    /// They are used, and others made.
    Kept(Option<&'run Cache>),
}

/// Reads segments.
pub(super) struct Segments {
    pub(super) store: Arc<dyn Store>,
    keys: Arc<Keys>,
    repository: RepositoryId,
    /// Tells when to stop reading.
    pub(super) interrupt: Interrupt,
}

/// What comes of reading segments, by their place; of one segment in the order of its pages.
pub(super) enum Piece {
    /// A page.
    Page(usize, Vec<IndexEntry>),
    /// All pages were said. The segments that it stands for.
    Done(usize, Vec<ObjectName>),
    /// It does not read; the pages said before it are good.
    Damaged(usize, EngineError),
    /// It went since it was listed, and no page of it was said: what a prune has put in its place is in another listing.
    Gone(usize, EngineError),
}

impl Segments {
    pub(super) fn new(store: Arc<dyn Store>, keys: Arc<Keys>, repository: RepositoryId) -> Self {
        Self { store, keys, repository, interrupt: Interrupt::new() }
    }

    /// Every segment there is, in no order.
    pub(super) fn list(&self, kind: BlobKind) -> Result<Vec<Segment>> {
        let listed = self.store.list_all(layout::index_folder(kind)).map_err(EngineError::store)?;
        Ok(listed
            .iter()
            .filter_map(|(key, info)| {
                Some(Segment { name: layout::name_of(key)?, bytes: info.size, modified: info.modified })
            })
            .collect())
    }

    /// Opens a segment by its first bytes.
    pub(super) fn open(&self, kind: BlobKind, name: ObjectName, header: &[u8]) -> Result<LargeReader> {
        LargeReader::open(&self.keys, self.repository, layout::index_kind(kind), name, header)
            .map_err(|error| damaged(kind, name, error.into()))
    }

    /// A segment's bytes from the store. A request to stop does not wait for them: the thread that fetches them is then left behind, and ends
    /// with its call.
    fn fetch(&self, kind: BlobKind, name: ObjectName) -> Result<Bytes> {
        let key = layout::in_folder(layout::index_folder(kind), name)?;
        let store = Arc::clone(&self.store);
        let (sender, receiver) = sync_channel(1);
        std::thread::Builder::new().spawn(move || drop(sender.send(store.get(&key)))).map_err(|error| {
            EngineError::failed("starting a thread that reads the index").with_source(error)
        })?;
        loop {
            self.interrupt.check()?;
            match receiver.recv_timeout(STOP_TICK) {
                Ok(fetched) => return fetched.map_err(|error| unreadable(kind, name, error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(EngineError::failed("a thread that reads the index panicked"));
                }
            }
        }
    }

    /// A range of a segment from the store.
    pub(super) fn fetch_range(&self, kind: BlobKind, name: ObjectName, range: Range<u64>) -> Result<Bytes> {
        let key = layout::in_folder(layout::index_folder(kind), name)?;
        self.store.get_range(&key, range).map_err(|error| unreadable(kind, name, error))
    }

    /// Shows a segment's pages in order, from a copy in the cache if that is sound.
    fn read(
        &self,
        kind: BlobKind,
        segment: Segment,
        copies: Copies<'_>,
        show: &mut dyn FnMut(Vec<IndexEntry>),
    ) -> Result<Vec<ObjectName>> {
        let cache = match copies {
            Copies::Ignored => None,
            Copies::Used(cache) | Copies::Kept(cache) => cache,
        };
        let name = mirror(kind, segment.name);
        if let Some(copy) = cache.and_then(|cache| cache.read(&name, MIRRORED_BYTES_MAX)) {
            // Nothing of a copy is shown before all of it was seen to be sound.
            let mut pages = Vec::new();
            let decoded = self.decode(kind, segment.name, &copy, &mut |page| pages.push(page));
            if let Ok(replaces) = decoded {
                pages.into_iter().for_each(show);
                return Ok(replaces);
            }
        }
        let bytes = self.fetch(kind, segment.name)?;
        if let Copies::Kept(Some(cache)) = copies {
            keep(cache, kind, segment.name, &bytes);
        }
        self.decode(kind, segment.name, &bytes, show)
    }

    /// Shows the pages of a segment until one does not read; returns the segments that it stands for.
    fn decode(
        &self,
        kind: BlobKind,
        name: ObjectName,
        bytes: &[u8],
        show: &mut dyn FnMut(Vec<IndexEntry>),
    ) -> Result<Vec<ObjectName>> {
        let in_segment = |error: larder_sdk::Error| damaged(kind, name, error.into());
        let cut = || damaged(kind, name, EngineError::damaged("it is cut short"));
        let reader = self.open(kind, name, bytes)?;
        let Tail::Directory(directory, frames) =
            reader.tail(bytes, bytes.len() as u64).map_err(in_segment)?
        else {
            return Err(cut());
        };
        let directory: SegmentDirectory = codec::decode(&directory).map_err(in_segment)?;
        if directory.pages.len() != frames as usize {
            return Err(damaged(kind, name, EngineError::damaged("its directory and trailer disagree")));
        }
        for (number, page) in directory.pages.iter().enumerate() {
            let range = page.offset as usize..page.offset as usize + page.sealed_bytes as usize;
            let mut sealed = bytes.get(range).ok_or_else(cut)?.to_vec();
            let frame = reader.frame(number as u32, &mut sealed).map_err(in_segment)?;
            show(decode_page(frame).map_err(in_segment)?);
        }
        Ok(directory.replaces)
    }

    /// Reads segments, several at once, and shows what comes of it.
    pub(super) fn read_all<E: From<EngineError>>(
        &self,
        kind: BlobKind,
        segments: &[Segment],
        copies: Copies<'_>,
        mut take: impl FnMut(Piece) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let large = segments.iter().any(|segment| segment.bytes > LARGE_BYTES);
        let at_once = if large { 1 } else { self.concurrency().min(segments.len()) };
        if at_once <= 1 {
            return self.read_in_turn(kind, segments, copies, take);
        }
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(PAGES_WAITING);
            for _ in 0..at_once {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || self.read_some(kind, segments, copies, next, &sender));
            }
            drop(sender);
            // Dropped on the first error, so that the threads stop at their next page.
            let receiver: Receiver<Result<Piece>> = receiver;
            for piece in receiver {
                self.interrupt.check()?;
                take(piece?)?;
            }
            Ok(())
        })
    }

    /// Without threads, for a store that does one thing at a time, and for large segments: a page is in memory at once.
    fn read_in_turn<E: From<EngineError>>(
        &self,
        kind: BlobKind,
        segments: &[Segment],
        copies: Copies<'_>,
        mut take: impl FnMut(Piece) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for (place, segment) in segments.iter().enumerate() {
            self.interrupt.check()?;
            let mut taken = Ok(());
            let read = self.read(kind, *segment, copies, &mut |page| {
                if taken.is_ok() {
                    taken = take(Piece::Page(place, page));
                }
            });
            taken?;
            take(match read {
                Ok(replaces) => Piece::Done(place, replaces),
                Err(error) => unread(place, error)?,
            })?;
        }
        Ok(())
    }

    /// Calls at once that make sense.
    pub(super) fn concurrency(&self) -> usize {
        (self.store.capabilities().concurrency as usize).clamp(1, FETCHERS_MAX)
    }

    fn read_some(
        &self,
        kind: BlobKind,
        segments: &[Segment],
        copies: Copies<'_>,
        next: &AtomicUsize,
        sender: &SyncSender<Result<Piece>>,
    ) {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(segment) = segments.get(place) else { return };
            let mut listening = true;
            let read = self.read(kind, *segment, copies, &mut |page| {
                listening = listening && sender.send(Ok(Piece::Page(place, page))).is_ok();
            });
            let told = match read {
                Ok(replaces) => sender.send(Ok(Piece::Done(place, replaces))),
                Err(error) => sender.send(unread(place, error)),
            };
            if !listening || told.is_err() {
                return;
            }
        }
    }
}

/// Keeps a copy of a segment that the tables do not cover yet.
pub(super) fn keep(cache: &Cache, kind: BlobKind, name: ObjectName, bytes: &[u8]) {
    if bytes.len() as u64 <= MIRRORED_BYTES_MAX {
        cache.write(&mirror(kind, name), bytes);
    }
}

/// Removes every copy of segments of a kind that are not wanted.
pub(super) fn forget_others(cache: &Cache, kind: BlobKind, wanted: impl Fn(&ObjectName) -> bool) {
    cache.retain(mirrors(kind), |name| ObjectName::parse(name).is_some_and(|name| wanted(&name)));
}

/// The cache's folder of segments that its tables do not cover.
fn mirrors(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Data => "segments/data",
        BlobKind::Tree => "segments/trees",
    }
}

fn mirror(kind: BlobKind, name: ObjectName) -> String {
    format!("{}/{name}", mirrors(kind))
}

/// What is wrong with a segment.
pub(super) fn damaged(kind: BlobKind, name: ObjectName, error: EngineError) -> EngineError {
    error
        .context(format_args!("index segment `{}/{name}`", layout::index_folder(kind)))
        .with_hint("run `larder check` to see what is damaged")
}

/// What comes of a segment that does not read.
fn unread(place: usize, error: EngineError) -> Result<Piece> {
    match error.kind() {
        EngineErrorKind::Damaged => Ok(Piece::Damaged(place, error)),
        EngineErrorKind::Busy => Ok(Piece::Gone(place, error)),
        _ => Err(error),
    }
}

fn unreadable(kind: BlobKind, name: ObjectName, error: larder_sdk::Error) -> EngineError {
    match error.kind() {
        // Only prune takes segments away, and puts another in their place first.
        ErrorKind::NotFound => {
            let went =
                EngineError::new(EngineErrorKind::Busy, "it went while it was to be read").with_source(error);
            damaged(kind, name, went).with_hint("a prune is merging segments; try again when it has ended")
        }
        _ => damaged(kind, name, EngineError::store(error)),
    }
}
