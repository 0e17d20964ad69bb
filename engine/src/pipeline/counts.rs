//! What a run counts while it reads: for its progress, its snapshot and its report.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::snapshot::ContainerWork;

/// Most causes of skipped items, and most whom a container waited for, that are told apart; what is beyond counts as others.
const WORDS_MAX: usize = 64;
/// Longest of them, in bytes; longer ones are cut.
const WORD_BYTES_MAX: usize = 256;
/// What stands for those beyond.
const OTHERS: &str = "others";

/// Counts of one container, or of a whole run.
#[derive(Default)]
pub(super) struct ReadCounts {
    /// Items whose streams were read.
    items: AtomicU64,
    /// Bytes of them.
    bytes: AtomicU64,
    /// Items that the source listed or reported.
    listed: AtomicU64,
    /// Items that could not be read.
    failed: AtomicU64,
}

impl ReadCounts {
    pub(super) fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
    pub(super) fn listed(&self) -> u64 {
        self.listed.load(Ordering::Relaxed)
    }
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// Counts of one container, each of which also counts for the run.
pub(super) struct ContainerCounts {
    run: Arc<ReadCounts>,
    own: ReadCounts,
    skipped: Mutex<BTreeMap<String, u64>>,
    waited: Mutex<BTreeMap<String, u64>>,
    /// What the run had done here before it was interrupted.
    before: ContainerWork,
    /// By the run's clock.
    began: Duration,
}

impl ContainerCounts {
    /// Counts for a container that `run` begins now, or goes on with if `before` is work of the same run.
    pub(super) fn new(
        run: Arc<ReadCounts>,
        number: u64,
        before: Option<&ContainerWork>,
        now: Duration,
    ) -> Self {
        let before = before.filter(|work| work.run == number).cloned();
        let before = before.unwrap_or_else(|| ContainerWork { run: number, ..ContainerWork::default() });
        let known = |words: &[(String, u64)]| Mutex::new(words.iter().cloned().collect());
        let (skipped, waited) = (known(&before.skipped), known(&before.waited_millis));
        Self { run, own: ReadCounts::default(), skipped, waited, before, began: now }
    }

    fn add(&self, count: impl Fn(&ReadCounts) -> &AtomicU64, more: u64) {
        count(&self.run).fetch_add(more, Ordering::Relaxed);
        count(&self.own).fetch_add(more, Ordering::Relaxed);
    }
    /// Items were read.
    pub(super) fn read(&self, items: u64) {
        self.add(|counts| &counts.items, items);
    }
    /// Bytes were read.
    pub(super) fn read_bytes(&self, bytes: u64) {
        self.add(|counts| &counts.bytes, bytes);
    }
    /// Items were listed or reported.
    pub(super) fn listed(&self, items: u64) {
        self.add(|counts| &counts.listed, items);
    }
    /// An item could not be read.
    pub(super) fn failed(&self) {
        self.add(|counts| &counts.failed, 1);
    }
    /// An item was left out on purpose.
    pub(super) fn skipped(&self, cause: &str) {
        count_word(&mut lock(&self.skipped), cause, 1);
    }
    /// The source waited for someone's leave to go on.
    pub(super) fn waited(&self, on: &str, time: Duration) {
        count_word(&mut lock(&self.waited), on, u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// All of it so far, for the container's record.
    pub(super) fn work(&self, now: Duration) -> ContainerWork {
        let words = |counted: &Mutex<BTreeMap<String, u64>>| lock(counted).clone().into_iter().collect();
        let millis = u64::try_from(now.saturating_sub(self.began).as_millis()).unwrap_or(u64::MAX);
        ContainerWork {
            run: self.before.run,
            listed: self.before.listed.saturating_add(self.own.listed()),
            read_items: self.before.read_items.saturating_add(self.own.items()),
            read_bytes: self.before.read_bytes.saturating_add(self.own.bytes()),
            deleted: 0,
            millis: self.before.millis.saturating_add(millis),
            skipped: words(&self.skipped),
            waited_millis: words(&self.waited),
        }
    }
}

fn lock<T>(counted: &Mutex<T>) -> MutexGuard<'_, T> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds to a word's count; the words come from a plugin, so neither they nor their number may grow without bound.
fn count_word(counted: &mut BTreeMap<String, u64>, word: &str, more: u64) {
    let word = &word[..word.floor_char_boundary(WORD_BYTES_MAX)];
    let word = if counted.len() < WORDS_MAX || counted.contains_key(word) { word } else { OTHERS };
    let count = counted.entry(word.to_owned()).or_default();
    *count = count.saturating_add(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_interrupted_run_had_done_counts_and_what_another_did_does_not() {
        let earlier = ContainerWork {
            run: 4,
            listed: 10,
            read_items: 5,
            read_bytes: 500,
            deleted: 0,
            millis: 1000,
            skipped: vec![("infected".to_owned(), 1)],
            waited_millis: vec![("ann".to_owned(), 20)],
        };
        let run = Arc::<ReadCounts>::default();
        let at = Duration::from_secs;
        let same = ContainerCounts::new(Arc::clone(&run), 4, Some(&earlier), at(7));
        same.listed(2);
        same.read(1);
        same.read_bytes(11);
        same.skipped("infected");
        same.waited("bob", at(1));
        let work = same.work(at(9));
        assert_eq!((work.listed, work.read_items, work.read_bytes, work.millis), (12, 6, 511, 3000));
        assert_eq!(work.skipped, [("infected".to_owned(), 2)]);
        assert_eq!(work.waited_millis, [("ann".to_owned(), 20), ("bob".to_owned(), 1000)]);
        let other = ContainerCounts::new(Arc::clone(&run), 5, Some(&earlier), at(7));
        assert_eq!(other.work(at(7)), ContainerWork { run: 5, ..ContainerWork::default() });
        assert_eq!((run.listed(), run.items(), run.bytes()), (2, 1, 11));
    }

    #[test]
    fn words_are_bounded_in_length_and_number() {
        let counts = ContainerCounts::new(Arc::default(), 1, None, Duration::ZERO);
        for number in 0..2 * WORDS_MAX {
            counts.skipped(&format!("{number}{}", "ä".repeat(WORD_BYTES_MAX)));
        }
        let skipped = counts.work(Duration::ZERO).skipped;
        assert_eq!(skipped.len(), WORDS_MAX + 1);
        assert!(skipped.iter().all(|(word, _)| word.len() <= WORD_BYTES_MAX));
        assert_eq!(skipped.iter().map(|(_, count)| count).sum::<u64>(), 2 * WORDS_MAX as u64);
    }
}
