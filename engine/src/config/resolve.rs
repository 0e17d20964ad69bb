//! From a parsed file to a [`Config`]: the engine's own keys checked, names and references followed, every complaint gathered.

use std::{
    path::{Path as FilePath, PathBuf},
    sync::Arc,
};

use larder_sdk::{Schema, SecretRef, Takes};

use super::{
    diagnostic::Diagnostics,
    raw::{Document, Entry, Node, Table, Value},
    resolved::{
        Config, DESTINATION_DEFAULT, Isolation, KEEP_GONE_DAYS_DEFAULT, MaxLoss, Options, PluginConfig,
        RepositoryConfig, SetConfig,
    },
    schedule::Schedule,
    schema::{Checker, Path},
    suggest::did_you_mean,
};
use crate::{
    pack::Compression,
    retention::{Age, Keep},
};

/// Longest name of a set, a repository or a plugin, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// Turns a document into a config, gathering complaints. What it returns after a complaint is not used.
pub(super) struct Resolver<'a> {
    document: &'a Arc<Document>,
    report: &'a mut Diagnostics,
    base: &'a FilePath,
}

/// The kinds of named tables at the top.
const SECTIONS: [&str; 3] = ["repository", "set", "plugin"];

fn top_schema() -> Schema {
    Schema::new().optional("plugin_path", Takes::texts(), "folders with plugin libraries")
}

fn repository_schema() -> Schema {
    Schema::new()
        .required("url", Takes::Text, "where it is: file:///…, s3://…, az://…, gs://…, https://…, memory:///")
        .required("password", Takes::Secret, "where its password is found")
        .optional("plugin", Takes::Text, "the destination plugin")
        .optional("compression", Takes::word(&Compression::WORDS), "how hard what is stored is compressed")
}

fn set_schema() -> Schema {
    let count = || Takes::Integer(0, 100_000);
    let keep = Schema::new()
        .optional("last", count(), "the last ones")
        .optional("hourly", count(), "one an hour")
        .optional("daily", count(), "one a day")
        .optional("weekly", count(), "one a week")
        .optional("monthly", count(), "one a month")
        .optional("yearly", count(), "one a year")
        .optional("within", Takes::Text, "all at most so much older than the newest: 30d, 1y6mo")
        .optional("tags", Takes::texts(), "all with one of these tags");
    Schema::new()
        .required("repository", Takes::Text, "the name of a [repository.NAME]")
        .required("source", Takes::Text, "the source plugin: files, office365")
        .optional("schedule", Takes::Text, "when a daemon runs it, as in cron")
        .optional("keep", Takes::Table(keep), "which snapshots forget keeps")
        .optional(
            "max_loss",
            Takes::AnyOf(vec![Takes::Integer(0, 100), Takes::word(&["off"])]),
            "the share, in percent, that a run may drop",
        )
        .optional("keep_gone", Takes::Integer(1, 36_500), "days to keep a container that vanished")
        .optional("isolation", Takes::word(&["none", "process"]), "where the plugin runs")
}

fn plugin_schema() -> Schema {
    Schema::new().required("library", Takes::Text, "the shared library").optional(
        "blake3",
        Takes::Text,
        "the BLAKE3 digest it must have",
    )
}

impl<'a> Resolver<'a> {
    /// Complaints go to `report`; relative paths start from `base`.
    pub(super) fn new(document: &'a Arc<Document>, report: &'a mut Diagnostics, base: &'a FilePath) -> Self {
        Self { document, report, base }
    }

    /// The config, complete if nothing was complained about.
    pub(super) fn config(mut self) -> Config {
        let document = Arc::clone(self.document);
        let top = &document.root;
        Checker::new(self.report).table(&top_schema(), top, &(0..0), &Path::new(""), &SECTIONS);
        let repositories = self.section(top, "repository", Self::repository);
        let sets = self
            .section(top, "set", |resolver, name, node, path| resolver.set(name, node, path, &repositories));
        let plugins = self.section(top, "plugin", Self::plugin);
        let plugin_path = match top.get("plugin_path").map(|node| &node.value) {
            Some(Value::List(nodes)) => nodes.iter().filter_map(|node| self.path(node)).collect(),
            _ => Vec::new(),
        };
        Config {
            repositories,
            sets,
            plugins,
            plugin_path,
            base: self.base.to_owned(),
            name: document.text.name.clone(),
        }
    }

    /// Every `[KIND.NAME]` of a kind.
    fn section<T>(
        &mut self,
        top: &Table,
        kind: &str,
        mut one: impl FnMut(&mut Self, &str, &Node, &Path) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = top.get(kind) else { return Vec::new() };
        let Value::Table(tables) = &node.value else {
            let message = format!("`{kind}` takes tables, [{kind}.NAME], not {}", node.value.describe());
            self.report.hide(&node.span);
            self.report.add(&node.span, message);
            return Vec::new();
        };
        let mut found = Vec::new();
        for entry in &tables.entries {
            if self.name_fits(kind, entry) {
                found.extend(one(self, &entry.key, &entry.node, &Path::new(kind).below(&entry.key)));
            }
        }
        found
    }

    fn name_fits(&mut self, kind: &str, entry: &Entry) -> bool {
        let name = &entry.key;
        if !matches!(entry.node.value, Value::Table(_)) {
            // `[set]` with keys of a set right in it, most likely.
            self.report.hide(&entry.node.span);
            self.report.add_with_hint(
                &entry.key_span,
                format!("`{}` stands in [{kind}], which holds only named tables", name.escape_debug()),
                format!("give it a name: [{kind}.NAME]"),
            );
            return false;
        }
        let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if !fits {
            self.report.add(
                &entry.key_span,
                format!(
                    "a {kind}'s name has 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` or `.`; `{}` has not",
                    name.escape_debug()
                ),
            );
        }
        fits
    }

    fn repository(&mut self, name: &str, node: &Node, path: &Path) -> Option<RepositoryConfig> {
        let table = self.check(&repository_schema(), node, path, &["options"])?;
        let url = self.url(table);
        Some(RepositoryConfig {
            name: name.to_owned(),
            url: url?,
            password: secret(table.get("password")?)?,
            plugin: table.text("plugin").unwrap_or(DESTINATION_DEFAULT).to_owned(),
            compression: table.text("compression").and_then(Compression::of_word).unwrap_or_default(),
            options: self.options(table, node, path)?,
        })
    }

    /// The URL, if there is one without a password in it.
    fn url(&mut self, table: &Table) -> Option<String> {
        let node = table.get("url")?;
        let text = table.text("url")?;
        match url::Url::parse(text) {
            Ok(url) if url.password().is_some() => {
                self.report.hide(&node.span);
                self.report.add_with_hint(
                    &node.span,
                    "this URL holds a password, which must not stand in the config file",
                    "take it out of the URL and put it into `options`, as { env = \"NAME\" } or another secret",
                );
                None
            }
            Ok(_) => Some(text.to_owned()),
            Err(error) => {
                // What cannot be taken apart may hold a password as well.
                self.report.hide(&node.span);
                self.report.add_with_hint(
                    &node.span,
                    format!("this is no URL: {error}"),
                    "write file:///PATH, s3://BUCKET/PATH, az://…, gs://…, https://… or memory:///",
                );
                None
            }
        }
    }

    fn set(&mut self, name: &str, node: &Node, path: &Path, known: &[RepositoryConfig]) -> Option<SetConfig> {
        let table = self.check(&set_schema(), node, path, &["options"])?;
        let repository = self.repository_name(table, known)?;
        let source = table.text("source")?.to_owned();
        let schedule = self.parsed::<Schedule>(table, "schedule");
        Some(SetConfig {
            name: name.to_owned(),
            repository,
            schedule,
            keep: table.table("keep").map(|table| self.keep(table)),
            max_loss: match table.get("max_loss").map(|node| &node.value) {
                Some(Value::Integer(Some(percent))) => {
                    MaxLoss::Percent(u8::try_from(*percent).unwrap_or(100))
                }
                Some(_) => MaxLoss::Off,
                None => MaxLoss::default_of(&source),
            },
            keep_gone_days: count(table, "keep_gone").unwrap_or(KEEP_GONE_DAYS_DEFAULT),
            isolation: match table.text("isolation") {
                Some("process") => Isolation::Process,
                _ => Isolation::None,
            },
            source,
            options: self.options(table, node, path)?,
        })
    }

    fn repository_name(&mut self, table: &Table, known: &[RepositoryConfig]) -> Option<String> {
        let (node, name) = (table.get("repository")?, table.text("repository")?);
        // By the file's own tables, so that one that is wrong in itself does not count as missing too.
        let declared: Vec<&str> = self
            .document
            .root
            .table("repository")
            .map(|tables| tables.entries.iter().map(|entry| entry.key.as_str()).collect())
            .unwrap_or_default();
        if !declared.contains(&name) {
            let meant = did_you_mean(name, declared.iter().copied());
            self.report.add_with_hint(
                &node.span,
                format!("there is no [repository.{}]{meant}", name.escape_debug()),
                "every set needs a repository to write to: [repository.NAME] with `url` and `password`",
            );
        }
        known.iter().find(|repository| repository.name == name).map(|repository| repository.name.clone())
    }

    fn plugin(&mut self, name: &str, node: &Node, path: &Path) -> Option<PluginConfig> {
        let table = self.check(&plugin_schema(), node, path, &[])?;
        if let (Some(node), Some(digest)) = (table.get("blake3"), table.text("blake3")) {
            let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_digest {
                self.report.add_with_hint(
                    &node.span,
                    "a BLAKE3 digest has 64 hexadecimal digits",
                    "`b3sum FILE` prints it",
                );
            }
        }
        Some(PluginConfig {
            name: name.to_owned(),
            library: self.path(table.get("library")?)?,
            blake3: table.text("blake3").map(str::to_ascii_lowercase),
        })
    }

    /// Checks a table against the engine's own keys.
    fn check<'n>(
        &mut self,
        schema: &Schema,
        node: &'n Node,
        path: &Path,
        loose: &[&str],
    ) -> Option<&'n Table> {
        let Value::Table(table) = &node.value else { return None };
        Checker::new(self.report).table(schema, table, &node.span, path, loose);
        Some(table)
    }

    /// The `options` of a table; none are as good as empty ones.
    fn options(&mut self, table: &Table, owner: &Node, path: &Path) -> Option<Options> {
        let (options, span) = match table.get("options") {
            None => (Table::default(), owner.span.clone()),
            Some(Node { value: Value::Table(options), span }) => (options.clone(), span.clone()),
            Some(node) => {
                self.report.hide(&node.span);
                self.report.add(
                    &node.span,
                    format!("`options` in {path} takes a table, not {}", node.value.describe()),
                );
                return None;
            }
        };
        Some(Options {
            document: Arc::clone(self.document),
            table: options,
            span,
            path: path.below("options"),
        })
    }

    fn keep(&mut self, table: &Table) -> Keep {
        let within = self.parsed::<Age>(table, "within");
        let rule = |key| count(table, key).unwrap_or(0);
        let tags = match table.get("tags").map(|node| &node.value) {
            Some(Value::List(nodes)) => nodes.iter().filter_map(text_of).collect(),
            _ => Vec::new(),
        };
        Keep {
            last: rule("last"),
            hourly: rule("hourly"),
            daily: rule("daily"),
            weekly: rule("weekly"),
            monthly: rule("monthly"),
            yearly: rule("yearly"),
            within,
            tags,
        }
    }

    /// A text that has a form of its own.
    fn parsed<T: std::str::FromStr<Err = String>>(&mut self, table: &Table, key: &str) -> Option<T> {
        let (node, text) = (table.get(key)?, table.text(key)?);
        text.parse().map_err(|why| self.report.add(&node.span, why)).ok()
    }

    /// A path, from the config's folder.
    fn path(&self, node: &Node) -> Option<PathBuf> {
        match &node.value {
            Value::Text(text) => Some(self.base.join(text)),
            _ => None,
        }
    }
}

fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn count(table: &Table, key: &str) -> Option<u32> {
    table.integer(key).and_then(|number| u32::try_from(number).ok())
}

fn secret(node: &Node) -> Option<SecretRef> {
    let Value::Table(table) = &node.value else { return None };
    let [entry] = table.entries.as_slice() else { return None };
    let Value::Text(place) = &entry.node.value else { return None };
    match entry.key.as_str() {
        "env" => Some(SecretRef::Env(place.clone())),
        "file" => Some(SecretRef::File(place.clone())),
        "command" => Some(SecretRef::Command(place.clone())),
        "keyring" => Some(SecretRef::Keyring(place.clone())),
        _ => None,
    }
}
