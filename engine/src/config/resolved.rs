//! The config as the engine uses it: checked once against the engine's own keys, then passed down. A plugin's options stay
//! [`Options`] until the plugin, and with it its schema, is known.

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use larder_sdk::{Schema, SecretRef};

use super::{
    diagnostic::Span,
    raw::{Document, Table},
    resolve::Resolver,
    schedule::Schedule,
    schema::{Checker, Path},
    suggest::did_you_mean,
};
use crate::{
    error::{EngineError, Result},
    pack::Compression,
    retention::Keep,
};

/// The plugin behind a repository that names none.
pub const DESTINATION_DEFAULT: &str = "object-store";
/// How long a container that vanished is kept, in days, where a set does not say.
pub const KEEP_GONE_DAYS_DEFAULT: u32 = 90;

/// A checked config.
#[derive(Clone, Debug)]
pub struct Config {
    /// The repositories, in the order of the file.
    pub repositories: Vec<RepositoryConfig>,
    /// The backup sets, in the order of the file.
    pub sets: Vec<SetConfig>,
    /// What the file says about plugins that are loaded from libraries.
    pub plugins: Vec<PluginConfig>,
    /// Folders in which plugin libraries are looked for, in this order.
    pub plugin_path: Vec<PathBuf>,
    /// The folder that relative paths start from: the file's own.
    pub base: PathBuf,
    /// Where the config came from, for people.
    pub name: String,
}

/// A `[repository.NAME]`.
#[derive(Clone, Debug)]
pub struct RepositoryConfig {
    /// Its name.
    pub name: String,
    /// Where it is. Holds no password.
    pub url: String,
    /// Where its password is found.
    pub password: SecretRef,
    /// The destination plugin.
    pub plugin: String,
    /// How hard what is stored is compressed.
    pub compression: Compression,
    /// What is handed to the destination plugin.
    pub options: Options,
}

/// A `[set.NAME]`.
#[derive(Clone, Debug)]
pub struct SetConfig {
    /// Its name.
    pub name: String,
    /// The repository's name; one of [`Config::repositories`].
    pub repository: String,
    /// The source plugin.
    pub source: String,
    /// When a daemon is to run it.
    pub schedule: Option<Schedule>,
    /// Which snapshots `forget` is to keep.
    pub keep: Option<Keep>,
    /// How much a run may drop.
    pub max_loss: MaxLoss,
    /// How long a container that vanished is kept, in days.
    pub keep_gone_days: u32,
    /// Where the plugin runs.
    pub isolation: Isolation,
    /// What is handed to the source plugin.
    pub options: Options,
}

/// A `[plugin.NAME]`: where a plugin's library is, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginConfig {
    /// The plugin's name.
    pub name: String,
    /// The library.
    pub library: PathBuf,
    /// The BLAKE3 digest that the library must have, in lower-case hex.
    pub blake3: Option<String>,
}

/// The share of a set's containers, or of a container's items, that a run may drop before it keeps the old state instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxLoss {
    /// Any.
    Off,
    /// At most this many in a hundred, 0 to 100.
    Percent(u8),
}

impl MaxLoss {
    /// What holds where a set does not say: what lies on this machine may be deleted at will, a service's answer may be wrong.
    pub(super) fn default_of(source: &str) -> Self {
        if source == "files" { Self::Off } else { Self::Percent(20) }
    }
}

/// Where a plugin runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// In the engine's own process.
    #[default]
    None,
    /// In a child process, so that a crash is only a failed container.
    Process,
}

/// A plugin's options, with their places in the file.
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) document: Arc<Document>,
    pub(super) table: Table,
    pub(super) span: Span,
    pub(super) path: Path,
}

impl Options {
    /// The options as JSON text, secrets as references.
    pub fn json(&self) -> String {
        self.table.to_json().to_string()
    }
    /// The options as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        self.table.to_json()
    }
    /// Checks the options against what the plugin declares.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let mut report = self.document.diagnostics();
        Checker::new(&mut report).table(schema, &self.table, &self.span, &self.path, &[]);
        report.into_result()
    }
}

impl Config {
    /// Parses and checks a config's text. `name` is what errors call it; relative paths in it start from `base`.
    pub fn parse(name: &str, content: String, base: &FilePath) -> Result<Self> {
        let document = Arc::new(Document::parse(name, content)?);
        let mut report = document.diagnostics();
        let config = Resolver::new(&document, &mut report, base).config();
        report.into_result()?;
        Ok(config)
    }

    /// A repository by name.
    pub fn repository(&self, name: &str) -> Result<&RepositoryConfig> {
        self.repositories.iter().find(|repository| repository.name == name).ok_or_else(|| {
            unknown(
                "repository",
                name,
                self.repositories.iter().map(|repository| repository.name.as_str()),
                &self.name,
            )
        })
    }

    /// A set by name.
    pub fn set(&self, name: &str) -> Result<&SetConfig> {
        self.sets
            .iter()
            .find(|set| set.name == name)
            .ok_or_else(|| unknown("set", name, self.sets.iter().map(|set| set.name.as_str()), &self.name))
    }

    /// The repository of this name, or without a name the only one there is.
    pub fn repository_or_only(&self, name: Option<&str>) -> Result<&RepositoryConfig> {
        match (name, self.repositories.as_slice()) {
            (Some(name), _) => self.repository(name),
            (None, [only]) => Ok(only),
            (None, []) => Err(EngineError::usage(format!("{} names no repository", self.name))
                .with_hint("add a [repository.NAME] with `url` and `password`")),
            (None, many) => {
                let names: Vec<&str> = many.iter().map(|repository| repository.name.as_str()).collect();
                Err(EngineError::usage(format!("{} names several repositories: say which", self.name))
                    .with_hint(format!("one of: {}", names.join(", "))))
            }
        }
    }
}

fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    file: &str,
) -> EngineError {
    let error = EngineError::usage(format!(
        "there is no {what} `{}` in {file}{}",
        name.escape_debug(),
        did_you_mean(name, known.clone())
    ));
    let names: Vec<&str> = known.collect();
    if names.is_empty() { error } else { error.with_hint(format!("known: {}", names.join(", "))) }
}
