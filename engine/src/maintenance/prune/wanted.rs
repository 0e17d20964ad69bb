//! What is in use and lies in packs that go: which blobs are to be copied out of which pack, no more at a time than fit into memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use super::Named;
use crate::{
    error::{EngineError, Result},
    hash::ShortId,
    index::Location,
    maintenance::usage::Usage,
    repository::Repository,
};

/// Blobs whose names are in memory at once, unless a single pack has more.
const PORTION_BLOBS: usize = 512 << 10;

/// The blobs that are wanted of each pack.
pub(super) type WantedOf = BTreeMap<Named, HashSet<ShortId>>;

/// What is to be copied.
pub(super) struct Wanted<'run> {
    repository: &'run Arc<Repository>,
    usage: &'run Usage<'run>,
    /// For each pack that goes and has something in use, how many blobs that may be.
    counts: BTreeMap<Named, usize>,
}

impl<'run> Wanted<'run> {
    /// Looks what is in use in packs that go.
    pub(super) fn look(
        repository: &'run Arc<Repository>,
        usage: &'run Usage<'run>,
        gone: &HashSet<Named>,
    ) -> Result<Self> {
        let mut counts: BTreeMap<Named, usize> = BTreeMap::new();
        let mut count = |location: &Location| {
            let pack = (location.kind, location.pack);
            if gone.contains(&pack) {
                *counts.entry(pack).or_default() += 1;
            }
        };
        for id in usage.unknown() {
            let Some(location) = repository.index().find(*id)? else {
                return Err(EngineError::damaged(format!("blob {id} is in use and nothing holds it"))
                    .with_hint("nothing was deleted; run `larder check` to see what is damaged"));
            };
            count(&location);
        }
        if !gone.is_empty() {
            usage.each(|used, _, location| {
                if used {
                    count(&location);
                }
                Ok(())
            })?;
        }
        Ok(Self { repository, usage, counts })
    }

    /// How many packs have something to copy.
    pub(super) fn packs(&self) -> u64 {
        self.counts.len() as u64
    }

    /// The packs in their order, so many together as have [`PORTION_BLOBS`] to copy.
    pub(super) fn portions(&self) -> Vec<BTreeSet<Named>> {
        portions(&self.counts, PORTION_BLOBS)
    }

    /// What is to be read from some packs: of a blob that lies in several, one is chosen, and none if it was copied meanwhile.
    pub(super) fn gather(&self, packs: &BTreeSet<Named>) -> Result<WantedOf> {
        let index = self.repository.index();
        let mut wanted = WantedOf::new();
        let mut choose = |id: ShortId| -> Result<()> {
            let chosen = index.find(id)?.map(|location| (location.kind, location.pack));
            if let Some(pack) = chosen.filter(|pack| packs.contains(pack)) {
                wanted.entry(pack).or_default().insert(id);
            }
            Ok(())
        };
        self.usage.unknown().try_for_each(|id| choose(*id))?;
        self.usage.each(|used, id, location| {
            let may_be = used && packs.contains(&(location.kind, location.pack));
            if may_be { choose(id) } else { Ok(()) }
        })?;
        Ok(wanted)
    }
}

fn portions(counts: &BTreeMap<Named, usize>, most: usize) -> Vec<BTreeSet<Named>> {
    let mut portions: Vec<BTreeSet<Named>> = Vec::new();
    let mut blobs = 0;
    for (pack, count) in counts {
        blobs += count;
        match portions.last_mut() {
            Some(portion) if blobs <= most => {
                portion.insert(*pack);
            }
            _ => {
                portions.push(BTreeSet::from([*pack]));
                blobs = *count;
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{hash::ObjectName, index::BlobKind};

    #[test]
    fn portions_hold_every_pack_once_and_no_more_than_they_may() {
        let pack = |number: u8| (BlobKind::Data, ObjectName([number; 16]));
        let counts: BTreeMap<Named, usize> = [5, 3, 2, 11, 1, 9, 10]
            .into_iter()
            .zip(0..)
            .map(|(count, number)| (pack(number), count))
            .collect();
        let portions = portions(&counts, 10);
        let sums: Vec<usize> =
            portions.iter().map(|portion| portion.iter().map(|pack| counts[pack]).sum()).collect();
        // One pack alone may have more.
        assert_eq!(sums, [10, 11, 10, 10]);
        let packs: Vec<Named> = portions.into_iter().flatten().collect();
        assert_eq!(packs, counts.into_keys().collect::<Vec<_>>());
    }
}
