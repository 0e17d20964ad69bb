//! Merging index segments: without what names packs that go, and small ones put together.

use std::{collections::HashSet, sync::Arc};

use super::copy::{SEGMENT_ENTRIES_MAX, put_segment};
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

/// Writes segments in place of those that name `gone` packs, or are small and many; returns which ones can then be deleted. `named` tells whether
/// anything still refers to a segment by its name.
pub(in crate::maintenance) fn merge(
    repository: &Arc<Repository>,
    gone: &HashSet<ObjectName>,
    named: &dyn Fn(ObjectName) -> bool,
) -> Result<Vec<(BlobKind, ObjectName)>> {
    let mut replaced = Vec::new();
    for kind in BlobKind::ALL {
        replaced.extend(merge_kind(repository, kind, gone, named)?.into_iter().map(|name| (kind, name)));
    }
    Ok(replaced)
}

fn merge_kind(
    repository: &Arc<Repository>,
    kind: BlobKind,
    gone: &HashSet<ObjectName>,
    named: &dyn Fn(ObjectName) -> bool,
) -> Result<Vec<ObjectName>> {
    let (mut touched, mut small) = (Vec::new(), Vec::new());
    for name in repository.names(layout::index_folder(kind))? {
        let (mut count, mut names_gone) = (0, false);
        // One that is gone was deleted by a prune that has ended, after it had put another in its place.
        let Some(segment) = repository.segment(kind, name)? else { continue };
        for page in segment.pages() {
            let page = page?;
            count += page.len();
            names_gone |= page.iter().any(|entry| gone.contains(&entry.pack));
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
            entries.extend(page?.into_iter().filter(|entry| !gone.contains(&entry.pack)));
            if entries.len() >= SEGMENT_ENTRIES_MAX {
                put_segment(repository, kind, &mut entries, &std::mem::take(&mut stands_for))?;
                entries.clear();
            }
        }
    }
    if !entries.is_empty() || !stands_for.is_empty() {
        put_segment(repository, kind, &mut entries, &stands_for)?;
    }
    Ok(touched)
}
