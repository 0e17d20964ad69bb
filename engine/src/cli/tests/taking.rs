//! Taking things out of snapshots, from beginning to end, read back by other code.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::whole::{larder, prepared};

fn done(at: &Path, line: &str) -> super::whole::Ended {
    let ended = larder(at, line);
    assert_eq!(ended.code, 0, "{line}: {}{}", ended.results, ended.notes);
    ended
}

const MESSAGE: &str = "From: Ann <ann@contoso.com>\r\nSubject: x\r\n\r\nFrom here on\r\n>From there\r\nbye";

/// A folder with names of all sorts, backed up.
fn backed_up() -> (tempfile::TempDir, PathBuf) {
    let folder = prepared();
    let at = folder.path().to_owned();
    let data = at.join("data");
    let long = "l".repeat(150);
    fs::create_dir_all(data.join(&long)).unwrap();
    fs::write(data.join(&long).join("größe"), "unicode").unwrap();
    fs::write(data.join(std::ffi::OsStr::from_bytes(b"raw\xff")), "bytes").unwrap();
    fs::write(data.join("empty"), "").unwrap();
    fs::hard_link(data.join("a.txt"), data.join("sub/again.txt")).unwrap();
    std::os::unix::fs::symlink("../a.txt", data.join("sub/link")).unwrap();
    fs::set_permissions(data.join("a.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    // Larger than a chunk, and not to be compressed away.
    let mut noise = vec![0; 3 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    fs::write(data.join("noise"), &noise).unwrap();
    fs::create_dir(data.join("mail")).unwrap();
    fs::write(data.join("mail/one.eml"), MESSAGE).unwrap();
    fs::write(data.join("mail/two.EML"), "Subject: y\n\nshort\n").unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 250_000_000);
    fs::File::options().write(true).open(data.join("a.txt")).unwrap().set_modified(time).unwrap();
    done(&at, "init");
    done(&at, "run home");
    (folder, data)
}

/// Regular files below a folder, and their bytes.
fn files(folder: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.symlink_metadata().unwrap();
            if kind.is_dir() {
                waiting.push(path);
            } else if kind.is_file() {
                let name = path.strip_prefix(folder).unwrap().as_os_str().as_bytes().to_vec();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_tar_file_holds_names_times_modes_and_links() {
    let (folder, data) = backed_up();
    let at = folder.path();
    let told =
        done(at, &format!("export latest:{} --format tar --to {}/out.tar", data.display(), at.display()));
    assert!(told.results.starts_with("exported "), "{}", told.results);
    let mut archive = tar::Archive::new(fs::File::open(at.join("out.tar")).unwrap());
    let mut found = BTreeMap::new();
    let (mut links, mut folders, mut order) = (Vec::new(), Vec::new(), Vec::new());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path_bytes().into_owned();
        order.push(path.clone());
        let target = entry.link_name_bytes().map(|name| String::from_utf8(name.into_owned()).unwrap());
        match entry.header().entry_type() {
            tar::EntryType::Directory => folders.push(path),
            tar::EntryType::Regular => {
                if path == b"a.txt" {
                    assert_eq!(entry.header().mode().unwrap(), 0o640);
                    assert_eq!(entry.header().mtime().unwrap(), 1_234_567_890);
                    let pax = entry.pax_extensions().unwrap().unwrap();
                    let pairs: Vec<_> = pax.map(|pair| pair.unwrap()).collect();
                    assert!(
                        pairs
                            .iter()
                            .any(|pair| pair.key() == Ok("mtime")
                                && pair.value() == Ok("1234567890.250000000"))
                    );
                }
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                found.insert(path, bytes);
            }
            kind => links.push((kind, String::from_utf8(path).unwrap(), target.unwrap())),
        }
    }
    let mut expected = files(&data);
    expected.remove(&b"sub/again.txt"[..]);
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(found == expected);
    assert_eq!(folders.len(), 3);
    for folder in folders {
        // What is in a folder follows it, with nothing else in between.
        let from = order.iter().position(|path| *path == folder).unwrap();
        let inside = order[from..].iter().take_while(|path| path.starts_with(&folder)).count();
        assert_eq!(inside, order.iter().filter(|path| path.starts_with(&folder)).count());
    }
    assert_eq!(
        links,
        [
            (tar::EntryType::Link, "sub/again.txt".to_owned(), "a.txt".to_owned()),
            (tar::EntryType::Symlink, "sub/link".to_owned(), "../a.txt".to_owned()),
        ]
    );
}

#[test]
fn a_zip_file_holds_every_file() {
    let (folder, data) = backed_up();
    let at = folder.path();
    let records = done(
        at,
        &format!("export latest:{} --format zip --to {}/out.zip --json", data.display(), at.display()),
    )
    .records();
    assert_eq!(records.last().unwrap()["failed"], serde_json::json!([]));
    let mut archive = zip::ZipArchive::new(fs::File::open(at.join("out.zip")).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    for place in 0..archive.len() {
        let mut file = archive.by_index(place).unwrap();
        if file.name() == "sub/link" {
            assert_eq!(file.unix_mode().unwrap() & 0o170_000, 0o120_000);
            continue;
        }
        if file.is_file() {
            if file.name() == "a.txt" {
                assert_eq!(file.unix_mode().unwrap() & 0o7777, 0o640);
                assert_eq!(file.last_modified().unwrap().to_string(), "2009-02-13 23:31:30");
            }
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            found.insert(file.name().as_bytes().to_vec(), bytes);
        }
    }
    let mut expected = files(&data);
    let raw = expected.remove(&b"raw\xff"[..]).unwrap();
    expected.insert(b"raw%{5C}xff".to_vec(), raw);
    assert!(found == expected, "{:?} {:?}", found.keys(), expected.keys());
}

#[test]
fn messages_go_into_a_mailbox_file_or_a_folder() {
    let (folder, data) = backed_up();
    let at = folder.path();
    let ended = done(at, &format!("export latest:{} --format mbox --to -", data.display()));
    let one = "From ann@contoso.com ";
    let from = ended.results.find(one).unwrap();
    let text = &ended.results[from..];
    let body = text.split_once('\n').unwrap().1;
    assert!(
        body.starts_with("From: Ann <ann@contoso.com>\nSubject: x\n\n>From here on\n>>From there\nbye\n\n"),
        "{text}"
    );
    assert!(ended.results.contains("From MAILER-DAEMON "), "{}", ended.results);
    assert!(ended.notes.contains("exported 2 messages"), "{}", ended.notes);
    assert!(ended.notes.contains("items left out: no messages"), "{}", ended.notes);

    let to = at.join("eml");
    done(at, &format!("export latest:{} --format eml --to {}", data.display(), to.display()));
    let found = files(&to);
    assert_eq!(found.keys().collect::<Vec<_>>(), [&b"mail/one.eml"[..], b"mail/two.EML"]);
    assert_eq!(found[&b"mail/one.eml"[..]], MESSAGE.as_bytes());

    // One message alone.
    let one =
        format!("export latest:{}/mail/one.eml --format mbox --to {}/one", data.display(), at.display());
    done(at, &one);
    assert!(fs::read_to_string(at.join("one")).unwrap().starts_with("From ann@contoso.com "));
    let again = larder(at, &one);
    assert!(again.code == 1 && again.notes.contains("is there already"), "{}", again.notes);
    assert_eq!(larder(at, "export latest --format eml --to -").code, 2);
    assert_eq!(larder(at, "export latest --format tar --to - --json").code, 2);
    assert_eq!(larder(at, "export latest:/nowhere --format tar --to x").code, 1);
    assert!(!at.join("x").exists());
}

#[test]
fn what_is_damaged_is_named_and_the_rest_is_taken_out() {
    let (folder, data) = backed_up();
    let at = folder.path();
    // The largest pack of data holds the noise.
    let packs = files(&at.join("repository/data"));
    let (name, bytes) = packs.iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let mut bytes = bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(at.join("repository/data").join(std::ffi::OsStr::from_bytes(name)), bytes).unwrap();
    for format in ["tar", "zip"] {
        let line = format!(
            "export latest:{} --format {format} --to {}/out.{format} --json",
            data.display(),
            at.display()
        );
        let ended = larder(at, &line);
        assert_eq!(ended.code, 3, "{}", ended.results);
        let records = ended.records();
        let failed = records.last().unwrap()["failed"].as_array().unwrap().clone();
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert!(failed[0]["path"].as_str().unwrap().ends_with("/noise"), "{failed:?}");
    }
    let mut archive = tar::Archive::new(fs::File::open(at.join("out.tar")).unwrap());
    let names: Vec<_> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path_bytes().into_owned()).collect();
    assert!(names.iter().any(|name| name == b"sub/b.bin"), "what comes after it is in its place");
    let archive = zip::ZipArchive::new(fs::File::open(at.join("out.zip")).unwrap()).unwrap();
    assert!(archive.file_names().any(|name| name == "sub/b.bin"));
}

#[test]
fn a_restore_is_read_back_and_what_differs_is_named() {
    let (folder, data) = backed_up();
    let at = folder.path();
    let line = format!("restore latest:{} --to {}/back --verify", data.display(), at.display());
    let told = done(at, &line).results;
    assert!(told.contains("  read back 10 files, 3.4 MB: all are as in the snapshot"), "{told}");

    // What is left as it was counts too: by size and time it looks right, or it may not be touched.
    let back = at.join("back");
    let noise = back.join("noise");
    let time = fs::metadata(&noise).unwrap().modified().unwrap();
    let mut bytes = fs::read(&noise).unwrap();
    bytes[1_000_000] ^= 1;
    fs::write(&noise, bytes).unwrap();
    fs::File::options().write(true).open(&noise).unwrap().set_modified(time).unwrap();
    fs::write(back.join("empty"), "no more").unwrap();
    fs::remove_file(back.join("sub/link")).unwrap();
    std::os::unix::fs::symlink("elsewhere", back.join("sub/link")).unwrap();
    let ended = larder(at, &format!("{line} --overwrite never --json"));
    assert_eq!(ended.code, 3, "{}", ended.results);
    let records = ended.records();
    let verified = &records.last().unwrap()["verified"];
    assert_eq!(verified["right"], 7);
    let mut wrong: Vec<(String, String)> = verified["wrong"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair["path"].as_str().unwrap().to_owned(), pair["reason"].as_str().unwrap().to_owned()))
        .collect();
    wrong.sort();
    let expected = [
        ("empty", "it has 7 bytes instead of 0"),
        ("noise", "it has other bytes"),
        ("sub/link", "it leads elsewhere"),
    ];
    let expected = expected.map(|(name, why)| (back.join(name).display().to_string(), why.to_owned()));
    assert_eq!(wrong, expected);

    // Written over, all is right again; only what was asked for is looked at.
    done(at, &format!("{line} --overwrite always"));
    fs::write(back.join("empty"), "no more").unwrap();
    let told = done(at, &format!("{line} --overwrite never --exclude empty")).results;
    assert!(told.contains("all are as in the snapshot"), "{told}");
}
