//! `larder plugins`: which plugins there are, and what one takes.

use std::sync::Arc;

use clap::Subcommand;
use larder_sdk::{Key, PluginInfo, Schema, Takes};
use serde_json::{Value, json};

use super::{
    arguments::Global,
    context, format,
    output::Output,
    progress::{Progress, Told},
};
use crate::{
    clock::SystemClock,
    config::{Environment, describe_option, find_config},
    error::{EngineError, ExitCode, Result},
    plugin::{Origin, PluginSummary},
    process::Interrupt,
};

/// Deepest nesting of tables that is shown: a schema comes from a plugin.
const DEPTH_MAX: usize = 16;

/// Show the plugins there are.
#[derive(Debug, Subcommand)]
pub(super) enum Plugins {
    /// List all plugins: part of this program, in the plugin path, or named by the config.
    List,
    /// Show one plugin and the options it takes.
    Info {
        /// The plugin's name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl Plugins {
    /// Needs no config; one that is there may name more plugins.
    pub(super) fn execute(
        &self,
        global: &Global,
        environment: &Environment,
        output: &Arc<Output>,
    ) -> Result<ExitCode> {
        let all = known(global, environment, output)?;
        match self {
            Self::List => list(output, &all)?,
            Self::Info { name } => {
                let found = all.iter().find(|plugin| plugin.info.name == *name).ok_or_else(|| {
                    let known: Vec<&str> = all.iter().map(|plugin| plugin.info.name.as_str()).collect();
                    EngineError::usage(format!("there is no plugin `{}`", name.escape_debug()))
                        .with_hint(format!("known: {}", known.join(", ")))
                })?;
                info(output, found)?;
            }
        }
        Ok(ExitCode::Done)
    }
}

/// All plugins: part of this program, in the plugin path, or named by the config, if there is one.
pub(super) fn known(
    global: &Global,
    environment: &Environment,
    output: &Arc<Output>,
) -> Result<Vec<PluginSummary>> {
    let config = find_config(global.config.as_deref(), environment)?;
    let progress =
        Progress::new(Arc::clone(output), Arc::new(SystemClock::new()), Told::Troubles, Interrupt::new());
    Ok(context::registry(config.as_ref(), environment, &progress)?.list())
}

fn list(output: &Output, all: &[PluginSummary]) -> Result<()> {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|plugin| {
            let info = &plugin.info;
            [&info.name, &info.version, roles(info), &info.summary].map(format::name).to_vec()
        })
        .collect();
    for (plugin, line) in all.iter().zip(format::table(&rows, &[])) {
        output.result(|| record(plugin), || line)?;
    }
    Ok(())
}

fn info(output: &Output, plugin: &PluginSummary) -> Result<()> {
    output.result(|| record_with_options(plugin), || description(plugin).join("\n"))
}

fn roles(info: &PluginInfo) -> &'static str {
    match (&info.source, &info.destination) {
        (Some(_), Some(_)) => "source, destination",
        (Some(_), None) => "source",
        (None, Some(_)) => "destination",
        (None, None) => "nothing",
    }
}

fn record(plugin: &PluginSummary) -> Value {
    let (path, digest) = match &plugin.origin {
        Origin::Linked => (None, None),
        Origin::File { path, digest } => (Some(path.display().to_string()), Some(digest.to_string())),
    };
    json!({
        "type": "plugin",
        "name": plugin.info.name,
        "version": plugin.info.version,
        "summary": plugin.info.summary,
        "source": plugin.info.source.is_some(),
        "destination": plugin.info.destination.is_some(),
        "abi": plugin.abi,
        "path": path,
        "blake3": digest,
    })
}

fn record_with_options(plugin: &PluginSummary) -> Value {
    let mut record = record(plugin);
    record["source_options"] = json!(plugin.info.source);
    record["destination_options"] = json!(plugin.info.destination);
    record
}

fn description(plugin: &PluginSummary) -> Vec<String> {
    let info = &plugin.info;
    let mut lines = vec![
        format!(
            "{} {}: {}",
            format::name(&info.name),
            format::name(&info.version),
            format::name(&info.summary)
        ),
        format!("a {}; ABI {}; {}", roles(info), plugin.abi, plugin.origin),
    ];
    if let Origin::File { digest, .. } = &plugin.origin {
        lines.push(format!("BLAKE3 {digest}"));
    }
    if let Some(schema) = &info.source {
        lines.push(String::new());
        lines.push("[set.NAME.options] of a set with this source:".to_owned());
        lines.extend(options(schema));
    }
    if let Some(schema) = &info.destination {
        lines.push(String::new());
        lines.push("[repository.NAME.options] of a repository behind this destination:".to_owned());
        lines.extend(options(schema));
    }
    lines
}

/// A line for each key, those of tables within below it.
fn options(schema: &Schema) -> Vec<String> {
    let mut rows = Vec::new();
    collect(schema, 1, &mut rows);
    if rows.is_empty() { vec!["  no options".to_owned()] } else { format::table(&rows, &[]) }
}

fn collect(schema: &Schema, depth: usize, rows: &mut Vec<Vec<String>>) {
    for key in &schema.keys {
        rows.push(vec![
            format!("{}{}", "  ".repeat(depth), format::name(&key.name)),
            describe_option(&key.takes),
            note(key),
        ]);
        let inner = match &key.takes {
            Takes::List(each) => each,
            takes => takes,
        };
        if let Takes::Table(schema) = inner
            && depth < DEPTH_MAX
        {
            collect(schema, depth + 1, rows);
        }
    }
}

fn note(key: &Key) -> String {
    let doc = format::name(&key.doc);
    if key.required { format!("{doc} (required)") } else { doc }
}
