//! `larder discover`: what a set would back up.

use clap::Args;
use serde_json::json;

use super::{context::Context, format, progress::Told, validate};
use crate::error::{ExitCode, Result};

/// List what a set would back up: mailboxes, sites, folders. Reads no data and writes nothing.
#[derive(Args, Debug)]
pub(super) struct Discover {
    /// The set.
    #[arg(value_name = "SET")]
    set: String,
}

impl Discover {
    /// Prints a line for each container, then what could not be listed.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        context.config.set(&self.set)?;
        let running = context.engine(Told::Troubles)?;
        let discovery = running.engine.discover(&self.set)?;
        running.finish();
        let path = |container: &larder_sdk::Container| {
            container.path.iter().fold(String::new(), |path, part| path + "/" + &part.display())
        };
        let rows: Vec<Vec<String>> = discovery
            .containers
            .iter()
            .map(|container| {
                vec![
                    container.kind.to_string(),
                    format::name(&path(container)),
                    format::name(&container.title),
                ]
            })
            .collect();
        for (container, line) in discovery.containers.iter().zip(format::table(&rows, &[])) {
            let record = || {
                json!({
                    "type": "container",
                    "set": self.set,
                    "id": container.id.display(),
                    "kind": container.kind.to_string(),
                    "title": container.title,
                    "path": path(container),
                })
            };
            context.output.result(record, || line)?;
        }
        for finding in &discovery.findings {
            validate::show(&context.output, &self.set, finding)?;
        }
        let incomplete =
            discovery.findings.iter().any(|finding| finding.level == larder_sdk::FindingLevel::Error);
        Ok(if incomplete { ExitCode::Incomplete } else { ExitCode::Done })
    }
}
