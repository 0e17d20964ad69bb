//! `larder key` from beginning to end.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use super::whole::{Ended, larder, prepared};

fn secret_file(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
    fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Prepared, made and run once.
fn with_repository() -> tempfile::TempDir {
    let folder = prepared();
    assert_eq!(larder(folder.path(), "init").code, 0);
    assert_eq!(larder(folder.path(), "run home").code, 0);
    folder
}

fn done(folder: &Path, line: &str) -> Ended {
    let ended = larder(folder, line);
    assert_eq!(ended.code, 0, "{line}: {}{}", ended.results, ended.notes);
    ended
}

#[test]
fn a_password_is_changed_and_the_old_one_opens_no_more() {
    let folder = with_repository();
    let at = folder.path();
    let before = done(at, "key list --json").records();
    let old = Ended::of_type(&before, "key")[0];
    assert_eq!((old["in_use"].as_bool(), old["kind"].as_str()), (Some(true), Some("password")));
    secret_file(at, "new", "battery staple\n");
    let changed = done(at, "key passwd --new-password-file new --label mine");
    assert!(changed.results.contains("the file `password`"), "{}", changed.results);
    assert!(!format!("{}{}", changed.results, changed.notes).contains("staple"));
    assert_eq!(larder(at, "snapshots").code, 12);
    secret_file(at, "password", "battery staple\n");
    assert_eq!(done(at, "snapshots").results.lines().count(), 2);
    let listed = done(at, "key list").results;
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.contains("mine") && listed.contains("in use"), "{listed}");
    assert!(!listed.contains(&old["id"].as_str().unwrap()[..8]), "{listed}");
    assert!(done(at, "check --read-data").results.contains("is whole"));
}

#[test]
fn a_recovery_key_brings_back_who_forgot_the_password() {
    let folder = with_repository();
    let at = folder.path();
    let shown = done(at, "key add --recovery --label paper").results;
    let key = shown.lines().find(|line| line.trim_start().starts_with("LARDER-")).unwrap().trim().to_owned();
    assert_eq!(shown.matches(&key).count(), 1);
    assert!(!done(at, "key list").results.contains(&key[7..16]));

    // The password is lost; the paper is typed in, carelessly.
    secret_file(at, "password", &format!("{}\n", key.to_lowercase().replace('-', " ")));
    done(at, "snapshots");
    let keys = done(at, "key list --json").records();
    let lost = Ended::of_type(&keys, "key").into_iter().find(|key| key["in_use"] == false).unwrap();
    let lost = lost["id"].as_str().unwrap().to_owned();
    secret_file(at, "new", "a new one");
    let refused = larder(at, "key passwd --new-password-file new");
    assert!(refused.code == 1 && refused.notes.contains("--slot"), "{}", refused.notes);
    let changed = done(at, &format!("key passwd --slot {} --new-password-file new", &lost[..10]));
    assert!(!changed.results.contains("where the config looks"), "{}", changed.results);
    secret_file(at, "password", "a new one");
    done(at, "snapshots");

    // A typing error is told from a wrong key.
    let other = if key.ends_with('7') { "8" } else { "7" };
    secret_file(at, "password", &format!("{}{other}", &key[..key.len() - 1]));
    let refused = larder(at, "snapshots");
    assert!(refused.code == 12 && refused.notes.contains("typing error in it"), "{}", refused.notes);
}

#[test]
fn what_would_lock_everybody_out_is_refused() {
    let folder = with_repository();
    let at = folder.path();
    let only = done(at, "key list --json").records()[0]["id"].as_str().unwrap().to_owned();
    let refused = larder(at, &format!("key remove {only}"));
    assert!(refused.code == 1 && refused.notes.contains("the only one"), "{}", refused.notes);
    secret_file(at, "second", "second");
    let added = done(at, "key add --new-password-file second --json").records();
    let second = Ended::of_type(&added, "summary")[0]["id"].as_str().unwrap().to_owned();
    let refused = larder(at, &format!("key remove {only}"));
    assert!(refused.code == 1 && refused.notes.contains("another password"), "{}", refused.notes);
    assert_eq!(larder(at, "key remove 0123456789").code, 1);
    done(at, &format!("key remove {}", &second[..12]));
    secret_file(at, "password", "second");
    assert_eq!(larder(at, "snapshots").code, 12);
    secret_file(at, "second", "");
    assert_eq!(larder(at, "key add --new-password-file second").code, 12);
    secret_file(at, "password", "correct horse\n");
    assert_eq!(larder(at, "key add --new-password-file second").code, 2);
    assert_eq!(larder(at, "key add --new-password-file nowhere").code, 2);
}

#[test]
fn a_damaged_copy_is_told() {
    let folder = with_repository();
    let at = folder.path();
    let only = done(at, "key list --json").records()[0]["id"].as_str().unwrap().to_owned();
    let path = at.join(format!("repository/keys/{only}"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, bytes).unwrap();
    let listed = done(at, "key list");
    assert!(listed.results.contains("in use, one copy damaged"), "{}", listed.results);
    assert!(listed.notes.contains("larder check"), "{}", listed.notes);
    let checked = larder(at, "check");
    assert!(checked.code == 1 && checked.results.contains(&format!("keys/{only}: ")), "{}", checked.results);
}
