//! The index at work: lookups over a table in the local cache, what came since in memory, and, for a reader on a machine without a
//! cache, pages of segments fetched as they are needed.
//!
//! A *whole* index answers "not stored", which a run must know. A reader only asks for what is there, and does not load what it does not need.

mod assemble;
mod block;
mod builder;
mod load;
mod remote;
mod repository;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod view;

pub use repository::LoadedSegments;
pub use view::IndexView;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use block::CacheKey;
use bytes::Bytes;
use remote::Remote;
use source::Segments;
use table::Base;

use crate::{
    cache::Cache,
    crypto::Keys,
    error::{EngineError, EngineErrorKind, Result},
    hash::{ObjectName, RepositoryId, ShortId},
    index::{BlobKind, Claims, Delta, IdHash, IndexEntry, Location, Row},
    process::Interrupt,
    store::Store,
};

/// How often a table that does not verify is made anew before that is taken for a fault of this machine.
const RECOVERIES_MAX: usize = 3;

/// Every blob stored, and those on their way. Safe to use from many threads.
pub struct Index {
    segments: Segments,
    secret: CacheKey,
    cache: Option<Arc<Cache>>,
    /// The cache's folder could not be written to: new tables are made in memory.
    full: AtomicBool,
    kinds: [RwLock<State>; 2],
    claims: Claims,
    verdicts: RwLock<Verdicts>,
    /// Counts up whenever another listing was found.
    version: AtomicU64,
    /// Held by whoever loads or builds: one at a time.
    building: Mutex<()>,
    limits: Limits,
}

/// What became of packs, whatever segments say.
#[derive(Clone, Default)]
struct Verdicts {
    /// A prune means to delete them: what only they hold can be read, and counts as not stored.
    condemned: HashSet<ObjectName>,
    /// They are not there: what they should hold lies elsewhere or nowhere.
    lost: HashSet<ObjectName>,
    /// They were looked at, and are there.
    relied_on: HashSet<ObjectName>,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is neither stored nor on its way: the caller must send it.
    New,
    /// It is on its way in this run.
    Pending,
    /// It is stored, here by what segments say.
    Stored(Location),
}

/// How much is kept, sorted and fetched at once.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Rows kept in memory beside a table: this many …
    rows_beside_min: usize,
    /// … up to this many, in between an eighth of the table's.
    rows_beside_max: usize,
    /// More segments than this are merged into a table even if they are small: each costs a file to open.
    segments_beside: usize,
    /// Rows sorted in memory at once, of 40 bytes each.
    run_rows: usize,
    /// What a reader fetches whole rather than in pages, in bytes.
    read_whole_bytes: u64,
    /// A segment up to this many bytes is fetched whole by a reader: it has a page or two.
    small_segment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rows_beside_min: 64 << 10,
            rows_beside_max: 512 << 10,
            segments_beside: 64,
            run_rows: 512 << 10,
            read_whole_bytes: 1 << 20,
            small_segment_bytes: 64 << 10,
        }
    }
}

impl Limits {
    fn rows_beside(&self, base: Option<&Base>) -> usize {
        let share = base.map_or(0, |base| base.table.len() as usize / 8);
        share.clamp(self.rows_beside_min, self.rows_beside_max)
    }
}

/// How much of a kind is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Loaded {
    #[default]
    Nothing,
    /// It is read when a blob is asked for.
    WhenAsked,
    /// What is known, and where to look for the rest.
    Reading,
    /// Everything: what is not found is not stored.
    Whole,
}

/// What is known of a kind.
#[derive(Default)]
struct State {
    loaded: Loaded,
    base: Option<Base>,
    /// Being merged into a new base.
    frozen: Option<Arc<Delta>>,
    /// Segments that the base does not hold.
    delta: Delta,
    /// What could be read of damaged segments: never merged.
    salvaged: Delta,
    /// Segments written by this process, which a listing may not show yet.
    own: HashSet<ObjectName, IdHash>,
    remote: Option<Arc<Remote>>,
    /// What is wrong with damaged segments.
    broken: Vec<String>,
    /// The segments in the listing that it goes by.
    listed: HashSet<ObjectName, IdHash>,
}

impl Index {
    pub(super) fn new(store: Arc<dyn Store>, keys: Arc<Keys>, repository: RepositoryId) -> Self {
        Self {
            secret: CacheKey::new(&keys, repository),
            segments: Segments::new(store, keys, repository),
            cache: None,
            full: AtomicBool::new(false),
            kinds: Default::default(),
            claims: Claims::default(),
            verdicts: RwLock::default(),
            version: AtomicU64::new(0),
            building: Mutex::new(()),
            limits: Limits::default(),
        }
    }

    /// From now on a request to stop ends a load, with an error of kind [`EngineErrorKind::Interrupted`].
    pub(super) fn set_interrupt(&mut self, interrupt: Interrupt) {
        self.segments.interrupt = interrupt;
    }

    pub(super) fn set_cache(&mut self, cache: Arc<Cache>) {
        self.cache = Some(cache);
    }

    /// What verifies kept parts of packs.
    pub(super) fn packs_key(&self) -> [u8; 32] {
        self.secret.packs()
    }

    /// Adds a segment that this process has written, with its entries and its sealed bytes. Claims on its blobs end. May build a new
    /// table, and then takes a while.
    pub fn insert(
        &self,
        kind: BlobKind,
        segment: ObjectName,
        sealed: &Bytes,
        entries: &[IndexEntry],
    ) -> Result<()> {
        self.keep(kind, segment, sealed);
        let full = {
            let mut state = self.write(kind);
            state.own.insert(segment);
            state.delta.add(segment, entries);
            state.delta.len() > self.limits.rows_beside(state.base.as_ref())
        };
        self.claims.settle(entries.iter().map(|entry| entry.id));
        if full { self.merge(kind) } else { Ok(()) }
    }

    /// Keeps a copy in the cache of a segment that this process has written and whose entries are known.
    pub fn keep(&self, kind: BlobKind, segment: ObjectName, sealed: &Bytes) {
        if let Some(cache) = self.writable_cache() {
            source::keep(cache, kind, segment, sealed);
        }
    }

    /// Takes entries as true that no segment names, in this process alone: for a repair, which decides itself what counts.
    pub fn assume(&self, kind: BlobKind, entries: &[IndexEntry]) {
        self.write(kind).salvaged.add(ObjectName([0; 16]), entries);
        self.claims.settle(entries.iter().map(|entry| entry.id));
    }

    /// Claims a blob for this run.
    pub fn claim(&self, id: ShortId) -> Result<Claim> {
        // Held while looking, so that a blob cannot come from one to the other unseen.
        let mut claimed = self.claims.shard(&id);
        if claimed.contains(&id) {
            return Ok(Claim::Pending);
        }
        if let Some(location) = self.stored(&id)? {
            return Ok(Claim::Stored(location));
        }
        claimed.insert(id);
        Ok(Claim::New)
    }

    /// Where a stored blob lies. One whose packs are all condemned is still found.
    pub fn find(&self, id: ShortId) -> Result<Option<Location>> {
        self.find_in([BlobKind::Data, BlobKind::Tree], &id)
    }

    /// [`Index::find`] for a tree blob: looks among trees first, which spares a reader the data's segments.
    pub fn find_tree(&self, id: ShortId) -> Result<Option<Location>> {
        self.find_in([BlobKind::Tree, BlobKind::Data], &id)
    }

    /// From now on, blobs count as stored only if they lie in other packs than these. What only these hold can be read.
    pub fn condemn(&self, packs: HashSet<ObjectName>) {
        self.write_verdicts().condemned = packs;
    }

    /// A pack is not there: from now on what segments say of it counts for nothing, and its blobs are found where else they lie.
    pub fn lose(&self, pack: ObjectName) {
        self.write_verdicts().lost.insert(pack);
    }

    /// Forgets what was loaded, so that it can be loaded anew. What is condemned, lost or on its way stays so.
    pub fn clear(&self) {
        for kind in BlobKind::ALL {
            *self.write(kind) = State::default();
        }
    }

    /// How many rows are known: blobs, each as often as it is stored.
    pub fn len(&self) -> u64 {
        BlobKind::ALL
            .into_iter()
            .map(|kind| {
                let state = self.read(kind);
                let deltas = [&state.delta, &state.salvaged].into_iter().chain(state.frozen.as_deref());
                let rows: usize = deltas.map(Delta::len).sum();
                rows as u64 + state.base.as_ref().map_or(0, |base| base.table.len())
            })
            .sum()
    }

    /// True if none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find_in(&self, kinds: [BlobKind; 2], id: &ShortId) -> Result<Option<Location>> {
        let mut spare = None;
        for kind in kinds {
            if let Some(found) = self.find_local(kind, id, &mut spare)? {
                return Ok(Some(found));
            }
        }
        for kind in kinds {
            if let Some(found) = self.find_remote(kind, id, &mut spare)? {
                return Ok(Some(found));
            }
        }
        match (spare, self.broken()) {
            (None, Some(why)) => {
                Err(EngineError::damaged(format!("a blob is not found where the index reads: {why}"))
                    .with_hint("run `larder check` to see what is damaged"))
            }
            (spare, _) => Ok(spare),
        }
    }

    /// What is wrong with a segment that was met, if any is.
    fn broken(&self) -> Option<String> {
        BlobKind::ALL.into_iter().find_map(|kind| {
            let state = self.read(kind);
            let remote = || state.remote.as_ref().and_then(|remote| remote.broken());
            state.broken.first().cloned().or_else(remote)
        })
    }

    /// What this machine knows. A location in a condemned pack goes to `spare`.
    fn find_local(
        &self,
        kind: BlobKind,
        id: &ShortId,
        spare: &mut Option<Location>,
    ) -> Result<Option<Location>> {
        let mut choose = |row: &Row, pack: Option<ObjectName>| {
            let location = row.location(kind, pack?);
            self.choose(&[location], spare)
        };
        for _ in 0..RECOVERIES_MAX {
            let base = {
                let state = self.read(kind);
                for delta in [&state.delta, &state.salvaged].into_iter().chain(state.frozen.as_deref()) {
                    let found = delta.find(id, |row| choose(row, delta.packs().pack(row.pack)));
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                state.base.clone()
            };
            let Some(base) = base else { return Ok(None) };
            match base.table.find(id, |_, row| choose(row, base.pack(row.pack).map(|(pack, _)| pack))) {
                Ok(found) => return Ok(found),
                Err(error) => self.recover(kind, &base, &error)?,
            }
        }
        Err(unreliable())
    }

    /// Looks into segments that are not here yet.
    fn find_remote(
        &self,
        kind: BlobKind,
        id: &ShortId,
        spare: &mut Option<Location>,
    ) -> Result<Option<Location>> {
        if self.read(kind).loaded == Loaded::WhenAsked {
            self.load_for_reading(kind)?;
            if let Some(found) = self.find_local(kind, id, spare)? {
                return Ok(Some(found));
            }
        }
        load::again(|| {
            let Some(remote) = self.read(kind).remote.clone() else { return Ok(None) };
            if remote.is_dear() {
                // So much was fetched in pieces that the whole is cheaper from here on.
                self.load_whole(kind)?;
                return self.find_local(kind, id, spare);
            }
            let went = match remote.find(&self.segments, self.writable_cache(), id) {
                Err(error) if error.kind() == EngineErrorKind::Busy => error,
                found => return Ok(self.choose(&found?, spare)),
            };
            // A segment went: a prune has put another in its place.
            self.load_for_reading(kind)?;
            self.find_local(kind, id, spare)?.map_or(Err(went), |found| Ok(Some(found)))
        })
    }

    /// A location in a pack that stays; one in a condemned pack goes to `spare`, one in a lost pack is none.
    fn choose(&self, found: &[Location], spare: &mut Option<Location>) -> Option<Location> {
        let verdicts = self.verdicts();
        let mut there = found.iter().filter(|location| !verdicts.lost.contains(&location.pack));
        there
            .find(|location| {
                let condemned = verdicts.condemned.contains(&location.pack);
                if condemned {
                    spare.get_or_insert(**location);
                }
                !condemned
            })
            .copied()
    }

    /// Where a blob is stored, in a pack that stays.
    fn stored(&self, id: &ShortId) -> Result<Option<Location>> {
        for kind in BlobKind::ALL {
            for _ in 0..RECOVERIES_MAX {
                let (in_memory, base) = {
                    let state = self.read(kind);
                    let mut deltas =
                        [&state.delta, &state.salvaged].into_iter().chain(state.frozen.as_deref());
                    let in_memory = deltas.any(|delta| delta.find(id, |_| Some(())).is_some());
                    (in_memory, state.base.clone())
                };
                let perhaps = match &base {
                    Some(base) if !in_memory => match base.table.may_hold(id) {
                        Ok(perhaps) => perhaps,
                        Err(error) => {
                            self.recover(kind, base, &error)?;
                            continue;
                        }
                    },
                    _ => in_memory,
                };
                if perhaps && let Some(found) = self.find_local(kind, id, &mut None)? {
                    return Ok(Some(found));
                }
                break;
            }
        }
        Ok(None)
    }

    fn verdicts(&self) -> RwLockReadGuard<'_, Verdicts> {
        self.verdicts.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_verdicts(&self) -> RwLockWriteGuard<'_, Verdicts> {
        self.verdicts.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, kind: BlobKind) -> RwLockReadGuard<'_, State> {
        self.kinds[kind as usize].read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, kind: BlobKind) -> RwLockWriteGuard<'_, State> {
        self.kinds[kind as usize].write().unwrap_or_else(PoisonError::into_inner)
    }

    fn building(&self) -> MutexGuard<'_, ()> {
        self.building.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cache, unless it was seen to be full.
    fn writable_cache(&self) -> Option<&Cache> {
        self.cache.as_deref().filter(|_| !self.full.load(Ordering::Relaxed))
    }
}

fn unreliable() -> EngineError {
    EngineError::failed("the cache of the index does not read back what was just written to it")
        .with_hint("this machine's disk or memory may be failing; $LARDER_CACHE chooses another folder")
}
