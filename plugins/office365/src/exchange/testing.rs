//! Decoders of what an EWS server answers.

mod answers;

use bytes::Bytes;
use futures::{FutureExt, StreamExt, stream};
use larder_sdk::{Cursor, Event, Offer, Result, abi::check};

use super::{
    answer::{self, Message, Opened},
    base64::Decoder as Base64,
    content::{self, Found},
    cursor::Place,
    discover,
    folders::Trees,
    formats::Format,
    item::{self, Form, Reading},
    page, rebuild,
    xml::{Element, Pull},
};
use crate::testing::{Decoder, keeps_the_rules};

/// The pieces in which an answer comes the second time, in bytes.
const PIECE_BYTES: usize = 61;

/// All of them.
pub(crate) fn decoders() -> Vec<Decoder> {
    vec![
        Decoder::new("EWS: items", &[answers::ITEMS, answers::FAULT], |bytes| of(bytes, "GetItem", items)),
        Decoder::new("EWS: changes in a folder", &[answers::CHANGES], |bytes| {
            of(bytes, "SyncFolderItems", |message| {
                let page = page::page(message);
                assert!(page.changes.len() <= page.rows);
            })
        }),
        Decoder::new("EWS: folders", &[answers::FOLDERS], |bytes| of(bytes, "SyncFolderHierarchy", folders)),
        Decoder::new("EWS: address book", &[answers::RESOLVED], |bytes| {
            of(bytes, "ResolveNames", |message| {
                let containers = discover::containers_of(message);
                check::containers(&containers).unwrap_or_else(|error| panic!("{containers:?}: {error}"));
            })
        }),
        Decoder::new("EWS: content", &[answers::CONTENT], |bytes| {
            let whole = content_of(bytes, bytes.len().max(1));
            assert_eq!(whole, content_of(bytes, PIECE_BYTES), "the pieces make a difference");
            whole.is_some()
        }),
        Decoder::new(
            "cursor of a mail folder",
            &[r#"{"layout":1,"state":"H4sI","complete":true,"begun":1700000000}"#],
            |bytes| {
                let place = Place::read(Some(&Cursor::new(bytes)));
                assert_eq!(Place::read(Some(&place.cursor())), place);
                place != Place::nowhere()
            },
        ),
    ]
}

fn pull(bytes: &[u8], piece: usize) -> Pull {
    let pieces: Vec<_> = bytes.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Pull::new(stream::iter(pieces).boxed())
}

/// Reads an answer to `operation`, whole and in pieces, and shows each message in it.
fn of(bytes: &[u8], operation: &str, look: fn(&Element)) -> bool {
    let whole = read(bytes, bytes.len().max(1), operation);
    let pieces = read(bytes, PIECE_BYTES, operation);
    assert_eq!(whole.is_ok(), pieces.is_ok(), "the pieces make a difference");
    let (Ok(whole), Ok(pieces)) = (whole, pieces) else { return false };
    assert!(whole.iter().map(|message| &message.element).eq(pieces.iter().map(|message| &message.element)));
    for message in &whole {
        if let Some(problem) = &message.problem {
            // Every problem can be told, whatever is in it.
            assert!(!problem.error("ann@contoso.example").message().is_empty());
        }
        look(&message.element);
    }
    true
}

fn read(bytes: &[u8], piece: usize, operation: &str) -> Result<Vec<Message>> {
    let read = async {
        let mut pull = pull(bytes, piece);
        match answer::open(&mut pull, operation).await? {
            Opened::Response(tag) => answer::messages(&mut pull, tag).await,
            Opened::Fault(problem) => {
                Ok(vec![Message { problem: Some(problem), usable: false, element: Element::default() }])
            }
        }
    };
    read.now_or_never().unwrap_or_else(|| panic!("a body in memory never waits"))
}

fn items(message: &Element) {
    let rows = message.child("Items").map(|items| items.children.as_slice()).unwrap_or_default();
    for row in rows {
        for (format, form) in [(Format::Ics, Form::Mime), (Format::Eml, Form::Rebuilt)] {
            offered(item::item(row, &"item".into(), "folder", Reading::plain(form, format)));
        }
        rebuild::look(row);
    }
}

fn folders(message: &Element) {
    let changes = message.child("Changes").map(|changes| changes.children.as_slice()).unwrap_or_default();
    for folder in changes.iter().flat_map(|change| &change.children) {
        offered(Trees::default().item(folder));
    }
}

fn offered(item: Option<larder_sdk::Item>) {
    let Some(item) = item else { return };
    keeps_the_rules(Event::Offer(Offer { scope: "folder".into(), item, carry: None }));
}

/// The bytes of an item's content.
fn content_of(bytes: &[u8], piece: usize) -> Option<Vec<u8>> {
    let read = async {
        let mut pull = pull(bytes, piece);
        let Opened::Response(_) = answer::open(&mut pull, "GetItem").await.ok()? else { return None };
        let Found::Content(_) = content::find(&mut pull, "MimeContent").await.ok()? else { return None };
        let (mut decoder, mut content) = (Base64::default(), Vec::new());
        while let Some(text) = pull.text_piece().await.ok()? {
            decoder.feed(&text, &mut content).ok()?;
        }
        decoder.finish(&mut content).ok()?;
        answer::finish(&mut pull).await.ok()?;
        Some(content)
    };
    read.now_or_never().unwrap_or_else(|| panic!("a body in memory never waits"))
}
