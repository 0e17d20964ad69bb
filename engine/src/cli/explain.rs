//! `larder explain`: what the code of a finding or an error means, and what to do.

use std::sync::Arc;

use clap::Args;
use larder_sdk::Explained;
use serde_json::{Value, json};

use super::{arguments::Global, format, output::Output, plugins};
use crate::{
    config::{Environment, did_you_mean},
    error::{EngineError, EngineErrorKind, ExitCode, Result},
};

/// Where the kinds of the engine's own errors are said to come from.
const ENGINE: &str = "larder";

/// Say what a code means and what to do: of a finding of `larder validate`, of an error, of a line of a report.
#[derive(Args, Debug)]
pub(super) struct Explain {
    /// The code, as `validate`, errors and `--json` show it; without one, all are listed.
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// A code's page, and whose code it is.
struct Page {
    origin: String,
    explained: Explained,
}

impl Explain {
    /// Needs no config; one that is there may name more plugins.
    pub(super) fn execute(
        &self,
        global: &Global,
        environment: &Environment,
        output: &Arc<Output>,
    ) -> Result<ExitCode> {
        let mut pages: Vec<Page> = EngineErrorKind::ALL.map(own).into();
        for plugin in plugins::known(global, environment, output)? {
            let origin = plugin.info.name;
            let of_plugin = |explained| Page { origin: origin.clone(), explained };
            pages.extend(plugin.info.codes.into_iter().map(of_plugin));
        }
        match &self.code {
            None => list(output, &pages)?,
            Some(code) => show(output, &pages, code)?,
        }
        Ok(ExitCode::Done)
    }
}

fn list(output: &Output, pages: &[Page]) -> Result<()> {
    let row = |page: &Page| {
        [&page.explained.code, &page.origin, &page.explained.meaning].map(|text| format::name(text)).to_vec()
    };
    let rows: Vec<Vec<String>> = pages.iter().map(row).collect();
    for (page, line) in pages.iter().zip(format::table(&rows, &[])) {
        output.result(|| record(page), || line)?;
    }
    Ok(())
}

/// Several plugins may have the same code: each of them is shown.
fn show(output: &Output, pages: &[Page], code: &str) -> Result<()> {
    let mut found = pages.iter().filter(|page| page.explained.code == code).peekable();
    if found.peek().is_none() {
        let meant = did_you_mean(code, pages.iter().map(|page| page.explained.code.as_str()));
        return Err(EngineError::usage(format!("no plugin explains the code `{}`{meant}", code.escape_debug()))
            .with_hint("`larder explain` lists all codes; the config file names plugins that are not part of this program"));
    }
    found.enumerate().try_for_each(|(at, page)| {
        let gap = if at == 0 { "" } else { "\n" };
        output.result(|| record(page), || format!("{gap}{}", lines(page).join("\n")))
    })
}

fn lines(page: &Page) -> Vec<String> {
    let Explained { code, meaning, remedy, more } = &page.explained;
    let mut lines = vec![format!("{} ({})", format::name(code), format::name(&page.origin)), String::new()];
    lines.extend(indented(meaning));
    if !remedy.is_empty() {
        lines.extend([String::new(), "What to do:".to_owned()]);
        lines.extend(indented(remedy));
    }
    if let Some(more) = more {
        lines.extend([String::new(), format!("More: {}", format::name(more))]);
    }
    lines
}

fn indented(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| format!("  {}", format::name(line)))
}

fn record(page: &Page) -> Value {
    let Explained { code, meaning, remedy, more } = &page.explained;
    json!({
        "type": "explanation",
        "code": code,
        "origin": page.origin,
        "meaning": meaning,
        "remedy": remedy,
        "more": more,
    })
}

/// What a kind of the engine's errors means.
fn own(kind: EngineErrorKind) -> Page {
    let (meaning, remedy) = match kind {
        EngineErrorKind::Usage => {
            ("The command line asks for something that cannot be.", "Look at `larder COMMAND --help`.")
        }
        EngineErrorKind::Config => (
            "The config file is wrong, or there is none.",
            "The message names file, line and column.\n`larder plugins info PLUGIN` lists the options of a source or destination.",
        ),
        EngineErrorKind::NoRepository => (
            "There is no repository at this place.",
            "Check `url` of the repository in the config file, and whether its disk or network is there.\nIf the repository is new: `larder init`.",
        ),
        EngineErrorKind::WrongPassword => (
            "The repository opens with another password.",
            "Check where the config file takes the password from.\nA recovery key opens it as well, in the password's place; `larder key list` shows which passwords there are.",
        ),
        EngineErrorKind::Busy => (
            "Another prune or run is at work on the same thing.",
            "Wait until it has ended and try again: nothing is left behind that would have to be unlocked.",
        ),
        EngineErrorKind::Store => (
            "The place of the repository refused, is full, or could not be reached.",
            "The message has its own words. What was stored before is unharmed; the next run goes on from the last checkpoint.",
        ),
        EngineErrorKind::Plugin => (
            "A plugin failed, broke its rules, or could not be loaded.",
            "The message says which and why.\n`larder plugins list` shows the plugins there are, `larder validate` whether a source can be read.",
        ),
        EngineErrorKind::Damaged => (
            "Something stored is damaged or missing.",
            "Run `larder check --read-data` to see how much.\n`larder check --repair --dry-run` says what could be mended and what would be lost.",
        ),
        EngineErrorKind::Gone => (
            "What was being read was forgotten and pruned meanwhile.",
            "Choose a snapshot that is there: `larder snapshots`.",
        ),
        EngineErrorKind::Interrupted => {
            ("It was stopped because somebody asked for it.", "Run it again: it goes on where it was.")
        }
        EngineErrorKind::Failed => ("Something else failed; the message says what.", ""),
    };
    let explained = Explained {
        code: kind.as_str().to_owned(),
        meaning: meaning.to_owned(),
        remedy: remedy.to_owned(),
        more: None,
    };
    Page { origin: ENGINE.to_owned(), explained }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_shown_whole() {
        let explained = Explained {
            code: "out-of-ink".to_owned(),
            meaning: "The printer has no ink.".to_owned(),
            remedy: "Open the lid.\nPut ink in.".to_owned(),
            more: Some("docs/ink.md".to_owned()),
        };
        let page = Page { origin: "printer".to_owned(), explained };
        let shown = "out-of-ink (printer)\n\n  The printer has no ink.\n\nWhat to do:\n  Open the lid.\n  Put ink in.\n\nMore: docs/ink.md";
        assert_eq!(lines(&page).join("\n"), shown);
    }

    #[test]
    fn every_kind_of_the_engine_is_explained_by_its_own_word() {
        let mut words: Vec<String> =
            EngineErrorKind::ALL.map(own).into_iter().map(|page| page.explained.code).collect();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), EngineErrorKind::ALL.len());
    }
}
