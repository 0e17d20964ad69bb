//! Looking through snapshots and taking things out of them, from beginning to end.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::whole::{Ended, larder, prepared};

fn done(at: &Path, line: &str) -> Ended {
    let ended = larder(at, line);
    assert_eq!(ended.code, 0, "{line}: {}{}", ended.results, ended.notes);
    ended
}

/// Writes a file and sets its time, in seconds since 1970.
fn write(at: &Path, name: &str, content: &[u8], seconds: u64) {
    let path = at.join("data").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
}

/// Three snapshots: `a.txt` changes twice, `old.txt` is in the first only, `new/late.txt` in the last only.
fn three_snapshots(at: &Path) {
    done(at, "init");
    write(at, "old.txt", b"soon gone", 1_000_000_000);
    write(at, "a.txt", b"one", 1_100_000_000);
    done(at, "run home");
    fs::remove_file(at.join("data/old.txt")).unwrap();
    write(at, "a.txt", b"two, longer", 1_200_000_000);
    done(at, "run home");
    write(at, "a.txt", b"three, longer still", 1_300_000_000);
    write(at, "new/late.txt", b"late", 1_300_000_000);
    done(at, "run home");
}

#[test]
fn find_tells_each_state_of_an_item_and_where_it_is() {
    let folder = prepared();
    let at = folder.path();
    assert_eq!(larder(at, "find x").code, 10);
    done(at, "init");
    assert_eq!(larder(at, "find x").code, 1, "there are no snapshots");
    fs::remove_dir_all(at.join("repository")).unwrap();
    three_snapshots(at);
    let found = |line: &str| -> Vec<(String, u64, u64, u64, bool)> {
        let records = done(at, &format!("{line} --json")).records();
        assert_eq!(records.last().unwrap()["command"], "find");
        let hits = Ended::of_type(&records, "hit");
        assert_eq!(records.last().unwrap()["hits"], hits.len());
        let name = |hit: &Value| hit["path"].as_str().unwrap().rsplit_once("/data/").unwrap().1.to_owned();
        let number = |value: &Value| value.as_u64().unwrap();
        hits.into_iter()
            .map(|hit| {
                let (first, last) = (number(&hit["first"]["run"]), number(&hit["last"]["run"]));
                (name(hit), first, last, number(&hit["size"]), hit["in_newest"].as_bool().unwrap())
            })
            .collect()
    };
    let a = |run: u64, size: u64| ("a.txt".to_owned(), run, run, size, run == 3);
    let old = ("old.txt".to_owned(), 1, 1, 9, false);
    let late = ("new/late.txt".to_owned(), 3, 3, 4, true);
    let b = ("sub/b.bin".to_owned(), 1, 3, 300_000, true);
    assert_eq!(found("find a.txt"), [a(1, 3), a(2, 11), a(3, 19)]);
    assert_eq!(found("find A.TXT"), []);
    assert_eq!(found("find A.TXT -i --newest-only"), [a(3, 19)]);
    assert_eq!(found("find *.txt --newest-only"), [a(3, 19), old.clone(), late.clone()]);
    assert_eq!(found("find **/data/*.txt --newest-only"), [a(3, 19), old.clone()]);
    assert_eq!(found(&format!("find {}/data/sub/**", at.display())), std::slice::from_ref(&b));
    assert_eq!(found("find * --larger 10kB"), [b]);
    assert_eq!(found("find *.txt --smaller 10 --older 2004-01-01"), std::slice::from_ref(&old));
    assert_eq!(found("find *.txt --newer 2011-03-13T07:06Z"), [a(3, 19), late.clone()]);
    assert_eq!(found("find sub new --kind folder").len(), 2);
    let first = done(at, "snapshots --json").records()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(found(&format!("find *.txt --snapshot {} --set home", &first[..10])), [a(1, 3), old]);
    let containers = done(at, "find data --kind directory --json").records();
    assert_eq!((containers[0]["type"].as_str(), containers[0]["snapshots"].as_u64()), (Some("hit"), Some(3)));
}

#[test]
fn find_prints_a_line_for_each_state_and_says_if_nothing_matches() {
    let folder = prepared();
    let at = folder.path();
    three_snapshots(at);
    let ended = done(at, "find a.txt");
    let lines: Vec<&str> = ended.results.lines().collect();
    assert!(lines[0].starts_with("set `home`, 3 snapshots of ") && lines[1].starts_with("KIND"), "{lines:?}");
    assert_eq!(lines.len(), 5);
    assert!(lines[2].starts_with("file              3 B  2004-11-09 "), "{}", lines[2]);
    assert!(lines[4].contains("  latest ") && lines[4].ends_with("/data/a.txt"), "{}", lines[4]);
    assert!(done(at, "find b.bin").results.contains("..latest"));
    let nothing = done(at, "find nowhere");
    assert_eq!((nothing.results.as_str(), nothing.notes.as_str()), ("", "nothing matches in 3 snapshots\n"));
    assert_eq!(done(at, "find nowhere --json").records()[0]["hits"], json!(0));
    assert_eq!(larder(at, "find [a").code, 2);
    assert_eq!(larder(at, "find a --snapshot 123456").code, 1);
}

#[test]
fn diff_tells_what_came_went_changed_and_moved() {
    let folder = prepared();
    let at = folder.path();
    three_snapshots(at);
    let ids: Vec<String> = done(at, "snapshots --json")
        .records()
        .iter()
        .map(|record| record["id"].as_str().unwrap()[..12].to_owned())
        .collect();
    let data = at.join("data").display().to_string();
    let ended = done(at, &format!("diff {} {}", ids[0], ids[1]));
    let lines: Vec<&str> = ended.results.lines().collect();
    assert!(lines.contains(&format!("-   {data}/old.txt").as_str()), "{lines:?}");
    assert!(lines.contains(&format!("M   {data}/a.txt").as_str()), "{lines:?}");
    assert!(lines.last().unwrap().starts_with("0 added, 1 removed, 1 changed, "), "{lines:?}");
    assert_eq!(done(at, &format!("diff {0} {0}", ids[2])).results, "nothing differs\n");

    fs::rename(at.join("data/sub/b.bin"), at.join("data/new/b.bin")).unwrap();
    done(at, "run home");
    let records = done(at, &format!("diff {} latest --json", ids[2])).records();
    let moved = records.iter().find(|record| record["change"] == "moved").unwrap();
    assert_eq!(moved["from"], format!("{data}/sub/b.bin"));
    assert_eq!(
        (moved["path"].as_str(), &moved["content"]),
        (Some(&*format!("{data}/new/b.bin")), &json!(false))
    );
    let summary = Ended::of_type(&records, "summary")[0];
    assert_eq!(
        (&summary["moved"], &summary["added"], &summary["removed"]),
        (&json!(1), &json!(0), &json!(0))
    );

    // A path narrows it down, and counts alone are fewer lines.
    let ended = done(at, &format!("diff {}:{data}/new latest", ids[0]));
    assert!(ended.results.contains("late.txt") && !ended.results.contains("a.txt"), "{}", ended.results);
    assert_eq!(done(at, &format!("diff {} latest --stat", ids[0])).results.lines().count(), 1);
    assert_eq!(larder(at, &format!("diff {}:/a latest:/b", ids[0])).code, 2);
    assert_eq!(larder(at, &format!("diff {}:/a latest", ids[0])).code, 1);
}

#[test]
fn stats_count_what_is_there_and_what_each_snapshot_brought() {
    let folder = prepared();
    let at = folder.path();
    three_snapshots(at);
    // The same bytes under another name cost nothing.
    fs::copy(at.join("data/sub/b.bin"), at.join("data/sub/c.bin")).unwrap();
    done(at, "run home");
    let records = done(at, "stats --json").records();
    let snapshots = Ended::of_type(&records, "snapshot");
    let numbers = |field: &str| -> Vec<u64> {
        snapshots.iter().map(|snapshot| snapshot[field].as_u64().unwrap()).collect()
    };
    // Items are files and folders: data itself is the container.
    assert_eq!(numbers("items"), [4, 3, 5, 6]);
    assert_eq!(numbers("bytes"), [300_012, 300_011, 300_023, 600_023]);
    assert_eq!(numbers("new_bytes"), [300_012, 11, 23, 0]);
    assert!(numbers("new_stored_bytes").iter().all(|bytes| *bytes > 0), "each has tree nodes of its own");
    let set = Ended::of_type(&records, "set")[0];
    assert_eq!(
        (&set["items"], &set["unique_bytes"], &set["exact"]),
        (&json!(6), &json!(300_046), &json!(true))
    );
    assert_eq!(set["bytes_of_all"], json!(1_500_069));
    let summary = Ended::of_type(&records, "summary")[0];
    let on_disk: u64 =
        fs::read_dir(at.join("repository")).unwrap().map(|entry| bytes_below(&entry.unwrap().path())).sum();
    assert_eq!(summary["total_bytes"], json!(on_disk));
    let needed = summary["needed_bytes"].as_u64().unwrap();
    assert!(needed > 0 && needed <= on_disk);
    let set_total = set["stored_bytes"].as_u64().unwrap() + set["tree_bytes"].as_u64().unwrap();
    assert_eq!(needed, set_total);
    assert_eq!(numbers("new_stored_bytes").iter().sum::<u64>(), set_total);

    let shown = done(at, "stats --set home").results;
    assert!(shown.starts_with("set `home`, 4 snapshots\nSNAPSHOT "), "{shown}");
    assert!(shown.contains("each content once         300.0 kB   5.00 : 1"), "{shown}");
}

#[test]
fn a_report_tells_what_each_run_did_beside_the_one_before() {
    let folder = prepared();
    let at = folder.path();
    three_snapshots(at);
    let records = done(at, "report latest --json").records();
    let container = Ended::of_type(&records, "container").pop().unwrap();
    let work = &container["work"];
    let told = [&container["state"], &container["items_before"], &work["read_items"], &work["deleted"]];
    assert_eq!(told.map(Value::to_string), [r#""current""#, "3", "2", "0"], "{container}");
    let summary = records.last().unwrap();
    let totals = ["totals", "totals_before"].map(|key| summary[key]["items"].as_u64().unwrap());
    assert_eq!((summary["run"].as_u64(), totals), (Some(3), [5, 3]), "{summary}");

    let text = done(at, "report").results;
    for part in ["run 3,", "beside   run 2,", "THE RUN BEFORE", "/data", "current", "+2"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let first = done(at, "snapshots --json").records()[0]["id"].as_str().unwrap()[..8].to_owned();
    let page = at.join("report.html");
    done(at, &format!("report {first} --format html --to {}", page.display()));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "{page}");
    assert!(page.contains("/data") && !page.contains("<script"), "{page}");
    assert_eq!(larder(at, "report latest:/data").code, 2);

    done(at, "forget home --keep-last 1");
    assert!(done(at, "report").results.contains("beside   nothing: snapshot "));
}

#[test]
fn a_page_takes_no_name_for_markup() {
    let folder = prepared();
    let at = folder.path();
    done(at, "init");
    write(at, "a.txt", b"one", 1_100_000_000);
    done(at, "run home --tag x");
    let config = fs::read_to_string(at.join("larder.toml")).unwrap();
    fs::write(at.join("larder.toml"), config.replace("/data\"", "/<b>&\"")).unwrap();
    fs::rename(at.join("data"), at.join("<b>&")).unwrap();
    assert_eq!(larder(at, "run home").code, 3, "the old folder is gone");
    let page = done(at, "report --format html").results;
    assert!(page.contains(r#"class="gone">gone"#) && page.contains("its last state is kept"), "{page}");
    assert!(page.contains("/&lt;b&gt;&amp;") && !page.contains("<b>"), "{page}");
}

#[test]
fn every_code_has_a_page_and_an_unknown_one_a_suggestion() {
    let folder = prepared();
    let at = folder.path();
    let all = done(at, "explain --json").records();
    let codes: Vec<&str> = all.iter().map(|page| page["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"no-repository") && codes.len() >= 11, "{codes:?}");
    for code in codes {
        let pages = done(at, &format!("explain {code} --json")).records();
        assert!(pages.iter().all(|page| page["code"] == code && page["meaning"] != ""), "{pages:?}");
    }
    let text = done(at, "explain damaged").results;
    assert!(text.contains("What to do:") && text.contains("larder check"), "{text}");
    let unknown = larder(at, "explain no-repositry");
    assert_eq!(unknown.code, 2);
    assert!(unknown.notes.contains("did you mean `no-repository`?"), "{}", unknown.notes);
}

fn bytes_below(path: &Path) -> u64 {
    if path.is_dir() {
        fs::read_dir(path).unwrap().map(|entry| bytes_below(&entry.unwrap().path())).sum()
    } else {
        fs::metadata(path).unwrap().len()
    }
}

#[test]
fn tags_are_shown_filtered_and_kept() {
    let folder = prepared();
    let at = folder.path();
    done(at, "init");
    done(at, "run home --tag first --tag keep");
    for round in 0..3 {
        write(at, "a.txt", format!("round {round}").as_bytes(), 1_000_000_000);
        done(at, "run home");
    }
    let runs = |line: &str| -> Vec<u64> {
        let records = done(at, &format!("{line} --json")).records();
        let snapshots = Ended::of_type(&records, "snapshot").into_iter();
        snapshots.map(|snapshot| snapshot["run"].as_u64().unwrap()).collect()
    };
    assert_eq!(runs("snapshots --tag keep"), [1]);
    assert_eq!(runs("snapshots --tag keep --tag other"), [1]);
    assert!(done(at, "snapshots").results.contains("first, keep"));
    assert_eq!(done(at, "snapshots --tag other").notes, "no snapshot has this tag\n");

    // Rules on the command line stand for the config's, and need a set.
    assert_eq!(larder(at, "forget --keep-last 1").code, 2);
    assert_eq!(larder(at, "forget home").code, 2, "neither rules nor a config that has them");
    let within = done(at, "forget home --keep-within 1d --dry-run").results;
    assert!(
        within.contains("would drop 0 snapshots, kept 4") && within.contains("newest, within"),
        "{within}"
    );
    let dropped = done(at, "forget home --keep-last 2 --keep-tag keep").results;
    assert!(dropped.contains("dropped 1 snapshot, kept 3") && dropped.contains("  tags\n"), "{dropped}");
    assert_eq!(runs("snapshots"), [1, 3, 4]);

    // The config has the same rules.
    let path = at.join("larder.toml");
    let config = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{config}keep = {{ tags = [\"keep\"], within = \"30m\" }}\n")).unwrap();
    let wrong = larder(at, "forget");
    assert!(wrong.code == 2 && wrong.notes.contains("write `mo` for months"), "{}", wrong.notes);
    fs::write(&path, format!("{config}keep = {{ tags = [\"keep\"] }}\n")).unwrap();
    done(at, "forget");
    assert_eq!(runs("snapshots"), [1, 4]);
}
