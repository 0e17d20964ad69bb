//! `larder check --repair` from beginning to end.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::whole::{Ended, larder, prepared};

/// The only object of a folder, however deep.
fn only(folder: &Path) -> PathBuf {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { waiting.push(path) } else { found.push(path) }
        }
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_damaged_repository_is_mended_and_the_next_run_fills_it_up() {
    let folder = prepared();
    let at = folder.path();
    let done = |line: &str, code: u8| {
        let ended = larder(at, line);
        assert_eq!(ended.code, code, "{line}: {}{}", ended.results, ended.notes);
        ended
    };
    done("init", 0);
    done("run home", 0);
    assert!(done("check --repair --read-data", 0).results.contains("nothing to mend"));

    // An index segment is gone: nothing is lost.
    fs::remove_file(only(&at.join("repository/index/data"))).unwrap();
    done("check", 1);
    assert!(done("check --repair --dry-run", 1).results.contains("would mend: index/data/"));
    done("check", 1);
    let mended = done("check --repair", 0).results;
    assert!(mended.contains("mended: index/data/") && mended.contains("0 things lost"), "{mended}");
    done("check --read-data", 0);

    // A pack is damaged: what was in the frame is lost, and named.
    flip(&only(&at.join("repository/data")), 100);
    done("check", 0);
    done("check --read-data", 1);
    let records = done("check --repair --read-data --json", 3).records();
    let lost = Ended::of_type(&records, "lost");
    assert!(!lost.is_empty() && lost.iter().all(|loss| loss["path"].as_str().unwrap().contains("/data/")));
    assert_eq!(Ended::of_type(&records, "summary")[0]["lost"].as_u64(), Some(lost.len() as u64));
    done("check --read-data", 0);
    let snapshots = done("snapshots --json", 0).records();
    assert_eq!(snapshots[0]["outcome"], "incomplete");
    assert_eq!(snapshots[0]["owed"].as_u64(), Some(lost.len() as u64));
    assert!(snapshots[0]["program"].as_str().unwrap().contains("repaired from"));

    // What the source still has comes back.
    done("run home", 0);
    assert_eq!(done(&format!("cat latest:{}/data/a.txt", at.display()), 0).results, "content of a");
    done("check --read-data", 0);
}
