//! Keeping removal records few: those of a set are put together in one, and go once that has been there for a day. `docs/format.md` says why that
//! loses none.

use std::collections::{BTreeMap, HashSet};

use larder_sdk::Time;

use super::{PruneSetup, sessions::Others};
use crate::{
    crypto::ObjectKind,
    error::{EngineErrorKind, Result},
    hash::ObjectName,
    planted::{Bug, planted},
    repository::layout,
    snapshot::{RemovalRecord, RemovedSnapshot},
};

/// So many records of a set are put together.
const RECORDS_MIN: usize = 4;
/// Most snapshots that a record of several names.
const SNAPSHOTS_MAX: usize = 100_000;

/// A record as it was listed.
struct Listed {
    name: ObjectName,
    /// When it was put, by the store's clock.
    put: Option<Time>,
    record: RemovalRecord,
}

/// Puts records together, and removes those whose snapshots all stand in others. What does not read stays as it is.
pub(super) fn tidy(setup: &PruneSetup<'_>, others: &Others) -> Result<()> {
    let repository = setup.repository;
    let put = super::sessions::modified(repository, layout::REMOVED)?;
    let mut sets: BTreeMap<String, Vec<Listed>> = BTreeMap::new();
    for (name, record) in repository.removals()? {
        match record {
            Ok(record) => {
                let listed = Listed { name, put: put.get(&name).copied(), record };
                sets.entry(listed.record.set.clone()).or_default().push(listed);
            }
            Err(error) if error.kind() == EngineErrorKind::Damaged => {}
            Err(error) => return Err(error),
        }
    }
    for (set, records) in sets {
        let (kept, gone) = divide(records, |listed| others.is_a_day_old(listed.put));
        if let Some(removed) = together(&kept) {
            let record =
                RemovalRecord { set, removed, removed_at: setup.clock.now(), host: setup.host.to_owned() };
            repository.put_record(layout::REMOVED, ObjectKind::Removal, ObjectName::random()?, &record)?;
        }
        for name in gone {
            repository.remove(layout::REMOVED, name)?;
        }
    }
    Ok(())
}

/// Divides a set's records into those that stay, and the names of those of which every snapshot stands in one of these that is old. Only records
/// that name more, or of those that name as many the one of the greater name, count: two never go for each other's sake.
fn divide(mut records: Vec<Listed>, is_old: impl Fn(&Listed) -> bool) -> (Vec<Listed>, Vec<ObjectName>) {
    records.sort_by_key(|listed| std::cmp::Reverse((listed.record.removed.len(), listed.name)));
    let mut named: HashSet<(u64, ObjectName)> = HashSet::new();
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for listed in records {
        let snapshots = || listed.record.removed.iter().map(|removed| (removed.run, removed.id));
        if snapshots().all(|snapshot| named.contains(&snapshot)) || planted(Bug::RemovalForgotten) {
            gone.push(listed.name);
        } else {
            if is_old(&listed) {
                named.extend(snapshots());
            }
            kept.push(listed);
        }
    }
    (kept, gone)
}

/// What a record would name that stands for several of these; nothing if they are few. Roots are left out: they matter to a prune that began before
/// the snapshot went, and this record is none of then.
fn together(records: &[Listed]) -> Option<Vec<RemovedSnapshot>> {
    let mut snapshots: BTreeMap<(u64, ObjectName), usize> = BTreeMap::new();
    let mut put_together = 0;
    // The small ones first.
    for listed in records.iter().rev() {
        if snapshots.len() + listed.record.removed.len() > SNAPSHOTS_MAX {
            break;
        }
        for removed in &listed.record.removed {
            *snapshots.entry((removed.run, removed.id)).or_default() += 1;
        }
        put_together += 1;
    }
    // One of them that names all the others do only has to become old.
    let waits = records.iter().any(|listed| listed.record.removed.len() == snapshots.len());
    let few = put_together < RECORDS_MIN || waits;
    (!few).then(|| snapshots.into_keys().map(|(run, id)| RemovedSnapshot { run, id, root: None }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(number: u8, runs: &[u64]) -> Listed {
        let removed = runs
            .iter()
            .map(|run| RemovedSnapshot { run: *run, id: ObjectName([7; 16]), root: None })
            .collect();
        let record = RemovalRecord {
            set: "a".to_owned(),
            removed,
            removed_at: Time::from_seconds(3),
            host: String::new(),
        };
        Listed { name: ObjectName([number; 16]), put: None, record }
    }

    fn numbers(names: &[ObjectName]) -> Vec<u8> {
        names.iter().map(|name| name.0[0]).collect()
    }

    #[test]
    fn a_record_goes_once_old_ones_name_all_that_it_names() {
        let records = || vec![listed(1, &[1, 2]), listed(2, &[3]), listed(3, &[1, 2, 3]), listed(4, &[4])];
        let (kept, gone) = divide(records(), |_| true);
        assert_eq!((kept.len(), numbers(&gone)), (2, vec![1, 2]));
        // What names them all has just come.
        let (kept, gone) = divide(records(), |listed| listed.name.0[0] != 3);
        assert_eq!((kept.len(), gone.len()), (4, 0));
        // Of two alike one stays.
        let (kept, gone) = divide(vec![listed(1, &[1]), listed(2, &[1])], |_| true);
        assert_eq!((kept[0].name.0[0], numbers(&gone)), (2, vec![1]));
        // The same number of another snapshot is another.
        let mut other = listed(5, &[1]);
        other.record.removed[0].id = ObjectName([8; 16]);
        assert_eq!(divide(vec![listed(1, &[1, 2]), other], |_| true).1, []);
    }

    #[test]
    fn many_records_are_put_together_once() {
        let mut records: Vec<Listed> = (1..4).map(|number| listed(number, &[u64::from(number)])).collect();
        assert!(together(&records).is_none());
        records.insert(0, listed(9, &[9, 10]));
        let all = together(&records).unwrap();
        assert_eq!(all.iter().map(|removed| removed.run).collect::<Vec<_>>(), [1, 2, 3, 9, 10]);
        // Until that is a day old, it is not made again.
        records.insert(0, listed(20, &[1, 2, 3, 9, 10]));
        assert!(together(&records).is_none());
    }
}
