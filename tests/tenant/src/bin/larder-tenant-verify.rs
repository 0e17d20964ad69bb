//! Holds a restored directory against the tenant's manifest: every item must be there, in its folder, byte for byte, and nothing else.
//!
//! `larder-tenant-verify MANIFEST DIRECTORY`, with the manifest as the control port gives it. Prints what differs and ends with 1 if
//! anything does.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;

/// Most differences shown one by one.
const SHOWN_MAX: usize = 40;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [manifest, directory] = arguments.as_slice() else {
        return fail("usage: larder-tenant-verify MANIFEST DIRECTORY");
    };
    match verify(Path::new(manifest), Path::new(directory)) {
        Ok(report) => report.tell(),
        Err(error) => fail(&format!("cannot compare {manifest} with {directory}: {error}")),
    }
}

#[expect(clippy::print_stderr, reason = "this is a command")]
fn fail(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::FAILURE
}

/// What was compared and what differs.
#[derive(Default)]
struct Report {
    items: u64,
    bytes: u64,
    differences: Vec<String>,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "this is a command")]
    fn tell(&self) -> ExitCode {
        for difference in self.differences.iter().take(SHOWN_MAX) {
            println!("{difference}");
        }
        if self.differences.is_empty() {
            println!("all {} items of the manifest are there, {} bytes equal", self.items, self.bytes);
            return ExitCode::SUCCESS;
        }
        println!("{} differences in {} items", self.differences.len(), self.items);
        ExitCode::FAILURE
    }

    fn differs(&mut self, text: String) {
        self.differences.push(text);
    }
}

/// The restored files of one folder by digest, as they are found in the manifest.
struct Restored {
    files: BTreeMap<PathBuf, BTreeMap<String, Vec<PathBuf>>>,
    folders: BTreeSet<PathBuf>,
}

fn verify(manifest: &Path, directory: &Path) -> Result<Report, Box<dyn Error>> {
    let mut restored = Restored { files: BTreeMap::new(), folders: BTreeSet::new() };
    restored.read(directory, Path::new(""))?;
    let mut report = Report::default();
    let text = fs::read_to_string(manifest)?;
    let mut items = text.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    // What has no digest takes what is left.
    items.sort_by_key(|item| item["blake3"].is_null());
    for item in &items {
        report.items += 1;
        compare(item, directory, &mut restored, &mut report)?;
    }
    let sites: BTreeSet<PathBuf> = items.iter().filter(|item| item["kind"] == "site").map(site).collect();
    for left in restored.files.values().flat_map(BTreeMap::values).flatten() {
        if is_beside(left, directory) {
            continue;
        }
        // A site without lists has settings all the same, and no line.
        let settings = left.parent().filter(|folder| folder.ends_with("@site")).and_then(Path::parent);
        if settings.is_none_or(|site| sites.contains(site)) {
            report.differs(format!("not in the manifest: {}", left.display()));
        }
    }
    Ok(report)
}

/// What a mailbox's item has beside its content: `NAME.eml.fts`, `NAME.ics.json`.
fn is_beside(path: &Path, directory: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    path.starts_with("exchange")
        && matches!(extension, Some("fts" | "json"))
        && directory.join(path.with_extension("")).is_file()
}

impl Restored {
    fn read(&mut self, top: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
        for entry in fs::read_dir(top.join(folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.folders.insert(path.clone());
                self.read(top, &path)?;
            } else {
                let mut hasher = blake3::Hasher::new();
                std::io::copy(&mut fs::File::open(entry.path())?, &mut hasher)?;
                let digest = hasher.finalize().to_hex().to_string();
                self.files.entry(folder.to_owned()).or_default().entry(digest).or_default().push(path);
            }
        }
        Ok(())
    }

    /// Takes a file of this content out of a folder, the one called `name` if there is a choice.
    fn take(&mut self, folder: &Path, digest: &str, name: &str) -> Option<PathBuf> {
        let files = self.files.get_mut(folder)?.get_mut(digest)?;
        let place =
            files.iter().position(|path| path.file_name().is_some_and(|file| file == name)).unwrap_or(0);
        (place < files.len()).then(|| files.remove(place))
    }

    /// Takes any file that is an item's content.
    fn take_any(&mut self, folder: &Path, directory: &Path) -> Option<PathBuf> {
        self.files.get_mut(folder)?.values_mut().find_map(|same| {
            let place = same.iter().position(|path| !is_beside(path, directory))?;
            Some(same.remove(place))
        })
    }

    /// Takes a file by its name.
    fn take_named(&mut self, folder: &Path, name: &str) -> Option<PathBuf> {
        let files = self.files.get_mut(folder)?;
        files.values_mut().find_map(|same| {
            let place = same.iter().position(|path| path.file_name().is_some_and(|file| file == name))?;
            Some(same.remove(place))
        })
    }
}

fn compare(
    item: &Value,
    directory: &Path,
    restored: &mut Restored,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let text = |key: &str| item[key].as_str().unwrap_or_default();
    match (text("service"), text("kind")) {
        ("sharepoint", "site") => {
            expect_folder(&site(item), restored, report);
            expect_settings(item, directory, restored, report)?;
        }
        ("sharepoint", kind @ ("list" | "library" | "folder")) => {
            let path = sharepoint_path(item);
            expect_folder(&path, restored, report);
            if kind != "folder" {
                expect_schema(item, directory, &path, restored, report)?;
            }
            expect_permissions(item, directory, &path, restored, report)?;
        }
        ("sharepoint", "list_item") => {
            let path = sharepoint_path(item);
            let name = format!("{}.json", name_of(&path));
            let folder = path.parent().unwrap_or(Path::new(""));
            match restored.take_named(folder, &name) {
                None => report.differs(format!("missing: {}", folder.join(&name).display())),
                Some(found) => compare_fields(item, &directory.join(found), report)?,
            }
            expect_permissions(item, directory, &folder.join(&name), restored, report)?;
            for attachment in item["attachments"].as_array().into_iter().flatten() {
                let folder = folder.join(format!("{name}.attachments"));
                expect_content(
                    attachment,
                    &folder,
                    attachment["name"].as_str().unwrap_or_default(),
                    directory,
                    restored,
                    report,
                );
            }
        }
        ("sharepoint", _) => {
            let path = sharepoint_path(item);
            expect_content(
                item,
                path.parent().unwrap_or(Path::new("")),
                &name_of(&path),
                directory,
                restored,
                report,
            );
            let versions = beside(&path, "versions");
            for version in item["versions"].as_array().into_iter().flatten() {
                let label = version["label"].as_str().unwrap_or_default();
                expect_content(version, &versions, label, directory, restored, report);
            }
            expect_permissions(item, directory, &path, restored, report)?;
        }
        ("exchange", "settings") => expect_mailbox_settings(item, directory, restored, report)?,
        ("exchange", "folder") => expect_folder(&exchange_path(item), restored, report),
        ("exchange", _) => expect_content(item, &exchange_path(item), "", directory, restored, report),
        (service, kind) => report.differs(format!("the manifest has an unknown item: {service} {kind}")),
    }
    Ok(())
}

/// A document of a mailbox's settings: how it is written is the backup's own, what stands in it is not.
fn expect_mailbox_settings(
    item: &Value,
    directory: &Path,
    restored: &mut Restored,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let (folder, name) = (exchange_path(item), item["name"].as_str().unwrap_or_default());
    let Some(found) = restored.take_named(&folder, name) else {
        report.differs(format!("missing: {}", folder.join(name).display()));
        return Ok(());
    };
    let text = fs::read_to_string(directory.join(&found))?;
    for held in item["holds"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !text.contains(held) {
            report.differs(format!("{}: {held} does not stand in it", found.display()));
        }
    }
    Ok(())
}

fn expect_folder(folder: &Path, restored: &Restored, report: &mut Report) {
    if !restored.folders.contains(folder) {
        report.differs(format!("missing folder: {}", folder.display()));
    }
}

fn expect_content(
    item: &Value,
    folder: &Path,
    name: &str,
    directory: &Path,
    restored: &mut Restored,
    report: &mut Report,
) {
    let found = match item["blake3"].as_str() {
        Some(digest) => restored.take(folder, digest, name),
        // The server makes no MIME of it: what is kept was made from its properties.
        None => restored.take_any(folder, directory),
    };
    match found {
        Some(_) => report.bytes += item["size"].as_u64().unwrap_or_default(),
        None => report.differs(format!(
            "missing or different: {} {}",
            folder.join(name).display(),
            item["subject"].as_str().unwrap_or_default()
        )),
    }
}

/// What restore puts beside `path` for a stream of its item.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    path.with_file_name(format!("{}.{suffix}", name_of(path)))
}

/// Takes the JSON document at a path.
fn take_document(
    directory: &Path,
    path: &Path,
    restored: &mut Restored,
) -> Result<Option<Value>, Box<dyn Error>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    match restored.take_named(folder, &name_of(path)) {
        Some(found) => Ok(Some(serde_json::from_slice(&fs::read(directory.join(found))?)?)),
        None => Ok(None),
    }
}

/// The settings of a site, and what else of it there is.
fn expect_settings(
    item: &Value,
    directory: &Path,
    restored: &mut Restored,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let folder = site(item).join("@site");
    match take_document(directory, &folder.join("web.json"), restored)? {
        Some(web) if web["Title"] == item["title"] && web["Description"] == item["description"] => {}
        other => report.differs(format!("{}: web.json is {other:?}", folder.display())),
    }
    let permissions = take_document(directory, &folder.join("permissions.json"), restored)?;
    if permissions.as_ref().map_or(Value::Null, roles) != item["permissions"] {
        report.differs(format!("{}: permissions differ", folder.display()));
    }
    let groups =
        take_document(directory, &folder.join("groups.json"), restored)?.map_or(Value::Null, |rows| {
            let rows = rows.as_array().into_iter().flatten().map(|group| {
                let users =
                    group["Users"].as_array().into_iter().flatten().map(|user| user["LoginName"].clone());
                (group["Title"].as_str().unwrap_or_default().to_owned(), users.collect::<Value>())
            });
            Value::Object(rows.collect())
        });
    if groups != item["groups"] {
        report.differs(format!(
            "{}: groups differ: {groups}, should be {}",
            folder.display(),
            item["groups"]
        ));
    }
    for name in
        ["fields.json", "content-types.json", "users.json", "role-definitions.json", "recycle-bin.json"]
    {
        take_document(directory, &folder.join(name), restored)?;
    }
    Ok(())
}

/// The columns, content types and views of a list.
fn expect_schema(
    item: &Value,
    directory: &Path,
    path: &Path,
    restored: &mut Restored,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let Some(schema) = take_document(directory, &beside(path, "schema.json"), restored)? else {
        report.differs(format!("missing: the schema of {}", path.display()));
        return Ok(());
    };
    for (wanted, part, name) in [
        ("columns", "Fields", "InternalName"),
        ("content_types", "ContentTypes", "Name"),
        ("views", "Views", "Title"),
    ] {
        let found: BTreeSet<&str> =
            schema[part].as_array().into_iter().flatten().filter_map(|row| row[name].as_str()).collect();
        let missing: Vec<&Value> = item[wanted]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| !found.contains(one.as_str().unwrap_or_default()))
            .collect();
        if !missing.is_empty() {
            report.differs(format!("{}: the schema lacks {missing:?} of {part}", path.display()));
        }
    }
    Ok(())
}

/// The permissions that the thing at `path` has of its own, or none.
fn expect_permissions(
    item: &Value,
    directory: &Path,
    path: &Path,
    restored: &mut Restored,
    report: &mut Report,
) -> Result<(), Box<dyn Error>> {
    let found = take_document(directory, &beside(path, "permissions.json"), restored)?;
    let found = found.as_ref().map_or(Value::Null, roles);
    if found != item["permissions"] {
        report.differs(format!(
            "{}: permissions are {found}, should be {}",
            path.display(),
            item["permissions"]
        ));
    }
    Ok(())
}

/// Names of roles by login name.
fn roles(told: &Value) -> Value {
    let rows = told["RoleAssignments"].as_array().into_iter().flatten().map(|row| {
        let roles =
            row["RoleDefinitionBindings"].as_array().into_iter().flatten().map(|role| role["Name"].clone());
        (row["Member"]["LoginName"].as_str().unwrap_or_default().to_owned(), roles.collect::<Value>())
    });
    Value::Object(rows.collect())
}

/// Every field of the manifest stands in the restored JSON with the same value.
fn compare_fields(item: &Value, file: &Path, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let stored: Value = serde_json::from_slice(&fs::read(file)?)?;
    for (name, value) in item["fields"].as_object().into_iter().flatten() {
        let found = stored.get(name).or_else(|| stored.get("fields").and_then(|fields| fields.get(name)));
        if found.unwrap_or(&Value::Null) != value {
            report.differs(format!("{}: field {name} is {found:?}, should be {value}", file.display()));
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Where a site's own folder is.
fn site(item: &Value) -> PathBuf {
    let url = item["site"].as_str().unwrap_or_default().trim_matches('/');
    let host = item["host"].as_str().unwrap_or_default();
    match (url, host) {
        ("", "my") => PathBuf::from("sharepoint/@my"),
        ("", _) => PathBuf::from("sharepoint/@root"),
        (url, _) => Path::new("sharepoint").join(url),
    }
}

/// A list stands in its site by the last part of its URL: `/sites/a/Lists/Tasks` is `sharepoint/sites/a/Tasks`.
fn sharepoint_path(item: &Value) -> PathBuf {
    let path = item["path"].as_str().unwrap_or_default();
    let base = item["site"].as_str().unwrap_or_default().trim_end_matches('/');
    let inside = path.strip_prefix(base).unwrap_or(path).trim_start_matches('/');
    site(item).join(inside.strip_prefix("Lists/").unwrap_or(inside))
}

fn exchange_path(item: &Value) -> PathBuf {
    let mut path = Path::new("exchange").join(item["mailbox"].as_str().unwrap_or_default());
    let folders = item["path"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // A folder's name may hold what a path's part cannot.
    path.extend(folders.map(|folder| folder.replace('/', "_")));
    path
}
