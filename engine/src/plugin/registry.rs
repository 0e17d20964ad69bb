//! The plugins there are, by name.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use larder_sdk::{PluginInfo, abi::PluginLink};

use super::{CallLimits, LoadedPlugin, Origin, PluginError, builtin, library};

/// Name to plugin. Of two plugins with one name, a configured path goes before a linked one, and that before a found one.
#[derive(Debug)]
pub struct Registry {
    plugins: BTreeMap<String, (Rank, LoadedPlugin)>,
    limits: CallLimits,
    /// Linked plugins that could not be used, for whoever asks for them.
    refused: Vec<PluginError>,
}

/// How a plugin came in; later ones win.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Found,
    Linked,
    Configured,
}

/// A plugin for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSummary {
    /// Who it is.
    pub info: PluginInfo,
    /// Where it came from.
    pub origin: Origin,
    /// The ABI it was built for: `1.0`.
    pub abi: String,
}

impl Registry {
    /// The linked plugins, with the default limits.
    pub fn new() -> Self {
        Self::with_limits(CallLimits::default())
    }

    /// The linked plugins, with limits of one's own. They hold for plugins added later too.
    pub fn with_limits(limits: CallLimits) -> Self {
        let mut registry = Self { plugins: BTreeMap::new(), limits, refused: Vec::new() };
        for table in builtin::tables() {
            let plugin = PluginLink::new(table)
                .map_err(|refusal| PluginError::Refused { what: Origin::Linked.to_string(), refusal })
                .and_then(|link| LoadedPlugin::new(link, Origin::Linked, limits));
            match plugin {
                Ok(plugin) => registry.insert(Rank::Linked, plugin),
                Err(error) => registry.refused.push(error),
            }
        }
        registry
    }

    /// Loads a plugin from a configured path, in place of any other of its name. With a pin, the file's BLAKE3 must be it.
    pub fn add_path(&mut self, path: &Path, pin: Option<blake3::Hash>) -> Result<(), PluginError> {
        let plugin = library::load(path, pin, self.limits)?;
        self.insert(Rank::Configured, plugin);
        Ok(())
    }

    /// Loads every library of some folders, and returns those that cannot be used and why. A folder that is not there is empty.
    pub fn search(&mut self, dirs: &[PathBuf]) -> Vec<(PathBuf, PluginError)> {
        let mut failed = Vec::new();
        for folder in dirs {
            let paths = library::candidates(folder).unwrap_or_else(|error| {
                failed.push((folder.clone(), error));
                Vec::new()
            });
            for path in paths {
                match library::load(&path, None, self.limits) {
                    Ok(plugin) => self.insert(Rank::Found, plugin),
                    Err(error) => failed.push((path, error)),
                }
            }
        }
        failed
    }

    /// All plugins, in order of name.
    pub fn list(&self) -> Vec<PluginSummary> {
        let summary = |(_, plugin): &(Rank, LoadedPlugin)| PluginSummary {
            info: plugin.info().clone(),
            origin: plugin.origin().clone(),
            abi: plugin.abi().to_string(),
        };
        self.plugins.values().map(summary).collect()
    }

    /// The linked plugins that could not be used, and why.
    pub fn refused(&self) -> &[PluginError] {
        &self.refused
    }

    /// The plugin of a name.
    pub fn find(&self, name: &str) -> Result<&LoadedPlugin, PluginError> {
        self.plugins.get(name).map(|(_, plugin)| plugin).ok_or_else(|| PluginError::Unknown {
            name: name.to_owned(),
            known: self.plugins.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    fn insert(&mut self, rank: Rank, plugin: LoadedPlugin) {
        let name = plugin.info().name.clone();
        // Among found ones the first wins: folders come in order of precedence.
        let replace =
            self.plugins.get(&name).is_none_or(|(present, _)| rank > *present || rank == Rank::Configured);
        if replace {
            self.plugins.insert(name, (rank, plugin));
        }
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}
