//! Passing trouble is ridden out: connections dropped, reset and cut, servers that are busy for a while.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what helps tests is held to what tests are")]

mod support;

use std::time::{Duration, Instant};

use larder_sdk::{Bytes, Destination, ErrorKind};
use serde_json::json;
use support::{
    key, open,
    proxy::{Proxy, Step},
    server_named, servers,
};

/// An answer of an S3 server without a body.
fn answer(status: &str, headers: &str) -> Step {
    Step::Answer(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"))
}

/// A store whose server is the script alone.
async fn scripted(script: Vec<Step>, last: Step) -> (Proxy, Box<dyn Destination>) {
    let proxy = Proxy::start("127.0.0.1:1".into(), script, last).await;
    let options = json!({"aws_endpoint": format!("http://{}", proxy.address), "allow_http": true,
        "aws_access_key_id": "a", "aws_secret_access_key": {"env": "WRONG"}, "timeout": "2s"});
    let destination = open("s3://bucket/x", &options).unwrap();
    (proxy, destination)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_survives_what_passes() {
    let done = || answer("200 OK", "ETag: \"1\"\r\n");
    let busy = answer("503 Slow Down", "");
    let (proxy, destination) = scripted(vec![Step::Drop, Step::Reset(100), busy.clone(), busy], done()).await;
    destination.put(&key("a"), vec![1; 1 << 20].into()).await.unwrap();
    assert_eq!(proxy.connections(), 5);

    let (proxy, destination) = scripted(vec![answer("500 Oops", ""), Step::Drop], done()).await;
    destination.put_if_absent(&key("a"), Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_the_server_asks_for_is_kept() {
    let wait = answer("429 Too Many Requests", "Retry-After: 2\r\n");
    let (_proxy, destination) = scripted(vec![wait], answer("200 OK", "ETag: \"1\"\r\n")).await;
    let started = Instant::now();
    destination.put(&key("a"), Bytes::from_static(b"x")).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2));

    let (_proxy, destination) = scripted(vec![], answer("503 Busy", "Retry-After: 600\r\n")).await;
    let error = destination.put(&key("a"), Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RetryAfter, "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(600)));
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_that_stays_comes_out() {
    let started = Instant::now();
    let (proxy, destination) = scripted(vec![], answer("503 Busy", "")).await;
    let error = destination.put(&key("a"), Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.message().contains("503"), "{error:?}");
    assert!((3..=10).contains(&proxy.connections()), "{}", proxy.connections());
    assert!(started.elapsed() < Duration::from_secs(35), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_given_up() {
    let started = Instant::now();
    let (proxy, destination) = scripted(vec![], Step::Silence).await;
    let error = destination.get(&key("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert_eq!(proxy.connections(), 2);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn real_servers_behind_a_bad_network_lose_nothing() {
    let data = Bytes::from((0..4_u32 << 20).map(|at| (at >> 3) as u8).collect::<Vec<_>>());
    for target in servers() {
        let name = target.name;
        let script = vec![
            Step::Drop,
            Step::Reset(64 << 10),
            answer("503 Busy", ""),
            Step::Pass,
            Step::Cut(100 << 10),
            Step::Drop,
        ];
        let proxy = Proxy::start(target.address(), script, Step::Pass).await;
        let address = proxy.address.clone();
        let target = target.at(&address);
        target
            .open()
            .put(&key("a/b"), data.clone())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        // An instance of its own makes connections of its own: the next of the script.
        let read = target.open().get(&key("a/b")).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(read == data, "{name}: {} bytes", read.len());
        assert!(proxy.connections() >= 6, "{name}: {}", proxy.connections());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_put_if_absent_is_settled_by_reading_back() {
    let Some(target) = server_named("S3") else { return };
    // The object is written, the answer cut off.
    let proxy = Proxy::start(target.address(), vec![Step::Cut(0)], Step::Pass).await;
    let address = proxy.address.clone();
    let target = target.at(&address);
    let destination = target.open();
    let error = destination.put_if_absent(&key("a"), Bytes::from_static(b"mine")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error:?}");
    assert_eq!(&*destination.get(&key("a")).await.unwrap(), b"mine");
}
