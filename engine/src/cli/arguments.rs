//! The command line: what can be asked for, and the help that says so.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{
    cat, check, copy, diff, discover, explain, export, find, forget, init, key, ls, manual, plugins, prune,
    report, restore, run, snapshots, stats, validate,
};

/// Shown below every command's help.
const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  failed
    2  the command line or the config file is wrong; nothing was tried
    3  done, but something could not be read
   10  there is no repository
   11  the repository is busy
   12  the repository's password is wrong
  130  stopped on request (Ctrl-C once stops at a checkpoint, twice at once)";

/// Shown below the help of the whole.
const START: &str = "\
To begin:
  1. write larder.toml: a [repository.NAME] with `url` and `password`, and a [set.NAME]
     with `repository`, `source` and `options`; `larder plugins info PLUGIN` lists those
  2. larder validate        is the config right, can every source be read?
  3. larder init            make the repository
  4. larder run --all       back up; again whenever you like: only what changed is read
  5. larder snapshots       what there is; then `larder ls`, `larder restore`

The config file is the one --config names, else $LARDER_CONFIG, else the first of ./larder.toml,
~/.config/larder/larder.toml and /etc/larder/larder.toml.";

/// Backs up Microsoft 365, files and whatever a plugin reads, to any object store: encrypted, deduplicated, incremental.
#[derive(Debug, Parser)]
#[command(name = "larder", version, max_term_width = 110, after_help = format!("{START}\n\n{EXIT_CODES}"), disable_help_subcommand = true)]
pub(super) struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub(super) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What holds for every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "For every command")]
pub(super) struct Global {
    /// Read this config file.
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Print results, progress and errors as JSON Lines on standard output.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Tell more: -v shows what plugins say and every trouble.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    /// Tell nothing but results and errors.
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a repository.
    #[command(after_help = EXIT_CODES)]
    Init(init::Init),
    /// Check that the config is right and that every source can be read.
    #[command(after_help = EXIT_CODES)]
    Validate(validate::Validate),
    /// List what a set would back up: mailboxes, sites, folders.
    #[command(after_help = EXIT_CODES)]
    Discover(discover::Discover),
    /// Back up sets.
    #[command(after_help = EXIT_CODES)]
    Run(run::Run),
    /// List snapshots.
    #[command(after_help = EXIT_CODES)]
    Snapshots(snapshots::Snapshots),
    /// List what is in a snapshot.
    #[command(after_help = EXIT_CODES)]
    Ls(ls::Ls),
    /// Find items in all snapshots.
    #[command(after_help = EXIT_CODES)]
    Find(find::Find),
    /// Show what differs between two snapshots.
    #[command(after_help = EXIT_CODES)]
    Diff(diff::Diff),
    /// Write one item's content to standard output.
    #[command(after_help = EXIT_CODES)]
    Cat(cat::Cat),
    /// Write a snapshot, or a part of it, back to a folder.
    #[command(after_help = EXIT_CODES)]
    Restore(restore::Restore),
    /// Write a snapshot, or a part of it, into a tar, zip or mailbox file.
    #[command(after_help = EXIT_CODES)]
    Export(export::Export),
    /// Say what the run that took a snapshot did.
    #[command(after_help = EXIT_CODES)]
    Report(report::Report),
    /// Count what there is, and how much room it takes.
    #[command(after_help = EXIT_CODES)]
    Stats(stats::Stats),
    /// Check that a repository is whole.
    #[command(after_help = EXIT_CODES)]
    Check(check::Check),
    /// Drop snapshots that the sets' `keep` rules do not keep.
    #[command(after_help = EXIT_CODES)]
    Forget(forget::Forget),
    /// Free what no snapshot needs.
    #[command(after_help = EXIT_CODES)]
    Prune(prune::Prune),
    /// Copy snapshots into another repository.
    #[command(after_help = EXIT_CODES)]
    Copy(copy::Copy),
    /// List, add, remove and change what opens a repository: passwords and recovery keys.
    #[command(subcommand, after_help = EXIT_CODES)]
    Key(key::Key),
    /// Say what a code of a finding or an error means and what to do.
    Explain(explain::Explain),
    /// Show the plugins there are.
    #[command(subcommand, after_help = EXIT_CODES)]
    Plugins(plugins::Plugins),
    /// Print a script that lets a shell complete commands and options.
    Completions(manual::Completions),
    /// Print the manual's page of Larder or of a command.
    Man(manual::Man),
}

/// Which repository, where it is not given as such.
#[derive(Args, Debug, Default)]
pub(super) struct Selection {
    /// The set whose snapshots are meant, and with it its repository. `latest` needs it if the repository holds several sets.
    #[arg(long, value_name = "SET")]
    pub(super) set: Option<String>,
    /// The repository, if the config names several and no set is given.
    #[arg(long, value_name = "NAME")]
    pub(super) repository: Option<String>,
}
