//! `larder check`: whether a repository is whole.

use clap::Args;
use serde_json::{Value, json};

use super::{arguments::Selection, context::Context, format, progress::Told, repair};
use crate::{
    error::{EngineError, ExitCode, Result},
    maintenance::{CheckOptions, CheckReport, ReadData, RepairOptions},
};

/// Check that a repository is whole: that every snapshot reads and everything it needs is there. Writes nothing, unless with --repair.
#[derive(Args, Debug)]
pub(super) struct Check {
    /// Read and verify packs too, every byte of them: all, a random share of the bytes (5%), or the third of thirty equal parts (3/30), so that
    /// thirty nights go through everything.
    #[arg(long, value_name = "N%|K/N", num_args = 0..=1, require_equals = true, default_missing_value = "100%", value_parser = share)]
    read_data: Option<ReadData>,
    /// Mend what is found: damaged parts are rebuilt from good ones, and of what is lost a snapshot says so. With --read-data it finds damaged
    /// data too. Nothing good is touched. Do not use it while the store itself is ailing.
    #[arg(long)]
    repair: bool,
    /// Only show what --repair would do.
    #[arg(long, requires = "repair")]
    dry_run: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Check {
    /// Ends with [`ExitCode::Failed`] if anything is wrong.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let repository = context.repository(&self.selection)?;
        let read_data = self.read_data.unwrap_or_default();
        if self.repair {
            return repair::execute(context, &repository, RepairOptions { dry_run: self.dry_run, read_data });
        }
        let running = context.engine(Told::Progress)?;
        let report = running.engine.check(Some(&repository), CheckOptions { read_data })?;
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

/// A share on the command line: the error's own words are what clap shows.
fn share(text: &str) -> std::result::Result<ReadData, String> {
    text.parse().map_err(|error: EngineError| error.message().to_owned())
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
        "pack_bytes": report.pack_bytes,
        "read_packs": report.read_packs,
        "read_bytes": report.read_bytes,
    })
}

fn text(repository: &str, report: &CheckReport) -> String {
    let looked_at = format!(
        "{}, {}, {}, {}; {}",
        format::counted(report.snapshots, "snapshot"),
        format::counted(report.items, "item"),
        format::counted(report.packs, "pack"),
        format::counted(report.blobs, "blob"),
        read(report)
    );
    if report.is_clean() {
        format!("repository `{repository}` is whole: {looked_at}")
    } else {
        format!("repository `{repository}` has {}: {looked_at}", format::counted(problems(report), "problem"))
    }
}

/// How much of the packs was read.
fn read(report: &CheckReport) -> String {
    if report.read_packs == report.packs && report.packs > 0 {
        return format!("all of them read, {}", format::bytes(report.read_bytes));
    }
    if report.read_packs == 0 {
        return "no pack read (see --read-data)".to_owned();
    }
    // Tenths of a percent; packs have far less than 2^54 bytes.
    let share = report.read_bytes.saturating_mul(1000) / report.pack_bytes.max(1);
    format!(
        "{} read, {}, {}.{} % of the bytes",
        format::counted(report.read_packs, "pack"),
        format::bytes(report.read_bytes),
        share / 10,
        share % 10
    )
}
