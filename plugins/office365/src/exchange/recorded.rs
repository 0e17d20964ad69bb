//! The recorded answers of a real server, where their folder is given: every one must be read.

use std::path::PathBuf;

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{
    answer::{self, Message, Opened},
    faults::{Advice, Problem},
    properties,
    xml::{Pull, Step},
};

/// The variable that names the folder.
const FOLDER: &str = "LARDER_TRANSCRIPTS";
/// Its answers of an EWS server.
const SERVER: &str = "ews-gromox";

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os(FOLDER).map(|folder| PathBuf::from(folder).join(SERVER));
    if folder.is_none() {
        println!("skipped: {FOLDER} does not name a folder of recorded answers");
    }
    folder
}

fn pull(bytes: &[u8], piece: usize) -> Pull {
    let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Pull::new(stream::iter(pieces).boxed())
}

async fn read(operation: &str, bytes: &[u8], piece: usize) -> Result<Vec<Message>, Problem> {
    let mut pull = pull(bytes, piece);
    match answer::open(&mut pull, operation).await.unwrap_or_else(|error| panic!("{operation}: {error}")) {
        Opened::Response(tag) => {
            Ok(answer::messages(&mut pull, tag).await.unwrap_or_else(|error| panic!("{operation}: {error}")))
        }
        Opened::Fault(problem) => Err(problem),
    }
}

async fn recorded(folder: &std::path::Path, operation: &str) -> Vec<Message> {
    let bytes = std::fs::read(folder.join(format!("{operation}-response.xml"))).unwrap();
    read(operation, &bytes, 1000).await.unwrap()
}

#[tokio::test]
async fn every_answer_is_read() {
    let Some(folder) = folder() else { return };
    let (mut answers, mut faults) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(operation) = name.strip_suffix("-response.xml") else { continue };
        // The answers of two operations are named without what their requests end in.
        let operation = operation.strip_suffix("Request").unwrap_or(operation);
        let bytes = std::fs::read(&path).unwrap();
        for piece in [1, 7, bytes.len()] {
            let mut whole = pull(&bytes, piece);
            loop {
                if whole.step().await.unwrap_or_else(|error| panic!("{name}: {error}")) == Step::Done {
                    break;
                }
            }
            match read(operation, &bytes, piece).await {
                Ok(_) => answers += 1,
                Err(problem) => {
                    assert_eq!(problem.advice(), Advice::Unsupported, "{name}: {problem:?}");
                    faults += 1;
                }
            }
        }
    }
    println!("{answers} answers and {faults} faults read, each in three ways");
    assert!(answers > 90 && faults > 20);
}

#[tokio::test]
async fn a_page_of_a_folder_reads() {
    let Some(folder) = folder() else { return };
    let messages = recorded(&folder, "SyncFolderItems").await;
    let page = super::page::page(&messages[0].element);
    assert_eq!((page.rows, page.last), (3, false));
    assert_eq!(
        page.changes[0].0,
        "AAAAANgIL01cI/xNi08aUkFBzqgHAAEAAAClGHtvvNzqHtA8VlcAAAApAAAAAAEAAAClGHtvvNzqHtA8VlcAAAApAAkAAAM="
    );
    assert!(page.state.is_some_and(|state| state.starts_with("AgACARdA")));
}

#[tokio::test]
async fn folders_read() {
    let Some(folder) = folder() else { return };
    let found = recorded(&folder, "FindFolder").await;
    let folders = found[0].element.find("Folders").unwrap();
    assert_eq!(folders.children.len(), 23);
    assert!(
        folders.children.iter().any(|folder| folder.text_of("DisplayName") == Some("Backup-Ünïcode-文件"))
    );
    let tree = recorded(&folder, "SyncFolderHierarchy").await;
    let changes = tree[0].element.child("Changes").unwrap();
    let classes: Vec<_> =
        changes.children.iter().filter_map(|change| change.children[0].text_of("FolderClass")).collect();
    assert_eq!(changes.children.len(), 23);
    assert!(classes.contains(&"IPF.Appointment") && classes.contains(&"IPF.Contact"));
    assert_eq!(recorded(&folder, "GetFolder").await.len(), 13);
}

#[tokio::test]
async fn an_item_reads() {
    let Some(folder) = folder() else { return };
    let messages = recorded(&folder, "GetItem").await;
    let item = &messages[0].element.child("Items").unwrap().children[0];
    let meta = properties::read(item);
    let text = |name: &str| super::item::text_of(&meta, name).to_owned();
    assert_eq!((text("item_class").as_str(), text("subject").as_str()), ("IPM.Note", "mime ü"));
    let mime = super::base64::decode(item.text_of("MimeContent").unwrap()).unwrap();
    assert!(mime.starts_with(b"MIME-Version: 1.0\r\n") && mime.ends_with(b"--\r\n"));
}

/// The server sends a bogus second answer after a fault on the same connection: it must not pass for ours.
#[tokio::test]
async fn an_answer_to_nothing_is_foreign() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("desync-after-fault-raw.txt")).unwrap();
    let start = text.find("<?xml").unwrap();
    let end = start + text[start..].find("</SOAP:Envelope>").unwrap() + "</SOAP:Envelope>".len();
    let error = answer::open(&mut pull(&text.as_bytes()[start..end], 64), "ExportItems").await.unwrap_err();
    assert_eq!(error.code(), Some("ews-answer-foreign"));
}
