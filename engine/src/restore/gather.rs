//! The order in which items are written. Those whose contents stand in large chunks come in the order of these, so that an attachment which many
//! messages share is read and opened once for all of them; their small chunks, which lie elsewhere, are read before.

use std::sync::Arc;

use crate::{
    catalog::{Content, StreamRecord},
    hash::{BlobId, ObjectName},
    repository::{BlobReader, Held},
};

use super::batch::{Batch, Job};

/// From this size on a chunk has a frame of its own, which is worth opening once.
const LARGE_BYTES: u32 = 64 << 10;
/// Most chunks of an item that is gathered: a larger one is read in one go as it comes.
const CHUNKS_MAX: usize = 64;
/// Most items gathered.
const ITEMS_MAX: usize = 8192;
/// Most bytes of small chunks that they may have.
const SMALL_BYTES_MAX: u64 = 12 << 20;

/// Items that wait until they are sorted.
#[derive(Default)]
pub(super) struct Gathered {
    jobs: Vec<(Place, Job)>,
    small: Vec<BlobId>,
    small_bytes: u64,
}

/// Where a chunk lies.
type Place = (ObjectName, u32);

/// What an item consists of.
struct Parts {
    /// Where its largest chunk lies.
    largest: Place,
    small: Vec<BlobId>,
    small_bytes: u64,
}

impl Gathered {
    /// Takes an item, or gives it back: if it has no large chunk, or too many chunks.
    pub(super) fn take(&mut self, blobs: &BlobReader, job: Job) -> Option<Job> {
        // Nothing is read on a dry run.
        let parts = job.container.is_some().then(|| parts(blobs, &job.streams)).flatten();
        let Some(parts) = parts else { return Some(job) };
        self.small.extend(parts.small);
        self.small_bytes += parts.small_bytes;
        self.jobs.push((parts.largest, job));
        None
    }

    pub(super) fn is_full(&self) -> bool {
        self.jobs.len() >= ITEMS_MAX || self.small_bytes >= SMALL_BYTES_MAX
    }

    /// What was gathered, in batches.
    pub(super) fn batches(self, blobs: &Arc<BlobReader>) -> impl Iterator<Item = Batch> {
        let Self { mut jobs, mut small, .. } = self;
        small.sort_unstable();
        small.dedup();
        let held: Arc<Held> = Arc::new(blobs.hold(&small));
        // Those of one place stay in the order of the walk: neighbours in a folder.
        jobs.sort_by_key(|(place, _)| *place);
        let mut jobs = jobs.into_iter();
        std::iter::from_fn(move || {
            let mut batch = Batch::holding(Arc::clone(&held));
            while !batch.is_full()
                && let Some((_, job)) = jobs.next()
            {
                batch.push(job);
            }
            (!batch.is_empty()).then_some(batch)
        })
    }
}

/// What streams consist of; `None` if none of it is large, it is too much, or it cannot be found, which is told when it is read.
fn parts(blobs: &BlobReader, streams: &[StreamRecord]) -> Option<Parts> {
    let mut ids = Vec::new();
    for stream in streams {
        match &stream.content {
            Content::Empty => {}
            Content::One => ids.push(blobs.repository().keys().blob_id(&stream.digest)),
            Content::List { depth: 0, ids: chunks } if ids.len() + chunks.len() <= CHUNKS_MAX => {
                ids.extend(chunks);
            }
            Content::List { .. } => return None,
        }
    }
    if streams.iter().map(|stream| stream.bytes).sum::<u64>() < u64::from(LARGE_BYTES) {
        return None;
    }
    let mut largest: Option<(u32, Place)> = None;
    let (mut small, mut small_bytes) = (Vec::new(), 0);
    for id in ids {
        let location = blobs.locate(&id).ok()?;
        if location.bytes < LARGE_BYTES {
            small.push(id);
            small_bytes += u64::from(location.bytes);
        } else if largest.is_none_or(|(bytes, _)| bytes < location.bytes) {
            largest = Some((location.bytes, (location.pack, location.frame.number)));
        }
    }
    largest.map(|(_, largest)| Parts { largest, small, small_bytes })
}
