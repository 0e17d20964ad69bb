//! Copying snapshots into another repository.
//!
//! Both repositories name blobs alike (`init --like`), so that what the target has is found by id and not sent again. Frames are opened and sealed
//! anew under the target's keys; one that is wanted whole is not compressed again. Each snapshot is a session of its own at the target: packs,
//! index, snapshot, each durable before the next.

mod walk;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use self::walk::{Place, Walk, Wanted};
use crate::{
    clock::Clock,
    crypto::ObjectKind,
    error::{EngineError, Result},
    events::{Counts, Event, Events},
    hash::{Digest, ObjectName},
    index::BlobKind,
    pack::{Compression, FrameBlob, decode_frame},
    process::Interrupt,
    repository::{
        BlobReader, FrameSlot, LocalState, Repository, Saver, Session, layout,
        session::{Ender, end_left_behind},
    },
    snapshot::{
        Purpose, RemovalRecord, RemovedSnapshot, SessionRecord, SnapshotRecord, missing_run, missing_runs,
    },
};

/// Frames read at once.
const READERS: usize = 4;
/// Everything sent is made durable, index included, after about this many bytes: a copy that is cut off does not send it again.
const FLUSH_BYTES: u64 = 256 << 20;

/// What a copy works with.
pub struct CopySetup<'run> {
    /// Where the snapshots are. Its index must be loaded.
    pub from: &'run Arc<Repository>,
    /// Where they go. Its index must not be loaded yet.
    pub to: &'run Arc<Repository>,
    /// How hard what is compressed anew is compressed there.
    pub compression: Compression,
    /// What this machine remembers of the target.
    pub local: &'run LocalState,
    /// This machine's name.
    pub host: &'run str,
    /// Tells the time.
    pub clock: &'run dyn Clock,
    /// Takes what happens.
    pub events: &'run dyn Events,
    /// Tells when to stop.
    pub interrupt: &'run Interrupt,
}

/// What became of one snapshot.
#[derive(Clone, Debug)]
pub struct CopiedSnapshot {
    /// Its id at the source.
    pub from: ObjectName,
    /// Its id at the target.
    pub to: ObjectName,
    /// What it says.
    pub snapshot: SnapshotRecord,
    /// True if it was there already.
    pub was_there: bool,
    /// Bytes sent for it.
    pub stored_bytes: u64,
}

/// Copies snapshots, each set's in the order of its runs. What was copied before an error stays.
pub fn copy(
    setup: &CopySetup<'_>,
    mut snapshots: Vec<(ObjectName, SnapshotRecord)>,
    copied: &mut dyn FnMut(CopiedSnapshot) -> Result<()>,
) -> Result<()> {
    if setup.from.id() == setup.to.id() {
        return Err(EngineError::usage("source and target are the same repository"));
    }
    if !setup.from.keys().is_like(setup.to.keys()) {
        return Err(EngineError::failed(
            "the target was not made like the source: it names the same blobs otherwise",
        )
        .with_hint("make another one with `larder init TARGET --like SOURCE`, and copy into that"));
    }
    snapshots.sort_by(|(a, one), (b, other)| (&one.set, one.run, a).cmp(&(&other.set, other.run, b)));
    for set in snapshots.chunk_by(|(_, one), (_, other)| one.set == other.set) {
        let name = &set[0].1.set;
        // Whoever holds the lock may take what this machine left behind in the set as dead.
        let _lock = setup.local.lock(name)?;
        let ender = Ender { by: ObjectName::random()?, now: setup.clock.now(), host: setup.host };
        end_left_behind(setup.to, name, setup.local.machine()?, ender)?;
        for (id, snapshot) in set {
            setup.interrupt.check()?;
            let in_set = |error: EngineError| {
                error.context(format_args!("copying snapshot {id}, run {} of set `{name}`", snapshot.run))
            };
            copied(copy_one(setup, *id, snapshot).map_err(in_set)?)?;
        }
    }
    Ok(())
}

fn copy_one(setup: &CopySetup<'_>, id: ObjectName, snapshot: &SnapshotRecord) -> Result<CopiedSnapshot> {
    let there = setup.to.snapshots_of(&snapshot.set)?;
    if let Some((found, other)) = there.iter().find(|(_, other)| other.run == snapshot.run) {
        // Of one run, whose trees may differ if a repair has put another in the place of one of them.
        if (other.started, other.finished) == (snapshot.started, snapshot.finished) {
            let (to, snapshot) = (*found, snapshot.clone());
            return Ok(CopiedSnapshot { from: id, to, snapshot, was_there: true, stored_bytes: 0 });
        }
        return Err(EngineError::failed(format!("the target has another snapshot of that number, {found}"))
            .with_hint("a set that is copied into a repository is not to be run into it as well"));
    }
    let session = announce(setup, snapshot, &there)?;
    let sent = send(setup, &session, snapshot, &there).and_then(|(record, stored)| {
        account_for_missing(setup, &there, &record)?;
        let leftovers = session.commit(&record, setup.clock.now())?;
        for error in leftovers {
            let text = format!("what this copy needs no more could not be removed: {}", error.full_message());
            setup.events.event(Event::warning("larder", text));
        }
        Ok((record, stored))
    });
    match sent {
        Ok((record, stored_bytes)) => {
            if there.last().is_none_or(|(_, last)| last.run < record.run) {
                setup.local.saw_run(&record.set, record.run, session.name())?;
            }
            Ok(CopiedSnapshot {
                from: id,
                to: session.name(),
                snapshot: record,
                was_there: false,
                stored_bytes,
            })
        }
        Err(error) => {
            // The failure itself is what is told; a session that stays ends by itself after a day.
            drop(session.stand_down());
            Err(error)
        }
    }
}

/// Announces a session at the target and loads what is stored there.
fn announce(
    setup: &CopySetup<'_>,
    snapshot: &SnapshotRecord,
    there: &[(ObjectName, SnapshotRecord)],
) -> Result<Session> {
    setup.to.index().clear();
    let now = setup.clock.now();
    let record = SessionRecord {
        purpose: Purpose::Write,
        set: snapshot.set.clone(),
        host: setup.host.to_owned(),
        machine: setup.local.machine()?,
        started: now,
        roots: there.iter().filter_map(|(_, other)| other.root).collect(),
        marks: Vec::new(),
    };
    let session = Session::open(setup.to, record, now)?;
    match setup.to.load_index() {
        Ok(()) => Ok(session),
        Err(error) => {
            drop(session.end());
            Err(error)
        }
    }
}

/// Sends what the target lacks, and makes it durable. Returns the snapshot as it stands at the target, and how many bytes were sent.
fn send(
    setup: &CopySetup<'_>,
    session: &Session,
    snapshot: &SnapshotRecord,
    there: &[(ObjectName, SnapshotRecord)],
) -> Result<(SnapshotRecord, u64)> {
    let saver = Saver::start(Arc::clone(setup.to), setup.compression)?;
    let sender = Sender {
        setup,
        session,
        saver: &saver,
        slots: std::array::from_fn(|_| BlobKind::ALL.map(|kind| saver.slot(kind))),
        packs: BlobReader::new(Arc::clone(setup.from), 0),
        read_bytes: AtomicU64::new(0),
        flushed: AtomicU64::new(0),
    };
    // The nearest run that both have: what is in its trees is there.
    let base = there.iter().rev().find(|(_, other)| other.run < snapshot.run).or(there.first());
    let base = base.and_then(|(_, other)| other.root);
    let mut walk = Walk::new(setup.from, setup.to, base, setup.interrupt);
    walk.containers(snapshot.root, &mut |wanted| sender.send(wanted))?;
    sender.send(walk.rest())?;
    saver.flush()?;
    let record = SnapshotRecord { segments: saver.segments(), ..snapshot.clone() };
    Ok((record, saver.stored_bytes()))
}

/// Numbers that the target does not get are recorded there, or they would be missed.
fn account_for_missing(
    setup: &CopySetup<'_>,
    there: &[(ObjectName, SnapshotRecord)],
    record: &SnapshotRecord,
) -> Result<()> {
    let removed: Vec<_> = setup.to.removals()?.into_iter().filter_map(|(_, record)| record.ok()).collect();
    // What is missing among those that were there is for `check` to tell.
    if let Some(why) = missing_run(there, &removed, &record.set, None) {
        return Err(EngineError::damaged(format!(
            "a snapshot of set `{}` is missing at the target without a removal record: {why}",
            record.set
        ))
        .with_hint("run `larder check` on the target"));
    }
    let mut all = there.to_vec();
    all.push((ObjectName([0; 16]), record.clone()));
    all.sort_by_key(|(_, snapshot)| snapshot.run);
    let missing: Vec<_> = missing_runs(&all, &removed, &record.set, None)
        .map(|(run, id)| RemovedSnapshot { run, id: id.unwrap_or(ObjectName([0; 16])), root: None })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let record = RemovalRecord {
        set: record.set.clone(),
        removed: missing,
        removed_at: setup.clock.now(),
        host: setup.host.to_owned(),
    };
    setup.to.put_record(layout::REMOVED, ObjectKind::Removal, ObjectName::random()?, &record)
}

/// Reads frames at the source and hands them to the target.
struct Sender<'run> {
    setup: &'run CopySetup<'run>,
    session: &'run Session,
    saver: &'run Arc<Saver>,
    /// Where each reader gathers blobs of frames that are not wanted whole.
    slots: [[FrameSlot; 2]; READERS],
    packs: BlobReader,
    read_bytes: AtomicU64,
    /// Bytes sent when everything was last made durable.
    flushed: AtomicU64,
}

impl Sender<'_> {
    /// Sends the wanted blobs of some frames, several at once.
    fn send(&self, wanted: Wanted) -> Result<()> {
        let queue = Mutex::new(wanted.into_iter());
        let stop = AtomicBool::new(false);
        let work = |slots: &[FrameSlot; 2]| -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                self.setup.interrupt.check()?;
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((place, blobs)) = next else { return Ok(()) };
                self.send_frame(slots, place, &blobs)?;
            }
            Ok(())
        };
        let (work, stop) = (&work, &stop);
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .slots
                .iter()
                .map(|slots| {
                    scope.spawn(move || {
                        let done = work(slots);
                        stop.fetch_or(done.is_err(), Ordering::Relaxed);
                        done
                    })
                })
                .collect();
            threads.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err(EngineError::failed("a thread that copies panicked")))
            })
        })?;
        self.session.renew_if_due(self.setup.clock.now())?;
        let stored = self.saver.stored_bytes();
        if stored - self.flushed.load(Ordering::Relaxed) > FLUSH_BYTES {
            self.saver.flush()?;
            self.flushed.store(self.saver.stored_bytes(), Ordering::Relaxed);
        }
        let counts = Counts {
            bytes: self.read_bytes.load(Ordering::Relaxed),
            stored: self.saver.stored_bytes(),
            ..Counts::default()
        };
        self.setup.events.event(Event::Progress(counts));
        Ok(())
    }

    fn send_frame(
        &self,
        slots: &[FrameSlot; 2],
        place: Place,
        wanted: &BTreeMap<u32, FrameBlob>,
    ) -> Result<()> {
        let key = layout::pack_key(place.kind, place.pack)?;
        let wrong = |why: &str| {
            EngineError::damaged(format!("`{key}` of the source is damaged: {why}"))
                .with_hint("run `larder check --read-data` on the source; --repair mends what can be mended")
        };
        let encoded = self.packs.encoded_frame(place.kind, place.pack, place.frame)?;
        let plain = decode_frame(&encoded)?;
        self.read_bytes.fetch_add(plain.len() as u64, Ordering::Relaxed);
        let mut blobs = Vec::with_capacity(wanted.len());
        let mut end = 0;
        for (offset, blob) in wanted {
            let start = *offset as usize;
            let bytes = plain.get(start..start.saturating_add(blob.bytes as usize));
            let bytes = bytes.ok_or_else(|| wrong("a frame is shorter than the index says"))?;
            // What the target gets is what its name says, whatever the source held.
            if self.setup.to.keys().blob_id(&Digest::of(bytes)).short() != blob.id {
                return Err(wrong("a blob is another one"));
            }
            if start == end {
                end = start + bytes.len();
            }
            blobs.push((*blob, bytes));
        }
        let whole =
            end == plain.len() && blobs.iter().map(|(blob, _)| blob.bytes as usize).sum::<usize>() == end;
        if whole {
            let blobs: Vec<FrameBlob> = blobs.iter().map(|(blob, _)| *blob).collect();
            return self.saver.add_frame(place.kind, &blobs, &encoded);
        }
        let slot = &slots[place.kind as usize];
        blobs.into_iter().try_for_each(|(blob, bytes)| self.saver.add_claimed(slot, blob.id, bytes))
    }
}

#[cfg(test)]
mod tests;
