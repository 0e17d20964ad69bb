//! A machine of the simulation and what its processes do.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use super::{
    world::{Actor, Random},
    writer::{self, Model, State, chunks},
};
use crate::{
    browse::ContentReader,
    catalog::{self, ItemRecord},
    clock::Clock as _,
    crypto::Keys,
    error::{EngineError, EngineErrorKind, Result},
    events::NoEvents,
    hash::ObjectName,
    maintenance::{
        ForgetOptions, PruneOptions, PruneSetup, forget,
        prune::{PruneReport, prune},
    },
    process::Interrupt,
    repository::{BlobReader, ConfigRecord, LocalState, Nodes, Repository, Session},
    retention::Keep,
    snapshot::{ContainerRecord, Purpose, SessionRecord},
    store::Store,
    tree::{self, Root},
};

/// The sets that are run.
pub(super) const SETS: [&str; 2] = ["left", "right"];

/// A machine with a clock, a state folder, and access to the repository.
pub(super) struct Machine {
    pub(super) actor: Actor,
    pub(super) keys: Keys,
    pub(super) config: ConfigRecord,
    pub(super) folder: PathBuf,
    /// How many of the sets are run.
    pub(super) sets: u64,
    /// Of three checkpoints, after how many its runs are stopped on request.
    pub(super) stops: u64,
    pub(super) model: Arc<Mutex<Model>>,
}

/// What a machine is there for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Writer,
    Forgetter,
    Pruner,
    Reader,
}

impl Machine {
    pub(super) fn repository(&self) -> Arc<Repository> {
        let store: Arc<dyn Store> = Arc::new(self.actor.clone());
        Arc::new(Repository::with_keys(store, self.keys.clone(), self.config.clone()))
    }

    pub(super) fn local(&self, repository: &Repository) -> Result<LocalState> {
        LocalState::open(&self.folder, repository.id())
    }

    pub(super) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    /// One process after the other, each of which may die.
    pub(super) fn live(&self, part: Part, dice: &mut Random) {
        for _ in 0..3 + dice.below(6) {
            let set = SETS[dice.below(self.sets) as usize];
            let done = match part {
                Part::Writer => writer::run(self, set, dice),
                Part::Forgetter => self.forget(set, 1 + dice.below(2) as u32),
                Part::Pruner => self.prune([0, 5, 100][dice.below(3) as usize]).map(drop),
                Part::Reader => self.read(dice),
            };
            if std::env::var_os("LARDER_SIMULATION_TOLD").is_some() {
                let number = self.actor.number;
                println!(
                    "              {number}  {part:?} {set}: {:?}",
                    done.as_ref().map_err(EngineError::full_message)
                );
            }
            if let Err(error) = done {
                self.model().judge(&format!("{part:?} {}", self.actor.number), &error);
            }
            self.actor.world.begin_process(self.actor.number);
        }
    }

    pub(super) fn forget(&self, set: &str, last: u32) -> Result<()> {
        let options = ForgetOptions {
            keep: Keep { last, ..Keep::default() },
            dry_run: false,
            zone: &jiff::tz::TimeZone::UTC,
            host: "simulated",
        };
        forget(&self.repository(), set, &options, &self.actor, &Interrupt::new()).map(drop)
    }

    pub(super) fn prune(&self, waste_percent: u8) -> Result<PruneReport> {
        let repository = self.repository();
        let local = self.local(&repository)?;
        let _lock = local.lock_prune()?;
        let setup = PruneSetup {
            repository: &repository,
            machine: local.machine()?,
            host: "simulated",
            clock: &self.actor,
            events: &NoEvents,
            interrupt: &Interrupt::new(),
        };
        prune(&setup, PruneOptions { dry_run: false, waste_percent })
    }

    /// Reads a snapshot. It may be forgotten meanwhile, and then be gone, unless the read was announced.
    fn read(&self, dice: &mut Random) -> Result<()> {
        let repository = self.repository();
        let snapshots = repository.snapshots()?;
        let Some((name, snapshot)) = snapshots.into_iter().nth(dice.below(4) as usize) else { return Ok(()) };
        let Some(root) = snapshot?.root else { return Ok(()) };
        let session = if dice.below(2) == 0 { Some(self.announce(&repository, root)?) } else { None };
        if session.is_some() && !repository.has_snapshot(name)? {
            return Ok(());
        }
        repository.load_index()?;
        let read = self.verify(&repository, root);
        let announced = session.as_ref().is_some_and(|session| !session.slept(self.actor.now()));
        let read = match read {
            Err(error)
                if error.kind() == EngineErrorKind::Damaged
                    && !announced
                    && repository.snapshot(name)?.is_none() =>
            {
                Ok(())
            }
            read => read,
        };
        // First what was read: that the announcement could not be removed is no violation.
        read.and(session.map_or(Ok(()), |session| session.end()))
    }

    fn announce(&self, repository: &Arc<Repository>, root: Root) -> Result<Session> {
        let now = self.actor.now();
        let record = SessionRecord {
            purpose: Purpose::Read,
            set: String::new(),
            host: "simulated".to_owned(),
            machine: ObjectName::random()?,
            started: now,
            roots: vec![root],
            marks: Vec::new(),
        };
        Session::read(repository, record, now)
    }

    /// Reads everything below a root and compares it with what was written. The index must be loaded.
    pub(super) fn verify(&self, repository: &Arc<Repository>, root: Root) -> Result<()> {
        let blobs = Arc::new(BlobReader::new(Arc::clone(repository), 1 << 20));
        let nodes = Nodes::read_only(Arc::clone(&blobs));
        let mut items = BTreeMap::new();
        let mut containers = tree::scan(&nodes, Some(root), b"", b"")?;
        while let Some((_, container, value)) = containers.next_entry()? {
            let record: ContainerRecord = nodes.unwrap(&value)?;
            let mut scan = tree::scan(&nodes, record.root, &[catalog::CHILD], &[catalog::CHILD])?;
            while let Some((_, key, value)) = scan.next_entry()? {
                let record: ItemRecord = nodes.unwrap(&value)?;
                let (_, item) = catalog::parse_child(&key).unwrap();
                let mut content = ContentReader::open(Arc::clone(&blobs), &record.streams[0])?;
                let mut bytes = Vec::new();
                while let Some(chunk) = content.next_chunk()? {
                    bytes.extend_from_slice(&chunk);
                }
                let number = record.tag.as_bytes()[0];
                if bytes != chunks(number).concat() {
                    return Err(EngineError::damaged("an item has another content"));
                }
                items.insert((container[0], item.as_bytes()[0] - 1), number);
            }
        }
        let expected = self.model().states.get(&root.id).cloned().unwrap_or_else(State::default);
        if items == expected.items {
            Ok(())
        } else {
            Err(EngineError::damaged(format!("{items:?} was read where {:?} was written", expected.items)))
        }
    }

    /// Reads every snapshot and every checkpoint that counts, and sees that no snapshot went without a removal record.
    pub(super) fn verify_all(&self) -> Result<()> {
        let repository = self.repository();
        repository.load_index()?;
        let mut there = std::collections::BTreeSet::<ObjectName>::new();
        for (name, snapshot) in repository.snapshots()? {
            there.insert(name);
            let in_snapshot = |error: EngineError| error.context(format_args!("snapshot {name}"));
            snapshot?.root.map_or(Ok(()), |root| self.verify(&repository, root)).map_err(in_snapshot)?;
        }
        let checkpoints = crate::repository::session::readable(repository.checkpoints()?);
        for (name, checkpoint) in crate::repository::session::counting(&repository, checkpoints)? {
            let in_checkpoint = |error: EngineError| error.context(format_args!("checkpoint {name}"));
            checkpoint.root.map_or(Ok(()), |root| self.verify(&repository, root)).map_err(in_checkpoint)?;
        }
        for (_, removal) in repository.removals()? {
            there.extend(removal?.removed.iter().map(|removed| removed.id));
        }
        match self.model().committed.iter().find(|name| !there.contains(name)) {
            Some(name) => {
                Err(EngineError::damaged(format!("snapshot {name} was committed and is not there")))
            }
            None => Ok(()),
        }
    }
}
