//! Segments that a reader looks into without having them: of small ones the whole, of large ones the directory and the pages it needs.
//! What was fetched is kept in the cache.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use larder_sdk::codec;

use super::{
    Limits,
    source::{Copies, Piece, Segment, Segments, damaged},
};
use crate::{
    cache::Cache,
    crypto::HEADER_BYTES,
    error::{EngineError, EngineErrorKind, Result},
    hash::{ObjectName, ShortId},
    index::{BlobKind, Delta, IndexEntry, Location, SegmentDirectory, decode_page},
    pack::{LargeReader, Tail},
};

/// Small segments are fetched in groups of up to this many bytes and this many segments, the newest first.
const GROUP: (u64, usize) = (1 << 20, 64);
/// Bytes at a segment's end that are fetched first: the directory of 300,000 entries and more fits.
const TAIL_BYTES: u64 = 12 << 10;
/// Most bytes of a sealed directory or page.
const PART_BYTES_MAX: u64 = 16 << 20;
/// Opened pages kept in memory.
const PAGES_MAX: usize = 256;
/// A request costs as much as this many bytes.
const REQUEST_COST_BYTES: u64 = 64 << 10;
/// Large segments looked into at once.
const AT_ONCE: usize = 4;

/// Segments of a kind that are not here.
pub(super) struct Remote {
    kind: BlobKind,
    /// Groups of small ones that were not fetched yet, the newest last.
    small: Mutex<Vec<Vec<Segment>>>,
    /// What was in those that were.
    fetched: Mutex<Delta>,
    large: Vec<Large>,
    pages: Mutex<Pages>,
    /// What was fetched so far, in bytes, requests included.
    spent: AtomicU64,
    total: u64,
    /// What is wrong with damaged segments that were met.
    broken: Mutex<Vec<String>>,
}

struct Large {
    segment: Segment,
    /// Opened when first needed; a damaged one is passed over.
    opened: Mutex<Option<std::result::Result<Arc<Opened>, ()>>>,
}

struct Opened {
    reader: LargeReader,
    directory: SegmentDirectory,
}

#[derive(Default)]
struct Pages {
    pages: HashMap<(ObjectName, usize), Arc<Vec<IndexEntry>>>,
    order: VecDeque<(ObjectName, usize)>,
}

impl Remote {
    pub(super) fn new(kind: BlobKind, mut segments: Vec<Segment>, limits: &Limits) -> Self {
        segments.sort_by_key(|segment| (segment.modified, segment.name));
        let total = segments.iter().map(|segment| segment.bytes).sum();
        let (small, large): (Vec<_>, Vec<_>) =
            segments.into_iter().partition(|segment| segment.bytes <= limits.small_segment_bytes);
        let mut groups: Vec<Vec<Segment>> = Vec::new();
        let mut bytes = 0;
        for segment in small {
            bytes += segment.bytes;
            match groups.last_mut() {
                Some(group) if bytes <= GROUP.0 && group.len() < GROUP.1 => group.push(segment),
                _ => {
                    groups.push(vec![segment]);
                    bytes = segment.bytes;
                }
            }
        }
        let large =
            large.into_iter().rev().map(|segment| Large { segment, opened: Mutex::new(None) }).collect();
        Self {
            kind,
            small: Mutex::new(groups),
            fetched: Mutex::default(),
            large,
            pages: Mutex::default(),
            spent: AtomicU64::new(0),
            total,
            broken: Mutex::default(),
        }
    }

    /// True once fetching everything would not have cost more.
    pub(super) fn is_dear(&self) -> bool {
        self.spent.load(Ordering::Relaxed) > self.total + REQUEST_COST_BYTES
    }

    /// What is wrong with a segment that was met, if any is.
    pub(super) fn broken(&self) -> Option<String> {
        lock(&self.broken).first().cloned()
    }

    /// Where a blob lies, by the first segments that know it. Damaged segments are passed over.
    pub(super) fn find(
        &self,
        segments: &Segments,
        cache: Option<&Cache>,
        id: &ShortId,
    ) -> Result<Vec<Location>> {
        let mut found = self.find_fetched(id);
        // The newest are the likeliest to know what the newest snapshot needs.
        if found.is_empty() && lock(&self.fetched).is_empty() {
            self.fetch_group(segments, cache)?;
            found = self.find_fetched(id);
        }
        for some in self.large.chunks(AT_ONCE) {
            if found.is_empty() {
                found = self.find_in_large(segments, cache, some, id)?;
            }
        }
        while found.is_empty() && self.fetch_group(segments, cache)? {
            found = self.find_fetched(id);
        }
        Ok(found)
    }

    fn find_fetched(&self, id: &ShortId) -> Vec<Location> {
        let fetched = lock(&self.fetched);
        let mut found = Vec::new();
        let none: Option<()> = fetched.find(id, |row| {
            found.extend(fetched.packs().pack(row.pack).map(|pack| row.location(self.kind, pack)));
            None
        });
        debug_assert!(none.is_none());
        found
    }

    /// Fetches the next group of small segments; false if there is none left.
    fn fetch_group(&self, segments: &Segments, cache: Option<&Cache>) -> Result<bool> {
        // Held meanwhile: whoever else needs the group waits for it.
        let mut small = lock(&self.small);
        let Some(group) = small.last() else { return Ok(false) };
        let mut fetched = lock(&self.fetched);
        let mut gone = None;
        segments.read_all(self.kind, group, Copies::Kept(cache), |piece| -> Result<()> {
            match piece {
                Piece::Page(place, page) => fetched.add(group[place].name, &page),
                Piece::Done(..) => {}
                Piece::Damaged(_, error) => lock(&self.broken).push(error.full_message()),
                Piece::Gone(_, error) => gone = Some(error),
            }
            Ok(())
        })?;
        if let Some(gone) = gone {
            return Err(gone);
        }
        for segment in group {
            self.spend(segment.bytes);
        }
        small.pop();
        Ok(true)
    }

    fn find_in_large(
        &self,
        segments: &Segments,
        cache: Option<&Cache>,
        large: &[Large],
        id: &ShortId,
    ) -> Result<Vec<Location>> {
        let look = |one: &Large| match self.look(segments, cache, one, id) {
            Err(error) if error.kind() == EngineErrorKind::Damaged => {
                lock(&self.broken).push(error.full_message());
                Ok(Vec::new())
            }
            other => other,
        };
        if let [one] = large {
            return look(one);
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> = large.iter().map(|one| scope.spawn(move || look(one))).collect();
            let mut found = Vec::new();
            for thread in threads {
                let panicked = || EngineError::failed("a thread that reads the index panicked");
                found.extend(thread.join().map_err(|_| panicked())??);
            }
            Ok(found)
        })
    }

    fn look(
        &self,
        segments: &Segments,
        cache: Option<&Cache>,
        large: &Large,
        id: &ShortId,
    ) -> Result<Vec<Location>> {
        let Some(opened) = self.open(segments, cache, large)? else { return Ok(Vec::new()) };
        let pages = &opened.directory.pages;
        let Some(number) = pages.partition_point(|page| page.first <= *id).checked_sub(1) else {
            return Ok(Vec::new());
        };
        let page = self.page(segments, cache, &opened, large.segment.name, number)?;
        let from = page.partition_point(|entry| entry.id < *id);
        let same = page[from..].iter().take_while(|entry| entry.id == *id);
        Ok(same
            .map(|entry| Location {
                kind: self.kind,
                pack: entry.pack,
                frame: entry.frame,
                offset: entry.offset,
                bytes: entry.bytes,
            })
            .collect())
    }

    /// A segment's reader and directory; `None` if it is damaged.
    fn open(&self, segments: &Segments, cache: Option<&Cache>, large: &Large) -> Result<Option<Arc<Opened>>> {
        let mut opened = lock(&large.opened);
        match &*opened {
            Some(Ok(opened)) => return Ok(Some(Arc::clone(opened))),
            Some(Err(())) => return Ok(None),
            None => {}
        }
        let segment = large.segment;
        let file = format!("{}/{}.directory", folder(self.kind), segment.name);
        let copy = cache.and_then(|cache| cache.read(&file, PART_BYTES_MAX));
        let read = match copy.map(|copy| self.open_ends(segments, segment, &copy)) {
            Some(Ok(Some(read))) => Ok(read),
            _ => self.fetch_ends(segments, segment).map(|(ends, read)| {
                if let Some(cache) = cache {
                    cache.write(&file, &ends);
                }
                read
            }),
        };
        match read {
            Ok(read) => {
                let read = Arc::new(read);
                *opened = Some(Ok(Arc::clone(&read)));
                Ok(Some(read))
            }
            Err(error) if error.kind() == EngineErrorKind::Damaged => {
                *opened = Some(Err(()));
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Header and directory from the store.
    fn fetch_ends(&self, segments: &Segments, segment: Segment) -> Result<(Vec<u8>, Opened)> {
        let mut tail_bytes = TAIL_BYTES.min(segment.bytes);
        let header = self.fetch(segments, segment, 0, HEADER_BYTES as u64)?;
        // A second time if the directory is longer than was guessed.
        for _ in 0..2 {
            let tail = self.fetch(segments, segment, segment.bytes - tail_bytes, tail_bytes)?;
            let ends = [&header[..], &tail[..]].concat();
            if let Some(opened) = self.open_ends(segments, segment, &ends)? {
                return Ok((ends, opened));
            }
            let reader = segments.open(self.kind, segment.name, &header)?;
            if let Tail::Needs(bytes) =
                reader.tail(&tail, segment.bytes).map_err(|error| self.damaged(segment.name, error))?
            {
                tail_bytes = bytes.min(segment.bytes).min(PART_BYTES_MAX);
            }
        }
        Err(damaged(self.kind, segment.name, EngineError::damaged("its directory is larger than it may be")))
    }

    /// Reads header and directory; `None` if the directory is longer than what is given.
    fn open_ends(&self, segments: &Segments, segment: Segment, ends: &[u8]) -> Result<Option<Opened>> {
        let cut = || damaged(self.kind, segment.name, EngineError::damaged("it is cut short"));
        let (header, tail) = ends.split_at_checked(HEADER_BYTES).ok_or_else(cut)?;
        let reader = segments.open(self.kind, segment.name, header)?;
        let in_segment = |error| self.damaged(segment.name, error);
        match reader.tail(tail, segment.bytes).map_err(in_segment)? {
            Tail::Needs(_) => Ok(None),
            Tail::Directory(directory, _) => {
                let directory = codec::decode(&directory).map_err(in_segment)?;
                Ok(Some(Opened { reader, directory }))
            }
        }
    }

    fn page(
        &self,
        segments: &Segments,
        cache: Option<&Cache>,
        opened: &Opened,
        name: ObjectName,
        number: usize,
    ) -> Result<Arc<Vec<IndexEntry>>> {
        if let Some(page) = lock(&self.pages).pages.get(&(name, number)) {
            return Ok(Arc::clone(page));
        }
        let Some(place) = opened.directory.pages.get(number) else { return Ok(Arc::default()) };
        let file = format!("{}/{name}.{number}", folder(self.kind));
        let decode = |mut sealed: Vec<u8>| {
            let frame = opened.reader.frame(number as u32, &mut sealed)?;
            decode_page(frame)
        };
        let copy = cache.and_then(|cache| cache.read(&file, PART_BYTES_MAX)).map(decode);
        let page = match copy {
            Some(Ok(page)) => page,
            _ => {
                let segment = Segment { name, bytes: 0, modified: None };
                let sealed =
                    self.fetch(segments, segment, u64::from(place.offset), u64::from(place.sealed_bytes))?;
                let page = decode(sealed.clone()).map_err(|error| self.damaged(name, error))?;
                if let Some(cache) = cache {
                    cache.write(&file, &sealed);
                }
                page
            }
        };
        let page = Arc::new(page);
        lock(&self.pages).keep((name, number), Arc::clone(&page));
        Ok(page)
    }

    fn fetch(&self, segments: &Segments, segment: Segment, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        if bytes > PART_BYTES_MAX {
            return Err(damaged(
                self.kind,
                segment.name,
                EngineError::damaged("a part of it is larger than it may be"),
            ));
        }
        self.spend(bytes);
        segments.fetch_range(self.kind, segment.name, offset..offset + bytes).map(Vec::from)
    }

    fn spend(&self, bytes: u64) {
        self.spent.fetch_add(bytes + REQUEST_COST_BYTES, Ordering::Relaxed);
    }

    fn damaged(&self, name: ObjectName, error: larder_sdk::Error) -> EngineError {
        damaged(self.kind, name, error.into())
    }
}

impl Pages {
    fn keep(&mut self, at: (ObjectName, usize), page: Arc<Vec<IndexEntry>>) {
        if self.pages.insert(at, page).is_none() {
            self.order.push_back(at);
        }
        while self.pages.len() > PAGES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.pages.remove(&oldest);
        }
    }
}

/// The cache's folder of parts of segments.
fn folder(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Data => "pages/data",
        BlobKind::Tree => "pages/trees",
    }
}

/// Removes all parts of segments of a kind that are not wanted from the cache.
pub(super) fn forget_others(cache: &Cache, kind: BlobKind, wanted: impl Fn(&ObjectName) -> bool) {
    cache.retain(folder(kind), |name| {
        let segment = name.split_once('.').and_then(|(segment, _)| ObjectName::parse(segment));
        segment.is_some_and(|segment| wanted(&segment))
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
