//! What a run did, as its snapshot says: container by container, beside the snapshot it was built on.

use std::collections::HashMap;

use larder_sdk::{ContainerId, Name, Time};

use super::{name::display_name, view::SnapshotView};
use crate::{
    catalog::{self, OwedRecord},
    error::Result,
    hash::ObjectName,
    repository::Nodes,
    snapshot::{ContainerOutcome, ContainerRecord, SnapshotRecord},
    tree,
};

/// Most items owed that a report names; the rest are counted.
const OWED_SHOWN_MAX: usize = 1000;

/// A run's report.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The snapshot's id.
    pub id: ObjectName,
    /// The snapshot.
    pub record: SnapshotRecord,
    /// The snapshot it was built on, if it is still there.
    pub before: Option<(ObjectName, SnapshotRecord)>,
    /// The containers, by path.
    pub containers: Vec<ContainerReport>,
    /// Parts that could not be read, and why.
    pub broken: Vec<String>,
}

/// One container of it.
#[derive(Clone, Debug)]
pub struct ContainerReport {
    /// Its path.
    pub path: String,
    /// How it stands.
    pub state: ContainerStanding,
    /// What the snapshot says of it. Its work counts only if its run is the snapshot's.
    pub record: ContainerRecord,
    /// How many items it had in the snapshot before; `None` if it was not there, or that snapshot is not.
    pub items_before: Option<u64>,
    /// Items owed, the first of them.
    pub owed: Vec<OwedItem>,
}

impl ContainerReport {
    /// True if this snapshot's run read it, whether or not to its end.
    pub fn was_read(&self, snapshot: &SnapshotRecord) -> bool {
        self.record.work.run == snapshot.run
    }
}

/// How a container stands in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerStanding {
    /// As the source had it.
    Current,
    /// Read to its end, but for items that are owed.
    Owing,
    /// Not read to its end, and why: older than the snapshot.
    Stale(String),
    /// The source no longer has it; its last state is kept.
    Gone(Time),
}

impl ContainerStanding {
    fn of(record: &ContainerRecord) -> Self {
        if let Some(since) = record.gone_since {
            return Self::Gone(since);
        }
        match &record.outcome {
            ContainerOutcome::Done if record.owed > 0 => Self::Owing,
            ContainerOutcome::Done => Self::Current,
            ContainerOutcome::Unfinished => Self::Stale("it was not read to its end".to_owned()),
            ContainerOutcome::Failed(reason) => Self::Stale(reason.clone()),
            ContainerOutcome::HeldBack(items, of) => Self::Stale(format!(
                "{items} of {of} items would have been dropped, more than `max_loss` allows: the old state was kept"
            )),
        }
    }

    /// One word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Owing => "owing",
            Self::Stale(_) => "stale",
            Self::Gone(_) => "gone",
        }
    }
}

/// An item that was reported and could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedItem {
    /// Its name as last known.
    pub name: String,
    /// Why it could not be read.
    pub reason: String,
    /// Since when it is owed.
    pub since: Time,
    /// How often it was tried.
    pub tries: u32,
}

/// Puts a report together. `before` is the view of the snapshot that this one was built on.
pub fn report(
    (id, record): (ObjectName, SnapshotRecord),
    view: &SnapshotView,
    before: Option<((ObjectName, SnapshotRecord), &SnapshotView)>,
) -> RunReport {
    let (mut containers, mut broken) = (Vec::new(), view.broken().to_vec());
    let mut left = OWED_SHOWN_MAX;
    let items_before: HashMap<&ContainerId, u64> = before
        .iter()
        .flat_map(|(_, view)| view.containers())
        .map(|one| (&one.container.id, one.items))
        .collect();
    for container in view.containers() {
        let path = container
            .container
            .path
            .iter()
            .fold(String::new(), |path, part: &Name| path + "/" + &display_name(part.as_bytes()));
        let owed = owed(view.nodes(), container, left).unwrap_or_else(|error| {
            broken.push(format!("what is owed in `{path}`: {}", error.full_message()));
            Vec::new()
        });
        left -= owed.len();
        containers.push(ContainerReport {
            state: ContainerStanding::of(container),
            record: (**container).clone(),
            items_before: items_before.get(&container.container.id).copied(),
            path,
            owed,
        });
    }
    containers.sort_by(|one, other| one.path.cmp(&other.path));
    RunReport { id, record, before: before.map(|(before, _)| before), containers, broken }
}

fn owed(nodes: &Nodes, container: &ContainerRecord, most: usize) -> Result<Vec<OwedItem>> {
    let mut found = Vec::new();
    let mut scan = tree::scan(nodes, container.root, &[catalog::OWED], &[catalog::OWED])?;
    while found.len() < most
        && let Some((_, _, value)) = scan.next_entry()?
    {
        let OwedRecord { name, reason, since, tries, .. } = nodes.unwrap(&value)?;
        found.push(OwedItem { name: display_name(name.as_bytes()), reason, since, tries });
    }
    Ok(found)
}
