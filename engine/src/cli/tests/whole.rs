//! Commands from beginning to end, on a folder of files and a repository beside it.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use super::{
    super::{output::tests::kept, *},
    parse,
};

/// What a command left behind.
pub(super) struct Ended {
    pub(super) code: u8,
    pub(super) results: String,
    pub(super) notes: String,
}

impl Ended {
    /// Every line of the results, which must all be records.
    pub(super) fn records(&self) -> Vec<Value> {
        self.results.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
    pub(super) fn of_type<'a>(records: &'a [Value], word: &str) -> Vec<&'a Value> {
        records.iter().filter(|record| record["type"] == word).collect()
    }
}

pub(super) fn larder(folder: &Path, line: &str) -> Ended {
    let words: Vec<&str> = line.split(' ').collect();
    let arguments = parse(&words).unwrap();
    let form = if arguments.global.json { Form::Json } else { Form::Text };
    let (output, results, notes) = kept(form, Verbosity::Normal);
    let around = Surroundings {
        environment: Environment {
            current: folder.to_owned(),
            state_dir: Some(folder.join("state")),
            cache_dir: Some(folder.join("cache")),
            ..Environment::default()
        },
        interrupt: Interrupt::new(),
    };
    let code = finish(&output, execute(&arguments, &output, &around)).number();
    Ended { code, results: results.text(), notes: notes.text() }
}

/// A folder with a config, a password and some files.
pub(super) fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("password"), "correct horse\n").unwrap();
    fs::set_permissions(at.join("password"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir_all(at.join("data/sub")).unwrap();
    fs::write(at.join("data/a.txt"), "content of a").unwrap();
    fs::write(at.join("data/sub/b.bin"), vec![7; 300_000]).unwrap();
    let config = format!(
        "[repository.main]\nurl = \"file://{0}/repository\"\npassword = {{ file = \"password\" }}\n\n\
         [set.home]\nrepository = \"main\"\nsource = \"files\"\noptions = {{ paths = [\"{0}/data\"] }}\n",
        at.display()
    );
    fs::write(at.join("larder.toml"), config).unwrap();
    folder
}

#[test]
fn a_backup_goes_out_and_comes_back() {
    let folder = prepared();
    let at = folder.path();
    let data = format!("{}/data", at.display());
    let done = |line: &str| {
        let ended = larder(at, line);
        assert_eq!(ended.code, 0, "{line}: {}{}", ended.results, ended.notes);
        ended
    };
    assert!(done("init").results.starts_with("made repository `main` at "));
    done("validate");
    assert!(done("discover home").results.contains("data"));
    assert!(done("run home").results.contains("complete"));
    assert_eq!(done("snapshots").results.lines().count(), 2);
    assert!(done("ls latest -r").results.contains("/data/sub/b.bin\n"));
    assert_eq!(done(&format!("cat latest:{data}/a.txt")).results, "content of a");
    let to = at.join("restored");
    done(&format!("restore latest:{data} --to {}", to.display()));
    let restored =
        [to.join("sub/b.bin"), to.join("data/sub/b.bin"), at.join(format!("restored{data}/sub/b.bin"))];
    let found = restored.iter().find(|path| path.exists()).unwrap();
    assert_eq!(fs::read(found).unwrap(), vec![7; 300_000]);
    assert!(done("check --read-data").results.contains("is whole"));
}

#[test]
fn with_json_standard_output_holds_records_and_nothing_else() {
    let folder = prepared();
    let at = folder.path();
    for line in
        ["init", "validate", "discover home", "run --all", "snapshots", "check --read-data", "plugins list"]
    {
        let ended = larder(at, &format!("{line} --json"));
        assert_eq!(ended.code, 0, "{line}: {}{}", ended.results, ended.notes);
        assert!(!ended.records().is_empty(), "{line}");
        assert_eq!(ended.notes, "", "{line}");
    }
    let records = larder(at, "ls latest --recursive --json").records();
    let items = Ended::of_type(&records, "item");
    let item = items.iter().find(|item| item["path"].as_str().unwrap().ends_with("/a.txt")).unwrap();
    let digest = blake3::hash(b"content of a").to_string();
    assert_eq!(item["streams"], serde_json::json!([{ "name": "content", "size": 12, "blake3": digest }]));
    assert_eq!(item["kind"], "file");
    assert!(item["modified"].as_str().unwrap().ends_with('Z'));
    let pieces = larder(at, &format!("cat latest:{} --json", item["path"].as_str().unwrap())).records();
    assert_eq!(pieces[0]["base64"], "Y29udGVudCBvZiBh");
    assert_eq!(Ended::of_type(&larder(at, "run --all --json").records(), "summary")[0]["read_items"], 0);
}

#[test]
fn a_check_reads_as_much_as_it_is_told() {
    let folder = prepared();
    let at = folder.path();
    assert_eq!(larder(at, "init").code, 0);
    assert_eq!(larder(at, "run home").code, 0);
    let checked = |line: &str| {
        let ended = larder(at, line);
        assert_eq!(ended.code, 0, "{line}: {}", ended.results);
        let records = ended.records();
        let number = |key: &str| Ended::of_type(&records, "summary")[0][key].as_u64().unwrap();
        (number("read_packs"), number("packs"), number("read_bytes"), number("pack_bytes"))
    };
    let (none, packs, ..) = checked("check --json");
    assert!(none == 0 && packs >= 2, "{packs}");
    let (all, _, read, bytes) = checked("check --read-data --json");
    assert_eq!((all, read), (packs, bytes));
    assert_eq!(checked("check --read-data=0.01% --json").0, 1);
    let parts: Vec<_> = (1..=3).map(|part| checked(&format!("check --read-data={part}/3 --json"))).collect();
    assert_eq!(parts.iter().map(|part| part.0).sum::<u64>(), packs);
    assert_eq!(parts.iter().map(|part| part.2).sum::<u64>(), bytes);
    let told = larder(at, "check --read-data=0.01%").results;
    assert!(told.contains("1 pack read, ") && told.contains(" % of the bytes"), "{told}");
    assert!(larder(at, "check").results.contains("no pack read"));
}

#[test]
fn failures_end_with_the_promised_codes() {
    let folder = prepared();
    let at = folder.path();
    let code = |line: &str| {
        let ended = larder(at, line);
        (ended.code, ended.notes)
    };
    assert_eq!(code("snapshots").0, 10, "{}", code("snapshots").1);
    assert_eq!(code("run --all").0, 10);
    assert_eq!(code("init").0, 0);
    assert_eq!(code("init").0, 1);
    assert_eq!(code("ls latest").0, 1);
    assert_eq!(code("ls abcdef").0, 1);
    assert_eq!(
        code("run hime"),
        (
            2,
            "error: there is no set `hime` in larder.toml; did you mean `home`?\nhint: known: home\n"
                .to_owned()
        )
    );
    assert_eq!(code("--config nowhere.toml run --all").0, 2);
    fs::write(at.join("password"), "another").unwrap();
    let (number, told) = code("snapshots");
    assert_eq!(number, 12, "{told}");
    assert!(!told.contains("another"), "{told}");
    fs::remove_file(at.join("password")).unwrap();
    assert_eq!(code("snapshots").0, 2);
}

#[test]
fn a_wrong_option_is_shown_in_its_place() {
    let folder = prepared();
    let path = folder.path().join("larder.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, config.replace("paths =", "pathes =")).unwrap();
    let ended = larder(folder.path(), "validate");
    assert_eq!(ended.code, 2);
    assert!(
        ended.notes.contains(
            "error: larder.toml:8:13: unknown key `pathes` in [set.home.options]; did you mean `paths`?\n"
        ),
        "{}",
        ended.notes
    );
    let records = larder(folder.path(), "validate --json").records();
    let error = Ended::of_type(&records, "error")[0];
    assert_eq!((error["kind"].as_str(), error["exit_code"].as_u64()), (Some("config"), Some(2)));
}

#[test]
fn an_interrupt_ends_with_130() {
    let folder = prepared();
    assert_eq!(larder(folder.path(), "init").code, 0);
    let arguments = parse(&["run", "--all"]).unwrap();
    let (output, _, notes) = kept(Form::Text, Verbosity::Normal);
    let interrupt = Interrupt::new();
    interrupt.request();
    let environment = Environment {
        current: folder.path().to_owned(),
        state_dir: Some(folder.path().join("state")),
        cache_dir: Some(folder.path().join("cache")),
        ..Environment::default()
    };
    let code = finish(&output, execute(&arguments, &output, &Surroundings { environment, interrupt }));
    assert_eq!(code.number(), 130, "{}", notes.text());
}

#[test]
fn completions_and_manual_need_no_config() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for shell in ["bash", "zsh", "fish"] {
        let ended = larder(at, &format!("completions {shell}"));
        assert_eq!(ended.code, 0, "{}", ended.notes);
        assert!(ended.results.contains("larder") && ended.results.contains("accept-loss"), "{shell}");
    }
    assert!(larder(at, "man").results.contains(".TH larder 1"));
    let page = larder(at, "man restore --json").records();
    assert!(page[0]["text"].as_str().unwrap().contains("overwrite"));
    assert_eq!(larder(at, "man nothing").code, 2);
}

#[test]
fn plugins_need_no_config() {
    let folder = tempfile::tempdir().unwrap();
    let ended = larder(folder.path(), "plugins list");
    assert_eq!(ended.code, 0, "{}", ended.notes);
    assert!(ended.results.contains("files") && ended.results.contains("object-store"));
    let ended = larder(folder.path(), "plugins info files");
    assert!(ended.results.contains("paths") && ended.results.contains("(required)"), "{}", ended.results);
    assert_eq!(larder(folder.path(), "plugins info fills").code, 2);
}

#[test]
fn forget_drops_what_no_rule_keeps_and_only_that() {
    let folder = prepared();
    let at = folder.path();
    let path = at.join("larder.toml");
    let config = fs::read_to_string(&path).unwrap();
    assert_eq!(larder(at, "forget").code, 2);
    fs::write(&path, config + "keep = { last = 2 }\n").unwrap();
    assert_eq!(larder(at, "init").code, 0);
    for round in 1..=4 {
        fs::write(at.join("data/a.txt"), format!("round {round}")).unwrap();
        assert_eq!(larder(at, "run home").code, 0);
    }
    let runs = || -> Vec<u64> {
        let records = larder(at, "snapshots --json").records();
        records.iter().filter_map(|record| record["run"].as_u64()).collect()
    };
    let looked = larder(at, "forget --dry-run");
    assert!(looked.results.contains("set `home`: would drop 2 snapshots, kept 2"), "{}", looked.results);
    assert_eq!(runs(), [1, 2, 3, 4]);
    let dropped = larder(at, "forget home --json").records();
    let summary = Ended::of_type(&dropped, "summary")[0];
    assert_eq!((summary["dropped"].as_u64(), summary["kept"].as_u64()), (Some(2), Some(2)));
    assert_eq!(dropped.iter().filter(|record| record["dropped"] == true).count(), 2);
    assert_eq!(runs(), [3, 4]);

    // What was dropped is not missed; what stays reads, and runs go on.
    let checked = larder(at, "check --read-data");
    assert_eq!(checked.code, 0, "{}", checked.results);
    assert_eq!(larder(at, &format!("cat latest:{}/data/a.txt", at.display())).results, "round 4");
    assert_eq!(larder(at, "run home").code, 0);
    assert_eq!(runs(), [3, 4, 5]);

    // A snapshot that somebody takes away is.
    let records = larder(at, "snapshots --json").records();
    fs::remove_file(at.join("repository/snapshots").join(records[0]["id"].as_str().unwrap())).unwrap();
    let checked = larder(at, "check");
    assert!(checked.code == 1 && checked.results.contains("number 3"), "{}", checked.results);
    assert_eq!(larder(at, "run home").code, 1);
}

/// Bytes of all objects of a repository beside the config.
fn stored_bytes(folder: &Path) -> u64 {
    let mut waiting = vec![folder.join("repository")];
    let mut bytes = 0;
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(entry.path());
            } else {
                bytes += entry.metadata().unwrap().len();
            }
        }
    }
    bytes
}

/// Bytes that do not compress.
fn noise(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn a_prune_frees_what_was_forgotten_and_nothing_else() {
    let folder = prepared();
    let at = folder.path();
    let config = fs::read_to_string(at.join("larder.toml")).unwrap();
    fs::write(at.join("larder.toml"), config + "keep = { last = 1 }\n").unwrap();
    let done = |line: &str| {
        let ended = larder(at, line);
        assert_eq!(ended.code, 0, "{line}: {}{}", ended.results, ended.notes);
        ended
    };
    done("init");
    fs::write(at.join("data/old.bin"), noise("old", 3 << 20)).unwrap();
    fs::write(at.join("data/kept.bin"), noise("kept", 1 << 20)).unwrap();
    done("run home");
    fs::remove_file(at.join("data/old.bin")).unwrap();
    fs::write(at.join("data/new.bin"), noise("new", 1 << 20)).unwrap();
    done("run home");
    let before = stored_bytes(at);

    // Nothing was forgotten: nothing goes.
    let summary = |line: &str| Ended::of_type(&done(line).records(), "summary")[0].clone();
    let unused = summary("prune --json --max-waste 100");
    assert_eq!((&unused["deleted_packs"], &unused["condemned_packs"]), (&0.into(), &0.into()));
    assert_eq!(stored_bytes(at), before);

    done("forget home");
    let planned = summary("prune --json --dry-run");
    assert!(planned["condemned_packs"].as_u64().unwrap() > 0, "{planned}");
    assert_eq!(fs::read_dir(at.join("repository/removed")).unwrap().count(), 1);
    let pruned = summary("prune --json");
    assert!(pruned["freed_bytes"].as_u64().unwrap() > 2 << 20, "{pruned}");
    let after = stored_bytes(at);
    assert!(after < before - (5 << 19), "{before} bytes became {after}");
    for nothing in ["marks", "sessions", "ended", "checkpoints"] {
        let left = fs::read_dir(at.join("repository/live").join(nothing));
        assert_eq!(left.map_or(0, Iterator::count), 0, "{nothing}");
    }

    done("check --read-data");
    done(&format!("restore latest --to {}/back", at.display()));
    let data = at.join("data");
    let back = at.join("back").join(data.strip_prefix("/").unwrap());
    assert_eq!(fs::read(back.join("kept.bin")).unwrap(), noise("kept", 1 << 20));
    assert_eq!(fs::read(back.join("new.bin")).unwrap(), noise("new", 1 << 20));
    // What is stored is known: a run after it stores nothing of it again.
    let again = summary("run home --json");
    assert!(again["stored_bytes"].as_u64().is_some_and(|bytes| bytes < 100_000), "{again}");
}
