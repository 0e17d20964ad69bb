//! Freeing what nothing needs any more, beside runs, restores and other machines. `docs/format.md` has the rules and why they hold.
//!
//! ```text
//! session ─ roots ─ usage ─ choice ─ mark ─┐
//! sessions that have not seen the mark? ── wait for another prune
//! roots again ─ copies ─ segments ─ end of session ─ old segments, packs, mark go
//! ```

pub(super) mod copy;
mod removals;
mod report;
mod roots;
mod segments;
mod select;
mod sessions;
mod wanted;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use larder_sdk::Time;

pub(super) use self::copy::Copier;
#[cfg(test)]
pub(super) use self::copy::put_segment;
pub use self::report::{PruneOptions, PruneReport, PruneSetup, WaitingFor};
use self::{
    roots::Roots,
    select::{PackUse, select},
    sessions::Others,
    wanted::Wanted,
};
use super::usage::Usage;
use crate::{
    crypto::ObjectKind,
    error::{EngineError, EngineErrorKind, Result},
    events::{Counts, Event},
    hash::ObjectName,
    index::BlobKind,
    planted::{Bug, planted},
    repository::{BlobReader, IndexView, Session, layout, session::dead},
    snapshot::{EndRecord, MarkRecord, Purpose, SessionRecord},
};

/// Opened frames kept while trees are walked.
const CACHE_BYTES: usize = 32 << 20;
/// Most packs that one mark condemns; more is for the next prune.
const CONDEMNED_MAX: usize = 100_000;
/// The session is renewed after this long.
const RENEWAL_SECONDS: i64 = 3600;

/// A pack or segment.
type Named = (BlobKind, ObjectName);

/// Deletes what nothing needs. Safe beside anything but an older format; if killed, the next prune goes on.
pub fn prune(setup: &PruneSetup<'_>, options: PruneOptions) -> Result<PruneReport> {
    let session = if options.dry_run { None } else { Some(announce(setup)?) };
    let mut prune = Prune {
        setup,
        options,
        session,
        renewed: setup.clock.now(),
        report: PruneReport::default(),
        packs: HashMap::new(),
    };
    let mut done = prune.go();
    if let Some(session) = &prune.session {
        done = done.map_err(|error| session.explain(error, setup.clock.now()));
        let ended = session.end().and_then(|()| setup.repository.remove(layout::ENDED, session.name()));
        if let Err(error) = ended {
            let text = format!("this prune's session could not be removed: {}", error.full_message());
            setup.events.event(Event::warning("larder", text));
        }
    }
    done.map(|()| prune.report)
}

fn announce(setup: &PruneSetup<'_>) -> Result<Session> {
    let now = setup.clock.now();
    let record = SessionRecord {
        purpose: Purpose::Prune,
        set: String::new(),
        host: setup.host.to_owned(),
        machine: setup.machine,
        started: now,
        roots: Vec::new(),
        marks: Vec::new(),
    };
    Session::open(setup.repository, record, now)
}

/// Announces somebody else who rewrites the index like a prune, and stands back if another is at it.
pub(super) fn announce_alone(setup: &PruneSetup<'_>) -> Result<Session> {
    let session = announce(setup)?;
    let alone = sessions::look(setup, Some(&session)).and_then(|others| sessions::stand_back(&others));
    if alone.is_err() {
        end_alone(setup, &session);
    }
    alone.map(|()| session)
}

/// Ends what [`announce_alone`] began.
pub(super) fn end_alone(setup: &PruneSetup<'_>, session: &Session) {
    if let Err(error) = session.end() {
        let text = format!("this session could not be removed: {}", error.full_message());
        setup.events.event(Event::warning("larder", text));
    }
}

struct Prune<'run> {
    setup: &'run PruneSetup<'run>,
    options: PruneOptions,
    /// None on a dry run.
    session: Option<Session>,
    renewed: Time,
    report: PruneReport,
    /// Every pack in the store: its size in bytes and when it was written.
    packs: HashMap<(BlobKind, ObjectName), (u64, Option<Time>)>,
}

impl Prune<'_> {
    fn go(&mut self) -> Result<()> {
        let others = sessions::look(self.setup, self.session.as_ref())?;
        if let Some(session) = &self.session {
            sessions::stand_back(&others)?;
            sessions::bury(self.setup, session.name(), &others)?;
            removals::tidy(self.setup, &others)?;
        }
        let removals = self.setup.repository.names(layout::REMOVED)?.into_iter().collect();
        let known = Roots::list(self.setup.repository, &removals)?;
        let view = self.load_index()?;
        let blobs = Arc::new(BlobReader::new(Arc::clone(self.setup.repository), CACHE_BYTES));
        let mut usage = Usage::new(blobs, view, self.setup.interrupt);
        known.add_to(&mut usage)?;
        let condemned = self.choose(&usage, &others)?;
        if self.options.dry_run {
            return Ok(());
        }
        self.mark(&condemned)?;
        self.sweep(&removals, others, usage)
    }

    /// Loads the index, and then lists the packs, so that a pack that is named and not listed is not there: what segments say of it is then put
    /// aside. A writer that woke up after its session was ended may have put such a segment.
    fn load_index(&mut self) -> Result<IndexView> {
        let repository = self.setup.repository;
        repository.load_index()?;
        self.packs.clear();
        for kind in BlobKind::ALL {
            for (key, info) in
                repository.store().list_all(layout::pack_folder(kind)).map_err(EngineError::store)?
            {
                if let Some(name) = layout::name_of(&key) {
                    self.packs.insert((kind, name), (info.size, info.modified));
                }
            }
        }
        let view = repository.index().view()?;
        let mut unlisted = BTreeSet::new();
        for kind in BlobKind::ALL {
            view.each(kind, |_, _, location| {
                if !self.packs.contains_key(&(kind, location.pack)) {
                    unlisted.insert((kind, location.pack));
                }
                Ok(())
            })?;
        }
        let mut lost = false;
        for (kind, name) in unlisted {
            if !repository.has_pack(kind, name)? {
                repository.index().lose(name);
                lost = true;
            }
        }
        if lost { repository.index().view() } else { Ok(view) }
    }

    /// Which packs should go, by what is in use now.
    fn choose(&mut self, usage: &Usage<'_>, others: &Others) -> Result<Vec<PackUse>> {
        let marked = condemned_by(&self.marks()?);
        let mut packs: HashMap<(BlobKind, ObjectName), PackUse> = HashMap::new();
        let mut young = HashSet::new();
        for (&(kind, name), &(bytes, modified)) in &self.packs {
            if !marked.contains(&name) && !others.may_still_write(modified) {
                packs.insert((kind, name), PackUse { kind, name, bytes, plain_bytes: 0, used_bytes: 0 });
                if !others.is_a_day_old(modified) {
                    young.insert(name);
                }
            }
        }
        self.report.packs = self.packs.len() as u64;
        self.report.bytes = self.packs.values().map(|(bytes, _)| bytes).sum();
        usage.each(|used, _, location| {
            if let Some(pack) = packs.get_mut(&(location.kind, location.pack)) {
                let bytes = u64::from(location.bytes);
                pack.plain_bytes += bytes;
                pack.used_bytes += if used { bytes } else { 0 };
            }
            Ok(())
        })?;
        let mut packs: Vec<PackUse> = packs.into_values().collect();
        // The segment of a pack that none names may still be on its way, whatever became of its writer.
        packs.retain(|pack| pack.plain_bytes > 0 || !young.contains(&pack.name));
        packs.sort_by_key(|pack| (pack.kind, pack.name));
        self.report.waste_bytes = packs.iter().map(PackUse::waste).sum();
        let mut condemned = select(&packs, self.options.waste_percent);
        condemned.truncate(CONDEMNED_MAX);
        self.report.condemned_packs = condemned.len() as u64;
        self.report.condemned_bytes = condemned.iter().map(|pack| pack.bytes).sum();
        Ok(condemned)
    }

    /// Condemns packs.
    fn mark(&self, condemned: &[PackUse]) -> Result<()> {
        if condemned.is_empty() {
            return Ok(());
        }
        let mark = MarkRecord {
            condemned: condemned.iter().map(|pack| (pack.kind, pack.name)).collect(),
            made: self.setup.clock.now(),
            host: self.setup.host.to_owned(),
        };
        self.setup.repository.put_record(layout::MARKS, ObjectKind::Mark, ObjectName::random()?, &mark)
    }

    /// The marks there are, also those of earlier prunes. One that does not read condemns nothing that is deleted here.
    fn marks(&self) -> Result<Vec<(ObjectName, MarkRecord)>> {
        let mut marks = Vec::new();
        for (name, mark) in self.setup.repository.marks()? {
            match mark {
                Ok(mark) => marks.push((name, mark)),
                Err(error) if error.kind() == EngineErrorKind::Damaged => {
                    self.setup.events.event(Event::warning("larder", error.full_message()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(marks)
    }

    /// Deletes what is marked, as far as every session has seen the mark.
    fn sweep(&mut self, removals: &HashSet<ObjectName>, earlier: Others, mut usage: Usage<'_>) -> Result<()> {
        let marks = self.marks()?;
        let others = if planted(Bug::SessionsBeforeMark) {
            earlier
        } else {
            sessions::look(self.setup, self.session.as_ref())?
        };
        let (ready, waiting): (Vec<_>, Vec<_>) =
            marks.iter().partition(|(name, _)| others.blocking(*name).next().is_none());
        for (name, mark) in &waiting {
            self.report.waiting_packs += mark.condemned.len() as u64;
            for session in others.blocking(*name) {
                if !self.report.waiting_for.contains(&session) {
                    self.report.waiting_for.push(session);
                }
            }
        }
        // What came since the first look is in use too; what was marked counts as not stored elsewhere.
        let known = Roots::list(self.setup.repository, removals)?;
        let index = self.setup.repository.index();
        index.clear();
        index.condemn(condemned_by(&marks));
        usage.set_view(self.load_index()?)?;
        known.add_to(&mut usage)?;
        let gone: HashSet<Named> =
            ready.iter().flat_map(|(_, mark)| mark.condemned.iter().copied()).collect();
        self.copy(&usage, &gone)?;
        drop(usage);
        let named = |name| !others.is_empty() || known.names_segment(name);
        let (packs, repository) = (&self.packs, self.setup.repository);
        let mut looked_at = HashMap::new();
        let mut is_gone = |kind, name| {
            if packs.contains_key(&(kind, name)) || gone.contains(&(kind, name)) {
                return Ok(gone.contains(&(kind, name)));
            }
            if let Some(gone) = looked_at.get(&name) {
                return Ok(*gone);
            }
            let gone = !repository.has_pack(kind, name)?;
            looked_at.insert(name, gone);
            Ok(gone)
        };
        let replaced = segments::merge(repository, &mut is_gone, &named)?;
        self.report.replaced_segments = replaced.len() as u64;
        self.end_of_session()?;
        self.delete(&replaced, &gone, &ready)?;
        repository.refresh_cache();
        Ok(())
    }

    /// Copies what is in use out of packs that go.
    fn copy(&mut self, usage: &Usage<'_>, gone: &HashSet<Named>) -> Result<()> {
        let repository = self.setup.repository;
        let wanted = Wanted::look(repository, usage, gone)?;
        let mut copier = Copier::new(repository);
        let mut done = 0;
        for packs in wanted.portions() {
            for ((kind, name), ids) in wanted.gather(&packs)? {
                self.setup.interrupt.check()?;
                self.renew()?;
                copier.copy(kind, name, self.size(kind, name)?, &ids)?;
                done += 1;
                let counts = Counts {
                    items: done,
                    items_total: Some(wanted.packs()),
                    stored: copier.stored_bytes,
                    ..Counts::default()
                };
                self.setup.events.event(Event::Progress(counts));
            }
        }
        copier.finish()?;
        self.report.copied_bytes = copier.stored_bytes;
        Ok(())
    }

    fn size(&self, kind: BlobKind, name: ObjectName) -> Result<u64> {
        match self.packs.get(&(kind, name)) {
            Some((bytes, _)) => Ok(*bytes),
            None => {
                let key = layout::pack_key(kind, name)?;
                Ok(self.setup.repository.store().head(&key).map_err(EngineError::store)?.size)
            }
        }
    }

    fn renew(&mut self) -> Result<()> {
        let now = self.setup.clock.now();
        if let Some(session) = &self.session
            && now.seconds - self.renewed.seconds >= RENEWAL_SECONDS
        {
            session.renew(now)?;
            self.renewed = now;
        }
        Ok(())
    }

    /// From here on only deleting is left, which whoever takes this prune for dead may do as well.
    fn end_of_session(&self) -> Result<()> {
        self.setup.interrupt.check()?;
        let Some(session) = &self.session else { return Ok(()) };
        let now = self.setup.clock.now();
        let host = self.setup.host.to_owned();
        let end = EndRecord { by: session.name(), ended: now, host, keeps: None };
        let first = !session.slept(now)
            && self.setup.repository.put_record_once(layout::ENDED, ObjectKind::End, session.name(), &end)?;
        if first { Ok(()) } else { Err(dead()) }
    }

    fn delete(
        &mut self,
        segments: &[Named],
        packs: &HashSet<Named>,
        marks: &[&(ObjectName, MarkRecord)],
    ) -> Result<()> {
        for (kind, name) in segments {
            self.delete_one(&layout::in_folder(layout::index_folder(*kind), *name)?);
        }
        if !self.report.refused.is_empty() {
            // Segments that stay name the packs: these must stay as well.
            return Ok(());
        }
        let mut packs: Vec<_> = packs.iter().copied().collect();
        packs.sort_unstable();
        for (kind, name) in packs {
            // Interrupted here, the mark stays, and the next prune goes on.
            self.setup.interrupt.check()?;
            let bytes = self.packs.get(&(kind, name)).map_or(0, |(bytes, _)| *bytes);
            if self.delete_one(&layout::pack_key(kind, name)?) {
                self.report.deleted_packs += 1;
                self.report.deleted_bytes += bytes;
            }
        }
        if self.report.refused.is_empty() {
            for (name, _) in marks {
                self.delete_one(&layout::in_folder(layout::MARKS, *name)?);
            }
        }
        Ok(())
    }

    /// A refused delete is told and tried by the next prune.
    fn delete_one(&mut self, key: &larder_sdk::ObjectKey) -> bool {
        match self.setup.repository.store().delete(key) {
            Ok(()) => true,
            Err(error) => {
                self.report.refused.push((key.to_string(), error.to_string()));
                false
            }
        }
    }
}

fn condemned_by(marks: &[(ObjectName, MarkRecord)]) -> HashSet<ObjectName> {
    marks.iter().flat_map(|(_, mark)| mark.condemned.iter().map(|(_, pack)| *pack)).collect()
}
