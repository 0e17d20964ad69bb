//! `larder snapshots`: which snapshots there are.

use clap::Args;
use serde_json::{Value, json};

use super::{arguments::Selection, context::Context, format, output::Form, progress::Told, run::outcome};
use crate::{
    engine::SnapshotInfo,
    error::{ExitCode, Result},
};

/// List the snapshots of a repository, oldest first.
#[derive(Args, Debug)]
pub(super) struct Snapshots {
    /// Only those with this tag; given several times, with any of them.
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    #[command(flatten)]
    selection: Selection,
}

impl Snapshots {
    /// Prints a line for each.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let repository = context.repository(&self.selection)?;
        let running = context.engine(Told::Troubles)?;
        let mut found = running.engine.snapshots(Some(&repository), self.selection.set.as_deref())?;
        running.finish();
        if !self.tag.is_empty() {
            found.retain(|info| info.record.tags.iter().any(|tag| self.tag.contains(tag)));
        }
        let head = ["SNAPSHOT", "TAKEN", "SET", "RUN", "ITEMS", "OWED", "READ", "STORED", "OUTCOME", "TAGS"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(found.iter().map(row));
        let mut lines = format::table(&rows, &[3, 4, 5, 6, 7]).into_iter();
        let head = lines.next().filter(|_| !found.is_empty());
        match head {
            Some(head) if context.output.form() == Form::Text => {
                context.output.result(|| Value::Null, || head)?;
            }
            Some(_) => {}
            None if !self.tag.is_empty() => context.output.note("no snapshot has this tag"),
            None => context.output.note("there are no snapshots yet: `larder run` makes one"),
        }
        for (info, line) in found.iter().zip(lines) {
            context.output.result(|| record(info), || line)?;
        }
        Ok(ExitCode::Done)
    }
}

fn row(info: &SnapshotInfo) -> Vec<String> {
    let (snapshot, totals) = (&info.record, &info.record.totals);
    vec![
        info.id.to_string().chars().take(8).collect(),
        format::local_time(snapshot.finished),
        format::name(&snapshot.set),
        snapshot.run.to_string(),
        format::count(totals.items),
        format::count(totals.owed),
        format::bytes(totals.read_bytes),
        format::bytes(totals.stored_bytes),
        outcome(snapshot.outcome).to_owned(),
        format::name(&snapshot.tags.join(", ")),
    ]
}

fn record(info: &SnapshotInfo) -> Value {
    let (snapshot, totals) = (&info.record, &info.record.totals);
    json!({
        "type": "snapshot",
        "id": info.id.to_string(),
        "set": snapshot.set,
        "run": snapshot.run,
        "base": snapshot.base.map(|id| id.to_string()),
        "started": format::utc_time(snapshot.started),
        "finished": format::utc_time(snapshot.finished),
        "host": snapshot.host,
        "program": snapshot.program,
        "tags": snapshot.tags,
        "outcome": outcome(snapshot.outcome),
        "containers": totals.containers,
        "items": totals.items,
        "owed": totals.owed,
        "read_items": totals.read_items,
        "read_bytes": totals.read_bytes,
        "deleted": totals.deleted,
        "stored_bytes": totals.stored_bytes,
    })
}
