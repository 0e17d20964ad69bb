//! `larder report`: what a run did, container by container, and how that differs from the run before.

use std::{collections::BTreeMap, fs::OpenOptions, io::Write as _, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use larder_sdk::Time;
use serde_json::{Value, json};

use super::{
    arguments::Selection,
    context::Context,
    format,
    output::{Form, Output},
    progress::Told,
    report_page,
    run::outcome,
    target::Target,
    validate,
};
use crate::{
    browse::{ContainerReport, ContainerStanding, OwedItem, RunReport},
    error::{EngineError, ExitCode, Result},
    snapshot::Totals,
};

/// Say what the run that took a snapshot did: of each site, mailbox or folder what was read, skipped and not read, how long that took and who
/// waited for whom; and what changed since the run before.
#[derive(Args, Debug)]
pub(super) struct Report {
    /// The beginning of a snapshot's id, or `latest`.
    #[arg(value_name = "SNAPSHOT", default_value = "latest")]
    target: Target,
    /// What to make.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text", conflicts_with = "json")]
    format: Format,
    /// Write it into this file, which must not be there yet.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    to: Option<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

/// What to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Lines to be read at a terminal.
    Text,
    /// A page that needs nothing beside it, to be sent or kept.
    Html,
}

impl Report {
    /// Prints the report, or writes it into a file.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        if !self.target.path.is_empty() {
            return Err(EngineError::usage("a report is of a whole snapshot, not of a path in it"));
        }
        let spec = context.snapshot(&self.target, &self.selection)?;
        let running = context.engine(Told::Troubles)?;
        let report = running.engine.report(&spec)?;
        running.finish();
        let output = &context.output;
        if output.form() == Form::Json {
            print_records(output, &report)?;
        } else {
            let made = match self.format {
                Format::Text => text(&report),
                Format::Html => report_page::page(&report),
            };
            match &self.to {
                None => output.result(|| Value::Null, || made)?,
                Some(path) => write(path, &made)?,
            }
        }
        Ok(if report.broken.is_empty() { ExitCode::Done } else { ExitCode::Failed })
    }
}

fn write(path: &PathBuf, made: &str) -> Result<()> {
    let failed = |error| {
        EngineError::failed(format!("the report cannot be written to `{}`", path.display()))
            .with_source(error)
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(made.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)
}

/// What was skipped, and for whom requests waited, over all containers that the run read: words and their sums.
pub(super) fn sums<'a>(
    report: &'a RunReport,
    of: impl Fn(&'a ContainerReport) -> &'a [(String, u64)],
) -> BTreeMap<&'a str, u64> {
    let mut sums = BTreeMap::new();
    for container in report.containers.iter().filter(|one| one.was_read(&report.record)) {
        for (word, count) in of(container) {
            *sums.entry(word.as_str()).or_default() += count;
        }
    }
    sums
}

/// Containers that are not as the source has them, each with why, and since when it is stale.
pub(super) fn troubles(report: &RunReport) -> impl Iterator<Item = (&ContainerReport, String)> {
    report.containers.iter().filter_map(|container| {
        let why = match &container.state {
            ContainerStanding::Current | ContainerStanding::Owing => return None,
            ContainerStanding::Stale(why) => match container.record.read {
                Some(read) => format!("{why}; last read to its end {}", format::local_time(read)),
                None => format!("{why}; never read to its end"),
            },
            ContainerStanding::Gone(since) => {
                format!(
                    "no longer at the source since {}; its last state is kept",
                    format::local_time(*since)
                )
            }
        };
        Some((container, why))
    })
}

/// How many items are owed that the report does not name.
pub(super) fn more_owed(report: &RunReport) -> u64 {
    let named: u64 = report.containers.iter().map(|container| container.owed.len() as u64).sum();
    report.record.totals.owed.saturating_sub(named)
}

/// `+3`, `-2`, or nothing.
pub(super) fn change(before: Option<u64>, now: u64) -> String {
    match before {
        Some(before) if now > before => format!("+{}", format::count(now - before)),
        Some(before) if now < before => format!("-{}", format::count(before - now)),
        _ => String::new(),
    }
}

/// Milliseconds as people read them.
pub(super) fn took(millis: u64) -> String {
    format::duration(Duration::from_millis(millis))
}

fn text(report: &RunReport) -> String {
    let mut lines = head(report);
    lines.push(String::new());
    lines.extend(totals(report));
    lines.push(String::new());
    lines.extend(containers(report));
    section(
        &mut lines,
        "Not as the source has it",
        troubles(report).map(|(one, why)| (one.path.clone(), why)),
    );
    let skipped = sums(report, |one| &one.record.work.skipped);
    section(
        &mut lines,
        "Left out on purpose",
        skipped.iter().map(|(cause, count)| (format::counted(*count, "item"), (*cause).to_owned())),
    );
    let owed = report.containers.iter().flat_map(|one| one.owed.iter().map(move |item| (one, item)));
    section(
        &mut lines,
        "Owed: reported by the source and not read yet; each run tries them again",
        owed.map(|(one, item)| (format!("{}: {}", one.path, item.name), owed_why(item))),
    );
    if more_owed(report) > 0 {
        lines.push(format!("  and {} more", format::count(more_owed(report))));
    }
    let waited = sums(report, |one| &one.record.work.waited_millis);
    section(&mut lines, "Waited for", waited.iter().map(|(who, millis)| ((*who).to_owned(), took(*millis))));
    let findings = report.record.findings.iter();
    section(
        &mut lines,
        "Found before the run",
        findings.map(|finding| (finding.subject.clone(), finding.message.clone())),
    );
    if report.record.more_findings > 0 {
        lines.push(format!("  and {} more", format::count(report.record.more_findings)));
    }
    section(
        &mut lines,
        "Could not be read from the repository",
        report.broken.iter().map(|why| (why.clone(), String::new())),
    );
    lines.join("\n")
}

/// Why an item is owed, since when, and how often it was tried.
pub(super) fn owed_why(item: &OwedItem) -> String {
    let since = format::local_time(item.since);
    format!(
        "{} (since {since}, {})",
        item.reason,
        match item.tries {
            1 => "tried once".to_owned(),
            tries => format!("tried {tries} times"),
        }
    )
}

fn head(report: &RunReport) -> Vec<String> {
    let record = &report.record;
    let nanos = |time: Time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let ran = (nanos(record.finished) - nanos(record.started)) / 1_000_000;
    let mut lines = vec![
        format!(
            "{}: run {}, snapshot {}, {}",
            format::name(&record.set),
            record.run,
            &report.id.to_string()[..8],
            outcome(record.outcome)
        ),
        format!(
            "  taken    {} in {}, on {} by {}",
            format::local_time(record.finished),
            took(u64::try_from(ran).unwrap_or(0)),
            format::name(&record.host),
            format::name(&record.program)
        ),
    ];
    lines.push(match (&report.before, record.base) {
        (Some((id, before)), _) => format!(
            "  beside   run {}, snapshot {} of {}",
            before.run,
            &id.to_string()[..8],
            format::local_time(before.finished)
        ),
        (None, Some(base)) => {
            format!("  beside   nothing: snapshot {} was forgotten", &base.to_string()[..8])
        }
        (None, None) => "  beside   nothing: it is the first".to_owned(),
    });
    lines
}

/// What the table of totals shows: a label, and where the figure is; true if it is bytes.
pub(super) type TotalsRow = (&'static str, fn(&Totals) -> u64, bool);

/// The table of totals.
pub(super) const TOTALS: [TotalsRow; 7] = [
    ("containers", |totals| totals.containers, false),
    ("items", |totals| totals.items, false),
    ("owed", |totals| totals.owed, false),
    ("items read", |totals| totals.read_items, false),
    ("bytes read", |totals| totals.read_bytes, true),
    ("items removed", |totals| totals.deleted, false),
    ("bytes stored", |totals| totals.stored_bytes, true),
];

/// A figure of that table.
pub(super) fn figure(value: u64, is_bytes: bool) -> String {
    if is_bytes { format::bytes(value) } else { format::count(value) }
}

fn totals(report: &RunReport) -> Vec<String> {
    let before = report.before.as_ref().map(|(_, record)| &record.totals);
    let mut rows = vec![["", "THIS RUN", "THE RUN BEFORE"].map(str::to_owned).to_vec()];
    rows.extend(TOTALS.iter().map(|(label, get, is_bytes)| {
        let before = before.map_or_else(|| "-".to_owned(), |totals| figure(get(totals), *is_bytes));
        vec![format!("  {label}"), figure(get(&report.record.totals), *is_bytes), before]
    }));
    format::table(&rows, &[1, 2])
}

fn containers(report: &RunReport) -> Vec<String> {
    let head = [
        "CONTAINER",
        "STATE",
        "ITEMS",
        "CHANGE",
        "READ",
        "BYTES",
        "REMOVED",
        "SKIPPED",
        "OWED",
        "TOOK",
        "WAITED",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(report.containers.iter().map(|one| cells(report, one).to_vec()));
    format::table(&rows, &[2, 3, 4, 5, 6, 7, 8, 9, 10])
}

/// A container's row of the table.
pub(super) fn cells(report: &RunReport, one: &ContainerReport) -> [String; 11] {
    let (record, work) = (&one.record, &one.record.work);
    let sum = |words: &[(String, u64)]| words.iter().map(|(_, count)| count).sum::<u64>();
    let of_run = |text: String| if one.was_read(&report.record) { text } else { "-".to_owned() };
    [
        format::name(&one.path),
        one.state.as_str().to_owned(),
        format::count(record.items),
        change(one.items_before, record.items),
        of_run(format::count(work.read_items)),
        of_run(format::bytes(work.read_bytes)),
        of_run(format::count(work.deleted)),
        of_run(format::count(sum(&work.skipped))),
        format::count(record.owed),
        of_run(took(work.millis)),
        of_run(if work.waited_millis.is_empty() { "-".to_owned() } else { took(sum(&work.waited_millis)) }),
    ]
}

fn section(lines: &mut Vec<String>, title: &str, entries: impl Iterator<Item = (String, String)>) {
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        return;
    }
    lines.extend([String::new(), format!("{title}:")]);
    for (what, why) in entries {
        let why = if why.is_empty() { why } else { format!("  {}", format::name(&why)) };
        lines.push(format!("  {}{why}", format::name(&what)));
    }
}

fn print_records(output: &Output, report: &RunReport) -> Result<()> {
    for container in &report.containers {
        output.result(|| container_record(report, container), String::new)?;
        for item in &container.owed {
            output.result(|| owed_record(container, item), String::new)?;
        }
    }
    for finding in &report.record.findings {
        let level = validate::word(finding.level);
        let record = || {
            json!({
                "type": "finding", "level": level, "subject": finding.subject, "code": finding.code,
                "message": finding.message, "hint": finding.hint,
            })
        };
        output.result(record, String::new)?;
    }
    output.result(|| summary(report), String::new)
}

fn counted(words: &[(String, u64)]) -> Value {
    words.iter().map(|(word, count)| (word.clone(), json!(count))).collect::<serde_json::Map<_, _>>().into()
}

fn container_record(report: &RunReport, one: &ContainerReport) -> Value {
    let (record, work) = (&one.record, &one.record.work);
    let why = match &one.state {
        ContainerStanding::Stale(why) => Some(why),
        _ => None,
    };
    json!({
        "type": "container",
        "path": one.path,
        "kind": record.container.kind.as_str(),
        "state": one.state.as_str(),
        "why": why,
        "items": record.items,
        "items_before": one.items_before,
        "owed": record.owed,
        "read": record.read.map(format::utc_time),
        "gone_since": record.gone_since.map(format::utc_time),
        "work": one.was_read(&report.record).then(|| json!({
            "listed": work.listed,
            "read_items": work.read_items,
            "read_bytes": work.read_bytes,
            "deleted": work.deleted,
            "seconds": Duration::from_millis(work.millis).as_secs_f64(),
            "skipped": counted(&work.skipped),
            "waited_ms": counted(&work.waited_millis),
        })),
    })
}

fn owed_record(container: &ContainerReport, item: &OwedItem) -> Value {
    json!({
        "type": "owed",
        "container": container.path,
        "name": item.name,
        "reason": item.reason,
        "since": format::utc_time(item.since),
        "tries": item.tries,
    })
}

fn summary(report: &RunReport) -> Value {
    let totals = |totals: &Totals| {
        json!({
            "containers": totals.containers,
            "items": totals.items,
            "owed": totals.owed,
            "read_items": totals.read_items,
            "read_bytes": totals.read_bytes,
            "deleted": totals.deleted,
            "stored_bytes": totals.stored_bytes,
        })
    };
    let record = &report.record;
    json!({
        "type": "summary",
        "command": "report",
        "set": record.set,
        "run": record.run,
        "snapshot": report.id.to_string(),
        "base": record.base.map(|id| id.to_string()),
        "outcome": outcome(record.outcome),
        "started": format::utc_time(record.started),
        "finished": format::utc_time(record.finished),
        "totals": totals(&record.totals),
        "totals_before": report.before.as_ref().map(|(_, before)| totals(&before.totals)),
        "more_owed": more_owed(report),
        "more_findings": record.more_findings,
        "unreadable": report.broken,
    })
}
