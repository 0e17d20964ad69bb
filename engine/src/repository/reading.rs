//! Long reads: who restores, exports or copies snapshots announces them, so that a prune keeps what they need although they are forgotten meanwhile.
//!
//! First the announcement, *then* a look whether the snapshots are still there: so either a prune sees the announcement before it deletes, or the
//! reader sees that it came too late.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use larder_sdk::ErrorKind;

use super::{Repository, Session, layout};
use crate::{
    clock::Clock,
    error::{EngineError, EngineErrorKind, Result},
    events::{Event, Events},
    hash::ObjectName,
    snapshot::{Purpose, SessionRecord, SnapshotRecord},
};

/// How often it is looked whether the announcement is due again.
const TICK: Duration = Duration::from_secs(60);

/// Who reads.
pub struct Reader<'run> {
    /// This machine's name.
    pub host: &'run str,
    /// Tells the time.
    pub clock: &'run Arc<dyn Clock>,
    /// Takes what happens.
    pub events: &'run Arc<dyn Events>,
}

/// An announced read. A thread announces it again every hour; dropped, it takes the announcement back.
pub struct Reading {
    /// `None` if the store took no announcement.
    session: Option<Arc<Session>>,
    events: Arc<dyn Events>,
    /// Nothing is sent: the thread ends when it is dropped.
    renewing: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    /// Announces that snapshots are read. To be called before the index is loaded. An error of kind [`EngineErrorKind::Gone`] if one of them is no
    /// longer there. A store that takes no announcement, for want of rights or of room, is warned of and read all the same.
    pub fn announce(
        repository: &Arc<Repository>,
        snapshots: &[(ObjectName, &SnapshotRecord)],
        reader: &Reader<'_>,
    ) -> Result<Self> {
        let now = reader.clock.now();
        let record = SessionRecord {
            purpose: Purpose::Read,
            set: snapshots.first().map_or_else(String::new, |(_, snapshot)| snapshot.set.clone()),
            host: reader.host.to_owned(),
            machine: ObjectName::random()?,
            started: now,
            roots: snapshots.iter().filter_map(|(_, snapshot)| snapshot.root).collect(),
            marks: Vec::new(),
        };
        let mut reading =
            Self { session: None, events: Arc::clone(reader.events), renewing: None, thread: None };
        match Session::read(repository, record, now) {
            Ok(session) => reading.session = Some(Arc::new(session)),
            Err(error) if error.kind() == EngineErrorKind::Store => reading.warn(&format!(
                "this read could not be announced, so that nothing keeps a prune from removing what it needs once its snapshot is \
                 forgotten: {}",
                error.full_message()
            )),
            Err(error) => return Err(error),
        }
        for (id, snapshot) in snapshots {
            if !repository.has_snapshot(*id)? {
                return Err(forgotten(*id, snapshot));
            }
        }
        if let Some(session) = &reading.session {
            let (sender, ended) = sync_channel(1);
            let (session, clock, events) =
                (Arc::clone(session), Arc::clone(reader.clock), Arc::clone(reader.events));
            let thread = std::thread::Builder::new()
                .spawn(move || keep(&session, &*clock, &*events, &ended))
                .map_err(|error| EngineError::failed("starting a thread").with_source(error))?;
            (reading.renewing, reading.thread) = (Some(sender), Some(thread));
        }
        Ok(reading)
    }

    fn warn(&self, text: &str) {
        self.events.event(Event::warning("larder", text));
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        drop(self.renewing.take());
        if let Some(thread) = self.thread.take() {
            // It panics as little as anything else; there is nothing of its own to lose.
            let _ = thread.join();
        }
        if let Some(Err(error)) = self.session.as_ref().map(|session| session.end()) {
            self.warn(&format!(
                "the announcement of this read could not be removed, and keeps what was read for a day: {}",
                error.full_message()
            ));
        }
    }
}

/// Announces a read again until it ends. What fails is tried again.
fn keep(session: &Session, clock: &dyn Clock, events: &dyn Events, ended: &Receiver<()>) {
    while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
        let now = clock.now();
        let renewed = session.renew_if_due(now);
        if let Err(error) = renewed
            && session.slept(now)
        {
            let text = format!("{}; what is read may be pruned from now on", error.full_message());
            return events.event(Event::warning("larder", text));
        }
    }
}

impl Repository {
    /// True if a snapshot is in the store.
    pub fn has_snapshot(&self, id: ObjectName) -> Result<bool> {
        match self.store().head(&layout::in_folder(layout::SNAPSHOTS, id)?) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(EngineError::store(error)),
        }
    }

    /// What an error of reading a snapshot means: if something is missing because the snapshot was forgotten meanwhile, it says so.
    pub fn explain_read(&self, id: ObjectName, snapshot: &SnapshotRecord, error: EngineError) -> EngineError {
        if error.kind() == EngineErrorKind::Damaged && self.has_snapshot(id).is_ok_and(|there| !there) {
            forgotten(id, snapshot).with_source(error)
        } else {
            error
        }
    }
}

fn forgotten(id: ObjectName, snapshot: &SnapshotRecord) -> EngineError {
    let text = format!(
        "snapshot {} (set `{}`, run {}) is no longer there: it was forgotten while it was to be read",
        &id.to_string()[..8],
        snapshot.set,
        snapshot.run
    );
    EngineError::new(EngineErrorKind::Gone, text)
        .with_hint("`larder snapshots` lists what there is; what has been written so far is whole")
}
