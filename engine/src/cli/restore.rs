//! `larder restore`: from a snapshot back to a folder.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{arguments::Selection, context::Context, format, progress::Told, target::Target};
use crate::{
    error::{ExitCode, Result},
    restore::{Overwrite, RestoreOptions, RestoreReport, VerifyReport},
};

/// Most names and reasons that the summary lists for people; with --json it lists them all.
const LISTED_MAX: usize = 20;

/// Write a snapshot, or a part of it, back to a folder: a file is the file, a message is .eml, a list item is JSON beside its
/// attachments. Nothing is written outside the folder.
#[derive(Args, Debug)]
pub(super) struct Restore {
    /// The beginning of a snapshot's id, or `latest`; perhaps a path: `latest:/exchange/ann@contoso.com`
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    target: Target,
    /// The folder to write into; made if it is not there.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Restore only what matches this glob: a name at any depth, or a path below the one restored. May be given several times.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave out what matches this glob, with everything below it. May be given several times.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// What to do about a file that is there already.
    #[arg(long, value_name = "POLICY", value_enum, default_value_t = Policy::Changed)]
    overwrite: Policy,
    /// Only count what would be written.
    #[arg(long)]
    dry_run: bool,
    /// Read back what was written, and what was left as it was, and compare it with the snapshot. What differs makes the exit code 3.
    #[arg(long, conflicts_with = "dry_run")]
    verify: bool,
    #[command(flatten)]
    selection: Selection,
}

/// What to do about a file that is there already.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    /// Leave it.
    Never,
    /// Write over it if its size or time differ.
    Changed,
    /// Write over it.
    Always,
}

impl From<Policy> for Overwrite {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Never => Self::Never,
            Policy::Changed => Self::Changed,
            Policy::Always => Self::Always,
        }
    }
}

impl Restore {
    /// Items that cannot be restored are told, and make the exit code 3.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let spec = context.snapshot(&self.target, &self.selection)?;
        let options = RestoreOptions {
            to: self.to.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            overwrite: self.overwrite.into(),
            dry_run: self.dry_run,
        };
        let running = context.engine(Told::Progress)?;
        let (report, verified) = if self.verify {
            let (report, verified) = running.engine.restore_and_verify(&spec, &self.target.path, &options)?;
            (report, Some(verified))
        } else {
            (running.engine.restore(&spec, &self.target.path, &options)?, None)
        };
        running.finish();
        let clean = report.failed.is_empty() && verified.as_ref().is_none_or(VerifyReport::is_clean);
        let verified = verified.as_ref();
        context.output.result(|| self.record(&report, verified), || self.text(&report, verified))?;
        Ok(if clean { ExitCode::Done } else { ExitCode::Incomplete })
    }

    fn record(&self, report: &RestoreReport, verified: Option<&VerifyReport>) -> Value {
        json!({
            "type": "summary",
            "command": "restore",
            "to": self.to.display().to_string(),
            "dry_run": self.dry_run,
            "folders": report.folders,
            "items": report.items,
            "files": report.files,
            "bytes": report.bytes,
            "kept": report.kept,
            "renamed": pairs(&report.renamed, "name", "restored_as"),
            "failed": pairs(&report.failed, "path", "reason"),
            "verified": verified.map(|verified| json!({
                "right": verified.right,
                "bytes": verified.bytes,
                "wrong": pairs(&verified.wrong, "path", "reason"),
                "more_wrong": verified.more_wrong,
            })),
        })
    }

    fn text(&self, report: &RestoreReport, verified: Option<&VerifyReport>) -> String {
        let would = if self.dry_run { "would restore" } else { "restored" };
        let mut lines = vec![format!(
            "{would} {} in {}, {} to {}",
            format::counted(report.items, "item"),
            format::counted(report.folders, "folder"),
            format::bytes(report.bytes),
            self.to.display()
        )];
        if report.kept > 0 {
            lines.push(format!("  {} left as they were", format::counted(report.kept, "item")));
        }
        list(&mut lines, "names the file system cannot hold", "became", &report.renamed);
        list(&mut lines, "not restored", "because", &report.failed);
        if let Some(verified) = verified {
            lines.push(format!(
                "  read back {}, {}: {} as in the snapshot",
                format::counted(verified.right + verified.wrong.len() as u64 + verified.more_wrong, "file"),
                format::bytes(verified.bytes),
                if verified.is_clean() {
                    "all are".to_owned()
                } else {
                    format!("{} are", format::count(verified.right))
                }
            ));
            list(&mut lines, "not as in the snapshot", "because", &verified.wrong);
        }
        lines.join("\n")
    }
}

/// Pairs as records.
pub(super) fn pairs(pairs: &[(String, String)], first: &str, second: &str) -> Vec<Value> {
    pairs.iter().map(|(left, right)| json!({ first: left, second: right })).collect()
}

/// The first of some pairs, as lines.
pub(super) fn list(lines: &mut Vec<String>, title: &str, verb: &str, pairs: &[(String, String)]) {
    if pairs.is_empty() {
        return;
    }
    lines.push(format!("  {title}: {}", format::count(pairs.len() as u64)));
    for (left, right) in pairs.iter().take(LISTED_MAX) {
        lines.push(format!("    {} {verb} {}", format::name(left), format::name(right)));
    }
    if pairs.len() > LISTED_MAX {
        lines.push("    … and more; --json lists them all".to_owned());
    }
}
