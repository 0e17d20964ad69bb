//! `larder run`: backs sets up.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::{context::Context, format, progress::Told};
use crate::{
    engine::BackupOptions,
    error::{EngineError, EngineErrorKind, ExitCode, Result},
    pipeline::RunSummary,
    snapshot::{ContainerOutcome, SnapshotOutcome},
};

/// Back up sets, each into its repository. The first run reads everything, later ones what changed. What cannot be read is recorded,
/// tried again by the next run, and makes the exit code 3.
#[derive(Args, Debug)]
#[expect(clippy::struct_field_names, reason = "`dry_run` is the option's name")]
pub(super) struct Run {
    /// The sets to back up, one after the other.
    #[arg(value_name = "SET", required_unless_present = "all")]
    sets: Vec<String>,
    /// Back up every set of the config.
    #[arg(long, conflicts_with = "sets")]
    all: bool,
    /// Only show what would be read: ask the source, write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Drop whatever the source no longer has, even if it is more than the set's `max_loss`.
    #[arg(long)]
    accept_loss: bool,
    /// Seconds between checkpoints, from which a run that was cut off is taken up. 0.1 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    checkpoint_every: Duration,
    /// A word for the snapshot, by which it is found and kept: `--tag before-upgrade`. May be given several times.
    #[arg(long, value_name = "TAG", value_parser = tag)]
    tag: Vec<String>,
}

/// Most words of one snapshot.
const TAGS_MAX: usize = 64;
/// Longest of them, in bytes.
const TAG_BYTES_MAX: usize = 128;

/// A word that a snapshot can be given.
pub(super) fn tag(text: &str) -> std::result::Result<String, String> {
    let fits = !text.is_empty() && text.len() <= TAG_BYTES_MAX;
    let plain = !text
        .chars()
        .any(|character| character.is_control() || character.is_whitespace() || character == ',');
    if fits && plain {
        Ok(text.to_owned())
    } else {
        Err(format!("a tag has 1 to {TAG_BYTES_MAX} bytes, and no blanks and commas"))
    }
}

/// A number of seconds within reason.
fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.1..=86_400.0).contains(&number) {
        Ok(Duration::from_secs_f64(number))
    } else {
        Err("not between 0.1 and 86400".to_owned())
    }
}

impl Run {
    /// A set that fails does not stop the others.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        if self.tag.len() > TAGS_MAX {
            return Err(EngineError::usage(format!("a snapshot has at most {TAGS_MAX} tags")));
        }
        let sets = context.sets(&self.sets)?;
        let running = context.engine(Told::Progress)?;
        let options = BackupOptions {
            dry_run: self.dry_run,
            accept_loss: self.accept_loss,
            checkpoint_every: self.checkpoint_every,
            tags: self.tag.clone(),
        };
        let mut code = ExitCode::Done;
        for set in sets {
            let began = context.clock.elapsed();
            let done = running.engine.run(&set, &options);
            running.finish();
            match done {
                Ok(summary) => {
                    let seconds = context.clock.elapsed().saturating_sub(began);
                    show(context, &set, &summary, seconds)?;
                    if summary.outcome == SnapshotOutcome::Incomplete {
                        code = code.or(ExitCode::Incomplete);
                    }
                }
                Err(error) if error.kind() == EngineErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    context.output.error(&error);
                    code = code.or(error.exit_code());
                }
            }
        }
        Ok(code)
    }
}

fn show(context: &Context, set: &str, summary: &RunSummary, took: Duration) -> Result<()> {
    let record = || {
        json!({
            "type": "summary",
            "command": "run",
            "set": set,
            "run": summary.run,
            "snapshot": summary.snapshot.map(|id| id.to_string()),
            "outcome": outcome(summary.outcome),
            "resumed": summary.resumed,
            "containers": summary.totals.containers,
            "items": summary.totals.items,
            "owed": summary.totals.owed,
            "listed": summary.listed,
            "read_items": summary.totals.read_items,
            "read_bytes": summary.totals.read_bytes,
            "deleted": summary.totals.deleted,
            "stored_bytes": summary.totals.stored_bytes,
            "seconds": took.as_secs_f64(),
            "incomplete_containers": unfinished(summary).map(|(name, _, record)| json!({ "container": name, "reason": record })).collect::<Vec<Value>>(),
        })
    };
    context.output.result(record, || text(set, summary, took))?;
    context.output.flush()
}

fn text(set: &str, summary: &RunSummary, took: Duration) -> String {
    let totals = &summary.totals;
    let head = match summary.snapshot {
        Some(id) => format!(
            "{set}: snapshot {}, run {}, {}",
            &id.to_string()[..8],
            summary.run,
            outcome(summary.outcome)
        ),
        None => format!("{set}: dry run, nothing written"),
    };
    let mut lines = vec![
        head,
        format!(
            "  in it    {} in {}",
            format::counted(totals.items, "item"),
            format::counted(totals.containers, "container")
        ),
        format!(
            "  read     {}, {}{}",
            format::counted(totals.read_items, "item"),
            format::bytes(totals.read_bytes),
            if summary.resumed { ", going on from a checkpoint" } else { "" }
        ),
        format!("  removed  {}", format::counted(totals.deleted, "item")),
        format!("  stored   {} in {}", format::bytes(totals.stored_bytes), format::duration(took)),
    ];
    if totals.owed > 0 {
        lines.push(format!(
            "  owed     {}: the next run tries them again",
            format::counted(totals.owed, "item")
        ));
    }
    lines.extend(
        unfinished(summary).map(|(name, what, reason)| {
            format!("  {what}  {}: {}", format::name(name), format::name(&reason))
        }),
    );
    lines.join("\n")
}

/// The containers that are not as the source has them now: name, a word, and why.
fn unfinished(summary: &RunSummary) -> impl Iterator<Item = (&str, &'static str, String)> {
    summary.containers.iter().filter_map(|container| {
        let record = &container.record;
        let (word, reason) = match &record.outcome {
            _ if record.gone_since.is_some() => {
                ("gone   ", "no longer at the source; its last state is kept".to_owned())
            }
            ContainerOutcome::Done => return None,
            ContainerOutcome::Unfinished => ("partly ", "not read to its end".to_owned()),
            ContainerOutcome::Failed(reason) => ("failed ", reason.clone()),
            ContainerOutcome::HeldBack(items, of) => (
                "held   ",
                format!(
                    "{items} of {of} items would go, more than max_loss allows; --accept-loss lets them go"
                ),
            ),
        };
        Some((container.name.as_str(), word, reason))
    })
}

/// The word for an outcome.
pub(super) fn outcome(outcome: SnapshotOutcome) -> &'static str {
    match outcome {
        SnapshotOutcome::Complete => "complete",
        SnapshotOutcome::Incomplete => "incomplete",
    }
}
