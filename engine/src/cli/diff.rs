//! `larder diff`: what differs between two snapshots.

use clap::Args;
use serde_json::{Value, json};

use super::{
    arguments::Selection,
    context::Context,
    format,
    output::{Form, Verbosity},
    progress::Told,
    target::Target,
};
use crate::{
    browse::{Change, DiffTotals, Difference},
    catalog::ItemRecord,
    error::{EngineError, ExitCode, Result},
};

/// What the letters in front of the lines mean.
const LETTERS: &str = "\
Each line begins with
  +  added             M  changed in its bytes
  -  removed           U  changed in other things: time, owner, properties …
  R  moved or renamed  (RM: and its bytes changed too)";

/// Show what differs between two snapshots: what was added, removed, changed and moved. Only what differs is read, so that two large
/// snapshots that differ little are compared at once.
#[derive(Args, Debug)]
#[command(before_help = LETTERS)]
pub(super) struct Diff {
    /// The earlier snapshot: the beginning of its id, or `latest`; perhaps a path.
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    old: Target,
    /// The later one. A path given to one of the two holds for both.
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    new: Target,
    /// Only count.
    #[arg(long)]
    stat: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Diff {
    /// Prints a line for each difference as it is found, and what they come to.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let path = self.path()?;
        let old = context.snapshot(&self.old, &self.selection)?;
        let new = context.snapshot(&self.new, &self.selection)?;
        let running = context.engine(Told::Troubles)?;
        let output = &context.output;
        let totals = running.engine.diff(&old, &new, path, &mut |difference| {
            if self.stat {
                return Ok(());
            }
            output.result(|| record(difference), || line(difference, output.verbosity()))
        })?;
        running.finish();
        output.result(|| summary(&totals), || text(&totals))?;
        if totals.moves_incomplete && output.form() == Form::Text {
            output.note("so much moved that some of it is listed as added and removed");
        }
        Ok(ExitCode::Done)
    }

    fn path(&self) -> Result<&str> {
        let trimmed = |target: &'_ Target| target.path.trim_matches('/').is_empty();
        match (trimmed(&self.old), trimmed(&self.new)) {
            (false, false) if self.old.path.trim_matches('/') != self.new.path.trim_matches('/') => {
                Err(EngineError::usage("`diff` compares one path of two snapshots, and these are two paths")
                    .with_hint("give the path to one of them; moves out of it and into it are shown"))
            }
            (true, _) => Ok(&self.new.path),
            (false, _) => Ok(&self.old.path),
        }
    }
}

fn letters(difference: &Difference) -> &'static str {
    match (difference.change, difference.content) {
        (Change::Added, _) => "+",
        (Change::Removed, _) => "-",
        (Change::Changed, true) => "M",
        (Change::Changed, false) => "U",
        (Change::Moved, true) => "RM",
        (Change::Moved, false) => "R",
    }
}

fn line(difference: &Difference, verbosity: Verbosity) -> String {
    let path = format::name(&difference.path_text());
    let place = match difference.from_text() {
        Some(from) => format!("{} -> {path}", format::name(&from)),
        None => path,
    };
    let mut line = format!("{:<2}  {place}", letters(difference));
    let told = matches!(difference.change, Change::Changed) && !difference.content;
    if (told || verbosity == Verbosity::Verbose) && !difference.metadata.is_empty() {
        line.push_str("  (");
        line.push_str(&difference.metadata.join(", "));
        line.push(')');
    }
    line
}

fn record(difference: &Difference) -> Value {
    let size = |record: &Option<ItemRecord>| record.as_ref().map(ItemRecord::bytes);
    let known = difference.new.as_ref().or(difference.old.as_ref());
    let change = match difference.change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
        Change::Moved => "moved",
    };
    json!({
        "type": "difference",
        "change": change,
        "path": difference.path_text(),
        "from": difference.from_text(),
        "container": difference.container.id.display(),
        "id": difference.id.as_ref().unwrap_or(&larder_sdk::ItemId::default()).display(),
        "kind": known.map_or(difference.container.kind.as_str(), |record| record.kind.as_str()),
        "folder": known.is_none_or(|record| record.folder),
        "size_before": size(&difference.old),
        "size": size(&difference.new),
        "content": difference.content,
        "metadata": difference.metadata,
    })
}

fn summary(totals: &DiffTotals) -> Value {
    json!({
        "type": "summary",
        "command": "diff",
        "added": totals.added,
        "removed": totals.removed,
        "changed": totals.changed,
        "metadata": totals.metadata,
        "moved": totals.moved,
        "bytes_added": totals.bytes_added,
        "bytes_removed": totals.bytes_removed,
        "moves_incomplete": totals.moves_incomplete,
    })
}

fn text(totals: &DiffTotals) -> String {
    if *totals == DiffTotals::default() {
        return "nothing differs".to_owned();
    }
    format!(
        "{} added, {} removed, {} changed, {} changed in metadata only, {} moved; {} more, {} less",
        format::count(totals.added),
        format::count(totals.removed),
        format::count(totals.changed),
        format::count(totals.metadata),
        format::count(totals.moved),
        format::bytes(totals.bytes_added),
        format::bytes(totals.bytes_removed)
    )
}
