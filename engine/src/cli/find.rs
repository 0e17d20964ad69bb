//! `larder find`: in which snapshots something is.

use std::collections::BTreeSet;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{
    arguments::Selection,
    context::Context,
    format,
    ls::streams,
    output::Form,
    progress::Told,
    values::{Size, When},
};
use crate::{
    browse::{FindOptions, Hit},
    engine::{SearchIn, Searched, SnapshotInfo},
    error::{EngineError, ExitCode, Result},
};

/// Find items in all snapshots at once, and say in which they are. An item is listed once for each state it has had: a file changed twice
/// gives three lines. Snapshots share most of what they hold, and what they share is read once.
#[derive(Args, Debug)]
pub(super) struct Find {
    /// Globs, of which one must match: one without `/` a name (`*.docx`), one with `/` the whole path (`/exchange/ann@*/Inbox/**`).
    #[arg(value_name = "PATTERN", required = true)]
    patterns: Vec<String>,
    /// Take upper and lower case for the same.
    #[arg(short, long)]
    ignore_case: bool,
    /// Only items of this kind: file, folder, message, event, contact … May be given several times.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only items changed then or later: a date, a date with a time, or how long ago (12h, 7d, 3mo).
    #[arg(long, value_name = "WHEN")]
    newer: Option<When>,
    /// Only items changed before that.
    #[arg(long, value_name = "WHEN")]
    older: Option<When>,
    /// Only items of more bytes than this: 500, 20kB, 1.5MB, 4GiB.
    #[arg(long, value_name = "SIZE")]
    larger: Option<Size>,
    /// Only items of fewer bytes than this.
    #[arg(long, value_name = "SIZE")]
    smaller: Option<Size>,
    /// Look in this snapshot only: the beginning of its id, or `latest`. May be given several times.
    #[arg(long, value_name = "SNAPSHOT")]
    snapshot: Vec<String>,
    /// Of each item list only the newest state that matches.
    #[arg(long)]
    newest_only: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Find {
    /// Prints a line for each state of an item as it is found.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let within = SearchIn {
            repository: Some(context.repository(&self.selection)?),
            set: self.selection.set.clone(),
            snapshots: self.snapshot.iter().map(|name| name.to_ascii_lowercase()).collect(),
        };
        let options = self.options(context)?;
        let running = context.engine(Told::Troubles)?;
        let output = &context.output;
        let (mut hits, mut set) = (0_u64, String::new());
        let searched = running.engine.find(&within, &options, &mut |searched, hit| {
            hits += 1;
            if output.form() == Form::Text && set != searched.set {
                set.clone_from(&searched.set);
                output.result(|| Value::Null, || heading(searched))?;
            }
            output.result(|| record(searched, hit), || line(searched, hit))
        })?;
        running.finish();
        let snapshots = searched.iter().map(|set| set.snapshots.len() as u64).sum();
        match output.form() {
            Form::Json => output.result(|| summary(hits, snapshots, &searched), String::new)?,
            Form::Text if hits == 0 => {
                output.note(&format!("nothing matches in {}", format::counted(snapshots, "snapshot")));
            }
            Form::Text => {}
        }
        Ok(ExitCode::Done)
    }

    fn options(&self, context: &Context) -> Result<FindOptions> {
        let (now, zone) = (context.clock.now(), TimeZone::system());
        let moment = |when: &Option<When>| {
            when.as_ref().map(|when| when.resolve(now, &zone)).transpose().map_err(EngineError::usage)
        };
        Ok(FindOptions {
            patterns: self.patterns.clone(),
            ignore_case: self.ignore_case,
            kinds: self.kind.clone(),
            newer: moment(&self.newer)?,
            older: moment(&self.older)?,
            larger: self.larger.map(|size| size.0),
            smaller: self.smaller.map(|size| size.0),
            newest_only: self.newest_only,
        })
    }
}

fn short(info: &SnapshotInfo) -> String {
    info.id.to_string().chars().take(8).collect()
}

fn heading(searched: &Searched) -> String {
    let times: BTreeSet<String> = [searched.snapshots.first(), searched.snapshots.last()]
        .into_iter()
        .flatten()
        .map(|info| format::local_time(info.record.finished))
        .collect();
    format!(
        "set `{}`, {} of {}\n{:<10}  {:>9}  {:<19}  {:<18}  {:>5}  PATH",
        format::name(&searched.set),
        format::counted(searched.snapshots.len() as u64, "snapshot"),
        Vec::from_iter(times).join(" to "),
        "KIND",
        "SIZE",
        "MODIFIED",
        "SNAPSHOTS",
        "COUNT"
    )
}

fn line(searched: &Searched, hit: &Hit) -> String {
    let (kind, size, modified) = match &hit.item {
        Some((_, item)) => (
            item.kind.as_str(),
            if item.streams.is_empty() { "-".to_owned() } else { format::bytes(item.bytes()) },
            item.modified.map_or_else(|| "-".to_owned(), format::local_time),
        ),
        None => (hit.container.kind.as_str(), "-".to_owned(), "-".to_owned()),
    };
    let name = |place: usize| searched.snapshots.get(place).map_or_else(String::new, short);
    let last = if in_newest(searched, hit) { "latest".to_owned() } else { name(hit.last) };
    let snapshots = if hit.first == hit.last { last } else { format!("{}..{last}", name(hit.first)) };
    format!(
        "{:<10}  {size:>9}  {modified:<19}  {snapshots:<18}  {:>5}  {}",
        format::name(kind),
        format::count(hit.snapshots as u64),
        format::name(&hit.path_text())
    )
}

fn in_newest(searched: &Searched, hit: &Hit) -> bool {
    searched.to_newest && hit.last + 1 == searched.snapshots.len()
}

fn record(searched: &Searched, hit: &Hit) -> Value {
    let snapshot = |place: usize| {
        searched.snapshots.get(place).map(|info| {
            json!({
                "id": info.id.to_string(),
                "run": info.record.run,
                "finished": format::utc_time(info.record.finished),
            })
        })
    };
    let mut record = json!({
        "type": "hit",
        "set": searched.set,
        "path": hit.path_text(),
        "container": hit.container.id.display(),
        "first": snapshot(hit.first),
        "last": snapshot(hit.last),
        "snapshots": hit.snapshots,
        "in_newest": in_newest(searched, hit),
    });
    let own = match &hit.item {
        Some((id, item)) => json!({
            "id": id.display(),
            "kind": item.kind.as_str(),
            "folder": item.folder,
            "size": item.bytes(),
            "modified": item.modified.map(format::utc_time),
            "streams": streams(item),
        }),
        None => json!({
            "id": hit.container.id.display(),
            "kind": hit.container.kind.as_str(),
            "folder": true,
            "size": 0,
            "modified": null,
            "streams": [],
        }),
    };
    if let (Value::Object(record), Value::Object(own)) = (&mut record, own) {
        record.extend(own);
    }
    record
}

fn summary(hits: u64, snapshots: u64, searched: &[Searched]) -> Value {
    json!({
        "type": "summary",
        "command": "find",
        "hits": hits,
        "snapshots": snapshots,
        "sets": searched.iter().map(|set| set.set.as_str()).collect::<Vec<_>>(),
    })
}
