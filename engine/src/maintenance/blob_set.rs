//! Sets of blobs at a bit for each blob of the index, however many there are.

use std::collections::HashSet;

use crate::{
    error::{EngineError, Result},
    hash::ShortId,
    index::{BlobKind, IdHash},
    repository::IndexView,
};

/// Blobs gathered before they are put into a set or looked for together: sorted, they cost a fraction of what each alone would.
pub(super) const BATCH_BLOBS: usize = 512 << 10;
/// Most blobs in a set that the index does not know. In a sound repository there are none but those that came since it was loaded.
const BEYOND_MAX: usize = 1 << 20;

/// A set of blobs, by their numbers in an index held still: always the same one.
#[derive(Default)]
pub(super) struct BlobSet {
    bits: [Bits; 2],
    /// Those that it does not know.
    beyond: HashSet<ShortId, IdHash>,
}

impl BlobSet {
    /// Puts a blob in. True if it was not in it.
    pub(super) fn insert(&mut self, view: &IndexView, id: &ShortId) -> Result<bool> {
        let (mut known, mut is_new) = (false, false);
        for kind in BlobKind::ALL {
            if let Some(number) = view.ordinal(kind, id)? {
                known = true;
                is_new |= self.bits[kind as usize].set(number);
            }
        }
        if known { Ok(is_new) } else { self.insert_unknown(*id) }
    }

    /// Puts blobs in, which are sorted. Those that the index does not know are shown instead.
    pub(super) fn insert_sorted(
        &mut self,
        view: &IndexView,
        ids: &[ShortId],
        unknown: &mut dyn FnMut(&mut Self, ShortId) -> Result<()>,
    ) -> Result<()> {
        let mut known = Bits::default();
        for kind in BlobKind::ALL {
            let bits = &mut self.bits[kind as usize];
            let mut place = 0;
            view.ordinals(kind, ids, |_, number| {
                if let Some(number) = number {
                    bits.set(number);
                    known.set(place);
                }
                place += 1;
            })?;
        }
        let mut places = (0..).zip(ids).filter(|(place, _)| !known.has(*place));
        places.try_for_each(|(_, id)| unknown(self, *id))
    }

    /// Puts in a blob that the index does not know. True if it was not in it.
    pub(super) fn insert_unknown(&mut self, id: ShortId) -> Result<bool> {
        if self.beyond.len() >= BEYOND_MAX {
            return Err(EngineError::damaged(format!(
                "more than {BEYOND_MAX} blobs are in use and in no index segment"
            ))
            .with_hint("run `larder check` to see what is damaged; --repair mends what can be mended"));
        }
        Ok(self.beyond.insert(id))
    }

    /// True if a blob is in it.
    pub(super) fn has(&self, view: &IndexView, id: &ShortId) -> Result<bool> {
        for kind in BlobKind::ALL {
            if let Some(number) = view.ordinal(kind, id)? {
                return Ok(self.has_number(kind, number));
            }
        }
        Ok(self.beyond.contains(id))
    }

    /// True if the blob of a number is in it.
    pub(super) fn has_number(&self, kind: BlobKind, number: u64) -> bool {
        self.bits[kind as usize].has(number)
    }

    /// The blobs in it that the index does not know, in no order.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &ShortId> {
        self.beyond.iter()
    }

    /// The same blobs, by their numbers in another index.
    pub(super) fn renumbered(&self, from: &IndexView, to: &IndexView) -> Result<Self> {
        let mut renumbered = Self::default();
        let mut put = |ids: &mut Vec<ShortId>| {
            renumbered.insert_sorted(to, ids, &mut |set, id| set.insert_unknown(id).map(drop))?;
            ids.clear();
            Ok(())
        };
        let mut ids: Vec<ShortId> = self.beyond.iter().copied().collect();
        ids.sort_unstable();
        put(&mut ids)?;
        for kind in BlobKind::ALL.into_iter().filter(|kind| !self.bits[*kind as usize].0.is_empty()) {
            from.each(kind, |number, id, _| {
                if self.has_number(kind, number) {
                    ids.push(id);
                }
                if ids.len() >= BATCH_BLOBS { put(&mut ids) } else { Ok(()) }
            })?;
            put(&mut ids)?;
        }
        Ok(renumbered)
    }
}

/// Bits, as many as are needed.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Sets a bit. True if it was not set.
    fn set(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    fn has(&self, number: u64) -> bool {
        self.0.get((number / 64) as usize).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use larder_sdk::Time;

    use super::*;
    use crate::{
        crypto::Keys,
        hash::{BlobId, ObjectName, RepositoryId},
        index::IndexEntry,
        maintenance::prune::put_segment,
        pack::FramePlace,
        repository::{ConfigRecord, DRAFT, Repository},
        store::memory::MemoryStore,
    };

    fn id(number: u32) -> ShortId {
        BlobId(*blake3::hash(&number.to_le_bytes()).as_bytes()).short()
    }

    fn repository() -> Repository {
        let config = ConfigRecord {
            id: RepositoryId([7; 16]),
            draft: DRAFT,
            created: Time::from_seconds(1),
            put_if_absent: true,
            list_after_put: true,
        };
        Repository::with_keys(Arc::new(MemoryStore::default()), Keys::generate().unwrap(), config)
    }

    /// A segment of blobs that all lie in one pack.
    fn add(repository: &Repository, kind: BlobKind, pack: u8, numbers: impl Iterator<Item = u32>) {
        let entry = |number: u32| IndexEntry {
            id: id(number),
            pack: ObjectName([pack; 16]),
            frame: FramePlace { number: 0, offset: 48, sealed_bytes: 100 },
            offset: number,
            bytes: 1,
        };
        let mut entries: Vec<IndexEntry> = numbers.map(entry).collect();
        put_segment(repository, kind, &mut entries, &[]).unwrap();
    }

    /// So many that they are put into a table; some lie beside it, some in both kinds.
    fn filled() -> Repository {
        let repository = repository();
        add(&repository, BlobKind::Data, 1, 0..70_000);
        add(&repository, BlobKind::Data, 2, 70_000..71_000);
        add(&repository, BlobKind::Tree, 3, 70_500..72_000);
        repository
    }

    fn members(set: &BlobSet, view: &IndexView, among: std::ops::Range<u32>) -> Vec<u32> {
        among.filter(|number| set.has(view, &id(*number)).unwrap()).collect()
    }

    #[test]
    fn a_set_holds_what_was_put_in_whether_the_index_knows_it_or_not() {
        let repository = filled();
        let view = repository.index().view().unwrap();
        let mut set = BlobSet::default();
        for number in [5, 69_999, 70_100, 70_700, 71_900, 80_000] {
            assert!(set.insert(&view, &id(number)).unwrap(), "{number}");
            assert!(!set.insert(&view, &id(number)).unwrap(), "{number}");
        }
        let mut many: Vec<ShortId> = (70_690..70_710).chain(72_000..72_003).map(id).collect();
        many.sort_unstable();
        let mut unknown = Vec::new();
        set.insert_sorted(&view, &many, &mut |_, id| {
            unknown.push(id);
            Ok(())
        })
        .unwrap();
        unknown.sort_unstable();
        let mut expected: Vec<ShortId> = (72_000..72_003).map(id).collect();
        expected.sort_unstable();
        assert_eq!(unknown, expected);
        let mut expected = vec![5, 69_999, 70_100];
        expected.extend(70_690..70_710);
        expected.extend([71_900, 80_000]);
        assert_eq!(members(&set, &view, 0..90_000), expected);
        assert_eq!(set.unknown().collect::<Vec<_>>(), [&id(80_000)]);
        // By number, as the rows of the index are shown.
        let mut shown = 0;
        for kind in BlobKind::ALL {
            view.each(kind, |number, id, _| {
                assert_eq!(set.has_number(kind, number), set.has(&view, &id)?);
                shown += 1;
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(shown, 72_500);
    }

    #[test]
    fn a_set_is_the_same_by_another_state_of_the_index() {
        let repository = filled();
        let before = repository.index().view().unwrap();
        let mut set = BlobSet::default();
        let numbers = || (0..73_000).step_by(7);
        for number in numbers() {
            assert!(set.insert(&before, &id(number)).unwrap());
        }
        // Blobs come, also some that the set has and the index had not, and others go with their pack.
        add(&repository, BlobKind::Tree, 4, 72_000..140_000);
        repository.index().lose(ObjectName([2; 16]));
        let after = repository.index().view().unwrap();
        let renumbered = set.renumbered(&before, &after).unwrap();
        let expected: Vec<u32> = numbers().collect();
        assert_eq!(members(&set, &before, 0..75_000), expected);
        assert_eq!(members(&renumbered, &after, 0..75_000), expected);
        let mut unknown: Vec<ShortId> = renumbered.unknown().copied().collect();
        unknown.sort_unstable();
        // Those of the pack that went, as far as they lie nowhere else.
        let mut gone: Vec<ShortId> =
            numbers().filter(|number| (70_000..70_500).contains(number)).map(id).collect();
        gone.sort_unstable();
        assert_eq!(unknown, gone);
    }
}
