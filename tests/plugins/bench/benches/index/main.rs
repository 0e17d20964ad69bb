//! The index at full size: a repository of 10 million blobs, of which a mailbox of a million items in a thousand folders is real.
//!
//! `cargo bench -p larder-bench --bench index` makes it in a temporary folder (about 2 GB and some 6,000 files that are holes), then prints what
//! opening, looking up, listing, an incremental run, `check` and `prune` cost: time, memory, requests and bytes read. Then it makes a second one of ten
//! such mailboxes, each a set of its own, whose blobs are all in use, and prints what runs, `check` and `prune` cost there. Each step is a process of
//! its own, so that its highest memory is its own. `-- FOLDER` makes them there and keeps them; what is there is used again. `-- STEP FOLDER` does one
//! step.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod generate;
mod steps;
mod store;

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;
/// Works on the repository in a folder.
type Step = fn(&Path) -> Outcome<()>;

/// The steps in their order. Of those that make the repository, each is done once.
const STEPS: [(&str, Step); 24] = [
    ("first backup of a million items", steps::first_run),
    ("run of 100 changes, warm, 20 ms a request", steps::run_warm),
    ("run of 100 changes, cold, 20 ms a request", steps::run_cold),
    ("made-up blobs, up to ten million", steps::fill),
    ("opening for a run, cold", steps::open_cold),
    ("opening for a run, warm", steps::open_warm),
    ("opening for a run, after another machine's run", steps::open_behind),
    ("lookups", steps::lookups),
    ("numbers and all rows in order", steps::view),
    ("ls of a folder, cold", steps::list_cold),
    ("ls of a folder, index warm, trees cold", steps::list_trees_cold),
    ("run of 100 changes of ten million blobs, warm, 20 ms a request", steps::run_warm),
    ("run of 100 changes of ten million blobs, cold, 20 ms a request", steps::run_cold),
    ("restore of a folder", steps::restore),
    ("check", steps::check),
    ("prune --dry-run", steps::prune),
    ("ten mailboxes of a million items: ten million blobs in use", steps::fill_in_use),
    ("in use: run of 100 changes", steps::run_in_use),
    ("in use: run of 100 changes, cold, 20 ms a request", steps::run_in_use_cold),
    ("in use: restore of a folder", steps::restore_in_use),
    ("in use: check", steps::check_in_use),
    ("in use: prune --dry-run", steps::prune_in_use),
    ("in use: 600,000 items change, what was before is forgotten", steps::forget_in_use),
    ("in use: prune", steps::prune_in_use_really),
];

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [step, folder] = &arguments[..] {
        let (name, work) = STEPS.iter().find(|(name, _)| name == step).ok_or("there is no such step")?;
        work(Path::new(folder)).map_err(|error| format!("{name}: {error}"))?;
        println!("    highest memory {} MiB", highest_memory_kib()? / 1024);
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let folder = arguments.first().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    for (name, _) in STEPS {
        println!("{name}");
        let status = Command::new(std::env::current_exe()?).arg(name).arg(&folder).status()?;
        if !status.success() {
            return Err(format!("{name} failed").into());
        }
    }
    println!("a thousand small segments");
    let small = tempfile::tempdir()?;
    steps::small_segments(small.path())
}

/// The most memory that this process has had.
fn highest_memory_kib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
