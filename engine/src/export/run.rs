//! The walk over a snapshot, and what is asked of a format.

use std::{collections::HashMap, io::Write};

use larder_sdk::{ContainerId, Item, Kind, Name, StreamInfo, Time};

use super::{
    ExportFormat, ExportReport, ExportTo, content::Outgoing, eml::EmlFolder, file::ExportFile,
    mbox::MboxFile, tar::TarFile, zip::ZipFile,
};
use crate::{
    browse::{Entry, SnapshotView, Visit},
    catalog::ItemRecord,
    error::{EngineError, EngineErrorKind, Result},
    events::{Counts, Event, Events, ItemOutcome},
    process::Interrupt,
    restore::directory::member_path,
};

/// Deepest path followed, so that damaged trees end.
const DEPTH_MAX: usize = 4096;
/// Most failures listed one by one.
const FAILURES_MAX: usize = 10_000;
/// Most files of several names that are remembered; of more, each name becomes a file of its own.
const LINKS_MAX: usize = 100_000;

/// One name in what is made.
pub(super) struct Member<'run> {
    /// Its path: relative, `/` between names that no file system takes for anything else.
    pub(super) path: &'run [u8],
    /// The names it is made of, as the snapshot shows them.
    pub(super) names: &'run [Name],
    /// The item; `None` for folders that are none.
    pub(super) item: Option<&'run Item>,
    /// It is the item itself, not one of its other streams.
    pub(super) main: bool,
    /// Its length.
    pub(super) bytes: u64,
}

impl Member<'_> {
    /// When it was last changed.
    pub(super) fn modified(&self) -> Time {
        self.item.and_then(|item| item.modified).unwrap_or_default()
    }

    /// Its permission bits, if the source knows them.
    pub(super) fn mode(&self) -> Option<u32> {
        self.item.filter(|_| self.main)?.posix.as_ref().map(|posix| posix.mode & 0o7777)
    }
}

/// What became of a member.
pub(super) enum Written {
    /// It is in it.
    Whole,
    /// Its beginning is; the rest could not be read.
    Broken(EngineError),
    /// The format has no place for it.
    LeftOut,
}

impl Written {
    /// What a stream that broke off makes of its member: damage is the member's, anything else ends the whole.
    pub(super) fn broken(error: EngineError) -> Result<Self> {
        if error.kind() == EngineErrorKind::Damaged { Ok(Self::Broken(error)) } else { Err(error) }
    }
}

/// A format. An error means that it cannot be written any further.
pub(super) trait Archive {
    /// A folder.
    fn folder(&mut self, member: &Member<'_>) -> Result<Written>;
    /// A file, or a message.
    fn file(&mut self, member: &Member<'_>, content: &mut Outgoing) -> Result<Written>;
    /// A symbolic link or a special file.
    fn special(&mut self, member: &Member<'_>) -> Result<Written>;
    /// Another name of a file that is in it; `LeftOut` if it is to be a file of its own.
    fn link(&mut self, member: &Member<'_>, first: &[u8]) -> Result<Written>;
    /// Ends it.
    fn finish(&mut self) -> Result<()>;
}

/// Takes out what is at a path and below it. What does not read is in the report, and the rest is taken out.
pub fn export(
    view: &SnapshotView,
    path: &[String],
    format: ExportFormat,
    to: ExportTo<'_>,
    events: &dyn Events,
    interrupt: &Interrupt,
) -> Result<ExportReport> {
    let start = view.find(path)?;
    let run = |archive: &mut dyn Archive| {
        let links = HashMap::new();
        let skip = if start.is_folder() { start.path.len() } else { start.path.len().saturating_sub(1) };
        let report = ExportReport::default();
        let mut run = Run { view, format, archive, events, interrupt, skip, links, report };
        run.all(&start)?;
        run.archive.finish()?;
        Ok(run.report)
    };
    let into = |out: &mut dyn Write| match format {
        ExportFormat::Tar => run(&mut TarFile::new(out)),
        ExportFormat::Zip => run(&mut ZipFile::new(out)),
        _ => run(&mut MboxFile::new(out)),
    };
    match (format, to) {
        (ExportFormat::Eml, ExportTo::Path(path)) => run(&mut EmlFolder::create(&path)?),
        (ExportFormat::Eml, ExportTo::Stream(_)) => {
            Err(EngineError::usage("`eml` makes a folder of messages, which is no stream")
                .with_hint("name a folder, or take `mbox` or `tar`"))
        }
        (_, ExportTo::Path(path)) => {
            let mut file = ExportFile::create(&path)?;
            let report = into(&mut file)?;
            file.finish().map(|()| report)
        }
        (_, ExportTo::Stream(stream)) => into(stream),
    }
}

struct Run<'run> {
    view: &'run SnapshotView,
    format: ExportFormat,
    archive: &'run mut dyn Archive,
    events: &'run dyn Events,
    interrupt: &'run Interrupt,
    /// Parts of a path that stand above what is taken out.
    skip: usize,
    /// The first names of files that have several.
    links: HashMap<(ContainerId, (u64, u64)), Vec<u8>>,
    report: ExportReport,
}

impl Run<'_> {
    /// A folder comes right before what is in it, and all of that before what is beside it: programs that unpack set a folder's time
    /// when they leave it.
    fn all(&mut self, start: &Entry) -> Result<()> {
        if !start.is_folder() {
            return self.entry(start);
        }
        let view = self.view;
        let mut waiting = vec![start.clone()];
        while let Some(folder) = waiting.pop() {
            if folder.path.len() > DEPTH_MAX {
                return Err(EngineError::damaged("folders contain each other"));
            }
            if folder.path.len() > start.path.len() {
                self.entry(&folder)?;
            }
            let first = waiting.len();
            view.children(&folder, &mut |found| {
                self.interrupt.check()?;
                match found {
                    Ok(entry) if entry.is_folder() => waiting.push(entry),
                    Ok(entry) => self.entry(&entry)?,
                    Err(broken) if broken.error.kind() == EngineErrorKind::Gone => return Err(broken.error),
                    Err(broken) => self.failed(broken.path, &broken.error),
                }
                Ok(Visit::Continue(()))
            })?;
            waiting[first..].reverse();
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<()> {
        let names = &entry.path[self.skip..];
        let Some((parent, id, record)) = &entry.item else {
            let path = member_path(names, None);
            return self.folder(&Member { path: &path, names, item: None, main: true, bytes: 0 });
        };
        let mut item = record.to_item(parent.clone(), id.clone());
        if let Some(name) = names.last() {
            item.name = name.clone();
        }
        let shown = || entry.path_text();
        if record.folder {
            let path = member_path(names, None);
            self.folder(&Member { path: &path, names, item: Some(&item), main: true, bytes: 0 })?;
        } else if self.format.is_for_messages() && !is_message(record) {
            self.report.left_out += 1;
            return Ok(());
        } else if record.kind == Kind::SYMLINK || record.kind == Kind::SPECIAL {
            let path = member_path(names, None);
            let member = Member { path: &path, names, item: Some(&item), main: true, bytes: 0 };
            let written = match self.linked(entry, &member)? {
                Written::LeftOut => self.archive.special(&member)?,
                linked => linked,
            };
            if self.count(shown, written) {
                self.remember(entry, &item, &path);
            }
            return Ok(());
        }
        if record.folder && (record.streams.is_empty() || self.format.is_for_messages()) {
            return Ok(());
        }
        self.streams(entry, &item, record)
    }

    fn folder(&mut self, member: &Member<'_>) -> Result<()> {
        self.archive.folder(member)?;
        self.report.folders += 1;
        Ok(())
    }

    /// An item counts once, and as failed if any of its streams is.
    fn streams(&mut self, entry: &Entry, item: &Item, record: &ItemRecord) -> Result<()> {
        let mut whole = true;
        let names = &entry.path[self.skip..];
        for stream in &record.streams {
            let main = stream.name == StreamInfo::CONTENT && !record.folder;
            if self.format.is_for_messages() && !main {
                continue;
            }
            let path = member_path(names, Some((item, &*stream.name)));
            let member = Member { path: &path, names, item: Some(item), main, bytes: stream.bytes };
            let linked = if main { self.linked(entry, &member)? } else { Written::LeftOut };
            let written = match linked {
                Written::LeftOut => match Outgoing::open(self.view.blobs(), stream, self.interrupt) {
                    Ok(mut content) => {
                        self.report.bytes += stream.bytes;
                        self.archive.file(&member, &mut content)?
                    }
                    Err(error) => Written::broken(error)?,
                },
                linked => linked,
            };
            match written {
                Written::Whole => {
                    self.report.files += 1;
                    if main {
                        self.remember(entry, item, &path);
                    }
                }
                other => {
                    whole = false;
                    self.count(|| entry.path_text(), other);
                }
            }
        }
        if whole {
            self.count(String::new, Written::Whole);
        }
        Ok(())
    }

    fn linked(&mut self, entry: &Entry, member: &Member<'_>) -> Result<Written> {
        let first = link_of(entry).and_then(|link| self.links.get(&link));
        first.map_or(Ok(Written::LeftOut), |first| self.archive.link(member, first))
    }

    fn remember(&mut self, entry: &Entry, item: &Item, path: &[u8]) {
        if item.posix.as_ref().is_some_and(|posix| posix.link.is_some())
            && self.links.len() < LINKS_MAX
            && let Some(link) = link_of(entry)
        {
            self.links.entry(link).or_insert_with(|| path.to_vec());
        }
    }

    /// Counts an item; true if it is whole.
    fn count(&mut self, shown: impl FnOnce() -> String, written: Written) -> bool {
        let whole = matches!(written, Written::Whole);
        match written {
            Written::Whole => self.report.items += 1,
            Written::LeftOut => self.report.left_out += 1,
            Written::Broken(error) => self.failed(shown(), &error),
        }
        self.events.event(Event::Progress(Counts {
            items: self.report.items,
            bytes: self.report.bytes,
            failed: self.report.failed.len() as u64 + self.report.more_failed,
            ..Counts::default()
        }));
        whole
    }

    fn failed(&mut self, path: String, error: &EngineError) {
        let why = error.full_message();
        let outcome = ItemOutcome::NotRestored(why.clone());
        self.events.event(Event::Item { container: String::new(), item: path.clone(), outcome });
        if self.report.failed.len() < FAILURES_MAX {
            self.report.failed.push((path, why));
        } else {
            self.report.more_failed += 1;
        }
    }
}

/// What a file with several names is known by.
fn link_of(entry: &Entry) -> Option<(ContainerId, (u64, u64))> {
    let (_, _, record) = entry.item.as_ref()?;
    let link = record.posix.as_ref()?.link?;
    Some((entry.container.as_ref()?.container.id.clone(), link))
}

/// A message by its kind, or a file that holds one.
fn is_message(record: &ItemRecord) -> bool {
    !record.folder
        && record.streams.iter().any(|stream| {
            stream.name == StreamInfo::CONTENT
                && (record.kind == Kind::MESSAGE || stream.media.eq_ignore_ascii_case("message/rfc822"))
        })
}

/// An error of writing what is made.
pub(super) fn unwritten(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> EngineError {
    EngineError::failed("writing the export").with_source(error)
}

/// The path as text, for formats that know no other bytes.
pub(super) fn text_path(path: &[u8]) -> String {
    crate::browse::display_name(path)
}
