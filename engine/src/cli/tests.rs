//! The command line's own promises.

#[cfg(all(feature = "files", feature = "object-store"))]
mod copy;
#[cfg(all(feature = "files", feature = "object-store"))]
mod keys;
#[cfg(all(feature = "files", feature = "object-store"))]
mod looking;
#[cfg(all(feature = "files", feature = "object-store"))]
mod repair;
#[cfg(all(feature = "files", feature = "object-store"))]
mod taking;
#[cfg(all(feature = "files", feature = "object-store"))]
mod whole;

use clap::CommandFactory as _;

use super::*;

fn parse(words: &[&str]) -> std::result::Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once("larder").chain(words.iter().copied()))
}

#[test]
fn clap_finds_nothing_wrong_with_it() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_of_the_manual_parses() {
    for line in [
        "init",
        "init main --json",
        "validate",
        "validate a b",
        "discover a",
        "run a b --dry-run",
        "run --all --accept-loss",
        "run a --tag x --tag y",
        "snapshots --tag x",
        "snapshots --set a",
        "ls latest --set a",
        "ls 12ab:/a/b --recursive --long --json",
        "cat latest:/a",
        "find *.docx",
        "completions bash",
        "man",
        "man restore --json",
        "forget a --keep-last 3 --keep-within 30d --keep-tag x --keep-tag y --dry-run",
        "stats --set a --json",
        "diff 12ab latest:/home/ann --set a --stat --json",
        "find /a/** b --set a --snapshot latest --kind file --newer 7d --older 2026-03-01 --larger 1MB --smaller 4GiB --newest-only -i --json",
        "restore latest:/a --to out --include *.eml --exclude b --overwrite never --dry-run",
        "restore latest --to out --verify",
        "check --read-data --repository main",
        "check --read-data=2.5%",
        "check --read-data=3/30",
        "check --repair --read-data --dry-run",
        "copy --from main --to offsite --set home latest 12ab",
        "key list",
        "key add main --recovery --label paper",
        "key add --new-password-file new",
        "key remove 12ab main",
        "key passwd --slot 12ab --new-password-env NEW --json",
        "init offsite --like main",
        "plugins list",
        "plugins info files",
        "--config x.toml -v snapshots",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(parse(&words).is_ok(), "{line}: {:?}", parse(&words).err());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "",
        "run",
        "run a --all",
        "run a --tag x,y",
        "completions",
        "completions dos",
        "restore latest --to a --verify --dry-run",
        "forget a --keep-within 6m",
        "forget a --keep-last many",
        "restore latest",
        "ls home",
        "cat",
        "find",
        "diff latest",
        "find a --newer tomorrow",
        "find a --larger big",
        "-q -v snapshots",
        "restore latest --to a --overwrite maybe",
        "check --read-data=0%",
        "check --dry-run",
        "check --read-data=31/30",
        "copy --from main",
        "copy --from main --to offsite home",
        "key",
        "key remove",
        "key add --recovery --new-password-file a",
        "key passwd --new-password-file a --new-password-env b",
        "key add --new-password secret",
    ] {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let error = parse(&words).unwrap_err();
        assert_ne!(error.exit_code(), 0, "{line}");
    }
}

#[test]
fn every_help_lists_the_exit_codes() {
    for name in [
        "init",
        "validate",
        "discover",
        "run",
        "snapshots",
        "ls",
        "find",
        "diff",
        "export",
        "stats",
        "cat",
        "restore",
        "check",
        "key",
        "plugins",
    ] {
        let help = parse(&[name, "--help"]).unwrap_err().render().to_string();
        assert!(help.contains("130  stopped on request"), "{name}: {help}");
    }
    let help = parse(&["--help"]).unwrap_err().render().to_string();
    assert!(help.contains("To begin:") && help.contains("Exit codes:"), "{help}");
}

#[test]
fn json_is_seen_where_arguments_do_not_parse() {
    let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    assert!(wants_json(&words("larder run --json")));
    assert!(!wants_json(&words("larder run")));
    assert!(!wants_json(&words("larder run -- --json")));
}
