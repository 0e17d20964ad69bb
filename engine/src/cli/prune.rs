//! `larder prune`: frees what no snapshot needs.

use clap::Args;
use serde_json::{Value, json};

use super::{arguments::Selection, context::Context, format, progress::Told};
use crate::{
    error::{ExitCode, Result},
    maintenance::{PruneOptions, PruneReport, WaitingFor},
};

/// Delete from the store what no snapshot, checkpoint or running backup needs. Safe while sets are run and restored, from any machine; if it is
/// stopped, the next one goes on. What a backup that is running now might still use is deleted by the prune after its end.
#[derive(Args, Debug)]
pub(super) struct Prune {
    /// Only show what could be freed.
    #[arg(long)]
    dry_run: bool,
    /// How much of what stays may be waste, in a hundred: less frees more room and copies more.
    #[arg(long, value_name = "PERCENT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=100))]
    max_waste: u8,
    #[command(flatten)]
    selection: Selection,
}

impl Prune {
    /// Ends with [`ExitCode::Incomplete`] if the store refused to delete something.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let repository = context.repository(&self.selection)?;
        let running = context.engine(Told::Progress)?;
        let options = PruneOptions { dry_run: self.dry_run, waste_percent: self.max_waste };
        let report = running.engine.prune(Some(&repository), options)?;
        running.finish();
        for waiting in &report.waiting_for {
            context.output.result(|| waiting_record(waiting), || waiting_text(waiting))?;
        }
        for (key, why) in &report.refused {
            context.output.result(
                || json!({ "type": "refused", "object": key, "message": why }),
                || format!("not deleted: {}: {}", format::name(key), format::name(why)),
            )?;
        }
        context.output.result(|| self.record(&repository, &report), || self.text(&repository, &report))?;
        Ok(if report.refused.is_empty() { ExitCode::Done } else { ExitCode::Incomplete })
    }

    fn record(&self, repository: &str, report: &PruneReport) -> Value {
        json!({
            "type": "summary",
            "command": "prune",
            "repository": repository,
            "dry_run": self.dry_run,
            "packs": report.packs,
            "bytes": report.bytes,
            "waste_bytes": report.waste_bytes,
            "condemned_packs": report.condemned_packs,
            "condemned_bytes": report.condemned_bytes,
            "deleted_packs": report.deleted_packs,
            "deleted_bytes": report.deleted_bytes,
            "copied_bytes": report.copied_bytes,
            "freed_bytes": report.freed_bytes(),
            "replaced_segments": report.replaced_segments,
            "waiting_packs": report.waiting_packs,
            "refused": report.refused.len(),
        })
    }

    fn text(&self, repository: &str, report: &PruneReport) -> String {
        let holds = format!(
            "repository `{}`: {} in {}, of which {} are not needed",
            format::name(repository),
            format::bytes(report.bytes),
            format::counted(report.packs, "pack"),
            format::bytes(report.waste_bytes),
        );
        let condemned = format!(
            "{} ({})",
            format::counted(report.condemned_packs, "pack"),
            format::bytes(report.condemned_bytes)
        );
        if self.dry_run {
            return format!("{holds}; would delete {condemned} and copy what they hold that is still needed");
        }
        let waits = if report.waiting_packs == 0 {
            String::new()
        } else {
            format!(
                "; {} will go with the next prune, once the backups above have ended",
                format::counted(report.waiting_packs, "pack")
            )
        };
        format!(
            "{holds}; freed {}: deleted {} ({}), wrote {}{waits}",
            format::bytes(report.freed_bytes()),
            format::counted(report.deleted_packs, "pack"),
            format::bytes(report.deleted_bytes),
            format::bytes(report.copied_bytes),
        )
    }
}

fn waiting_record(waiting: &WaitingFor) -> Value {
    json!({
        "type": "waiting",
        "set": waiting.set,
        "host": waiting.host,
        "started": waiting.started.map(format::utc_time),
    })
}

fn waiting_text(waiting: &WaitingFor) -> String {
    match waiting.started {
        Some(started) => format!(
            "waiting for: set `{}` on `{}`, running since {}",
            format::name(&waiting.set),
            format::name(&waiting.host),
            format::local_time(started)
        ),
        None => "waiting for: a session that does not read".to_owned(),
    }
}
