//! `larder stats`: how much there is, and how much room it takes.

use clap::Args;
use serde_json::{Value, json};

use super::{arguments::Selection, context::Context, format, output::Form, progress::Told};
use crate::{
    error::{ExitCode, Result},
    maintenance::{self, SetStats, SnapshotStats},
};

/// Count what snapshots hold, what of it is stored once for many, and how much room that takes: of each set, each snapshot, and the whole
/// repository. Very many contents are estimated from a fair sample; `~` stands before what is not exact.
#[derive(Args, Debug)]
pub(super) struct Stats {
    #[command(flatten)]
    selection: Selection,
}

impl Stats {
    /// Prints a table for each set, and what the repository comes to.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let repository = context.repository(&self.selection)?;
        let running = context.engine(Told::Progress)?;
        let stats = running.engine.stats(Some(&repository), self.selection.set.as_deref())?;
        running.finish();
        let output = &context.output;
        for set in &stats.sets {
            if output.form() == Form::Json {
                for snapshot in &set.snapshots {
                    output.result(|| snapshot_record(set, snapshot), String::new)?;
                }
            }
            output.result(|| set_record(set), || set_text(set))?;
        }
        output.result(|| summary(&repository, &stats), || text(&repository, &stats))?;
        if stats.missing_blobs > 0 && output.form() == Form::Text {
            output.note(&format!(
                "{} that snapshots need are in no index segment: run `larder check`",
                format::counted(stats.missing_blobs, "blob")
            ));
        }
        Ok(ExitCode::Done)
    }
}

/// One number over another; 1 if there is nothing to compare.
fn ratio(one: u64, other: u64) -> f64 {
    if other == 0 { 1.0 } else { one as f64 / other as f64 }
}

fn set_record(set: &SetStats) -> Value {
    let newest = set.snapshots.last();
    json!({
        "type": "set",
        "set": set.set,
        "snapshots": set.snapshots.len(),
        "items": newest.map(|snapshot| snapshot.items),
        "bytes": newest.map(|snapshot| snapshot.bytes),
        "bytes_of_all": set.bytes(),
        "unique_bytes": set.unique_bytes,
        "stored_bytes": set.stored_bytes,
        "tree_bytes": set.tree_bytes,
        "deduplication": ratio(set.bytes(), set.unique_bytes),
        "compression": ratio(set.unique_bytes, set.stored_bytes),
        "exact": set.exact,
    })
}

fn snapshot_record(set: &SetStats, snapshot: &SnapshotStats) -> Value {
    json!({
        "type": "snapshot",
        "set": set.set,
        "id": snapshot.id.to_string(),
        "run": snapshot.run,
        "finished": format::utc_time(snapshot.finished),
        "items": snapshot.items,
        "bytes": snapshot.bytes,
        "new_bytes": snapshot.new_bytes,
        "new_stored_bytes": snapshot.new_stored_bytes,
    })
}

fn set_text(set: &SetStats) -> String {
    let about = |bytes: u64| about(bytes, set.exact);
    let head = ["SNAPSHOT", "TAKEN", "RUN", "ITEMS", "SIZE", "NEW", "NEW STORED"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(set.snapshots.iter().map(|snapshot| {
        vec![
            snapshot.id.to_string().chars().take(8).collect(),
            format::local_time(snapshot.finished),
            snapshot.run.to_string(),
            format::count(snapshot.items),
            format::bytes(snapshot.bytes),
            about(snapshot.new_bytes),
            about(snapshot.new_stored_bytes),
        ]
    }));
    let table = format::table(&rows, &[2, 3, 4, 5, 6]).join("\n");
    format!(
        "set `{}`, {}\n{table}\n\
         \x20 all snapshots together  {:>10}\n\
         \x20 each content once       {:>10}   {:.2} : 1 by deduplication\n\
         \x20 as stored               {:>10}   {:.2} : 1 by compression; and {} of trees\n",
        format::name(&set.set),
        format::counted(set.snapshots.len() as u64, "snapshot"),
        format::bytes(set.bytes()),
        about(set.unique_bytes),
        ratio(set.bytes(), set.unique_bytes),
        about(set.stored_bytes),
        ratio(set.unique_bytes, set.stored_bytes),
        about(set.tree_bytes),
    )
}

fn about(bytes: u64, exact: bool) -> String {
    format!("{}{}", if exact { "" } else { "~" }, format::bytes(bytes))
}

fn summary(repository: &str, stats: &maintenance::Stats) -> Value {
    json!({
        "type": "summary",
        "command": "stats",
        "repository": repository,
        "sets": stats.sets.len(),
        "snapshots": stats.sets.iter().map(|set| set.snapshots.len()).sum::<usize>(),
        "bytes_of_all": stats.sets.iter().map(SetStats::bytes).sum::<u64>(),
        "unique_bytes": stats.unique_bytes,
        "needed_bytes": stats.stored_bytes + stats.tree_bytes,
        "exact": stats.exact,
        "objects": stats.objects,
        "total_bytes": stats.total_bytes(),
        "data_pack_bytes": stats.data_pack_bytes,
        "tree_pack_bytes": stats.tree_pack_bytes,
        "index_bytes": stats.index_bytes,
        "other_bytes": stats.other_bytes,
        "missing_blobs": stats.missing_blobs,
    })
}

fn text(repository: &str, stats: &maintenance::Stats) -> String {
    format!(
        "repository `{}`: {} in {} ({} of contents, {} of trees, {} of index, {} of other things)\n\
         \x20 the snapshots above need {} of its packs",
        format::name(repository),
        format::bytes(stats.total_bytes()),
        format::counted(stats.objects, "object"),
        format::bytes(stats.data_pack_bytes),
        format::bytes(stats.tree_pack_bytes),
        format::bytes(stats.index_bytes),
        format::bytes(stats.other_bytes),
        about(stats.stored_bytes + stats.tree_bytes, stats.exact),
    )
}
