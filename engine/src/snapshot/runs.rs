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
    let removed: HashSet<u64> = removed
        .iter()
        .filter(|record| record.set == set)
        .flat_map(|record| record.removed.iter().map(|removed| removed.run))
        .collect();
    let mut expected = 1;
    for (name, snapshot) in snapshots {
        if let Some(missing) = (expected..snapshot.run).find(|run| !removed.contains(run)) {
            let base = snapshot.base.map_or_else(String::new, |base| format!(" `snapshots/{base}`"));
            return Some(format!(
                "number {missing}: `snapshots/{name}` is number {} and was built on{base}",
                snapshot.run
            ));
        }
        expected = snapshot.run + 1;
    }
    match seen {
        Some((run, name)) if run >= expected => {
            Some(format!("number {run}, `snapshots/{name}`, which this machine has seen"))
        }
        _ => None,
    }
}
