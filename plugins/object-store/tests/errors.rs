//! What goes wrong for good comes out with its class, a hint, and no secret.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what helps tests is held to what tests are")]

mod support;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use larder_sdk::{Bytes, ErrorKind};
use serde_json::json;
use support::{WRONG, key, open, servers, servers_wanted, told};

/// A port of this machine that nobody listens on.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_named_and_not_shown() {
    for target in servers() {
        let secret = ["aws_secret_access_key", "azure_storage_account_key", "password"];
        let option = secret.into_iter().find(|name| target.options.get(name).is_some()).unwrap();
        let target = target.with(option, json!({"env": "WRONG"}));
        let destination = target.open();
        let started = Instant::now();
        let put = destination.put(&key("x"), Bytes::from_static(b"x")).await.unwrap_err();
        let listed = destination.list("", None).await.unwrap_err();
        let read = destination.get(&key("x")).await.unwrap_err();
        for error in [&put, &listed, &read] {
            assert_eq!(error.kind(), ErrorKind::Authentication, "{}: {error:?}", target.name);
            assert_eq!(error.code(), Some("store-credentials"));
            assert!(
                error.hint().is_some() && !told(error).contains(WRONG),
                "{}: {}",
                target.name,
                told(error)
            );
        }
        // A HEAD has no body that would tell more.
        let head = destination.head(&key("x")).await.unwrap_err();
        assert!(
            matches!(head.kind(), ErrorKind::Authentication | ErrorKind::Denied),
            "{}: {head:?}",
            target.name
        );
        assert!(started.elapsed() < Duration::from_secs(5), "what is final is not tried again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_named() {
    for target in servers().into_iter().filter(|target| target.name != "WebDAV") {
        let mut url = target.url.clone();
        for bucket in ["larder", "box"] {
            url = url.replace(&format!("://{bucket}/"), "://nosuchbucket/");
        }
        let destination = open(&url, &target.options).unwrap();
        let put = destination.put(&key("x"), Bytes::from_static(b"x")).await.unwrap_err();
        let created = destination.put_if_absent(&key("x"), Bytes::from_static(b"x")).await.unwrap_err();
        let listed = destination.list("", None).await.unwrap_err();
        let read = destination.get(&key("x")).await.unwrap_err();
        for error in [put, created, listed, read] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{}: {error:?}", target.name);
            assert_eq!(error.code(), Some("store-bucket"), "{}: {error:?}", target.name);
            assert!(error.message().contains("nosuchbucket"), "{error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_store_is_given_up_within_half_a_minute() {
    let address = closed_port();
    let stores = [
        (
            "s3://bucket/x".to_owned(),
            json!({"aws_endpoint": format!("http://{address}"), "allow_http": true, "aws_access_key_id": "a",
                "aws_secret_access_key": {"env": "WRONG"}}),
        ),
        (
            "az://box/x".to_owned(),
            json!({"azure_storage_endpoint": format!("http://{address}/larder"), "allow_http": true,
                "azure_storage_account_name": "larder", "azure_storage_account_key": {"env": "WRONG"}}),
        ),
        (format!("http://{address}/dav"), json!({"allow_http": true})),
    ];
    let tries = stores.map(|(url, options)| async move {
        let started = Instant::now();
        let error = open(&url, &options).unwrap().get(&key("x")).await.unwrap_err();
        println!("{url}: {:?} after {:?}", error, started.elapsed());
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(35), "{url}: {:?}", started.elapsed());
        error
    });
    for error in futures::future::join_all(tries).await {
        assert!(error.message().contains(&address) && error.hint().is_some(), "{error:?}");
    }
}

/// Runs inside a mount namespace that [`a_full_and_a_read_only_disk_are_told_apart`] makes; alone it has nothing to do.
#[tokio::test]
async fn inner_disk() {
    let Ok(folder) = std::env::var("LARDER_TEST_DISK") else { return };
    let destination = open(&format!("file://{folder}/store"), &json!({})).unwrap();
    destination.put(&key("a/small"), Bytes::from_static(b"x")).await.unwrap();
    let full = destination.put(&key("a/large"), vec![7; 4 << 20].into()).await.unwrap_err();
    assert_eq!((full.kind(), full.code()), (ErrorKind::Full, Some("store-full")), "{full:?}");
    assert_eq!(
        destination.list("a", None).await.unwrap().objects.len(),
        1,
        "nothing of the refused object is left"
    );
    destination.put(&key("a/small"), vec![8; 64 << 10].into()).await.expect("there is room for what fits");

    let mounted = Command::new("mount").args(["-o", "remount,ro", &folder]).status().unwrap();
    assert!(mounted.success());
    let refused = destination.put(&key("a/more"), Bytes::from_static(b"x")).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Denied, Some("store-read-only")), "{refused:?}");
    let kept = destination.delete(&key("a/small")).await.unwrap_err();
    assert_eq!(kept.kind(), ErrorKind::Denied, "{kept:?}");
    assert_eq!(destination.get(&key("a/small")).await.unwrap().len(), 64 << 10);
}

#[test]
fn a_full_and_a_read_only_disk_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let namespace = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount"]);
        command
    };
    let allowed = namespace().arg("true").output().is_ok_and(|output| output.status.success());
    if !allowed && !servers_wanted() {
        println!(
            "this system lets no user make a mount namespace: a full and a read-only disk are not tried"
        );
        return;
    }
    let script =
        r#"mount -t tmpfs -o size=1m none "$LARDER_TEST_DISK" && exec "$0" --exact inner_disk --nocapture"#;
    let output = namespace()
        .args(["sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("LARDER_TEST_DISK", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
