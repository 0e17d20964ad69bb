//! Loading: what is listed against what the cache holds; building tables, and making them anew where they do not verify.

use std::{
    cell::RefCell,
    collections::HashSet,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Index, Limits, Loaded, State,
    assemble::Plan,
    block::Medium,
    builder::{FOLDER, file_name},
    remote::{self, Remote},
    source::{self, Copies, Piece, Segment},
    table::{Base, Table},
};
use crate::{
    error::{EngineError, EngineErrorKind, Result},
    hash::ObjectName,
    index::{BlobKind, Delta, IdHash, IndexEntry},
};

/// How often the segments are listed anew because one of them went. What was read by then is not read again, so that each time a prune must have
/// begun and ended within the moment that is left.
const LISTINGS_MAX: usize = 1000;
/// How often in a row the segments are listed anew although those that went are still listed.
const IN_VAIN_MAX: usize = 5;
/// A segment has at least about this many bytes for a row.
const ROW_BYTES_MIN: u64 = 20;

pub(super) type Names = HashSet<ObjectName, IdHash>;
/// Damaged segments, and what is wrong with them.
pub(super) type Broken = Vec<(ObjectName, EngineError)>;

/// What came of reading segments that were listed.
#[derive(Default)]
pub(super) struct Loading {
    pub(super) broken: Broken,
    /// Why one of them is not in it that went meanwhile.
    pub(super) gone: Option<EngineError>,
}

impl Loading {
    /// What is wrong with segments; an error if one went, so that another listing is needed. What was read stands.
    pub(super) fn settled(self) -> Result<Broken> {
        self.gone.map_or(Ok(self.broken), Err)
    }
}

/// What a load found: what is known, and what is listed beside it.
struct Known {
    base: Option<Base>,
    delta: Delta,
    missing: Vec<Segment>,
}

impl Known {
    fn missing_bytes(&self) -> u64 {
        self.missing.iter().map(|segment| segment.bytes).sum()
    }

    /// Whether what is missing fits into memory as it is.
    fn fits(&self, limits: &Limits) -> bool {
        let rows = self.delta.len() as u64 + self.missing_bytes() / ROW_BYTES_MIN;
        rows <= limits.rows_beside(self.base.as_ref()) as u64
            && self.delta.packs().segments().len() + self.missing.len() <= limits.segments_beside
            && !self.base.as_ref().is_some_and(Base::is_stale)
    }
}

impl Index {
    /// Loads a kind so that what is not found is not stored. Returns what is wrong with segments; what reads of those is known too.
    pub(super) fn load_whole(&self, kind: BlobKind) -> Result<Broken> {
        let _building = self.building();
        self.loading(kind, again(|| self.load_whole_once(kind)))
    }

    /// What a failed load has listed counts for nothing: the next look finds it to be new.
    fn loading<T>(&self, kind: BlobKind, loaded: Result<T>) -> Result<T> {
        if loaded.is_err() {
            self.write(kind).listed.clear();
        }
        loaded
    }

    fn load_whole_once(&self, kind: BlobKind) -> Result<Broken> {
        let known = self.known(kind)?;
        let loading = if known.fits(&self.limits) {
            let copies = Copies::Kept(self.writable_cache());
            self.load_in_memory(kind, known, copies)?
        } else {
            let Known { base, delta, missing } = known;
            self.build(kind, &Plan { base: base.as_ref(), missing: &missing, ..Plan::of(&delta) })?
        };
        let broken = loading.settled()?;
        let mut state = self.write(kind);
        state.loaded = Loaded::Whole;
        state.remote = None;
        state.note_broken(&broken);
        let wanted: Names = state.delta.packs().segments().iter().copied().collect();
        drop(state);
        if let Some(cache) = &self.cache {
            source::forget_others(cache, kind, |name| wanted.contains(name));
            // Tables and copies hold it all.
            remote::forget_others(cache, kind, |_| false);
        }
        Ok(broken)
    }

    /// Loads a kind from the store alone: neither tables nor copies of the cache are believed. The new table takes their place.
    /// Returns the segments listed with those that they stand for, and what is wrong with some. `poll` is asked now and then whether to go on.
    pub(super) fn load_verified(
        &self,
        kind: BlobKind,
        poll: &dyn Fn() -> Result<()>,
    ) -> Result<(Vec<ObjectName>, Broken)> {
        let _building = self.building();
        let replaced = RefCell::new(Vec::new());
        // What an earlier listing gave was read from the store too.
        let mut read = None;
        again(|| self.load_verified_once(kind, poll, &replaced, &mut read))
    }

    fn load_verified_once(
        &self,
        kind: BlobKind,
        poll: &dyn Fn() -> Result<()>,
        replaced: &RefCell<Vec<ObjectName>>,
        read: &mut Option<Arc<Table>>,
    ) -> Result<(Vec<ObjectName>, Broken)> {
        let listed = self.segments.list(kind)?;
        let names: Names = listed.iter().map(|segment| segment.name).collect();
        let base = read.take().map(|table| Base::of_segments(table, |name| names.contains(name)));
        let have: Names = base.iter().flat_map(Base::segments).collect();
        let missing: Vec<Segment> =
            listed.iter().filter(|segment| !have.contains(&segment.name)).copied().collect();
        let nothing = Delta::default();
        let plan = Plan {
            base: base.as_ref(),
            missing: &missing,
            from_store: true,
            poll,
            replaced: Some(replaced),
            ..Plan::of(&nothing)
        };
        let loading = self.build(kind, &plan)?;
        *read = self.read(kind).base.as_ref().map(|base| Arc::clone(&base.table));
        let broken = loading.settled()?;
        let mut state = self.write(kind);
        state.loaded = Loaded::Whole;
        state.remote = None;
        state.note_broken(&broken);
        state.listed = names;
        let mut known = replaced.take();
        known.extend(listed.iter().map(|segment| segment.name));
        Ok((known, broken))
    }

    /// Makes ready for looking up what is there: little is fetched before it is asked for.
    pub(super) fn load_for_reading(&self, kind: BlobKind) -> Result<Broken> {
        let _building = self.building();
        self.loading(kind, again(|| self.load_for_reading_once(kind)))
    }

    fn load_for_reading_once(&self, kind: BlobKind) -> Result<Broken> {
        let known = self.known(kind)?;
        let mut broken = Vec::new();
        if known.fits(&self.limits) && known.missing_bytes() <= self.limits.read_whole_bytes {
            let copies = Copies::Kept(self.writable_cache());
            broken = self.load_in_memory(kind, known, copies)?.settled()?;
            self.write(kind).remote = None;
        } else {
            let Known { base, delta, missing } = known;
            let mut state = self.write(kind);
            (state.base, state.delta) = (base, delta);
            state.remote = Some(Arc::new(Remote::new(kind, missing, &self.limits)));
        }
        let mut state = self.write(kind);
        state.loaded = Loaded::Reading;
        state.note_broken(&broken);
        let listed = state.listed.clone();
        drop(state);
        if let Some(cache) = &self.cache {
            source::forget_others(cache, kind, |name| listed.contains(name));
            remote::forget_others(cache, kind, |name| listed.contains(name));
        }
        Ok(broken)
    }

    /// [`Index::load_for_reading`], not before a blob of this kind is asked for.
    pub(super) fn load_when_asked(&self, kind: BlobKind) {
        let mut state = self.write(kind);
        if state.loaded == Loaded::Nothing {
            state.loaded = Loaded::WhenAsked;
        }
    }

    /// Looks again at what is listed, and if that is something else, loads the kind as it was loaded before.
    pub(super) fn reload(&self, kind: BlobKind) -> Result<Broken> {
        let loaded = self.read(kind).loaded;
        if matches!(loaded, Loaded::Nothing | Loaded::WhenAsked) {
            return Ok(Vec::new());
        }
        let listed: Names = self.segments.list(kind)?.iter().map(|segment| segment.name).collect();
        if self.read(kind).listed == listed {
            return Ok(Vec::new());
        }
        if loaded == Loaded::Reading { self.load_for_reading(kind) } else { self.load_whole(kind) }
    }

    /// Holds what is known against a new listing.
    fn known(&self, kind: BlobKind) -> Result<Known> {
        // What this process wrote before the listing began is in it, if the store is one that lists what was put.
        let written = if self.segments.store.capabilities().list_after_put {
            self.read(kind).own.clone()
        } else {
            Names::default()
        };
        let listed = self.segments.list(kind)?;
        let names: Names = listed.iter().map(|segment| segment.name).collect();
        let mut state = self.write(kind);
        if state.listed != names {
            state.listed.clone_from(&names);
            self.version.fetch_add(1, Ordering::Relaxed);
        }
        state.own.retain(|name| !written.contains(name));
        let counts = |name: &ObjectName| names.contains(name) || state.own.contains(name);
        let table = state.base.as_ref().map(|base| Arc::clone(&base.table)).or_else(|| self.cached(kind));
        let base = table.map(|table| Base::of_segments(table, counts));
        let mut delta = Delta::default();
        delta.absorb(&state.delta, counts);
        let have: Names =
            base.iter().flat_map(Base::segments).chain(delta.packs().segments().iter().copied()).collect();
        let missing = listed.into_iter().filter(|segment| !have.contains(&segment.name)).collect();
        Ok(Known { base, delta, missing })
    }

    /// The table in the cache; one that does not verify is as good as none.
    fn cached(&self, kind: BlobKind) -> Option<Arc<Table>> {
        let cache = self.cache.as_ref()?;
        cache.sweep(FOLDER);
        let file = cache.open_file(file_name(kind))?;
        Table::open(Medium::File(file), &self.secret, kind).ok().map(Arc::new)
    }

    /// Adds what is missing to what is in memory.
    fn load_in_memory(&self, kind: BlobKind, known: Known, copies: Copies<'_>) -> Result<Loading> {
        let Known { base, mut delta, missing } = known;
        let mut salvaged = Delta::default();
        let mut loading = Loading::default();
        let mut pages: Vec<Vec<IndexEntry>> = vec![Vec::new(); missing.len()];
        self.segments.read_all(kind, &missing, copies, |piece| -> Result<()> {
            match piece {
                Piece::Page(place, page) => pages[place].extend(page),
                Piece::Done(place, _) => delta.add(missing[place].name, &std::mem::take(&mut pages[place])),
                Piece::Damaged(place, error) => {
                    salvaged.add(missing[place].name, &std::mem::take(&mut pages[place]));
                    loading.broken.push((missing[place].name, error));
                }
                Piece::Gone(_, error) => loading.gone = Some(error),
            }
            Ok(())
        })?;
        self.settle(kind, base, delta, salvaged);
        Ok(loading)
    }

    /// Puts what was loaded in place. What was inserted meanwhile stays.
    pub(super) fn settle(&self, kind: BlobKind, base: Option<Base>, mut delta: Delta, salvaged: Delta) {
        let mut state = self.write(kind);
        let mut have: Names = base.iter().flat_map(Base::segments).collect();
        have.extend(delta.packs().segments());
        let state: &mut State = &mut state;
        let own = &state.own;
        delta.absorb(&state.delta, |name| own.contains(name) && !have.contains(name));
        (state.base, state.delta, state.salvaged) = (base, delta, salvaged);
    }
}

impl State {
    fn note_broken(&mut self, broken: &Broken) {
        self.broken = broken.iter().map(|(_, error)| error.full_message()).collect();
    }
}

/// Loads from a listing, and from another as long as segments went meanwhile: a prune has put others in their place.
pub(super) fn again<T>(mut load: impl FnMut() -> Result<T>) -> Result<T> {
    let mut went = HashSet::new();
    let mut in_vain = 0;
    loop {
        match load() {
            Err(error) if error.kind() == EngineErrorKind::Busy => {
                // The message names the segment, and names are never used twice.
                in_vain = if went.insert(error.full_message()) { 0 } else { in_vain + 1 };
                if in_vain == IN_VAIN_MAX || went.len() == LISTINGS_MAX {
                    return Err(error);
                }
            }
            other => return other,
        }
    }
}
