//! Golden bytes: what was sent by a released version is understood for ever.

use std::{fmt::Write, time::Duration};

use super::*;
use crate::{
    Event, Kind, Name, Offer, StreamInfo, Tag, Time, Unread, Value, codec,
    codec::{decode, encode},
};

fn item() -> Item {
    Item {
        id: "i".into(),
        parent: "p".into(),
        name: "n".into(),
        kind: Kind::FILE,
        folder: false,
        tag: Tag::from("t"),
        modified: Some(Time { seconds: -1, nanos: 5 }),
        posix: None,
        meta: vec![("k".into(), Value::List(vec![Value::Int(-3), Value::Bool(true)]))],
        streams: vec![StreamInfo::content("text/plain", Some(300))],
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn an_item_has_these_bytes() {
    let bytes = codec::encode_plain(&item()).unwrap();
    let golden = "0169017001 6e0466696c65000174010105000101 6b07020205 0101 0107636f6e74656e740a746578742f706c61696e01fb2c01";
    assert_eq!(hex(&bytes), golden.replace(' ', ""));
}

#[test]
fn messages_have_these_bytes() {
    let fetch = encode(&Fetch { wants: vec![(1, 0), (300, 2)] }).unwrap();
    assert_eq!(hex(&fetch), "0311010007000000020100fb2c0102");
    let opened = encode(&Opened { handle: 7 }).unwrap();
    assert_eq!(hex(&opened), "028001000100000007");
}

#[test]
fn a_batch_comes_back_event_by_event() {
    let scope = ScopeId::from("s");
    let events = vec![
        Event::Begin(scope.clone()),
        Event::Offer(Offer { scope: scope.clone(), item: item(), carry: None }),
        Event::Deleted("d".into()),
        Event::Unread(Unread {
            scope: scope.clone(),
            id: "u".into(),
            parent: ItemId::default(),
            name: Name::default(),
            error: Error::new(ErrorKind::Denied, "no"),
        }),
        Event::Skipped { id: "x".into(), name: "y".into(), cause: "locked".to_owned() },
        Event::End(scope.clone()),
        Event::Settled(scope.clone(), Cursor::from("c")),
        Event::ScopeGone(scope),
        Event::Moved { was: "a".into(), id: "b".into(), tag: Tag::from("t") },
    ];
    let message = encode_batch(&events).unwrap();
    let mut batch = Batch::open(&message).unwrap();
    for sent in &events {
        let received = match batch.event().unwrap().unwrap() {
            Incoming::Offer { scope, item } => Event::Offer(Offer { scope, item, carry: None }),
            Incoming::Other(event) => event,
        };
        assert_eq!(format!("{received:?}"), format!("{sent:?}"));
    }
    assert!(batch.event().unwrap().is_none());
}

#[test]
fn a_batch_cut_short_or_too_long_is_refused() {
    let message = encode_batch(&[Event::Deleted("d".into())]).unwrap();
    assert!(Batch::open(&message[..message.len() - 1]).is_err());
    let mut longer = message.to_vec();
    longer.push(0);
    longer[4] += 1;
    let mut batch = Batch::open(&longer).unwrap();
    assert!(batch.event().unwrap().is_some());
    assert!(batch.event().is_err());
}

#[test]
fn an_error_crosses_with_all_it_says() {
    let cause = std::io::Error::other("the cable is out");
    for kind in ErrorKind::ALL {
        let error = Error::new(kind, "reading \"a\" failed")
            .with_hint("plug it in")
            .with_code("cable-out")
            .with_retry_after(Duration::from_millis(1500))
            .with_source(
                Error::bug("the network is down")
                    .with_source(std::io::Error::new(cause.kind(), "the cable is out")),
            );
        let back = Failure::decode(&Failure::encode(&error));
        assert_eq!((back.kind(), back.message()), (kind, "reading \"a\" failed"));
        assert_eq!((back.hint(), back.code()), (Some("plug it in"), Some("cable-out")));
        assert_eq!(back.retry_after(), Some(Duration::from_millis(1500)));
        let first = std::error::Error::source(&back);
        let causes: Vec<_> =
            std::iter::successors(first, |cause| cause.source()).map(ToString::to_string).collect();
        assert_eq!(causes, ["the network is down", "the cable is out"]);
    }
}

#[test]
fn an_error_that_does_not_decode_is_an_error() {
    let error = Failure::decode(b"garbage");
    assert_eq!(error.kind(), ErrorKind::Bug);
    assert!(error.message().contains("does not decode"));
}

#[test]
fn every_message_survives_its_way() {
    let read =
        decode::<AskOwed>(&encode(&AskOwed { services: 1, after: Some("a".into()), most: 9 }).unwrap())
            .unwrap();
    assert_eq!(read, AskOwed { services: 1, after: Some("a".into()), most: 9 });
    for op in [0x1001, 0x1004, 0x1101, 0x1201, 0x1308, 0x1807] {
        assert_eq!(Op::from_number(op).unwrap().number(), op);
    }
    assert!(Op::from_number(0x1009).is_err());
}
