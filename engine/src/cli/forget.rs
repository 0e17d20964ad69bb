//! `larder forget`: drops snapshots by rule.

use clap::Args;
use serde_json::{Value, json};

use super::{context::Context, format, output::Form, progress::Told};
use crate::{
    error::{EngineError, ExitCode, Result},
    maintenance::Judged,
    retention::{Age, Keep},
};

/// Drop snapshots that a set's `keep` rules do not keep, and say of each why it stays. A set's newest always stays. What is dropped can
/// no longer be restored; `larder prune` frees the room it takes.
#[derive(Args, Debug)]
pub(super) struct Forget {
    /// The sets to look through; all that have `keep` rules if none is named.
    #[arg(value_name = "SET")]
    sets: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// Only show what would go and what would stay.
    #[arg(long)]
    dry_run: bool,
}

/// Rules in place of the config's.
#[derive(Args, Debug)]
#[expect(clippy::struct_field_names, reason = "the options' names")]
#[command(next_help_heading = "Rules, in place of the sets' own; name the sets they are for")]
struct Rules {
    /// Keep the last N.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_last: u32,
    /// Keep the newest of each of the last N hours that have one.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_hourly: u32,
    /// Of each of the last N days.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_daily: u32,
    /// Of each of the last N weeks.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_weekly: u32,
    /// Of each of the last N months.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_monthly: u32,
    /// Of each of the last N years.
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    keep_yearly: u32,
    /// Keep all that are at most so much older than the set's newest: 30d, 1y6mo.
    #[arg(long, value_name = "AGE")]
    keep_within: Option<Age>,
    /// Keep all with this tag. May be given several times.
    #[arg(long, value_name = "TAG")]
    keep_tag: Vec<String>,
}

impl Rules {
    /// The rules; `None` if none is given.
    fn keep(&self) -> Option<Keep> {
        let keep = Keep {
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: self.keep_within,
            tags: self.keep_tag.clone(),
        };
        (!keep.is_empty()).then_some(keep)
    }
}

impl Forget {
    /// Goes through the sets one after the other.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let keep = self.rules.keep();
        if keep.is_some() && self.sets.is_empty() {
            return Err(EngineError::usage("rules on the command line need the sets that they are for")
                .with_hint("for example `larder forget SET --keep-last 7 --dry-run`"));
        }
        let mut sets = context.sets(&self.sets)?;
        if self.sets.is_empty() {
            sets.retain(|name| context.config.set(name).is_ok_and(|set| set.keep.is_some()));
            if sets.is_empty() {
                return Err(EngineError::config("no set has `keep`, so nothing says what may go")
                    .with_hint("add for example `keep = { last = 7, daily = 30, monthly = 12 }` to a set"));
            }
        }
        let running = context.engine(Told::Troubles)?;
        for set in sets {
            let judged = running.engine.forget(&set, keep.as_ref(), self.dry_run)?;
            running.finish();
            self.show(context, &set, &judged)?;
        }
        Ok(ExitCode::Done)
    }

    fn show(&self, context: &Context, set: &str, judged: &[Judged]) -> Result<()> {
        let head = ["SNAPSHOT", "TAKEN", "SET", "RUN", "KEPT BY"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(judged.iter().map(|judged| self.row(judged)));
        let mut lines = format::table(&rows, &[3]).into_iter();
        if let Some(head) = lines.next().filter(|_| !judged.is_empty() && context.output.form() == Form::Text)
        {
            context.output.result(|| Value::Null, || head)?;
        }
        for (judged, line) in judged.iter().zip(lines) {
            context.output.result(|| record(judged), || line)?;
        }
        let dropped = judged.iter().filter(|judged| judged.kept_by.is_empty()).count() as u64;
        let kept = judged.len() as u64 - dropped;
        let summary = || {
            json!({
                "type": "summary",
                "command": "forget",
                "set": set,
                "dry_run": self.dry_run,
                "dropped": dropped,
                "kept": kept,
            })
        };
        let verb = if self.dry_run { "would drop" } else { "dropped" };
        let text = || {
            format!(
                "set `{}`: {verb} {}, kept {}",
                format::name(set),
                format::counted(dropped, "snapshot"),
                format::count(kept)
            )
        };
        context.output.result(summary, text)
    }

    fn row(&self, judged: &Judged) -> Vec<String> {
        let kept_by: Vec<&str> = judged.kept_by.iter().map(|rule| rule.as_str()).collect();
        let why = match (kept_by.is_empty(), self.dry_run) {
            (true, true) => "nothing: would be dropped".to_owned(),
            (true, false) => "nothing: dropped".to_owned(),
            (false, _) => kept_by.join(", "),
        };
        vec![
            judged.id.to_string().chars().take(8).collect(),
            format::local_time(judged.snapshot.finished),
            format::name(&judged.snapshot.set),
            judged.snapshot.run.to_string(),
            why,
        ]
    }
}

fn record(judged: &Judged) -> Value {
    json!({
        "type": "snapshot",
        "id": judged.id.to_string(),
        "set": judged.snapshot.set,
        "run": judged.snapshot.run,
        "finished": format::utc_time(judged.snapshot.finished),
        "kept_by": judged.kept_by.iter().map(|rule| rule.as_str()).collect::<Vec<_>>(),
        "dropped": judged.kept_by.is_empty(),
    })
}
