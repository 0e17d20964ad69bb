//! A whole index held still: its rows in order, each with a number of its own, for those who keep a bit for every blob.

use std::collections::HashSet;

use super::{Base, Index, RECOVERIES_MAX, table::Lookup, unreliable};
use crate::{
    error::{EngineError, Result},
    hash::{ObjectName, ShortId},
    index::{BlobKind, Location, Row},
};

/// The rows as they were when it was made. What is inserted later is not in it.
pub struct IndexView {
    kinds: [KindView; 2],
    /// Packs that are not there: rows that name them are not shown, though they have their numbers.
    lost: HashSet<ObjectName>,
}

struct KindView {
    base: Option<Base>,
    /// Rows that are in no table, in order of id.
    beside: Vec<(Row, ObjectName)>,
}

impl Index {
    /// Holds still what is known. The table is read and verified once for it.
    pub fn view(&self) -> Result<IndexView> {
        let kinds = [self.view_of(BlobKind::Data)?, self.view_of(BlobKind::Tree)?];
        Ok(IndexView { kinds, lost: self.verdicts().lost.clone() })
    }

    /// Shows every stored blob, of each kind in order of id: one stored in several packs is shown with each.
    pub fn each(&self, mut show: impl FnMut(ShortId, Location)) -> Result<()> {
        let view = self.view()?;
        for kind in BlobKind::ALL {
            view.each(kind, |_, id, location| {
                show(id, location);
                Ok(())
            })?;
        }
        Ok(())
    }

    fn view_of(&self, kind: BlobKind) -> Result<KindView> {
        for _ in 0..RECOVERIES_MAX {
            let view = {
                let state = self.read(kind);
                let deltas = [&state.delta, &state.salvaged].into_iter().chain(state.frozen.as_deref());
                let mut beside = Vec::new();
                for delta in deltas {
                    let rows = delta.rows().iter();
                    beside.extend(rows.filter_map(|row| Some((*row, delta.packs().pack(row.pack)?))));
                }
                KindView { base: state.base.clone(), beside }
            };
            let Some(base) = view.base.clone() else { return Ok(view.sorted()) };
            match verify(&base) {
                Ok(()) => return Ok(view.sorted()),
                Err(error) => self.recover(kind, &base, &error)?,
            }
        }
        Err(unreliable())
    }
}

/// Reads all of a table once.
fn verify(base: &Base) -> std::io::Result<()> {
    let mut rows = base.table.rows();
    while rows.next_row()?.is_some() {}
    Ok(())
}

impl IndexView {
    /// One more than the largest number of a kind.
    pub fn len(&self, kind: BlobKind) -> u64 {
        let view = &self.kinds[kind as usize];
        view.beside.len() as u64 + view.base.as_ref().map_or(0, |base| base.table.len())
    }

    /// True if there is no row of a kind.
    pub fn is_empty(&self, kind: BlobKind) -> bool {
        self.len(kind) == 0
    }

    /// A blob's number within its kind: that of its first row, below [`IndexView::len`]. `None` if it is not stored.
    pub fn ordinal(&self, kind: BlobKind, id: &ShortId) -> Result<Option<u64>> {
        self.ordinal_from(kind, &mut Lookup::default(), id)
    }

    /// [`IndexView::ordinal`] of many blobs, shown in their order. If they are sorted, each part of the table is read once at most.
    pub fn ordinals(
        &self,
        kind: BlobKind,
        ids: &[ShortId],
        mut show: impl FnMut(&ShortId, Option<u64>),
    ) -> Result<()> {
        let mut lookup = Lookup::default();
        for id in ids {
            show(id, self.ordinal_from(kind, &mut lookup, id)?);
        }
        Ok(())
    }

    fn ordinal_from(&self, kind: BlobKind, lookup: &mut Lookup, id: &ShortId) -> Result<Option<u64>> {
        let view = &self.kinds[kind as usize];
        let mut rows = 0;
        if let Some(base) = &view.base {
            rows = base.table.len();
            // Most blobs are asked for in both kinds and stored in one.
            if base.table.may_hold(id).map_err(lost)? {
                let found = base.table.find_from(lookup, id, |ordinal, row| {
                    let there = base.pack(row.pack).is_some_and(|(pack, _)| !self.lost.contains(&pack));
                    there.then_some(ordinal)
                });
                if let Some(ordinal) = found.map_err(lost)? {
                    return Ok(Some(ordinal));
                }
            }
        }
        let from = view.beside.partition_point(|(row, _)| row.id < *id);
        let same = view.beside.iter().enumerate().skip(from).take_while(|(_, (row, _))| row.id == *id);
        let there = same.filter(|(_, (_, pack))| !self.lost.contains(pack)).map(|(place, _)| place).next();
        Ok(there.map(|place| rows + place as u64))
    }

    /// Shows every row of a kind in order of id: its number, the blob's id, where it lies. Rows of one id follow one another; the first
    /// has the number that [`IndexView::ordinal`] tells. Memory does not grow with the rows.
    pub fn each(
        &self,
        kind: BlobKind,
        mut show: impl FnMut(u64, ShortId, Location) -> Result<()>,
    ) -> Result<()> {
        let view = &self.kinds[kind as usize];
        let mut show = |number: u64, row: &Row, pack: ObjectName| {
            if self.lost.contains(&pack) { Ok(()) } else { show(number, row.id, row.location(kind, pack)) }
        };
        let mut beside = view.beside.iter().enumerate().peekable();
        let rows = view.base.as_ref().map_or(0, |base| base.table.len());
        if let Some(base) = &view.base {
            let mut stored = base.table.rows();
            let mut ordinal = 0_u64;
            while let Some(row) = stored.next_row().map_err(lost)? {
                while let Some((place, (other, pack))) = beside.next_if(|(_, (other, _))| other.id < row.id) {
                    show(rows + place as u64, other, *pack)?;
                }
                if let Some((pack, _)) = base.pack(row.pack) {
                    show(ordinal, &row, pack)?;
                }
                ordinal += 1;
            }
        }
        for (place, (row, pack)) in beside {
            show(rows + place as u64, row, *pack)?;
        }
        Ok(())
    }
}

impl KindView {
    fn sorted(mut self) -> Self {
        self.beside.sort_unstable_by_key(|(row, _)| row.key());
        self
    }
}

fn lost(error: std::io::Error) -> EngineError {
    EngineError::failed("the cache of the index can no longer be read")
        .with_source(error)
        .with_hint("run the command again: the cache is then made anew")
}
