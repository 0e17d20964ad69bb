//! `larder copy` from beginning to end.

use std::{fs, path::Path};

use super::whole::{Ended, larder, prepared};

/// Prepared, with a second repository in the config, and the first made.
fn with_two() -> tempfile::TempDir {
    let folder = prepared();
    let at = folder.path();
    let path = at.join("larder.toml");
    let config = fs::read_to_string(&path).unwrap();
    let second = format!(
        "[repository.offsite]\nurl = \"file://{}/offsite\"\npassword = {{ file = \"password\" }}\n\n",
        at.display()
    );
    fs::write(&path, second + &config).unwrap();
    assert_eq!(larder(at, "init main").code, 0);
    folder
}

fn run(at: &Path, round: u32) {
    fs::write(at.join("data/a.txt"), format!("round {round}")).unwrap();
    assert_eq!(larder(at, "run home").code, 0);
}

#[test]
fn snapshots_go_to_another_repository_and_stand_alone_there() {
    let folder = with_two();
    let at = folder.path();
    let done = |line: &str| {
        let ended = larder(at, line);
        assert_eq!(ended.code, 0, "{line}: {}{}", ended.results, ended.notes);
        ended
    };
    assert!(done("init offsite --like main").results.contains("shares blob ids and borders with `main`"));
    run(at, 1);
    run(at, 2);
    let copied = done("copy --from main --to offsite latest --set home").results;
    assert!(copied.contains("copied 1 snapshot from `main` to `offsite`"), "{copied}");
    let records = done("copy --from main --to offsite --json").records();
    let summary = Ended::of_type(&records, "summary")[0];
    assert_eq!((summary["copied"].as_u64(), summary["were_there"].as_u64()), (Some(1), Some(1)));
    run(at, 3);
    done("copy --from main --to offsite --set home");

    // The first repository is gone: nothing of it is needed.
    fs::remove_dir_all(at.join("repository")).unwrap();
    done("check --read-data --repository offsite");
    let listed = done("snapshots --repository offsite --json").records();
    let mut runs: Vec<_> = listed.iter().filter_map(|record| record["run"].as_u64()).collect();
    runs.sort_unstable();
    assert_eq!(runs, [1, 2, 3]);
    let shown = done(&format!("cat latest:{}/data/a.txt --repository offsite", at.display())).results;
    assert_eq!(shown, "round 3");
}

#[test]
fn what_cannot_be_copied_is_said() {
    let folder = with_two();
    let at = folder.path();
    let failed = |line: &str, code: u8, words: &str| {
        let ended = larder(at, line);
        assert_eq!(ended.code, code, "{line}: {}{}", ended.results, ended.notes);
        assert!(ended.notes.contains(words), "{line}: {}", ended.notes);
    };
    failed("copy --from main --to offsite", 10, "larder init");
    assert_eq!(larder(at, "init offsite").code, 0);
    failed("copy --from main --to offsite", 1, "no such snapshots");
    run(at, 1);
    failed("copy --from main --to offsite", 1, "larder init TARGET --like SOURCE");
    failed("copy --from main --to main", 2, "the same repository");
    failed("copy --from main --to nowhere", 2, "there is no repository `nowhere`");
    failed("copy --from main --to offsite latest:/data", 2, "leave the path away");
}
