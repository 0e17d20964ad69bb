//! `larder check --repair`: what was mended, and what is lost.

use serde_json::{Value, json};

use super::{context::Context, format, progress::Told};
use crate::{
    error::{ExitCode, Result},
    maintenance::{Loss, Problem, RepairOptions, RepairReport},
};

/// Ends with [`ExitCode::Incomplete`] if something is lost, and with [`ExitCode::Failed`] if something could not be mended or, on a dry run, is
/// wrong at all.
pub(super) fn execute(context: &Context, repository: &str, options: RepairOptions) -> Result<ExitCode> {
    let running = context.engine(Told::Progress)?;
    let report = running.engine.repair(Some(repository), options)?;
    running.finish();
    let word = if options.dry_run { "would mend" } else { "mended" };
    for (kind, word, problems) in [
        ("mended", word, &report.mended),
        ("unmended", "not mended", &report.unmended),
        ("refused", "replaced, and could not be removed", &report.refused),
    ] {
        for problem in problems {
            show(context, kind, word, problem)?;
        }
    }
    for loss in &report.lost {
        context.output.result(|| loss_record(loss), || loss_text(loss))?;
    }
    let lost = report.lost.len() as u64 + report.more_lost;
    context.output.result(
        || record(repository, &report, lost, options.dry_run),
        || text(repository, &report, lost, options.dry_run),
    )?;
    Ok(match options.dry_run {
        _ if report.is_clean() => ExitCode::Done,
        true => ExitCode::Failed,
        false if !report.unmended.is_empty() => ExitCode::Failed,
        false if lost > 0 => ExitCode::Incomplete,
        false => ExitCode::Done,
    })
}

fn show(context: &Context, kind: &str, word: &str, problem: &Problem) -> Result<()> {
    let record = || json!({ "type": kind, "subject": problem.subject, "message": problem.message });
    let line = || format!("{word}: {}: {}", format::name(&problem.subject), format::name(&problem.message));
    context.output.result(record, line)
}

fn loss_text(loss: &Loss) -> String {
    let id: String = loss.snapshot.to_string().chars().take(8).collect();
    if loss.path.is_empty() {
        return format!("lost: snapshot {id}: {}", format::name(&loss.what));
    }
    format!("lost: {id}:{}: {}", format::name(&loss.path), format::name(&loss.what))
}

fn loss_record(loss: &Loss) -> Value {
    json!({
        "type": "lost",
        "snapshot": loss.snapshot.to_string(),
        "replaced_by": loss.replaced_by.map(|id| id.to_string()),
        "path": loss.path,
        "what": loss.what,
    })
}

fn record(repository: &str, report: &RepairReport, lost: u64, dry_run: bool) -> Value {
    json!({
        "type": "summary",
        "command": "repair",
        "repository": repository,
        "dry_run": dry_run,
        "clean": report.is_clean(),
        "mended": report.mended.len(),
        "unmended": report.unmended.len(),
        "refused": report.refused.len(),
        "lost": lost,
        "read_packs": report.read_packs,
        "read_bytes": report.read_bytes,
    })
}

fn text(repository: &str, report: &RepairReport, lost: u64, dry_run: bool) -> String {
    if report.is_clean() {
        return format!(
            "repository `{repository}`: there is nothing to mend; {} read",
            format::counted(report.read_packs, "pack")
        );
    }
    let verb = if dry_run { "would mend" } else { "mended" };
    let mut line = format!(
        "repository `{repository}`: {verb} {}; {} lost",
        format::counted(report.mended.len() as u64, "thing"),
        format::counted(lost, "thing")
    );
    if !report.unmended.is_empty() {
        line = format!("{line}; {} not mended", format::count(report.unmended.len() as u64));
    }
    if lost > 0 && !dry_run {
        line.push_str("\nrun the sets now: what the sources still have is read again");
    }
    line
}
