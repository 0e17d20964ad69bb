//! `larder check`: whether a repository is whole.

use clap::Args;
use serde_json::{Value, json};

use super::{arguments::Selection, context::Context, format, progress::Told};
use crate::{
    error::{ExitCode, Result},
    maintenance::{CheckOptions, CheckReport},
};

/// Check that a repository is whole: that every snapshot reads and everything it needs is there. Writes nothing.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Read and verify every byte too: slower, and it fetches the whole repository.
    #[arg(long)]
    read_data: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Check {
    /// Ends with [`ExitCode::Failed`] if anything is wrong.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let repository = context.repository(&self.selection)?;
        let running = context.engine(Told::Progress)?;
        let report = running.engine.check(Some(&repository), CheckOptions { read_data: self.read_data })?;
        running.finish();
        for problem in &report.problems {
            let record =
                || json!({ "type": "problem", "subject": problem.subject, "message": problem.message });
            context.output.result(record, || {
                format!("problem: {}: {}", format::name(&problem.subject), format::name(&problem.message))
            })?;
        }
        for note in &report.notes {
            context.output.result(
                || json!({ "type": "note", "message": note }),
                || format!("note: {}", format::name(note)),
            )?;
        }
        context.output.result(|| record(&repository, &report), || text(&repository, &report))?;
        Ok(if report.is_clean() { ExitCode::Done } else { ExitCode::Failed })
    }
}

fn problems(report: &CheckReport) -> u64 {
    report.problems.len() as u64 + report.more_problems
}

fn record(repository: &str, report: &CheckReport) -> Value {
    json!({
        "type": "summary",
        "command": "check",
        "repository": repository,
        "clean": report.is_clean(),
        "problems": problems(report),
        "snapshots": report.snapshots,
        "packs": report.packs,
        "blobs": report.blobs,
        "items": report.items,
        "read_bytes": report.read_bytes,
    })
}

fn text(repository: &str, report: &CheckReport) -> String {
    let looked_at = format!(
        "{}, {}, {}, {}; {} read",
        format::counted(report.snapshots, "snapshot"),
        format::counted(report.items, "item"),
        format::counted(report.packs, "pack"),
        format::counted(report.blobs, "blob"),
        format::bytes(report.read_bytes)
    );
    if report.is_clean() {
        format!("repository `{repository}` is whole: {looked_at}")
    } else {
        format!("repository `{repository}` has {}: {looked_at}", format::counted(problems(report), "problem"))
    }
}
