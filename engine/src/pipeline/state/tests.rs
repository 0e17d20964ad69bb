//! What becomes of items that come back under another id.

use std::sync::Arc;

use larder_sdk::{Kind, StreamInfo};

use super::*;
use crate::{
    catalog::Content,
    hash::Digest,
    pipeline::tests::World,
    repository::{BlobReader, Nodes},
};

fn mail(id: &str, parent: &str, tag: &str) -> Item {
    Item {
        id: id.into(),
        parent: parent.into(),
        name: "a.eml".into(),
        kind: Kind::MESSAGE,
        folder: false,
        tag: tag.into(),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: vec![StreamInfo::content("message/rfc822", None)],
    }
}

fn stored() -> Vec<StreamRecord> {
    vec![StreamRecord {
        name: "content".into(),
        media: "message/rfc822".into(),
        bytes: 3,
        digest: Digest::of(b"abc"),
        content: Content::One,
    }]
}

/// A mailbox with one message, as a later run finds it.
fn found(owed: bool) -> ContainerState {
    let repository = World::new().repository();
    let nodes = Arc::new(Nodes::in_memory(Arc::new(BlobReader::new(repository, 1 << 20))));
    let container = Container {
        id: "exchange:ann".into(),
        path: vec!["exchange".into(), "ann".into()],
        kind: Kind::new("mailbox"),
        title: "Ann".to_owned(),
        path_ids: false,
        meta: Vec::new(),
    };
    let mut first = ContainerState::new(Arc::clone(&nodes), container.clone(), None, StateCounts::default());
    first.upsert("inbox".into(), mail("old", "inbox", "1"), stored()).unwrap();
    if owed {
        let debt =
            debt("inbox".into(), "a.eml".into(), "inbox".into(), "why".to_owned(), Time::from_seconds(1));
        first.owe(&"old".into(), debt).unwrap();
    }
    let root = first.apply().unwrap();
    ContainerState::new(nodes, container, root, first.counts())
}

fn kept(state: &mut ContainerState, tag: &str) -> bool {
    matches!(
        state.decide(&"filed".into(), &mail("new", "filed", tag)).unwrap(),
        Decision::Keep(streams) if streams == stored()
    )
}

#[test]
fn a_moved_item_takes_its_streams_along_even_if_it_was_told_as_gone_before() {
    let mut state = found(false);
    state.delete(&"old".into()).unwrap();
    state.moved("old".into(), "new".into(), "2".into());
    assert!(kept(&mut state, "2"));
    assert!(!kept(&mut state, "2"), "said once, it holds for one offer");
}

#[test]
fn a_move_that_does_not_hold_is_no_reason_to_keep() {
    let mut state = found(false);
    state.moved("old".into(), "new".into(), "2".into());
    assert!(!kept(&mut state, "3"), "it was offered in another version than told");
    state.moved("never there".into(), "new".into(), "2".into());
    assert!(!kept(&mut state, "2"));
    let mut state = found(true);
    state.moved("old".into(), "new".into(), "2".into());
    assert!(!kept(&mut state, "2"), "what is owed has no streams that could be trusted");
}
