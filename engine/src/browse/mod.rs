//! Looking into snapshots: containers, folders, items, and the bytes of streams.

mod content;
mod diff;
mod find;
mod moves;
mod name;
mod pattern;
mod place;
mod report;
mod view;

pub use content::ContentReader;
pub(crate) use content::ids_of;
pub use diff::{Change, DiffTotals, Difference, ShowDifference, diff};
pub use find::{FindOptions, Hit, find};
pub use name::{display_name, split_path};
pub use report::{ContainerReport, ContainerStanding, OwedItem, RunReport, report};
pub use view::{Broken, Entry, Found, SnapshotView, Visit};

#[cfg(test)]
mod tests;
