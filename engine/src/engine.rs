//! The engine's front: what can be done with a config, one method each. Nothing here prints, exits, or reads the command line.

mod copy;
mod keys;
mod look;

pub use copy::CopyOptions;
pub use keys::KeyRing;
pub use look::{SearchIn, Searched};

use std::{io::Write, path::PathBuf, sync::Arc, time::Duration};

use larder_sdk::{Discovery, Finding, HostServices, LogLevel, Secret, SecretRef};

use crate::{
    browse::{ContentReader, Entry, Found, SnapshotView, Visit, split_path},
    cache::Cache,
    clock::Clock,
    config::{Config, MaxLoss, RepositoryConfig, SecretResolver, SetConfig},
    error::{EngineError, Result},
    events::{Event, Events, Phase},
    hash::{ObjectName, RepositoryId},
    maintenance::{
        self, CheckOptions, CheckReport, ForgetOptions, Judged, PruneOptions, PruneReport, PruneSetup,
        ReadData, RepairOptions, RepairReport, RepairSetup,
    },
    pipeline::{self, RunOptions, RunSetup, RunSummary},
    plugin::{Registry, SourceHandle},
    process::Interrupt,
    repository::{self, BlobReader, CreateOptions, LocalState, Maker, Reader, Reading, Repository},
    restore::{self, RestoreOptions, RestoreReport},
    retention::Keep,
    snapshot::SnapshotRecord,
    store::Store,
};

/// Opened frames kept while looking and restoring.
const READ_CACHE_BYTES: usize = 32 << 20;
/// Containers read at once.
const CONTAINERS_AT_ONCE: usize = 4;

/// What an engine works in.
#[derive(Clone)]
pub struct Context {
    /// Takes what happens.
    pub events: Arc<dyn Events>,
    /// Tells when to stop.
    pub interrupt: Interrupt,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where this machine's knowledge of repositories is kept.
    pub state_folder: PathBuf,
    /// Where what can be had again is kept.
    pub cache_folder: PathBuf,
    /// This machine's name, for snapshots.
    pub host: String,
}

/// A config with plugins, ready to work.
pub struct Engine {
    config: Config,
    registry: Registry,
    context: Context,
}

/// How a set is run.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// Look only: nothing is read but listings, nothing is written.
    pub dry_run: bool,
    /// Drop whatever the source no longer has, whatever `max_loss` says.
    pub accept_loss: bool,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// Words for the snapshot, by which it is found and kept. At most 64, of at most 128 bytes each.
    pub tags: Vec<String>,
}

impl Default for BackupOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            accept_loss: false,
            checkpoint_every: Duration::from_secs(60),
            tags: Vec::new(),
        }
    }
}

/// What `init` made.
#[derive(Clone, Debug)]
pub struct InitReport {
    /// Where it is, without secrets.
    pub location: String,
    /// Its id.
    pub id: RepositoryId,
    /// Whether the store refuses a second put of a name.
    pub put_if_absent: bool,
    /// Whether the store's listing shows what was just put.
    pub list_after_put: bool,
}

/// A snapshot and its id.
#[derive(Clone, Debug)]
pub struct SnapshotInfo {
    /// Its id.
    pub id: ObjectName,
    /// What it says.
    pub record: SnapshotRecord,
}

/// Which snapshot is meant.
#[derive(Clone, Debug, Default)]
pub struct SnapshotSpec {
    /// `latest`, or the beginning of an id.
    pub name: String,
    /// The set, if given.
    pub set: Option<String>,
    /// The repository, if given; else the set's, or the only one.
    pub repository: Option<String>,
}

impl Engine {
    /// Puts the parts together. Makes no request.
    pub fn new(config: Config, registry: Registry, context: Context) -> Self {
        Self { config, registry, context }
    }

    /// The config.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The plugins.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Makes a repository; with `like`, one that shares another's blob ids and borders, so that snapshots can be copied between them.
    pub fn init(&self, repository: Option<&str>, like: Option<&str>) -> Result<InitReport> {
        let config = self.config.repository_or_only(repository)?;
        let like =
            like.map(|name| self.config.repository(name).and_then(|like| self.open(like))).transpose()?;
        self.phase(Phase::Creating, &config.name);
        let (store, password) = self.store(config)?;
        let maker = Maker { host: &self.context.host, like: like.as_deref() };
        let now = self.context.clock.now();
        let made = repository::create_by(&store, &password, now, CreateOptions::default(), maker)
            .map_err(|error| error.context(format_args!("repository `{}`", config.name)))?;
        Ok(InitReport {
            location: store.capabilities().location,
            id: made.id,
            put_if_absent: made.put_if_absent,
            list_after_put: made.list_after_put,
        })
    }

    /// Checks that a set's source can be read.
    pub fn validate(&self, set: &str) -> Result<Vec<Finding>> {
        let set = self.config.set(set)?;
        self.phase(Phase::Validating, &set.name);
        let source = self.source(set)?;
        source
            .validate()
            .map_err(|error| EngineError::from(error).context(format_args!("set `{}`", set.name)))
    }

    /// Lists a set's containers.
    pub fn discover(&self, set: &str) -> Result<Discovery> {
        let set = self.config.set(set)?;
        self.phase(Phase::Discovering, &set.name);
        let source = self.source(set)?;
        source
            .discover()
            .map_err(|error| EngineError::from(error).context(format_args!("set `{}`", set.name)))
    }

    /// Backs a set up.
    pub fn run(&self, set: &str, options: &BackupOptions) -> Result<RunSummary> {
        let set = self.config.set(set)?;
        let in_set = |error: EngineError| error.context(format_args!("set `{}`", set.name));
        let source = self.source(set).map_err(in_set)?;
        let config = self.config.repository(&set.repository)?;
        let repository = self.open(config)?;
        let setup = RunSetup {
            local: self.local(&repository)?,
            repository,
            source,
            set: set.name.clone(),
            compression: config.compression,
            max_loss_percent: match set.max_loss {
                MaxLoss::Off => None,
                MaxLoss::Percent(percent) => Some(percent),
            },
            keep_gone_days: set.keep_gone_days,
            containers_at_once: CONTAINERS_AT_ONCE,
            checkpoint_every: options.checkpoint_every,
            host: self.context.host.clone(),
            tags: options.tags.clone(),
            events: Arc::clone(&self.context.events),
            clock: Arc::clone(&self.context.clock),
            interrupt: self.context.interrupt.clone(),
        };
        let options = RunOptions { dry_run: options.dry_run, accept_loss: options.accept_loss };
        pipeline::run(&setup, options).map_err(in_set)
    }

    /// The snapshots of a repository, or of one set, oldest first.
    pub fn snapshots(&self, repository: Option<&str>, set: Option<&str>) -> Result<Vec<SnapshotInfo>> {
        let repository = self.open(self.repository_of(repository, set)?)?;
        snapshots(&repository, set, &*self.context.events)
    }

    /// Shows what is in a folder of a snapshot, or everything below it; a path that leads to an item shows that item.
    pub fn list(
        &self,
        spec: &SnapshotSpec,
        path: &str,
        recursive: bool,
        show: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        let (view, _) = self.view(spec)?;
        let entry = view.find(&split_path(path)?)?;
        if !entry.is_folder() {
            return show(&entry);
        }
        let mut broken = None;
        let mut one = |found: Found| {
            self.context.interrupt.check()?;
            match found {
                Ok(entry) => show(&entry),
                Err(unread) => {
                    let told = Event::warning(&unread.path, unread.error.full_message());
                    self.context.events.event(told);
                    broken.get_or_insert(unread);
                    Ok(())
                }
            }
        };
        if recursive {
            view.walk(&entry, &mut one)?;
        } else {
            view.children(&entry, &mut |found| one(found).map(Visit::Continue))?;
        }
        match broken {
            Some(broken) => Err(broken.error.context(format_args!("part of `{}/`", broken.path))),
            None => Ok(()),
        }
    }

    /// Writes the bytes of an item's stream: its content, or the one named after `#` … see [`RestoreOptions`] for whole trees.
    pub fn cat(&self, spec: &SnapshotSpec, path: &str, stream: &str, out: &mut dyn Write) -> Result<()> {
        let (view, _) = self.view(spec)?;
        let entry = view.find(&split_path(path)?)?;
        let streams = entry.item.as_ref().map_or(&[][..], |(_, _, record)| &record.streams);
        let Some(found) = streams.iter().find(|candidate| candidate.name == stream) else {
            let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
            let what = if names.is_empty() {
                "it has no streams".to_owned()
            } else {
                format!("it has {}", names.join(", "))
            };
            return Err(EngineError::failed(format!("`{path}` has no stream `{stream}`: {what}")));
        };
        let mut content = ContentReader::open(Arc::clone(view.blobs()), found)?;
        while let Some(chunk) = content.next_chunk()? {
            self.context.interrupt.check()?;
            out.write_all(&chunk)
                .map_err(|error| EngineError::failed("writing the output").with_source(error))?;
        }
        out.flush().map_err(|error| EngineError::failed("writing the output").with_source(error))
    }

    /// Writes what is at a path of a snapshot into a directory.
    pub fn restore(
        &self,
        spec: &SnapshotSpec,
        path: &str,
        options: &RestoreOptions,
    ) -> Result<RestoreReport> {
        self.phase(Phase::Planning, &spec.name);
        let (view, info, _reading) = self.long_view(spec, options.dry_run)?;
        self.phase(Phase::Restoring, &info.id.to_string()[..8]);
        restore::restore(&view, &split_path(path)?, options, &*self.context.events, &self.context.interrupt)
    }

    /// Checks a repository.
    pub fn check(&self, repository: Option<&str>, options: CheckOptions) -> Result<CheckReport> {
        let config = self.config.repository_or_only(repository)?;
        let repository = self.open_with(config, false)?;
        let phase = if options.read_data == ReadData::None { Phase::Checking } else { Phase::Verifying };
        self.phase(phase, &config.name);
        maintenance::check(
            &repository,
            &self.local(&repository)?,
            options,
            &*self.context.events,
            &self.context.interrupt,
        )
    }

    /// Mends what a check of the same options finds, or only says what would be done.
    pub fn repair(&self, repository: Option<&str>, options: RepairOptions) -> Result<RepairReport> {
        let config = self.config.repository_or_only(repository)?;
        let repository = Arc::new(self.open_bare(config)?);
        let local = self.local(&repository)?;
        let _lock = (!options.dry_run).then(|| local.lock_prune()).transpose()?;
        self.phase(Phase::Repairing, &config.name);
        let setup = RepairSetup { at: self.prune_setup(&repository, &local)?, local: &local };
        maintenance::repair(&setup, options)
            .map_err(|error| error.context(format_args!("repository `{}`", config.name)))
    }

    /// Drops what these rules, or else a set's `keep` rules, do not keep, or only says what would go.
    pub fn forget(&self, set: &str, keep: Option<&Keep>, dry_run: bool) -> Result<Vec<Judged>> {
        let set = self.config.set(set)?;
        let Some(keep) = keep.or(set.keep.as_ref()).cloned() else {
            return Err(EngineError::config(format!(
                "set `{}` has no `keep`, so nothing says what may go",
                set.name
            ))
            .with_hint("add for example `keep = { last = 7, daily = 30, monthly = 12 }` to it"));
        };
        let repository = self.open(self.config.repository(&set.repository)?)?;
        self.phase(Phase::Forgetting, &set.name);
        let options =
            ForgetOptions { keep, dry_run, zone: &jiff::tz::TimeZone::system(), host: &self.context.host };
        maintenance::forget(&repository, &set.name, &options, &*self.context.clock, &self.context.interrupt)
            .map_err(|error| error.context(format_args!("set `{}`", set.name)))
    }

    /// Frees what nothing needs, or only says what could be freed.
    pub fn prune(&self, repository: Option<&str>, options: PruneOptions) -> Result<PruneReport> {
        let config = self.config.repository_or_only(repository)?;
        let repository = self.open(config)?;
        let local = self.local(&repository)?;
        let _lock = (!options.dry_run).then(|| local.lock_prune()).transpose()?;
        self.phase(Phase::Pruning, &config.name);
        maintenance::prune(&self.prune_setup(&repository, &local)?, options)
            .map_err(|error| error.context(format_args!("repository `{}`", config.name)))
    }

    fn prune_setup<'run>(
        &'run self,
        repository: &'run Arc<Repository>,
        local: &LocalState,
    ) -> Result<PruneSetup<'run>> {
        Ok(PruneSetup {
            repository,
            machine: local.machine()?,
            host: &self.context.host,
            clock: &*self.context.clock,
            events: &*self.context.events,
            interrupt: &self.context.interrupt,
        })
    }

    fn phase(&self, phase: Phase, subject: &str) {
        self.context.events.event(Event::Phase { phase, subject: subject.to_owned() });
    }

    fn repository_of(&self, repository: Option<&str>, set: Option<&str>) -> Result<&RepositoryConfig> {
        match (repository, set) {
            (None, Some(set)) => self.config.repository(&self.config.set(set)?.repository),
            (repository, _) => self.config.repository_or_only(repository),
        }
    }

    fn services(&self, origin: &str) -> Arc<dyn HostServices> {
        Arc::new(Services {
            origin: origin.to_owned(),
            secrets: self.secrets(),
            events: Arc::clone(&self.context.events),
        })
    }

    fn secrets(&self) -> SecretResolver {
        SecretResolver::new(&self.config.base, Arc::clone(&self.context.events))
    }

    fn source(&self, set: &SetConfig) -> Result<SourceHandle> {
        let plugin = self.registry.find(&set.source)?;
        let Some(schema) = &plugin.info().source else {
            return Err(EngineError::config(format!(
                "set `{}`: plugin `{}` is no source",
                set.name, set.source
            )));
        };
        set.options.check(schema)?;
        Ok(plugin.source(&set.options.json(), self.services(&set.source))?)
    }

    fn store(&self, config: &RepositoryConfig) -> Result<(Arc<dyn Store>, Secret)> {
        let plugin = self.registry.find(&config.plugin)?;
        let Some(schema) = &plugin.info().destination else {
            return Err(EngineError::config(format!(
                "repository `{}`: plugin `{}` is no destination",
                config.name, config.plugin
            )));
        };
        config.options.check(schema)?;
        let password = self.secrets().resolve(&config.password).map_err(|error| {
            EngineError::from(error).context(format_args!("the password of repository `{}`", config.name))
        })?;
        let options = serde_json::json!({ "url": config.url, "options": config.options.to_json() });
        let store =
            plugin.destination(&options.to_string(), self.services(&config.plugin)).map_err(|error| {
                EngineError::store(error).context(format_args!("repository `{}`", config.name))
            })?;
        Ok((Arc::new(store), password))
    }

    fn open(&self, config: &RepositoryConfig) -> Result<Arc<Repository>> {
        self.open_with(config, true)
    }

    /// Opens a repository; packs and records are read from the store alone unless `objects` may come from the cache.
    fn open_with(&self, config: &RepositoryConfig, objects: bool) -> Result<Arc<Repository>> {
        let repository = self.open_bare(config)?;
        let events = Arc::clone(&self.context.events);
        let cache = Cache::open(&self.context.cache_folder, repository.id(), events);
        Ok(Arc::new(match cache {
            Some(cache) => repository.with_cache(Arc::new(cache), objects),
            None => repository,
        }))
    }

    /// Opens a repository without the cache.
    fn open_bare(&self, config: &RepositoryConfig) -> Result<Repository> {
        self.phase(Phase::Opening, &config.name);
        let (store, password) = self.store(config)?;
        Repository::open(store, &password)
            .map(|repository| repository.with_interrupt(self.context.interrupt.clone()))
            .map_err(|error| error.context(format_args!("repository `{}`", config.name)))
    }

    fn local(&self, repository: &Repository) -> Result<LocalState> {
        LocalState::open(&self.context.state_folder, repository.id())
    }

    fn view(&self, spec: &SnapshotSpec) -> Result<(SnapshotView, SnapshotInfo)> {
        let (view, info, _) = self.long_view(spec, true)?;
        Ok((view, info))
    }

    /// A snapshot to be read for long: that is announced, unless it is but a look, and holds as long as what is returned last.
    fn long_view(
        &self,
        spec: &SnapshotSpec,
        but_a_look: bool,
    ) -> Result<(SnapshotView, SnapshotInfo, Option<Reading>)> {
        let repository = self.open(self.repository_of(spec.repository.as_deref(), spec.set.as_deref())?)?;
        let info = self.find_snapshot(&repository, spec)?;
        let reading =
            if but_a_look { None } else { Some(self.announce(&repository, std::slice::from_ref(&info))?) };
        for broken in repository.load_index_for_reading()? {
            self.context.events.event(Event::warning("larder", broken.full_message()));
        }
        let blobs = BlobReader::new(repository, READ_CACHE_BYTES).of_snapshot(info.id, &info.record);
        Ok((SnapshotView::open(Arc::new(blobs), &info.record)?, info, reading))
    }

    /// Announces that snapshots are read for long. To be called before the index is loaded.
    fn announce(&self, repository: &Arc<Repository>, snapshots: &[SnapshotInfo]) -> Result<Reading> {
        let Context { host, clock, events, .. } = &self.context;
        let snapshots: Vec<_> = snapshots.iter().map(|info| (info.id, &info.record)).collect();
        Reading::announce(repository, &snapshots, &Reader { host, clock, events })
    }

    fn find_snapshot(&self, repository: &Repository, spec: &SnapshotSpec) -> Result<SnapshotInfo> {
        if spec.name == "latest" {
            return self.latest(repository, spec.set.as_deref());
        }
        let mut found = snapshots(repository, spec.set.as_deref(), &*self.context.events)?;
        found.retain(|info| !spec.name.is_empty() && info.id.to_string().starts_with(&spec.name));
        match (found.len(), found.pop()) {
            (1, Some(info)) => Ok(info),
            (0, _) => Err(EngineError::failed(format!("there is no snapshot `{}`", spec.name))
                .with_hint("`larder snapshots` lists them; `latest` with --set is a set's newest")),
            (many, _) => {
                Err(EngineError::usage(format!("`{}` is the beginning of {many} snapshots' ids", spec.name))
                    .with_hint("give more digits"))
            }
        }
    }

    fn latest(&self, repository: &Repository, set: Option<&str>) -> Result<SnapshotInfo> {
        let set = match set {
            Some(set) => set.to_owned(),
            None => {
                let mut sets: Vec<String> = snapshots(repository, None, &*self.context.events)?
                    .into_iter()
                    .map(|info| info.record.set)
                    .collect();
                sets.sort();
                sets.dedup();
                match (sets.len(), sets.pop()) {
                    (1, Some(only)) => only,
                    (0, _) => {
                        return Err(EngineError::failed("the repository has no snapshots yet")
                            .with_hint("make one with `larder run`"));
                    }
                    (many, last) => {
                        let example = last.unwrap_or_default();
                        return Err(EngineError::usage(format!(
                            "`latest` of which set? The repository has {many}"
                        ))
                        .with_hint(format!("say --set, for example --set {example}")));
                    }
                }
            }
        };
        match pipeline::latest_of_set(repository, &self.local(repository)?, &set)? {
            Some((id, record)) => Ok(SnapshotInfo { id, record }),
            None => Err(EngineError::failed(format!("set `{set}` has no snapshots yet"))
                .with_hint("make one with `larder run`")),
        }
    }
}

/// The readable snapshots, oldest first; what cannot be read is warned of, since `check` is there to say more.
fn snapshots(repository: &Repository, set: Option<&str>, events: &dyn Events) -> Result<Vec<SnapshotInfo>> {
    let mut readable = Vec::new();
    for (id, record) in repository.snapshots()? {
        match record {
            Ok(record) if set.is_none_or(|set| record.set == set) => {
                readable.push(SnapshotInfo { id, record });
            }
            Ok(_) => {}
            Err(error) => events.event(Event::warning(
                "larder",
                format!("snapshot {id} cannot be read: {}", error.full_message()),
            )),
        }
    }
    readable.sort_by_key(|info| (info.record.finished, info.id));
    Ok(readable)
}

/// What plugins get from the engine.
struct Services {
    origin: String,
    secrets: SecretResolver,
    events: Arc<dyn Events>,
}

impl HostServices for Services {
    fn log(&self, level: LogLevel, text: &str) {
        self.events.event(Event::Log { level, origin: self.origin.clone(), text: text.to_owned() });
    }
    fn secret(&self, reference: &SecretRef) -> larder_sdk::Result<Secret> {
        self.secrets.resolve(reference)
    }
}
