//! Putting tables together: of what was listed, of what came since, and anew where one does not verify.

use std::{
    cell::RefCell,
    io,
    sync::{Arc, atomic::Ordering},
};

use super::{
    Index, Loaded,
    builder::{BuildError, Builder, file_name},
    load::{Loading, Names, again},
    remote::Remote,
    source::{self, Copies, Piece, Segment},
    table::{Base, Table},
};
use crate::{
    cache::Cache,
    error::{EngineError, Result},
    hash::ObjectName,
    index::{BlobKind, Delta},
};

/// Segments that had to be left out, and why.
#[derive(Default)]
struct LeftOut {
    damaged: Vec<(Segment, EngineError)>,
    gone: Option<EngineError>,
}

/// What goes into a new table.
#[derive(Clone, Copy)]
pub(super) struct Plan<'run> {
    pub(super) base: Option<&'run Base>,
    pub(super) delta: &'run Delta,
    pub(super) missing: &'run [Segment],
    /// Copies in the cache are not believed.
    pub(super) from_store: bool,
    pub(super) poll: &'run dyn Fn() -> Result<()>,
    /// Takes the segments that those read stand for.
    pub(super) replaced: Option<&'run RefCell<Vec<ObjectName>>>,
}

impl<'run> Plan<'run> {
    pub(super) fn of(delta: &'run Delta) -> Self {
        Self { base: None, delta, missing: &[], from_store: false, poll: &|| Ok(()), replaced: None }
    }
}

impl Index {
    /// Builds a table and puts it in place of what there is.
    pub(super) fn build(&self, kind: BlobKind, plan: &Plan<'_>) -> Result<Loading> {
        let built = match self.build_in(self.writable_cache(), kind, plan) {
            Err(Stop::Build(BuildError::Write(error))) if self.writable_cache().is_some() => {
                self.give_up_cache(&error);
                self.build_in(None, kind, plan)
            }
            other => other,
        };
        match built {
            Ok((table, LeftOut { damaged, gone })) => {
                let salvaged = self.salvage(kind, &damaged)?;
                self.settle(kind, Some(Base::new(table)), Delta::default(), salvaged);
                let broken = damaged.into_iter().map(|(segment, error)| (segment.name, error)).collect();
                Ok(Loading { broken, gone })
            }
            // The table before does not verify: without it, everything listed is missing.
            Err(Stop::Build(BuildError::Base(error))) => {
                self.tell_damage(&error);
                let missing = self.missing_beside(kind, None, plan.delta)?;
                self.build(kind, &Plan { base: None, missing: &missing, ..*plan })
            }
            Err(Stop::Build(BuildError::Write(error))) => Err(super::unreliable().with_source(error)),
            Err(Stop::Engine(error)) => Err(error),
        }
    }

    /// Builds a table; returns the segments that it had to leave out.
    fn build_in(
        &self,
        cache: Option<&Cache>,
        kind: BlobKind,
        plan: &Plan<'_>,
    ) -> std::result::Result<(Arc<Table>, LeftOut), Stop> {
        let mut builder = Builder::new(cache, &self.secret, kind, self.limits.run_rows);
        if let Some(base) = plan.base {
            builder.keep(base.clone());
        }
        builder.push_delta(plan.delta)?;
        let numbers: Vec<u32> = plan.missing.iter().map(|segment| builder.segment(segment.name)).collect();
        let copies = if plan.from_store { Copies::Ignored } else { Copies::Used(self.cache.as_deref()) };
        let mut left_out = LeftOut::default();
        self.segments.read_all(kind, plan.missing, copies, |piece| -> std::result::Result<(), Stop> {
            (plan.poll)()?;
            match piece {
                Piece::Page(place, page) => builder.push(numbers[place], &page)?,
                Piece::Done(_, replaces) => {
                    if let Some(replaced) = plan.replaced {
                        replaced.borrow_mut().extend(replaces);
                    }
                }
                Piece::Damaged(place, error) => {
                    builder.drop_segment(numbers[place]);
                    left_out.damaged.push((plan.missing[place], error));
                }
                Piece::Gone(place, error) => {
                    builder.drop_segment(numbers[place]);
                    left_out.gone = Some(error);
                }
            }
            Ok(())
        })?;
        Ok((builder.finish()?, left_out))
    }

    /// What is listed and neither in a table nor in memory.
    fn missing_beside(&self, kind: BlobKind, base: Option<&Base>, delta: &Delta) -> Result<Vec<Segment>> {
        let have: Names = base
            .into_iter()
            .flat_map(Base::segments)
            .chain(delta.packs().segments().iter().copied())
            .collect();
        let mut missing = self.segments.list(kind)?;
        missing.retain(|segment| !have.contains(&segment.name));
        Ok(missing)
    }

    /// What reads of damaged segments.
    fn salvage(&self, kind: BlobKind, broken: &[(Segment, EngineError)]) -> Result<Delta> {
        let mut salvaged = Delta::default();
        let segments: Vec<Segment> = broken.iter().map(|(segment, _)| *segment).collect();
        self.segments.read_all(kind, &segments, Copies::Ignored, |piece| -> Result<()> {
            if let Piece::Page(place, page) = piece
                && salvaged.len() < self.limits.rows_beside_max
            {
                salvaged.add(segments[place].name, &page);
            }
            Ok(())
        })?;
        Ok(salvaged)
    }

    /// Merges what is in memory into the table. Lookups and inserts go on meanwhile.
    pub(super) fn merge(&self, kind: BlobKind) -> Result<()> {
        let _building = self.building();
        let (base, frozen) = {
            let mut state = self.write(kind);
            if state.delta.len() <= self.limits.rows_beside(state.base.as_ref()) {
                return Ok(());
            }
            let frozen = Arc::new(std::mem::take(&mut state.delta));
            state.frozen = Some(Arc::clone(&frozen));
            (state.base.clone(), frozen)
        };
        let run = |cache: Option<&Cache>| -> std::result::Result<Arc<Table>, BuildError> {
            let mut builder = Builder::new(cache, &self.secret, kind, self.limits.run_rows);
            if let Some(base) = &base {
                builder.keep(base.clone());
            }
            builder.push_delta(&frozen)?;
            builder.finish()
        };
        let built = match run(self.writable_cache()) {
            Err(BuildError::Write(error)) if self.writable_cache().is_some() => {
                self.give_up_cache(&error);
                run(None)
            }
            other => other,
        };
        let mut state = self.write(kind);
        state.frozen = None;
        match built {
            Ok(table) => {
                state.base = Some(Base::new(table));
                let wanted: Names = state.delta.packs().segments().iter().copied().collect();
                drop(state);
                if let Some(cache) = self.writable_cache() {
                    source::forget_others(cache, kind, |name| wanted.contains(name));
                }
                Ok(())
            }
            Err(error) => {
                // As it was before; a damaged base is made anew by whoever meets it first.
                state.delta.absorb(&frozen, |_| true);
                drop(state);
                match (error, base) {
                    (BuildError::Base(error), Some(base)) => self.recover_locked(kind, &base, &error),
                    (BuildError::Base(error) | BuildError::Write(error), _) => {
                        Err(super::unreliable().with_source(error))
                    }
                }
            }
        }
    }

    /// A table does not verify: it is thrown away and made anew from the store.
    pub(super) fn recover(&self, kind: BlobKind, damaged: &Base, error: &io::Error) -> Result<()> {
        let _building = self.building();
        self.recover_locked(kind, damaged, error)
    }

    fn recover_locked(&self, kind: BlobKind, damaged: &Base, error: &io::Error) -> Result<()> {
        let (loaded, mut delta) = {
            let state = self.read(kind);
            match &state.base {
                Some(base) if Arc::ptr_eq(&base.table, &damaged.table) => {}
                // Somebody else has done it.
                _ => return Ok(()),
            }
            (state.loaded, state.delta.clone())
        };
        self.tell_damage(error);
        if let Some(cache) = &self.cache {
            cache.remove(file_name(kind));
        }
        if loaded == Loaded::Whole {
            let mut base = None;
            return again(|| {
                let missing = self.missing_beside(kind, base.as_ref(), &delta)?;
                let plan = Plan { base: base.as_ref(), missing: &missing, ..Plan::of(&delta) };
                let loading = self.build(kind, &plan)?;
                (base, delta) = (self.read(kind).base.clone(), Delta::default());
                loading.settled().map(drop)
            });
        }
        let missing = self.missing_beside(kind, None, &delta)?;
        let mut state = self.write(kind);
        state.base = None;
        state.remote = Some(Arc::new(Remote::new(kind, missing, &self.limits)));
        Ok(())
    }

    fn give_up_cache(&self, error: &io::Error) {
        self.full.store(true, Ordering::Relaxed);
        if let Some(cache) = &self.cache {
            cache.warn(error);
        }
    }

    fn tell_damage(&self, error: &io::Error) {
        if let Some(cache) = &self.cache {
            cache.tell(&format!(
                "the cache of the index was damaged ({error}); it is made anew from the store"
            ));
        }
    }
}

/// Why building stopped.
enum Stop {
    Build(BuildError),
    Engine(EngineError),
}

impl From<BuildError> for Stop {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}
