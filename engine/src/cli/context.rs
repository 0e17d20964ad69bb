//! What every command needs: the config, the engine, a way to tell things.

use std::sync::Arc;

use super::{
    arguments::{Global, Selection},
    output::{Form, Output, Verbosity},
    progress::{Progress, Told},
    target::Target,
};
use crate::{
    clock::{Clock, SystemClock},
    config::{Config, Environment, PluginConfig, read_config},
    engine::{self, Engine, SnapshotSpec},
    error::{EngineError, Result},
    events::{Event, Events},
    plugin::Registry,
    process::Interrupt,
};

/// What a command works with.
pub(super) struct Context {
    /// Where results go.
    pub(super) output: Arc<Output>,
    /// The config.
    pub(super) config: Config,
    /// Tells the time.
    pub(super) clock: Arc<dyn Clock>,
    environment: Environment,
    interrupt: Interrupt,
}

/// An engine whose events are shown for as long as this lives.
pub(super) struct Running {
    /// The engine.
    pub(super) engine: Engine,
    progress: Arc<Progress>,
}

impl Running {
    /// Where a command's own events go, to be shown like the engine's.
    pub(super) fn events(&self) -> Arc<dyn Events> {
        Arc::<Progress>::clone(&self.progress)
    }

    /// Ends the showing of events, before results are printed.
    pub(super) fn finish(&self) {
        self.progress.finish();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.progress.finish();
    }
}

/// The output that the options ask for.
pub(super) fn output(global: &Global) -> Output {
    let form = if global.json { Form::Json } else { Form::Text };
    let verbosity = match (global.quiet, global.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    Output::standard(form, verbosity)
}

impl Context {
    /// Reads the config.
    pub(super) fn new(
        global: &Global,
        output: Arc<Output>,
        environment: Environment,
        interrupt: Interrupt,
    ) -> Result<Self> {
        let config = read_config(global.config.as_deref(), &environment)?;
        Ok(Self { output, config, clock: Arc::new(SystemClock::new()), environment, interrupt })
    }

    /// An engine that tells `told` of what happens.
    pub(super) fn engine(&self, told: Told) -> Result<Running> {
        let progress = Arc::new(Progress::new(
            Arc::clone(&self.output),
            Arc::clone(&self.clock),
            told,
            self.interrupt.clone(),
        ));
        let registry = registry(Some(&self.config), &self.environment, &progress)?;
        let context = engine::Context {
            events: Arc::<Progress>::clone(&progress),
            interrupt: self.interrupt.clone(),
            clock: Arc::clone(&self.clock),
            state_folder: self.environment.state_folder(),
            cache_folder: self.environment.cache_folder(),
            host: host(),
        };
        let engine = Engine::new(self.config.clone(), registry, context);
        Ok(Running { engine, progress })
    }

    /// The folder the command was started in, and who tells when to stop.
    pub(super) fn surroundings(&self) -> (&std::path::Path, &Interrupt) {
        (&self.environment.current, &self.interrupt)
    }

    /// The sets named, each checked to be there; all of them if none is named.
    pub(super) fn sets(&self, named: &[String]) -> Result<Vec<String>> {
        if named.is_empty() {
            let all: Vec<String> = self.config.sets.iter().map(|set| set.name.clone()).collect();
            if all.is_empty() {
                return Err(EngineError::config(format!("{} names no set", self.config.name))
                    .with_hint("add a [set.NAME] with `repository`, `source` and `options`"));
            }
            return Ok(all);
        }
        named.iter().map(|name| self.config.set(name).map(|set| set.name.clone())).collect()
    }

    /// The repository that a selection means: the named one, the named set's, or the only one.
    pub(super) fn repository(&self, selection: &Selection) -> Result<String> {
        let of_set = match &selection.set {
            Some(set) => Some(self.config.set(set)?.repository.as_str()),
            None => None,
        };
        let name = selection.repository.as_deref().or(of_set);
        Ok(self.config.repository_or_only(name)?.name.clone())
    }

    /// The snapshot that a target and a selection mean.
    pub(super) fn snapshot(&self, target: &Target, selection: &Selection) -> Result<SnapshotSpec> {
        Ok(SnapshotSpec {
            name: target.snapshot.clone(),
            set: selection.set.clone(),
            repository: Some(self.repository(selection)?),
        })
    }
}

/// This machine's name.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The linked plugins, those in the plugin path, and those that the config names. A library in the path that cannot be used is a
/// warning, one that the config names an error.
pub(super) fn registry(
    config: Option<&Config>,
    environment: &Environment,
    progress: &Progress,
) -> Result<Registry> {
    let mut registry = Registry::new();
    let mut folders = environment.plugin_path.clone();
    folders.extend(config.into_iter().flat_map(|config| config.plugin_path.iter().cloned()));
    for (path, error) in registry.search(&folders) {
        progress.event(Event::warning("larder", format!("`{}` is not used: {error}", path.display())));
    }
    for error in registry.refused() {
        progress.event(Event::warning("larder", format!("a plugin of this program cannot be used: {error}")));
    }
    for plugin in config.into_iter().flat_map(|config| &config.plugins) {
        add(&mut registry, plugin)?;
    }
    Ok(registry)
}

fn add(registry: &mut Registry, plugin: &PluginConfig) -> Result<()> {
    let pin = plugin.blake3.as_deref().map(blake3::Hash::from_hex).transpose().map_err(|error| {
        EngineError::config(format!("[plugin.{}]: its BLAKE3 digest is none", plugin.name)).with_source(error)
    })?;
    registry
        .add_path(&plugin.library, pin)
        .map_err(|error| EngineError::from(error).context(format_args!("plugin `{}`", plugin.name)))?;
    match registry.find(&plugin.name) {
        Ok(_) => Ok(()),
        Err(_) => Err(EngineError::config(format!(
            "`{}` holds another plugin than [plugin.{}] says",
            plugin.library.display(),
            plugin.name
        ))),
    }
}
