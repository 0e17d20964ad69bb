//! `larder init`: makes a repository.

use clap::Args;
use serde_json::json;

use super::{context::Context, progress::Told};
use crate::error::{ExitCode, Result};

/// Make a repository where the config says, under the password that the config names. Nobody can read it without that password:
/// keep a copy of it somewhere else.
#[derive(Args, Debug)]
pub(super) struct Init {
    /// The repository's name in the config; may be left out if there is only one.
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Share this repository's blob ids and borders, so that `larder copy` can copy snapshots from it. Both passwords are needed.
    #[arg(long, value_name = "REPOSITORY")]
    like: Option<String>,
}

impl Init {
    /// Fails where there is a repository already.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let name = context.config.repository_or_only(self.repository.as_deref())?.name.clone();
        let running = context.engine(Told::Progress)?;
        let report = running.engine.init(Some(&name), self.like.as_deref())?;
        running.finish();
        let record = || {
            json!({
                "type": "summary",
                "command": "init",
                "repository": name,
                "location": report.location,
                "id": report.id.to_string(),
                "like": self.like,
                "put_if_absent": report.put_if_absent,
                "list_after_put": report.list_after_put,
            })
        };
        context.output.result(record, || {
            let mut line = format!("made repository `{name}` at {}, id {}", report.location, report.id);
            if let Some(like) = &self.like {
                line = format!("{line}\nit shares blob ids and borders with `{like}`, and no other keys");
            }
            if !report.put_if_absent {
                line.push_str("\nthis store cannot refuse a second object of a name: run one set from one machine at a time");
            }
            if !report.list_after_put {
                line.push_str("\nthis store's listings lag behind its objects: a check right after a run may miss some");
            }
            line
        })?;
        Ok(ExitCode::Done)
    }
}
