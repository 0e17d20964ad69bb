//! Packs and index segments: which are damaged, and what they still hold.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use larder_sdk::{ErrorKind, ObjectKey};

use super::{
    super::{
        packs::{ReadPack, read_pack},
        prune::copy::{Copier, SEGMENT_ENTRIES_MAX, put_segment},
        read_data::ListedPack,
    },
    ReadData, Repair,
    tree::{found, unsteady},
};
use crate::{
    error::{EngineError, EngineErrorKind, Result},
    events::{Counts, Event},
    hash::ObjectName,
    index::{BlobKind, IndexEntry},
    repository::{Repository, layout},
};

type Named = (BlobKind, ObjectName);

/// What was found.
#[derive(Default)]
pub(super) struct Packs {
    /// The packs that are there, and their sizes.
    listed: BTreeMap<Named, u64>,
    /// Segments that read.
    segments: Vec<Named>,
    /// Segments that do not, or that are missing though something was written with them.
    lost_segments: BTreeSet<Named>,
    /// Segments that name a bad pack.
    touched: BTreeSet<Named>,
    /// Packs that segments name, and how far they must reach.
    ends: HashMap<Named, u64>,
    /// Packs that are missing, cut short, or have a damaged frame or directory.
    bad: BTreeSet<Named>,
    /// Packs that no segment that reads names.
    unnamed: BTreeSet<Named>,
}

impl Packs {
    /// Looks through segments and packs. Changes nothing.
    pub(super) fn look(repair: &mut Repair<'_>) -> Result<Self> {
        let mut packs = Self::default();
        packs.list(repair)?;
        packs.read_segments(repair)?;
        packs.find_missing_segments(repair)?;
        packs.find_missing_packs(repair)?;
        packs.read_packs(repair)?;
        packs.find_touched(repair)?;
        Ok(packs)
    }

    /// Twice, since a listing may lag: what either shows is there.
    fn list(&mut self, repair: &Repair<'_>) -> Result<()> {
        for kind in BlobKind::ALL.into_iter().chain(BlobKind::ALL) {
            let store = repair.setup.at.repository.store();
            for (key, info) in store.list_all(layout::pack_folder(kind)).map_err(EngineError::store)? {
                if let Some(name) = layout::name_of(&key) {
                    self.listed.insert((kind, name), info.size);
                }
            }
        }
        Ok(())
    }

    fn read_segments(&mut self, repair: &mut Repair<'_>) -> Result<()> {
        for kind in BlobKind::ALL {
            for name in repair.names(layout::index_folder(kind))? {
                repair.breathe()?;
                let mut ends = HashMap::new();
                let read = each_page(repair, (kind, name), &mut |page| {
                    for entry in page {
                        let end: &mut u64 = ends.entry((kind, entry.pack)).or_default();
                        *end =
                            (*end).max(u64::from(entry.frame.offset) + u64::from(entry.frame.sealed_bytes));
                    }
                    Ok(())
                });
                match read {
                    Ok(()) => {
                        self.segments.push((kind, name));
                        for (pack, end) in ends {
                            let known = self.ends.entry(pack).or_default();
                            *known = end.max(*known);
                        }
                    }
                    Err(error) if error.kind() == EngineErrorKind::Damaged => {
                        let key = layout::in_folder(layout::index_folder(kind), name)?;
                        repair.report.mended(
                            key.as_str(),
                            "the segment does not read: its packs are put into a new one",
                        );
                        self.lost_segments.insert((kind, name));
                        repair.replaced.push(key);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Segments that snapshots and checkpoints were written with.
    fn find_missing_segments(&mut self, repair: &mut Repair<'_>) -> Result<()> {
        let repository = repair.setup.at.repository;
        let mut known: HashSet<Named> = self.segments.iter().copied().collect();
        for (kind, name) in &self.segments {
            if let Some(segment) = repository.segment(*kind, *name)? {
                known.extend(segment.directory().replaces.iter().map(|name| (*kind, *name)));
            }
        }
        let mut snapshots = Vec::new();
        for name in repair.names(layout::SNAPSHOTS)? {
            snapshots.extend(found(|| repository.snapshot(name))?.flatten());
        }
        let checkpoints = repository.checkpoints()?.into_iter().filter_map(|(_, checkpoint)| checkpoint.ok());
        let written = snapshots
            .into_iter()
            .flat_map(|snapshot| snapshot.segments)
            .chain(checkpoints.flat_map(|checkpoint| checkpoint.segments));
        for (kind, name) in written {
            if !known.contains(&(kind, name)) && self.lost_segments.insert((kind, name)) {
                let key = layout::in_folder(layout::index_folder(kind), name)?;
                repair
                    .report
                    .mended(key.as_str(), "the segment is missing: its packs are put into a new one");
            }
        }
        Ok(())
    }

    /// A listing may lag: what is not listed is asked for by name before it counts as missing.
    fn find_missing_packs(&mut self, repair: &Repair<'_>) -> Result<()> {
        for (pack, end) in &self.ends {
            if !self.listed.contains_key(pack) {
                let key = layout::pack_key(pack.0, pack.1)?;
                match repair.setup.at.repository.store().head(&key) {
                    Ok(info) => {
                        self.listed.insert(*pack, info.size);
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(EngineError::store(error)),
                }
            }
            if self.listed.get(pack).is_none_or(|size| size < end) {
                self.bad.insert(*pack);
            }
        }
        self.unnamed = self.listed.keys().filter(|pack| !self.ends.contains_key(pack)).copied().collect();
        Ok(())
    }

    /// Reads the packs that were asked for, all tree packs, and those from which an index segment must be rebuilt.
    fn read_packs(&mut self, repair: &mut Repair<'_>) -> Result<()> {
        let listed = self.listed.iter().map(|((kind, name), bytes)| ListedPack {
            kind: *kind,
            name: *name,
            bytes: *bytes,
        });
        let (data, trees): (Vec<_>, Vec<_>) = listed.partition(|pack| pack.kind == BlobKind::Data);
        let mut chosen = repair.options.read_data.choose(data.clone())?;
        let rebuilt = data.into_iter().filter(|pack| {
            !self.lost_segments.is_empty()
                && repair.options.read_data != ReadData::All
                && self.unnamed.contains(&(pack.kind, pack.name))
        });
        chosen.extend(rebuilt.chain(trees));
        chosen.sort_unstable();
        chosen.dedup();
        let total = chosen.iter().map(|pack| pack.bytes).sum();
        for pack in &chosen {
            repair.breathe()?;
            let key = layout::pack_key(pack.kind, pack.name)?;
            let read = read_pack(repair.setup.at.repository, pack.kind, pack.name, &key, &[])?;
            repair.report.read_packs += 1;
            repair.report.read_bytes += read.bytes;
            if read.into_result().is_err() {
                self.bad.insert((pack.kind, pack.name));
            }
            repair.setup.at.events.event(Event::Progress(Counts {
                items: repair.report.read_packs,
                items_total: Some(chosen.len() as u64),
                bytes: repair.report.read_bytes,
                bytes_total: Some(total),
                ..Counts::default()
            }));
        }
        Ok(())
    }

    fn find_touched(&mut self, repair: &Repair<'_>) -> Result<()> {
        if self.bad.is_empty() {
            return Ok(());
        }
        for segment in &self.segments {
            let mut names_bad = false;
            each_page(repair, *segment, &mut |page| {
                names_bad |= page.iter().any(|entry| self.bad.contains(&(segment.0, entry.pack)));
                Ok(())
            })?;
            if names_bad {
                self.touched.insert(*segment);
            }
        }
        Ok(())
    }

    /// Loads the index without what is bad, and puts what is good of that in its place.
    pub(super) fn mend(&self, repair: &mut Repair<'_>) -> Result<()> {
        self.load_index(repair)?;
        let indexed = self.indexed(repair)?;
        let mut copier = Copier::new(repair.setup.at.repository);
        for pack in &self.bad {
            repair.breathe()?;
            self.mend_pack(repair, *pack, indexed.get(pack).map_or(&[], Vec::as_slice), &mut copier)?;
        }
        copier.finish()?;
        self.rewrite_segments(repair)?;
        self.rebuild_segments(repair)?;
        for (kind, name) in &self.touched {
            repair.replaced.push(layout::in_folder(layout::index_folder(*kind), *name)?);
        }
        for (kind, name) in &self.bad {
            if self.listed.contains_key(&(*kind, *name)) {
                repair.replaced.push(layout::pack_key(*kind, *name)?);
            }
        }
        Ok(())
    }

    fn load_index(&self, repair: &Repair<'_>) -> Result<()> {
        let repository = repair.setup.at.repository;
        let mut condemned = HashSet::new();
        for (_, mark) in repository.marks()? {
            condemned.extend(mark.into_iter().flat_map(|mark| mark.condemned).map(|(_, pack)| pack));
        }
        repository.index().clear();
        repository.index().condemn(condemned);
        for segment in &self.segments {
            each_page(repair, *segment, &mut |page| {
                let good: Vec<_> = page
                    .iter()
                    .filter(|entry| !self.bad.contains(&(segment.0, entry.pack)))
                    .copied()
                    .collect();
                repository.index().assume(segment.0, &good);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// What segments say of the bad packs.
    fn indexed(&self, repair: &Repair<'_>) -> Result<HashMap<Named, Vec<IndexEntry>>> {
        let mut indexed: HashMap<Named, Vec<IndexEntry>> = HashMap::new();
        for segment in &self.touched {
            each_page(repair, *segment, &mut |page| {
                for entry in page.iter().filter(|entry| self.bad.contains(&(segment.0, entry.pack))) {
                    indexed.entry((segment.0, entry.pack)).or_default().push(*entry);
                }
                Ok(())
            })?;
        }
        Ok(indexed)
    }

    /// Copies a bad pack's good frames.
    fn mend_pack(
        &self,
        repair: &mut Repair<'_>,
        (kind, name): Named,
        indexed: &[IndexEntry],
        copier: &mut Copier<'_>,
    ) -> Result<()> {
        let repository = repair.setup.at.repository;
        let key = layout::pack_key(kind, name)?;
        if !self.listed.contains_key(&(kind, name)) {
            repair.report.mended(key.as_str(), "the pack is missing: the index no longer names it");
            return Ok(());
        }
        let read = read_steadily(repository, kind, name, &key, indexed)?;
        let (mut good, all) = (0, read.frames.len());
        for frame in read.frames {
            let Ok(encoded) = frame.encoded else { continue };
            good += 1;
            if repair.is_dry() {
                repository.index().assume(kind, &entries(name, &frame.place, &frame.blobs));
            } else {
                copier.append(kind, &frame.blobs, &encoded)?;
            }
        }
        let message = match (good, all) {
            (0, _) => "the pack is damaged, and none of its frames reads".to_owned(),
            (good, all) if good == all => {
                format!("the pack is damaged; what reads, {good} frames, is put into a new one")
            }
            (good, all) => {
                format!(
                    "{} of the pack's {all} frames are damaged; the others are put into a new one",
                    all - good
                )
            }
        };
        repair.report.mended(key.as_str(), message);
        Ok(())
    }

    /// Segments without the bad packs, in the place of those that name them.
    fn rewrite_segments(&self, repair: &Repair<'_>) -> Result<()> {
        if repair.is_dry() {
            return Ok(());
        }
        let repository = repair.setup.at.repository;
        for (kind, name) in &self.touched {
            let Some(segment) = repository.segment(*kind, *name)? else { continue };
            let mut kept = Vec::new();
            for page in segment.pages() {
                kept.extend(page?.into_iter().filter(|entry| !self.bad.contains(&(*kind, entry.pack))));
            }
            let mut replaces = segment.directory().replaces.clone();
            replaces.push(*name);
            put_segment(repository, *kind, &mut kept, &replaces)?;
        }
        Ok(())
    }

    /// Segments for the packs that no segment names, in the place of those that are lost.
    fn rebuild_segments(&self, repair: &mut Repair<'_>) -> Result<()> {
        let repository = repair.setup.at.repository;
        for kind in BlobKind::ALL {
            let mut replaces: Vec<ObjectName> =
                self.lost_segments.iter().filter(|lost| lost.0 == kind).map(|lost| lost.1).collect();
            if replaces.is_empty() {
                continue;
            }
            let mut found = Vec::new();
            for (_, name) in self.unnamed.iter().filter(|pack| pack.0 == kind && !self.bad.contains(pack)) {
                repair.breathe()?;
                let key = layout::pack_key(kind, *name)?;
                let read = read_steadily(repository, kind, *name, &key, &[])?;
                for frame in &read.frames {
                    found.extend(entries(*name, &frame.place, &frame.blobs));
                }
                // It read whole when it was looked at.
                read.into_result().map_err(|_| unsteady())?;
                if found.len() >= SEGMENT_ENTRIES_MAX {
                    put_found(repair, kind, &mut found, &std::mem::take(&mut replaces))?;
                }
            }
            if !found.is_empty() || !replaces.is_empty() {
                put_found(repair, kind, &mut found, &replaces)?;
            }
        }
        Ok(())
    }
}

/// Reads a pack, and once more if something of it does not read: a bad line is no damage.
fn read_steadily(
    repository: &Repository,
    kind: BlobKind,
    name: ObjectName,
    key: &ObjectKey,
    indexed: &[IndexEntry],
) -> Result<ReadPack> {
    let mut read = read_pack(repository, kind, name, key, indexed)?;
    if read.wrong.is_none() && read.frames.iter().all(|frame| frame.encoded.is_ok()) {
        return Ok(read);
    }
    let again = read_pack(repository, kind, name, key, indexed)?;
    if read.wrong.is_some() {
        return Ok(again);
    }
    for (frame, again) in read.frames.iter_mut().zip(again.frames) {
        if frame.encoded.is_err() && frame.place == again.place {
            frame.encoded = again.encoded;
        }
    }
    Ok(read)
}

fn put_found(
    repair: &Repair<'_>,
    kind: BlobKind,
    found: &mut Vec<IndexEntry>,
    replaces: &[ObjectName],
) -> Result<()> {
    let repository = repair.setup.at.repository;
    if repair.is_dry() {
        repository.index().assume(kind, found);
    } else {
        put_segment(repository, kind, found, replaces)?;
    }
    found.clear();
    Ok(())
}

fn entries(
    pack: ObjectName,
    place: &crate::pack::FramePlace,
    blobs: &[crate::pack::FrameBlob],
) -> Vec<IndexEntry> {
    let mut offset = 0;
    let entry = |blob: &crate::pack::FrameBlob| {
        offset += blob.bytes;
        IndexEntry { id: blob.id, pack, frame: *place, offset: offset - blob.bytes, bytes: blob.bytes }
    };
    blobs.iter().map(entry).collect()
}

/// Shows a segment's pages; one that went away meanwhile has none.
fn each_page(
    repair: &Repair<'_>,
    (kind, name): Named,
    show: &mut dyn FnMut(&[IndexEntry]) -> Result<()>,
) -> Result<()> {
    let Some(segment) = repair.setup.at.repository.segment(kind, name)? else { return Ok(()) };
    segment.pages().try_for_each(|page| show(&page?))
}
