//! `larder validate`: whether a backup would work, without making one.

use clap::Args;
use larder_sdk::{Finding, FindingLevel};
use serde_json::{Value, json};

use super::{context::Context, format, output::Output, progress::Told};
use crate::error::{EngineErrorKind, ExitCode, Result};

/// Check that the config is right and that every source can be read: reachable, signed in, allowed. Reads no data and writes nothing.
#[derive(Args, Debug)]
pub(super) struct Validate {
    /// The sets to check; all if none is named.
    #[arg(value_name = "SET")]
    sets: Vec<String>,
}

impl Validate {
    /// Ends with [`ExitCode::Failed`] if a backup of anything would not work.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let sets = context.sets(&self.sets)?;
        let running = context.engine(Told::Progress)?;
        let mut code = ExitCode::Done;
        for set in sets {
            match running.engine.validate(&set) {
                Ok(findings) => {
                    running.finish();
                    for finding in &findings {
                        show(&context.output, &set, finding)?;
                    }
                    if findings.iter().any(|finding| finding.level == FindingLevel::Error) {
                        code = code.or(ExitCode::Failed);
                    }
                }
                Err(error) if error.kind() == EngineErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    running.finish();
                    context.output.error(&error);
                    code = code.or(error.exit_code());
                }
            }
        }
        Ok(code)
    }
}

/// Shows one finding.
pub(super) fn show(output: &Output, set: &str, finding: &Finding) -> Result<()> {
    output.result(|| record(set, finding), || line(set, finding))
}

fn record(set: &str, finding: &Finding) -> Value {
    json!({
        "type": "finding",
        "set": set,
        "level": word(finding.level),
        "subject": finding.subject,
        "code": finding.code,
        "message": finding.message,
        "hint": finding.hint,
    })
}

fn line(set: &str, finding: &Finding) -> String {
    let mut line = format!(
        "{:<7}  {set}: {}: {}",
        word(finding.level),
        format::name(&finding.subject),
        format::name(&finding.message)
    );
    if let Some(hint) = &finding.hint {
        line.push_str("\n         ");
        line.push_str(&format::name(hint));
    }
    line
}

/// The word for a level.
pub(super) fn word(level: FindingLevel) -> &'static str {
    match level {
        FindingLevel::Good => "good",
        FindingLevel::Warning => "warning",
        FindingLevel::Error => "error",
    }
}
