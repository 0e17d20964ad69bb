//! The reader against hostile, broken and oversized documents, and against the recorded answers of a real server.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use larder_sdk::{Error, ErrorKind, Result};

use super::*;
use crate::exchange::base64::Decoder;

fn body(pieces: Vec<Vec<u8>>) -> ByteStream {
    stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece)))).boxed()
}

fn cut(text: &str, size: usize) -> Pull {
    Pull::new(body(text.as_bytes().chunks(size).map(<[u8]>::to_vec).collect()))
}

async fn whole(mut pull: Pull) -> Result<Element> {
    let Step::Start(tag) = pull.step().await? else { panic!("no root") };
    let element = pull.tree(tag).await?;
    assert_eq!(pull.step().await?, Step::Done);
    Ok(element)
}

#[tokio::test]
async fn a_tree_is_the_same_however_the_bytes_arrive() {
    let text = "\u{FEFF}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<s:a xmlns:s=\"urn:x\" Id=\"1&amp;2&#x1;\"><!-- no --><t:b/>\
        x&#x1;y&lt;&#65;<t:c xml:lang=\"de\">\u{FC} <![CDATA[<&>]]></t:c></s:a> \r\n";
    let wanted = whole(cut(text, text.len())).await.unwrap();
    assert_eq!(wanted.name, "a");
    assert_eq!(wanted.attribute("Id"), Some("1&2"));
    assert_eq!(wanted.text, "xy<A");
    assert_eq!(wanted.text_of("c"), Some("\u{FC} <&>"));
    assert_eq!(wanted.children.len(), 2);
    for size in 1..40 {
        assert_eq!(whole(cut(text, size)).await.unwrap(), wanted, "pieces of {size}");
    }
}

#[tokio::test]
async fn what_is_no_whole_document_is_an_error() {
    for (text, code) in [
        ("", "ews-answer-truncated"),
        ("<a><b>", "ews-answer-truncated"),
        ("<a><b></b>", "ews-answer-truncated"),
        ("<a></b>", "ews-answer-malformed"),
        ("<a/><b/>", "ews-answer-malformed"),
        ("<a/>tail", "ews-answer-malformed"),
        ("<a/>=== Truncated Data ===", "ews-answer-truncated"),
        ("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "ews-answer-malformed"),
        ("<a>&nbsp;</a>", "ews-answer-malformed"),
        ("<html><br></html>", "ews-answer-malformed"),
    ] {
        let mut pull = cut(text, 3);
        let error = loop {
            match pull.step().await {
                Ok(Step::Done) => panic!("{text} was taken for a document"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), Some(code), "{text}: {error}");
    }
}

#[tokio::test]
async fn depth_and_sizes_are_bounded() {
    let deep = "<a>".repeat(DEPTH_MAX + 1);
    let mut pull = cut(&deep, 1000);
    let mut error = None;
    while error.is_none() {
        error = pull.step().await.err();
    }
    assert!(error.unwrap().message().contains("deep"));

    let long = format!("<a>{}</a>", "x".repeat(EVENT_BYTES_MAX + 1));
    assert!(whole(cut(&long, 65536)).await.is_err(), "one text");
    let wide = format!("<a>{}</a>", "<b>0123456789</b>".repeat(TREE_BYTES_MAX / 64));
    assert!(whole(cut(&wide, 65536)).await.is_err(), "many elements");
}

#[tokio::test]
async fn an_error_of_the_wire_comes_through() {
    let pieces = vec![
        Ok(Bytes::from_static(b"<a><b>text")),
        Err(Error::new(ErrorKind::Unavailable, "connection reset").with_code("net")),
    ];
    let mut pull = Pull::new(stream::iter(pieces).boxed());
    assert!(matches!(pull.step().await, Ok(Step::Start(_))));
    let Step::Start(tag) = pull.step().await.unwrap() else { panic!() };
    let error = pull.tree(tag).await.unwrap_err();
    assert_eq!(error.code(), Some("net"));
}

/// A document whose one text is far larger than every bound passes through in pieces, read no faster than asked for.
#[tokio::test]
async fn a_huge_text_streams() {
    const PIECES: usize = 2000;
    let fed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&fed);
    let head = stream::iter([Ok(Bytes::from_static(b"<r><Mime>"))]);
    let middle = stream::iter(0..PIECES).map(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from(vec![b'A'; 65536]))
    });
    let tail = stream::iter([Ok(Bytes::from_static(b"&#xD;\n</Mime><Code>NoError</Code></r>"))]);
    let mut pull = Pull::new(head.chain(middle).chain(tail).boxed());
    pull.step().await.unwrap();
    pull.step().await.unwrap();
    let (mut decoder, mut bytes, mut seen) = (Decoder::default(), Vec::new(), 0);
    while let Some(piece) = pull.text_piece().await.unwrap() {
        decoder.feed(&piece, &mut bytes).unwrap();
        seen += bytes.len();
        bytes.clear();
        assert!(seen / 49152 + 2 >= fed.load(Ordering::Relaxed), "read ahead without being asked");
    }
    decoder.finish(&mut bytes).unwrap();
    assert_eq!(seen, PIECES * 49152);
    let Step::Start(tag) = pull.step().await.unwrap() else { panic!() };
    assert_eq!(pull.tree(tag).await.unwrap().text, "NoError");
    assert_eq!(pull.step().await.unwrap(), Step::End);
    assert_eq!(pull.step().await.unwrap(), Step::Done);
}

#[tokio::test]
async fn text_pieces_stop_at_their_end() {
    let mut pull = cut("<r><E/>tail<F>ab&amp;<![CDATA[c]]></F><G><H/></G></r>", 4);
    pull.step().await.unwrap();
    pull.step().await.unwrap();
    assert_eq!(pull.text_piece().await.unwrap(), None, "an empty element has no text");
    assert_eq!(pull.step().await.unwrap(), Step::Text("tail".into()));
    pull.step().await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = pull.text_piece().await.unwrap() {
        text.extend(piece);
    }
    assert_eq!(text, b"ab&c");
    pull.step().await.unwrap();
    assert!(pull.text_piece().await.is_err(), "an element inside");
}

#[tokio::test]
async fn skipping_passes_over_an_element() {
    let mut pull = cut("<r><a><b>x</b><c/></a><d/></r>", 5);
    pull.step().await.unwrap();
    pull.step().await.unwrap();
    pull.skip().await.unwrap();
    assert!(matches!(pull.step().await.unwrap(), Step::Start(tag) if tag.name == "d"));
    pull.skip().await.unwrap();
    assert_eq!(pull.step().await.unwrap(), Step::End);
}
