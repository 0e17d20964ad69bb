//! Merging index segments: without what names packs that go, and small ones put together.

use std::sync::Arc;

use super::copy::{SEGMENT_ENTRIES_MAX, store_segment};
use crate::{
    error::Result,
    hash::ObjectName,
    index::{BlobKind, IndexEntry},
    repository::{Repository, layout},
};

/// A segment with fewer entries is put together with others.
const SMALL_ENTRIES: usize = 32 << 10;
/// As soon as there are so many.
const SMALL_MAX: usize = 8;

/// Tells whether a pack is gone, or goes.
pub(super) type IsGone<'run> = dyn FnMut(BlobKind, ObjectName) -> Result<bool> + 'run;

/// Writes segments in place of those that name packs that are gone, or are small and many; returns which ones can then be deleted. `named` tells
/// whether anything still refers to a segment by its name.
pub(super) fn merge(
    repository: &Arc<Repository>,
    is_gone: &mut IsGone<'_>,
    named: &dyn Fn(ObjectName) -> bool,
) -> Result<Vec<(BlobKind, ObjectName)>> {
    let mut replaced = Vec::new();
    for kind in BlobKind::ALL {
        replaced.extend(merge_kind(repository, kind, is_gone, named)?.into_iter().map(|name| (kind, name)));
    }
    Ok(replaced)
}

/// The segments of a kind that are to be replaced.
fn choose(repository: &Arc<Repository>, kind: BlobKind, is_gone: &mut IsGone<'_>) -> Result<Vec<ObjectName>> {
    let (mut touched, mut small) = (Vec::new(), Vec::new());
    for name in repository.names(layout::index_folder(kind))? {
        let (mut count, mut names_gone) = (0, false);
        // One that is gone was deleted by a prune that has ended, after it had put another in its place.
        let Some(segment) = repository.segment(kind, name)? else { continue };
        for page in segment.pages() {
            let page = page?;
            count += page.len();
            for entry in &page {
                names_gone = names_gone || is_gone(kind, entry.pack)?;
            }
        }
        if names_gone {
            touched.push(name);
        } else if count < SMALL_ENTRIES {
            small.push(name);
        }
    }
    if small.len() >= SMALL_MAX || (!touched.is_empty() && !small.is_empty()) {
        touched.append(&mut small);
    }
    Ok(touched)
}

fn merge_kind(
    repository: &Arc<Repository>,
    kind: BlobKind,
    is_gone: &mut IsGone<'_>,
    named: &dyn Fn(ObjectName) -> bool,
) -> Result<Vec<ObjectName>> {
    let touched = choose(repository, kind, is_gone)?;
    let mut entries: Vec<IndexEntry> = Vec::new();
    // Every name stands in one of the new segments, and all of them are written before an old one goes.
    let mut stands_for = Vec::new();
    for name in &touched {
        let Some(segment) = repository.segment(kind, *name)? else { continue };
        stands_for.extend(segment.directory().replaces.iter().copied().filter(|name| named(*name)));
        if named(*name) {
            stands_for.push(*name);
        }
        for page in segment.pages() {
            for entry in page? {
                if !is_gone(kind, entry.pack)? {
                    entries.push(entry);
                }
            }
            if entries.len() >= SEGMENT_ENTRIES_MAX {
                put(repository, kind, &mut entries, &std::mem::take(&mut stands_for))?;
                entries.clear();
            }
        }
    }
    if !entries.is_empty() || !stands_for.is_empty() {
        put(repository, kind, &mut entries, &stands_for)?;
    }
    Ok(touched)
}

/// Writes a segment. The index in memory knows its entries already; the cache gets a copy, from which a table is made once all of them are there.
fn put(
    repository: &Repository,
    kind: BlobKind,
    entries: &mut [IndexEntry],
    stands_for: &[ObjectName],
) -> Result<()> {
    let (name, bytes) = store_segment(repository, kind, entries, stands_for)?;
    repository.index().keep(kind, name, &bytes);
    Ok(())
}
