//! A set's run numbers: whether all snapshots that must be there are there.

use std::collections::HashSet;

use super::{RemovalRecord, SnapshotRecord};
use crate::hash::ObjectName;

/// What is wrong with the numbers of a set's snapshots, in ascending order, given what was removed by rule and the highest that was seen.
pub fn missing_run(
    snapshots: &[(ObjectName, SnapshotRecord)],
    removed: &[RemovalRecord],
    set: &str,
    seen: Option<(u64, ObjectName)>,
) -> Option<String> {
    let (missing, _) = missing_runs(snapshots, removed, set, seen).next()?;
    match snapshots.iter().find(|(_, snapshot)| snapshot.run > missing) {
        Some((name, snapshot)) => {
            let base = snapshot.base.map_or_else(String::new, |base| format!(" `snapshots/{base}`"));
            Some(format!(
                "number {missing}: `snapshots/{name}` is number {} and was built on{base}",
                snapshot.run
            ))
        }
        None => {
            seen.map(|(run, name)| format!("number {run}, `snapshots/{name}`, which this machine has seen"))
        }
    }
}

/// Every number that is missing, in order, and the id of its snapshot where that is known. May be many.
pub fn missing_runs<'set>(
    snapshots: &'set [(ObjectName, SnapshotRecord)],
    removed: &[RemovalRecord],
    set: &str,
    seen: Option<(u64, ObjectName)>,
) -> impl Iterator<Item = (u64, Option<ObjectName>)> + 'set {
    let mut there: HashSet<u64> = removed
        .iter()
        .filter(|record| record.set == set)
        .flat_map(|record| record.removed.iter().map(|removed| removed.run))
        .collect();
    there.extend(snapshots.iter().map(|(_, snapshot)| snapshot.run));
    let last = snapshots.last().map_or(0, |(_, snapshot)| snapshot.run);
    let highest = last.max(seen.map_or(0, |(run, _)| run));
    (1..=highest).filter(move |run| !there.contains(run)).map(move |run| {
        let next = snapshots.iter().find(|(_, snapshot)| snapshot.run == run + 1);
        let base = next.and_then(|(_, snapshot)| snapshot.base);
        (run, base.or_else(|| seen.filter(|(seen, _)| *seen == run).map(|(_, id)| id)))
    })
}

#[cfg(test)]
mod tests {
    use larder_sdk::Time;

    use super::{super::*, *};

    fn name(n: u64) -> ObjectName {
        ObjectName([n as u8; 16])
    }

    fn snapshot(run: u64) -> (ObjectName, SnapshotRecord) {
        let record = SnapshotRecord {
            set: "a".to_owned(),
            run,
            base: (run > 1).then(|| name(run - 1)),
            started: Time::from_seconds(1),
            finished: Time::from_seconds(2),
            host: String::new(),
            program: String::new(),
            tags: Vec::new(),
            root: None,
            outcome: SnapshotOutcome::Complete,
            totals: Totals::default(),
            segments: Vec::new(),
            findings: Vec::new(),
            more_findings: 0,
        };
        (name(run), record)
    }

    fn removal(set: &str, runs: &[u64]) -> RemovalRecord {
        let removed =
            runs.iter().map(|run| RemovedSnapshot { run: *run, id: name(*run), root: None }).collect();
        RemovalRecord { set: set.to_owned(), removed, removed_at: Time::from_seconds(3), host: String::new() }
    }

    #[test]
    fn a_number_without_snapshot_or_record_is_missing() {
        let snapshots = [snapshot(2), snapshot(5)];
        let missing = |removed: &[RemovalRecord], seen| {
            missing_runs(&snapshots, removed, "a", seen).collect::<Vec<_>>()
        };
        assert_eq!(missing(&[], None), [(1, Some(name(1))), (3, None), (4, Some(name(4)))]);
        assert_eq!(missing(&[removal("a", &[1, 3]), removal("b", &[4])], None), [(4, Some(name(4)))]);
        let all = removal("a", &[1, 3, 4]);
        assert_eq!(missing(std::slice::from_ref(&all), Some((5, name(5)))), []);
        assert_eq!(missing(std::slice::from_ref(&all), Some((6, name(6)))), [(6, Some(name(6)))]);
        assert_eq!(missing(&[all.clone(), removal("a", &[6])], Some((6, name(6)))), []);
        let told = missing_run(&snapshots, std::slice::from_ref(&all), "a", Some((6, name(6)))).unwrap();
        assert!(told.contains("number 6") && told.contains("has seen"), "{told}");
        let told = missing_run(&snapshots, &[], "a", None).unwrap();
        assert!(told.contains("number 1") && told.contains("is number 2"), "{told}");
        assert_eq!(missing_run(&snapshots, &[all], "a", None), None);
    }
}
