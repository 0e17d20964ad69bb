//! The tree that the golden repository was made of, and files to copy and to damage.

use std::{
    collections::BTreeMap,
    fs::{self, File, FileTimes},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// Where the tree lay when it was backed up: paths in a snapshot are whole ones.
pub(crate) const SOURCE: &str = "/tmp/larder-golden";
/// The time of everything in it.
const MODIFIED: u64 = 1_767_225_600;
/// Bytes that no compression makes smaller.
const RANDOM_BYTES: usize = 30_000;

/// The files of the tree before a run, by path below it.
pub(crate) fn tree(run: u32) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for number in 0..10 + run {
        let line = format!("line {number} of many that are alike\n");
        files.insert(format!("a/small {number}"), line.repeat(1 + number as usize % 20).into_bytes());
    }
    files.insert("notes".to_owned(), format!("taken before run {run}\n").into_bytes());
    files.insert("empty".to_owned(), Vec::new());
    files.insert("a/deeper/größe 日本語".to_owned(), b"a name of many letters".to_vec());
    files.insert("random".to_owned(), random("random", RANDOM_BYTES));
    files.insert(format!("random {run}"), random(&run.to_string(), RANDOM_BYTES / 3));
    files.insert("mail.eml".to_owned(), mail(&random("attachment", RANDOM_BYTES / 3)));
    // Longer than one chunk, and next to nothing when compressed.
    files.insert("long".to_owned(), b"the same words again and again, ".repeat(60_000));
    files
}

/// Writes it, with what is no file.
pub(crate) fn make_tree(run: u32) {
    let source = Path::new(SOURCE);
    drop(fs::remove_dir_all(source));
    let mut folders = vec![source.join("an empty folder")];
    for (name, content) in tree(run) {
        let path = source.join(name);
        folders.push(path.parent().unwrap().to_owned());
        fs::create_dir_all(folders.last().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_time(&path);
    }
    fs::create_dir_all(&folders[0]).unwrap();
    symlink("a/small 1", source.join("a link")).unwrap();
    for folder in &folders {
        set_time(folder);
    }
}

fn set_time(path: &Path) {
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED);
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(modified)).unwrap();
}

fn random(name: &str, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut content);
    content
}

fn mail(attachment: &[u8]) -> Vec<u8> {
    let lines: Vec<String> = attachment
        .chunks(57)
        .map(|line| line.iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}")))
        .collect();
    format!(
        "From: Ann <ann@contoso.example>\r\nSubject: golden\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

/// Every file below a folder, in order; links are none.
pub(crate) fn objects(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// The largest object below a folder.
pub(crate) fn largest(folder: &Path) -> PathBuf {
    objects(folder).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

/// Copies every object.
pub(crate) fn copy(from: &Path, to: &Path) {
    for path in objects(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, fs::read(path).unwrap()).unwrap();
    }
}

/// Flips a bit at one part in so many of an object.
pub(crate) fn flip(object: &Path, part: usize) {
    let mut bytes = fs::read(object).unwrap();
    let at = bytes.len() / part;
    bytes[at] ^= 0x10;
    fs::write(object, bytes).unwrap();
}

/// Cuts an object in half.
pub(crate) fn cut(object: &Path) {
    let mut bytes = fs::read(object).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(object, bytes).unwrap();
}
