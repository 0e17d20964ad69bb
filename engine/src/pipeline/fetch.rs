//! Reading what is wanted: a few threads per container fetch contents, chunk them and hand blobs to the saver.

use std::{
    collections::VecDeque,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Sender, SyncSender, sync_channel},
    },
};

use bytes::Bytes;
use larder_sdk::{ErrorKind, Item, StreamInfo, limits::SMALL_BODY_BYTES_MAX};

use super::{budget::Budget, counts::ContainerCounts, stream::StreamStore};
use crate::{
    catalog::StreamRecord,
    error::Result,
    hash::Digest,
    plugin::{BodyHandle, Fetched, ReaderHandle, Want},
    repository::{Repository, Saver},
};

/// Threads that read contents of one container.
pub(super) const FETCHERS: usize = 4;
/// Most streams fetched by one call.
const GROUP_STREAMS_MAX: usize = 256;
/// About how many bytes one call fetches.
const GROUP_BYTES: u64 = 1 << 20;
/// What a stream of unknown length is taken for.
const UNKNOWN_BYTES: u64 = 64 << 10;
/// What a body that does not come whole takes in memory: a chunk, pieces, and what the plugin reads ahead.
const OPEN_BODY_BYTES: usize = 7 << 20;
/// Pieces of such a body that wait to be cut.
const PIECES_AHEAD: usize = 2;
/// Most groups that wait for a fetcher.
const GROUPS_WAITING_MAX: usize = FETCHERS * 2;

/// An item whose streams are wanted.
pub(super) struct Wanted {
    /// The reader's number of the offer.
    pub(super) offer: u64,
    /// The item.
    pub(super) item: Item,
    /// Its place in the order of events.
    pub(super) ticket: u64,
    /// Those of its streams that are stored already, in their order.
    pub(super) stored: Vec<StreamRecord>,
}

impl Wanted {
    /// The streams to be read, with their numbers.
    pub(super) fn missing(&self) -> impl Iterator<Item = (u32, &StreamInfo)> {
        let mut stored = self.stored.iter().peekable();
        let all = (0_u32..).zip(&self.item.streams);
        all.filter(move |(_, info)| stored.next_if(|record| record.name == info.name).is_none())
    }
}

/// What became of a wanted item.
pub(super) struct Outcome {
    pub(super) ticket: u64,
    pub(super) streams: larder_sdk::Result<Streams>,
}

/// The streams of an item.
pub(super) struct Streams {
    pub(super) records: Vec<StreamRecord>,
    /// Why some are missing that stand for themselves.
    pub(super) lost: Option<larder_sdk::Error>,
}

impl Streams {
    /// Takes in the next one; an error that concerns more than the stream comes back.
    fn take(
        &mut self,
        info: &StreamInfo,
        stored: larder_sdk::Result<StreamRecord>,
    ) -> larder_sdk::Result<()> {
        match stored {
            Ok(record) => self.records.push(record),
            Err(error) if !info.has_own_tag() || ends_all(&error) => return Err(error),
            // It went since it was listed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => self.lost = self.lost.take().or(Some(error)),
        }
        Ok(())
    }
}

fn ends_all(error: &larder_sdk::Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Authentication)
}

/// Groups of wanted items on their way to the fetchers.
pub(super) struct FetchQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    groups: VecDeque<Vec<Wanted>>,
    open: Vec<Wanted>,
    open_streams: usize,
    open_bytes: u64,
    closed: bool,
}

impl FetchQueue {
    pub(super) fn new() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds an item; small neighbours go out together. Blocks while too many wait.
    pub(super) fn push(&self, wanted: Wanted) {
        let streams = wanted.missing().count();
        let bytes = wanted.missing().map(|(_, stream)| stream.size.unwrap_or(UNKNOWN_BYTES)).sum::<u64>();
        let mut state = self.lock();
        if state.open_streams + streams > GROUP_STREAMS_MAX || state.open_bytes + bytes > GROUP_BYTES {
            state = self.send(state);
        }
        state.open.push(wanted);
        state.open_streams += streams;
        state.open_bytes += bytes;
    }

    /// Sends out what was gathered.
    pub(super) fn flush(&self) {
        drop(self.send(self.lock()));
    }

    fn send<'queue>(
        &'queue self,
        mut state: MutexGuard<'queue, QueueState>,
    ) -> MutexGuard<'queue, QueueState> {
        if state.open.is_empty() {
            return state;
        }
        while state.groups.len() >= GROUPS_WAITING_MAX && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let group = std::mem::take(&mut state.open);
        state.open_streams = 0;
        state.open_bytes = 0;
        state.groups.push_back(group);
        self.changed.notify_all();
        state
    }

    /// No more will come; with `drop_waiting` what waits is dropped.
    pub(super) fn close(&self, drop_waiting: bool) {
        let mut state = self.lock();
        state.closed = true;
        if drop_waiting {
            state.groups.clear();
            state.open.clear();
        }
        drop(state);
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Vec<Wanted>> {
        let mut state = self.lock();
        loop {
            if let Some(group) = state.groups.pop_front() {
                self.changed.notify_all();
                return Some(group);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a fetcher works with.
pub(super) struct Fetcher<'run> {
    pub(super) repository: &'run Repository,
    pub(super) saver: &'run Saver,
    pub(super) budget: &'run Budget,
    pub(super) reader: &'run ReaderHandle,
    pub(super) queue: &'run FetchQueue,
    pub(super) counts: &'run ContainerCounts,
}

impl Fetcher<'_> {
    /// Works until the queue is closed. An error is the run's: the store or this program failed.
    pub(super) fn work(&self, outcomes: &Sender<Outcome>) -> Result<()> {
        let mut store = StreamStore::new(self.repository, self.saver);
        while let Some(group) = self.queue.next() {
            self.group(&mut store, group, outcomes)?;
        }
        Ok(())
    }

    fn group(
        &self,
        store: &mut StreamStore<'_>,
        group: Vec<Wanted>,
        outcomes: &Sender<Outcome>,
    ) -> Result<()> {
        let bytes: u64 = group.iter().map(expected_bytes).sum();
        let _share = self.budget.take((bytes as usize).max(64 << 10));
        let mut bodies = Bodies::of(self.reader, &group);
        let offers: Vec<u64> = group.iter().map(|wanted| wanted.offer).collect();
        for wanted in group {
            let Wanted { item, ticket, stored, .. } = wanted;
            let mut stored = stored.into_iter().peekable();
            let mut streams = Ok(Streams { records: Vec::with_capacity(item.streams.len()), lost: None });
            for info in &item.streams {
                let record = match stored.next_if(|record| record.name == info.name) {
                    Some(record) => Ok(record),
                    None => match bodies.next() {
                        Ok(body) => self.store(store, info, body)?,
                        Err(error) => Err(error),
                    },
                };
                if let Ok(taken) = &mut streams
                    && let Err(error) = taken.take(info, record)
                {
                    streams = Err(error);
                }
            }
            self.counts.read(u64::from(streams.is_ok()));
            // The container's thread may be gone because it failed: then nobody asks.
            drop(outcomes.send(Outcome { ticket, streams }));
        }
        // Only memory on the other side; an error there shows at the next call.
        drop(self.reader.finish(&offers));
        Ok(())
    }

    /// Stores one stream. The outer error is the run's, the inner one the item's.
    fn store(
        &self,
        store: &mut StreamStore<'_>,
        info: &StreamInfo,
        body: Fetched,
    ) -> Result<larder_sdk::Result<StreamRecord>> {
        let (first, rest) = match body {
            Fetched::Whole(bytes) => {
                self.counts.read_bytes(bytes.len() as u64);
                return store.whole(info, &bytes).map(Ok);
            }
            Fetched::Open { first, rest } => (first, rest),
        };
        let mut open = store.begin(info);
        let (to_cut, pieces) = sync_channel(PIECES_AHEAD);
        // The closure owns the receiver: if it fails the reading thread learns it, for which the scope waits.
        std::thread::scope(move |scope| {
            let reading = scope.spawn(move || read_ahead(first, rest, &to_cut));
            let pieces = pieces;
            while let Ok(piece) = pieces.recv() {
                self.counts.read_bytes(piece.len() as u64);
                open.write(&piece)?;
            }
            match reading.join() {
                Ok(Ok(digest)) => open.finish(digest).map(Ok),
                Ok(Err(error)) => Ok(Err(error)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// Reads and digests a body while another thread cuts it: of a large file nothing else keeps the second core busy. Ends early if nobody
/// takes the pieces.
fn read_ahead(first: Bytes, mut rest: BodyHandle, to_cut: &SyncSender<Bytes>) -> larder_sdk::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut piece = first;
    loop {
        // A clone is the same memory: the other thread need not wait until it is digested.
        if to_cut.send(piece.clone()).is_err() {
            break;
        }
        hasher.update(&piece);
        piece = match rest.read()? {
            Some(piece) => piece,
            None => break,
        };
    }
    Ok(Digest(*hasher.finalize().as_bytes()))
}

/// The bodies of a group's streams, in order. Small ones are fetched together, since they come whole. A large one is fetched when its turn
/// comes: a body that is open and not read would hold an account's place that another needs.
struct Bodies<'run> {
    reader: &'run ReaderHandle,
    wants: Vec<(Want, bool)>,
    asked: usize,
    ready: VecDeque<larder_sdk::Result<Fetched>>,
}

impl<'run> Bodies<'run> {
    fn of(reader: &'run ReaderHandle, group: &[Wanted]) -> Self {
        let of_item = |wanted: &Wanted| {
            let offer = wanted.offer;
            let missing = wanted.missing();
            missing.map(|(stream, info)| (Want { offer, stream }, is_large(info.size))).collect::<Vec<_>>()
        };
        Self { reader, wants: group.iter().flat_map(of_item).collect(), asked: 0, ready: VecDeque::new() }
    }

    fn next(&mut self) -> larder_sdk::Result<Fetched> {
        if self.ready.is_empty() {
            self.fetch();
        }
        self.ready.pop_front().unwrap_or_else(|| {
            Err(larder_sdk::Error::bug("a fetch answered fewer streams than were asked for"))
        })
    }

    fn fetch(&mut self) {
        let rest = &self.wants[self.asked..];
        let count = match rest.first() {
            Some((_, true)) => 1,
            _ => rest.iter().take_while(|(_, large)| !large).count(),
        };
        let wants: Vec<Want> = rest[..count].iter().map(|(want, _)| *want).collect();
        self.asked += count;
        match self.reader.fetch(&wants) {
            Ok(fetched) => self.ready.extend(fetched),
            Err(error) => self.ready.extend(wants.iter().map(|_| Err(same(&error)))),
        }
    }
}

/// An error once more, for each item that it concerns.
fn same(error: &larder_sdk::Error) -> larder_sdk::Error {
    let same = larder_sdk::Error::new(error.kind(), error.message());
    match error.hint() {
        Some(hint) => same.with_hint(hint),
        None => same,
    }
}

/// Whether a stream may not come whole with the fetch.
fn is_large(size: Option<u64>) -> bool {
    size.is_none_or(|size| size > SMALL_BODY_BYTES_MAX as u64)
}

/// What an item's streams take in memory while they are read.
fn expected_bytes(wanted: &Wanted) -> u64 {
    let of_stream = |size: Option<u64>| match size {
        Some(size) if size <= SMALL_BODY_BYTES_MAX as u64 => size,
        Some(_) => OPEN_BODY_BYTES as u64,
        None => UNKNOWN_BYTES,
    };
    wanted.missing().map(|(_, stream)| of_stream(stream.size)).sum()
}

#[cfg(test)]
mod tests {
    use larder_sdk::{Error, Kind, Tag};

    use super::*;
    use crate::catalog::Content;

    fn info(name: &str, media: &str) -> StreamInfo {
        StreamInfo { name: name.to_owned().into(), media: media.to_owned().into(), size: Some(7) }
    }

    fn record(info: &StreamInfo) -> StreamRecord {
        let (name, media) = (info.name.clone(), info.media.clone());
        StreamRecord { name, media, bytes: 7, digest: Digest([1; 32]), content: Content::One }
    }

    #[test]
    fn only_what_is_not_stored_is_fetched() {
        let streams =
            vec![info("content", ""), info("version/1.0", "; etag=1"), info("version/2.0", "; etag=2")];
        let item = Item {
            id: "id".into(),
            parent: "p".into(),
            name: "n".into(),
            kind: Kind::FILE,
            folder: false,
            tag: Tag::from("t"),
            modified: None,
            posix: None,
            meta: Vec::new(),
            streams,
        };
        let stored = vec![record(&item.streams[1])];
        let wanted = Wanted { offer: 1, item, ticket: 1, stored };
        let missing: Vec<(u32, &str)> = wanted.missing().map(|(at, info)| (at, info.name.as_str())).collect();
        assert_eq!(missing, [(0, "content"), (2, "version/2.0")]);
        assert_eq!(expected_bytes(&wanted), 14);
    }

    #[test]
    fn a_stream_that_stands_for_itself_fails_by_itself() {
        let (content, version) = (info("content", ""), info("version/1.0", "; etag=1"));
        let gone = || Error::new(ErrorKind::NotFound, "gone");
        let bad = || Error::new(ErrorKind::CorruptItem, "bad");
        let mut streams = Streams { records: Vec::new(), lost: None };
        assert!(streams.take(&content, Ok(record(&content))).is_ok());
        assert!(streams.take(&version, Err(gone())).is_ok() && streams.lost.is_none());
        assert!(streams.take(&version, Err(bad())).is_ok() && streams.lost.is_some());
        assert_eq!(streams.records.len(), 1);
        assert!(streams.take(&content, Err(gone())).is_err());
        assert!(streams.take(&version, Err(Error::cancelled())).is_err());
    }
}
