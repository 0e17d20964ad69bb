//! Golden repositories: what an earlier build wrote, this one reads, also where it is damaged, and says what it said.
//!
//! `tests/golden/FORMAT` holds a repository as it was made once, and for each kind of damage what the commands say of it. After a change
//! of the stored bytes that is meant, while the format is a draft, all of it is made anew (as root on Linux, with util-linux, so that the
//! host's name is none):
//!
//! ```sh
//! LARDER_GOLDEN=make cargo test -p larder --test golden
//! ```
//!
//! After a change of words alone, `LARDER_GOLDEN=say` writes down what is said now. Look at the difference before it is committed.
#![cfg(all(feature = "files", feature = "object-store", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod golden_files;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use golden_files::{SOURCE, copy, flip, largest, make_tree, objects, tree};
use tempfile::TempDir;

/// The folder of the format that this build writes.
const FORMAT: &str = "format-0";
const PASSWORD: &str = "golden";
/// Runs that the repository was given; the first one's snapshot was forgotten.
const RUNS: u32 = 3;

/// What is done with every damaged repository, in this order.
const COMMANDS: [&str; 8] = [
    "snapshots",
    "ls latest --recursive",
    "restore latest --to $ROOT/restored",
    "check",
    "check --read-data",
    "check --repair --read-data --dry-run",
    "check --repair --read-data",
    "check --read-data",
];

/// The golden folder, made anew first if that is asked for.
static GOLDEN: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(FORMAT);
    if wanted("make") {
        make(&folder);
    }
    folder
});

fn wanted(what: &str) -> bool {
    env::var_os("LARDER_GOLDEN").is_some_and(|value| value == what)
}

/// Makes the repository: three runs over a tree that changes, a second password, a snapshot forgotten, a prune that merges and copies.
fn make(folder: &Path) {
    drop(fs::remove_dir_all(folder));
    fs::create_dir_all(folder).unwrap();
    let place = Place::new(|_| {});
    let own_name = ["--uts", "sh", "-c", r#"hostname golden && exec "$@""#, "sh"];
    let done = |line: &str| {
        let ended = place.run(Command::new("unshare").args(own_name).arg(env!("CARGO_BIN_EXE_larder")), line);
        assert_eq!(ended.code, 0, "{line}: {ended:?}");
        ended.results
    };
    assert!(!Path::new(SOURCE).exists(), "{SOURCE} is in the way");
    done("init");
    for run in 1..=RUNS {
        make_tree(run);
        done(&format!("run home --tag run-{run}"));
    }
    fs::remove_dir_all(SOURCE).unwrap();
    let recovery = done("key add main --recovery --label paper");
    let key = recovery.split_whitespace().find(|word| word.starts_with("LARDER-")).unwrap();
    fs::write(folder.join("recovery-key"), format!("{key}\n")).unwrap();
    done("forget home --keep-last 2");
    done("prune --max-waste 0");
    done("check --read-data");
    copy(&place.repository(), &folder.join("repository"));
}

/// A copy of the repository with everything that commands need beside it.
struct Place {
    root: TempDir,
}

/// How a command ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    results: String,
    notes: String,
}

impl Place {
    fn new(fill: impl FnOnce(&Path)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = root.path();
        let config = format!(
            "[repository.main]\nurl = \"file://{0}/repository\"\npassword = {{ file = \"{0}/password\" }}\n\n\
             [set.home]\nrepository = \"main\"\nsource = \"files\"\noptions = {{ paths = [\"{SOURCE}\"] }}\n\n\
             [set.other]\nrepository = \"main\"\nsource = \"files\"\noptions = {{ paths = [\"{0}/other\"] }}\n",
            at.display()
        );
        fs::write(at.join("larder.toml"), config).unwrap();
        let place = Self { root };
        place.set_password(PASSWORD);
        fill(&place.repository());
        place
    }

    fn set_password(&self, password: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.root.path().join("password");
        fs::write(&path, format!("{password}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A copy of the golden one.
    fn golden() -> Self {
        Self::new(|repository| copy(&GOLDEN.join("repository"), repository))
    }

    fn repository(&self) -> PathBuf {
        self.root.path().join("repository")
    }

    fn larder(&self, line: &str) -> Ended {
        self.run(&mut Command::new(env!("CARGO_BIN_EXE_larder")), line)
    }

    fn run(&self, command: &mut Command, line: &str) -> Ended {
        let root = self.root.path();
        let words = line.split(' ').map(|word| word.replace("$ROOT", &root.display().to_string()));
        let ended = command
            .args(words)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("TZ", "UTC")
            .env("LARDER_CONFIG", root.join("larder.toml"))
            .env("LARDER_STATE", root.join("state"))
            .env("LARDER_CACHE", root.join("cache"))
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended {
            code: ended.status.code().unwrap_or(-1),
            results: text(ended.stdout),
            notes: text(ended.stderr),
        }
    }

    /// What a command said, with nothing in it that another time would differ.
    fn said(&self, line: &str) -> String {
        let ended = self.larder(line);
        let root = self.root.path().display().to_string();
        let known: BTreeSet<String> = objects(&GOLDEN.join("repository"))
            .iter()
            .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        let plain = |text: &str| sorted(&without_new_names(&text.replace(&root, "$ROOT"), &known));
        format!("$ larder {line}\n{}{}exit {}\n\n", plain(&ended.notes), plain(&ended.results), ended.code)
    }
}

/// Items are restored by several threads, and told of as they fail.
fn sorted(text: &str) -> String {
    let (mut items, mut lines): (Vec<&str>, Vec<&str>) =
        text.split_inclusive('\n').partition(|line| line.contains(": not-restored: "));
    items.sort_unstable();
    let at = lines.iter().position(|line| line.starts_with("Restoring")).map_or(0, |at| at + 1);
    drop(lines.splice(at..at, items));
    lines.concat()
}

/// Names and ids, whole or their first eight digits, that are not the golden repository's are random: each becomes a question mark.
fn without_new_names(text: &str, known: &BTreeSet<String>) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word);
        let digits = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let name = digits && matches!(word.len(), 8 | 32);
        plain.push_str(if name && !known.iter().any(|known| known.starts_with(word)) { "?" } else { word });
        let between = after.find(|char: char| char.is_ascii_alphanumeric()).unwrap_or(after.len());
        plain.push_str(&after[..between]);
        rest = &after[between..];
    }
    plain
}

/// Compares what is said with what is written down, or writes it down.
fn hold(case: &str, said: &str) {
    let path = GOLDEN.join("said").join(format!("{case}.txt"));
    if wanted("make") || wanted("say") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, said).unwrap();
        return;
    }
    let before = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        said == before,
        "{case}: what is said has changed; now it is:\n{said}\nin {} it is:\n{before}",
        path.display()
    );
}

/// Damages a copy, and holds what every command says of it. Whatever is restored is what was backed up.
fn damaged(case: &str, damage: impl FnOnce(&Path)) {
    damaged_in(&Place::golden(), case, damage);
}

fn damaged_in(place: &Place, case: &str, damage: impl FnOnce(&Path)) {
    damage(&place.repository());
    let said: String = COMMANDS.iter().map(|line| place.said(line)).collect();
    hold(case, &said);
    let wanted = tree(RUNS);
    let restored = place.root.path().join("restored");
    for path in objects(&restored) {
        let name = path.strip_prefix(restored.join(&SOURCE[1..])).unwrap().to_str().unwrap();
        assert_eq!(Some(&fs::read(&path).unwrap()), wanted.get(name), "{name}");
    }
}

#[test]
fn the_whole_one_reads_as_it_was_written() {
    let place = Place::golden();
    let lines = [
        "snapshots --json",
        "ls latest --recursive --json",
        "find *.eml",
        "stats",
        "key list",
        "check --read-data",
        "check --repair --read-data",
        "forget home --keep-last 1 --dry-run",
        "prune --dry-run",
    ];
    let said: String = lines.iter().map(|line| place.said(line)).collect();
    hold("whole", &said);
    let ended = place.larder("restore latest --to $ROOT/restored");
    assert_eq!(ended.code, 0, "{ended:?}");
    let restored = place.root.path().join("restored").join(&SOURCE[1..]);
    for (name, content) in tree(RUNS) {
        assert_eq!(fs::read(restored.join(&name)).unwrap(), content, "{name}");
    }
    assert_eq!(fs::read_link(restored.join("a link")).unwrap(), Path::new("a/small 1"));
    assert!(restored.join("an empty folder").is_dir());
}

#[test]
fn the_whole_one_is_gone_on_with() {
    let place = Place::golden();
    place.set_password(fs::read_to_string(GOLDEN.join("recovery-key")).unwrap().trim());
    let other = place.root.path().join("other");
    fs::create_dir(&other).unwrap();
    for (name, content) in tree(1).into_iter().filter(|(name, _)| !name.contains('/')) {
        fs::write(other.join(name), content).unwrap();
    }
    for line in [
        "run other",
        "forget home --keep-last 1",
        "prune --max-waste 0",
        "check --read-data",
        "cat latest:$ROOT/other/notes --set other",
    ] {
        let ended = place.larder(line);
        assert_eq!(ended.code, 0, "{line}: {ended:?}");
    }
}

#[test]
fn another_password_opens_nothing() {
    let place = Place::golden();
    place.set_password("other");
    hold("another-password", &["snapshots", "check"].map(|line| place.said(line)).concat());
}

#[test]
fn a_flipped_bit_in_a_data_pack() {
    damaged("data-pack-flipped", |repository| flip(&largest(&repository.join("data")), 2));
}

#[test]
fn a_flipped_bit_in_a_tree_pack() {
    damaged("tree-pack-flipped", |repository| flip(&largest(&repository.join("trees")), 2));
}

#[test]
fn a_missing_data_pack() {
    damaged("data-pack-missing", |repository| fs::remove_file(largest(&repository.join("data"))).unwrap());
}

#[test]
fn a_missing_tree_pack() {
    damaged("tree-pack-missing", |repository| fs::remove_file(largest(&repository.join("trees"))).unwrap());
}

#[test]
fn a_truncated_pack() {
    damaged("data-pack-truncated", |repository| golden_files::cut(&largest(&repository.join("data"))));
}

#[test]
fn a_truncated_index_segment() {
    damaged("index-truncated", |repository| golden_files::cut(&largest(&repository.join("index/data"))));
}

#[test]
fn a_damaged_snapshot() {
    damaged("snapshot-flipped", |repository| flip(&snapshot(repository, RUNS), 2));
}

#[test]
fn a_missing_snapshot() {
    damaged("snapshot-missing", |repository| fs::remove_file(snapshot(repository, RUNS - 1)).unwrap());
}

#[test]
fn a_missing_newest_snapshot_that_this_machine_saw() {
    let place = Place::golden();
    assert_eq!(place.larder("ls latest").code, 0);
    damaged_in(&place, "newest-snapshot-missing", |repository| {
        fs::remove_file(snapshot(repository, RUNS)).unwrap();
    });
}

#[test]
fn a_damaged_config() {
    damaged("config-flipped", |repository| flip(&repository.join("config"), 2));
}

#[test]
fn a_missing_config() {
    damaged("config-missing", |repository| fs::remove_file(repository.join("config")).unwrap());
}

#[test]
fn a_damaged_key_slot() {
    damaged("key-slot-flipped", |repository| flip(&objects(&repository.join("keys"))[0], 2));
}

#[test]
fn a_damaged_removal_record() {
    damaged("removal-record-flipped", |repository| flip(&largest(&repository.join("removed")), 2));
}

/// The snapshot of a run.
fn snapshot(repository: &Path, run: u32) -> PathBuf {
    let ended = Place::golden().larder("snapshots --json");
    let line = ended.results.lines().find(|line| line.contains(&format!("\"run\":{run},"))).unwrap();
    let id = line.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    repository.join("snapshots").join(id)
}
