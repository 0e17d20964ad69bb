//! `larder copy`: snapshots into another repository.

use clap::Args;
use serde_json::json;

use super::{context::Context, format, progress::Told, target::Target};
use crate::{
    engine::CopyOptions,
    error::{EngineError, ExitCode, Result},
    maintenance::CopiedSnapshot,
};

/// Copy snapshots with all they need into another repository, which was made with `larder init TARGET --like SOURCE`. What is there already is not
/// sent again, so that a copy that was cut off, or is made every night, sends only what is new.
#[derive(Args, Debug)]
pub(super) struct Copy {
    /// The repository that has the snapshots.
    #[arg(long, value_name = "REPOSITORY")]
    from: String,
    /// The repository that gets them.
    #[arg(long, value_name = "REPOSITORY")]
    to: String,
    /// Only this set's snapshots.
    #[arg(long, value_name = "SET")]
    set: Option<String>,
    /// The beginnings of snapshots' ids, or `latest`; all snapshots if none is named.
    #[arg(value_name = "SNAPSHOT")]
    snapshots: Vec<Target>,
}

impl Copy {
    /// Prints a line for each snapshot as soon as it is copied.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        if self.snapshots.iter().any(|target| !target.path.is_empty()) {
            return Err(EngineError::usage("whole snapshots are copied: leave the path away"));
        }
        let options = CopyOptions {
            from: self.from.clone(),
            to: self.to.clone(),
            set: self.set.clone(),
            snapshots: self.snapshots.iter().map(|target| target.snapshot.clone()).collect(),
        };
        let running = context.engine(Told::Progress)?;
        let (mut copied, mut there, mut stored) = (0, 0, 0);
        running.engine.copy(&options, &mut |one| {
            copied += u64::from(!one.was_there);
            there += u64::from(one.was_there);
            stored += one.stored_bytes;
            show(context, &one)
        })?;
        running.finish();
        let summary = || {
            json!({
                "type": "summary",
                "command": "copy",
                "from": self.from,
                "to": self.to,
                "copied": copied,
                "were_there": there,
                "stored_bytes": stored,
            })
        };
        context.output.result(summary, || {
            format!(
                "copied {} from `{}` to `{}`, {} stored; {} there already",
                format::counted(copied, "snapshot"),
                self.from,
                self.to,
                format::bytes(stored),
                format::count(there)
            )
        })?;
        Ok(ExitCode::Done)
    }
}

fn show(context: &Context, one: &CopiedSnapshot) -> Result<()> {
    let record = || {
        json!({
            "type": "snapshot",
            "id": one.to.to_string(),
            "from": one.from.to_string(),
            "set": one.snapshot.set,
            "run": one.snapshot.run,
            "finished": format::utc_time(one.snapshot.finished),
            "was_there": one.was_there,
            "stored_bytes": one.stored_bytes,
        })
    };
    let short = |id: crate::hash::ObjectName| id.to_string().chars().take(8).collect::<String>();
    context.output.result(record, || {
        let what = format!(
            "set `{}`, run {}, {}",
            format::name(&one.snapshot.set),
            one.snapshot.run,
            format::local_time(one.snapshot.finished)
        );
        if one.was_there {
            format!("{} is there as {}: {what}", short(one.from), short(one.to))
        } else {
            format!(
                "{} copied as {}: {what}, {} stored",
                short(one.from),
                short(one.to),
                format::bytes(one.stored_bytes)
            )
        }
    })
}
