//! Many blobs at once: in the order in which they lie, neighbours read with one request and each frame opened once.

use bytes::Bytes;

use super::{BlobReader, blobs::frame_range};
use crate::{error::Result, hash::BlobId, index::Location};

/// Frames closer to each other than this are read together, in bytes: what lies between is cheaper than another request.
const GAP_BYTES_MAX: u64 = 1 << 20;
/// Most bytes that one request reads, unless a single frame is larger.
const RANGE_BYTES_MAX: u64 = 4 << 20;

/// When a blob is checked against its id.
#[derive(Clone, Copy)]
enum Check {
    /// Each as it is read.
    Ids,
    /// By the digest of the stream they are part of.
    Later,
}

impl BlobReader {
    /// Reads blobs and shows each, by its place among `ids`, in the order in which they lie in packs. Each is checked against its id
    /// and has its own error. Holds one range and one frame in memory, beside what `show` keeps and the cache.
    pub fn read_each(&self, ids: &[BlobId], show: impl FnMut(usize, Result<Bytes>)) {
        self.each(ids, Check::Ids, show);
    }

    fn each(&self, ids: &[BlobId], check: Check, mut show: impl FnMut(usize, Result<Bytes>)) {
        let mut found = Vec::with_capacity(ids.len());
        for (at, id) in ids.iter().enumerate() {
            if let Some(blob) = self.held().get(id) {
                show(at, Ok(blob));
                continue;
            }
            match self.locate(id) {
                Ok(location) => found.push((at, location)),
                Err(_) => show(at, self.read(id)),
            }
        }
        found.sort_unstable_by_key(|(_, place)| (place.kind, place.pack, place.frame.number, place.offset));
        let mut rest = found.as_slice();
        while !rest.is_empty() {
            let run;
            (run, rest) = rest.split_at(run_length(rest));
            let range = self.range_of(run);
            for frame in run.chunk_by(|(_, one), (_, other)| one.frame.number == other.frame.number) {
                let place = frame[0].1;
                let sealed = range.as_ref().and_then(|(start, bytes)| part(bytes, *start, &place));
                let opened = self.frame(&place, sealed);
                for (at, location) in frame {
                    let id = &ids[*at];
                    let take_out = |frame| match check {
                        Check::Ids => self.take_out(id, location, frame).ok(),
                        Check::Later => Self::slice(location, frame),
                    };
                    let blob = opened.as_ref().ok().and_then(take_out);
                    // What went wrong may be helped, and is told, blob by blob.
                    show(*at, blob.map_or_else(|| self.read(id), Ok));
                }
            }
        }
    }

    /// Reads the first of some blobs, in their order: at least one, and no more than have so many bytes together. Their frames are
    /// opened, which proves that they are as they were written, but they are not checked against their ids: whoever reads a whole stream
    /// checks its digest, and need not look at each byte twice.
    pub fn read_first(&self, ids: impl Iterator<Item = BlobId>, bytes_max: u64) -> Result<Vec<Bytes>> {
        let (mut first, mut bytes) = (Vec::new(), 0);
        for id in ids {
            // One that is not found is read alone, which tells why.
            let length = self.locate(&id).map_or(bytes_max, |location| location.bytes.into());
            if !first.is_empty() && bytes + length > bytes_max {
                break;
            }
            first.push(id);
            bytes += length;
        }
        let mut blobs = vec![Bytes::new(); first.len()];
        let mut failed = None;
        self.each(&first, Check::Later, |at, blob| match blob {
            Ok(blob) => blobs[at] = blob,
            Err(error) => {
                failed.get_or_insert(error);
            }
        });
        failed.map_or(Ok(blobs), Err)
    }

    /// The sealed bytes of a run of frames and where they begin, if more than one of them has to be read. What goes wrong here is met
    /// again, and told, with the frame that it concerns.
    fn range_of(&self, run: &[(usize, Location)]) -> Option<(u64, Bytes)> {
        let mut missing = run.iter().map(|(_, location)| location).filter(|location| !self.holds(location));
        let first = missing.next()?;
        let last = missing.next_back().filter(|last| last.frame.number != first.frame.number)?;
        let range = frame_range(&first.frame).start..frame_range(&last.frame).end;
        let start = range.start;
        self.read_range(first.kind, first.pack, range).ok().map(|bytes| (start, bytes))
    }
}

/// How many of the blobs, which are in order of place, are read together.
fn run_length(blobs: &[(usize, Location)]) -> usize {
    let first = blobs[0].1;
    let start = frame_range(&first.frame).start;
    let mut end = frame_range(&first.frame).end;
    let near = |(_, location): &&(usize, Location)| {
        let range = frame_range(&location.frame);
        let together = (location.kind, location.pack) == (first.kind, first.pack)
            && range.start <= end.saturating_add(GAP_BYTES_MAX)
            && (range.end <= end || range.end - start <= RANGE_BYTES_MAX);
        end = end.max(range.end);
        together
    };
    blobs.iter().take_while(near).count().max(1)
}

/// A frame's part of a range.
fn part<'range>(range: &'range [u8], start: u64, of: &Location) -> Option<&'range [u8]> {
    let frame = frame_range(&of.frame);
    let place = |at: u64| at.checked_sub(start).and_then(|place| usize::try_from(place).ok());
    range.get(place(frame.start)?..place(frame.end)?)
}
