//! The suite passes on what keeps the contract, and names what does not.

use std::sync::Arc;

use super::*;
use crate::{
    ErrorKind,
    testing::{
        Call, Effect, Fault, Faults, FaultyDestination, FaultySource, MemoryDestination, ScriptedSource,
        scripted_item,
    },
};

fn source() -> ScriptedSource {
    let source = ScriptedSource::new();
    for number in 1..=100 {
        source.upsert(
            "first",
            scripted_item(&format!("item-{number}"), vec![number; usize::from(number) * 1000]),
        );
    }
    source.upsert("first", scripted_item("large", vec![7; 3 << 20]));
    source.upsert("second", scripted_item("only", "one"));
    source
}

#[tokio::test]
async fn a_scripted_source_conforms() {
    let report = check_source(&source()).await.unwrap();
    assert_eq!(report, SourceReport { containers: 2, items: 102, streams: 102 });
}

#[tokio::test]
async fn a_destination_in_memory_conforms() {
    let destination = MemoryDestination::new();
    check_destination(&destination, "conformance/test").await.unwrap();
    assert!(destination.is_empty());
}

#[tokio::test]
async fn faults_of_a_source_are_named() {
    for (call, effect, check) in [
        (Call::Validate, Effect::Fail(ErrorKind::Unavailable), "validate"),
        (Call::Discover, Effect::Fail(ErrorKind::Unavailable), "discover"),
        (Call::Next, Effect::Fail(ErrorKind::Unavailable), "next"),
        (Call::Open, Effect::Fail(ErrorKind::Denied), "open"),
        (Call::ReadBody, Effect::Fail(ErrorKind::CorruptItem), "body"),
        (Call::ReadBody, Effect::Short, "open"),
    ] {
        let faults = Faults::new().with(Fault { call: Some(call), nth: 1, times: 1, effect });
        let violation = check_source(&FaultySource::new(Arc::new(source()), faults)).await.unwrap_err();
        assert_eq!(violation.check(), check, "{call:?} {effect:?}: {violation}");
    }
}

#[tokio::test]
async fn faults_of_a_destination_are_named() {
    for (call, nth, effect, check) in [
        (Call::Put, 2, Effect::Fail(ErrorKind::Full), "put"),
        (Call::Get, 3, Effect::Short, "get"),
        (Call::GetRange, 2, Effect::Short, "get_range"),
        (Call::Head, 1, Effect::Fail(ErrorKind::Denied), "head"),
        (Call::PutIfAbsent, 1, Effect::LoseAnswer(ErrorKind::Unavailable), "put_if_absent"),
    ] {
        let faults = Faults::new().with(Fault { call: Some(call), nth, times: 1, effect });
        let destination = FaultyDestination::new(Arc::new(MemoryDestination::new()), faults);
        let violation = check_destination(&destination, "conformance/test").await.unwrap_err();
        assert_eq!(violation.check(), check, "{call:?} {effect:?}: {violation}");
    }
}
