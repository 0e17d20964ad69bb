//! `larder ls`: what is in a snapshot.

use clap::Args;
use serde_json::{Value, json};

use super::{arguments::Selection, context::Context, format, output::Form, progress::Told, target::Target};
use crate::{
    browse::Entry,
    catalog::ItemRecord,
    error::{ExitCode, Result},
};

/// List what is in a snapshot: its containers, the items of a folder, or everything.
#[derive(Args, Debug)]
pub(super) struct Ls {
    /// The beginning of a snapshot's id, or `latest`; perhaps a path: `latest:/exchange/ann@contoso.com/Inbox`
    #[arg(value_name = "SNAPSHOT[:PATH]")]
    target: Target,
    /// List everything below, not only what is directly there.
    #[arg(short, long)]
    recursive: bool,
    /// Show kind, size and time too.
    #[arg(short, long)]
    long: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Ls {
    /// Prints a line for each entry as it is found.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let spec = context.snapshot(&self.target, &self.selection)?;
        let running = context.engine(Told::Troubles)?;
        let output = &context.output;
        running.engine.list(&spec, &self.target.path, self.recursive, &mut |entry| match output.form() {
            Form::Json => output.result(|| record(entry), String::new),
            Form::Text => {
                output.result(|| Value::Null, || if self.long { long(entry) } else { short(entry) })
            }
        })?;
        Ok(ExitCode::Done)
    }
}

fn short(entry: &Entry) -> String {
    format::name(&entry.path_text())
}

fn long(entry: &Entry) -> String {
    let kind = kind(entry);
    let (size, modified) = match &entry.item {
        Some((_, _, item)) if !item.streams.is_empty() => (format::bytes(item.bytes()), item.modified),
        Some((_, _, item)) => ("-".to_owned(), item.modified),
        None => ("-".to_owned(), None),
    };
    let modified = modified.map_or_else(|| "-".to_owned(), format::local_time);
    format!("{kind:<10}  {size:>9}  {modified:<19}  {}", short(entry))
}

fn kind(entry: &Entry) -> String {
    match (&entry.item, &entry.container) {
        (Some((_, _, item)), _) => format::name(item.kind.as_str()),
        (None, Some(container)) => format::name(container.container.kind.as_str()),
        (None, None) => "folder".to_owned(),
    }
}

/// An item's streams, as records have them.
pub(super) fn streams(item: &ItemRecord) -> Vec<Value> {
    item.streams
        .iter()
        .map(|stream| {
            json!({ "name": stream.name, "size": stream.bytes, "blake3": stream.digest.to_string() })
        })
        .collect()
}

fn record(entry: &Entry) -> Value {
    let path = entry.path_text();
    match (&entry.item, &entry.container) {
        (Some((_, id, item)), _) => {
            json!({
                "type": "item",
                "path": path,
                "id": id.display(),
                "kind": item.kind.as_str(),
                "folder": item.folder,
                "size": item.bytes(),
                "modified": item.modified.map(format::utc_time),
                "streams": streams(item),
            })
        }
        (None, Some(container)) => json!({
            "type": "container",
            "path": path,
            "id": container.container.id.display(),
            "kind": container.container.kind.as_str(),
            "title": container.container.title,
            "items": container.items,
            "owed": container.owed,
            "read": container.read.map(format::utc_time),
            "gone_since": container.gone_since.map(format::utc_time),
        }),
        (None, None) => json!({ "type": "folder", "path": path }),
    }
}
