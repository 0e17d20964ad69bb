//! Every store keeps its contract: the same checks on folder, memory, S3, Azure and `WebDAV`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "what helps tests is held to what tests are")]

mod support;

use std::{collections::BTreeSet, sync::Barrier, thread};

use futures::{StreamExt, TryStreamExt, stream};
use larder_sdk::{Bytes, Destination, ErrorKind, limits, testing::conformance::check_destination};
use support::{key, targets};

/// Bytes that differ everywhere, so that a shift or a swap shows.
fn pattern(length: usize) -> Bytes {
    (0..length as u64)
        .map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect::<Vec<_>>()
        .into()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes() {
    for target in targets() {
        let destination = target.open();
        check_destination(&*destination, "conformance")
            .await
            .unwrap_or_else(|found| panic!("{}: {found}", target.name));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_64_mib_comes_back() {
    let data = pattern(64 << 20);
    for target in targets() {
        let destination = target.open();
        destination.put(&key("large"), data.clone()).await.unwrap();
        assert_eq!(destination.head(&key("large")).await.unwrap().size, 64 << 20, "{}", target.name);
        assert!(destination.get(&key("large")).await.unwrap() == data, "{}", target.name);
        let range = (63 << 20) + 5..(64 << 20);
        let part = destination.get_range(&key("large"), range.clone()).await.unwrap();
        assert!(part == data.slice(range.start as usize..range.end as usize), "{}", target.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_2500_objects_is_listed_in_pages() {
    for target in targets() {
        let destination = target.open();
        let names: BTreeSet<String> = (0..2500)
            .map(|n| format!("packs/{n:05}"))
            .chain(["packs/deep/er/x".into(), "packs.y".into()])
            .collect();
        stream::iter(&names)
            .map(|name| write(&*destination, name))
            .buffer_unordered(16)
            .try_collect::<()>()
            .await
            .unwrap();
        let (objects, folders, pages) = list(&*destination, "packs").await;
        assert!(pages >= 3, "{}: {pages} pages", target.name);
        assert_eq!(folders, ["packs/deep"], "{}", target.name);
        let expected: BTreeSet<_> =
            names.iter().filter(|name| name.len() == "packs/00000".len()).cloned().collect();
        assert_eq!(objects.len(), 2500, "{}", target.name);
        assert_eq!(objects.into_iter().collect::<BTreeSet<_>>(), expected, "{}", target.name);
        assert_eq!(list(&*destination, "").await.1, ["packs"], "{}", target.name);
        assert_eq!(list(&*destination, "nothing/here").await, (Vec::new(), Vec::new(), 1), "{}", target.name);
    }
}

async fn write(destination: &dyn Destination, name: &str) -> larder_sdk::Result<()> {
    destination.put(&key(name), Bytes::from_static(b"x")).await
}

/// All objects and folders of a folder, and in how many pages they came.
async fn list(destination: &dyn Destination, folder: &str) -> (Vec<String>, Vec<String>, usize) {
    let (mut objects, mut folders, mut pages, mut token) = (Vec::new(), Vec::new(), 0, None);
    loop {
        let page = destination.list(folder, token).await.unwrap();
        assert!(page.objects.len() + page.folders.len() <= limits::LIST_PAGE_MAX);
        objects.extend(page.objects.into_iter().map(|(name, _)| name.to_string()));
        folders.extend(page.folders);
        pages += 1;
        token = page.next;
        if token.is_none() {
            return (objects, folders, pages);
        }
    }
}

#[test]
fn of_eight_writers_exactly_one_wins() {
    for target in targets() {
        let start = Barrier::new(8);
        // Eight threads, each with an instance and a runtime of its own, as eight processes would have.
        let outcomes: Vec<Vec<_>> = thread::scope(|scope| {
            let writers: Vec<_> = (0..8_u8)
                .map(|writer| {
                    let (target, start) = (&target, &start);
                    scope.spawn(move || {
                        let runtime =
                            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                        let destination = target.open();
                        (0..10)
                            .map(|round| {
                                start.wait();
                                let name = key(&format!("race/{round}"));
                                runtime.block_on(destination.put_if_absent(&name, vec![writer; 1000].into()))
                            })
                            .collect()
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().unwrap()).collect()
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let destination = target.open();
        for round in 0..10 {
            let winners: Vec<_> = (0..8).filter(|writer| outcomes[*writer][round].is_ok()).collect();
            let lost = outcomes.iter().filter_map(|rounds| rounds[round].as_ref().err());
            assert!(
                lost.into_iter().all(|error| error.kind() == ErrorKind::AlreadyExists),
                "{}",
                target.name
            );
            if destination.capabilities().put_if_absent {
                assert_eq!(winners.len(), 1, "{}, round {round}", target.name);
            } else {
                assert!(!winners.is_empty(), "{}, round {round}", target.name);
            }
            let stored = runtime.block_on(destination.get(&key(&format!("race/{round}")))).unwrap();
            assert!(winners.iter().any(|writer| stored == vec![*writer as u8; 1000]), "{}", target.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_sees_what_the_first_wrote() {
    for target in targets() {
        target.open().put(&key("a/b"), Bytes::from_static(b"text")).await.unwrap();
        let other = target.open();
        assert_eq!(&*other.get(&key("a/b")).await.unwrap(), b"text", "{}", target.name);
        let time = other.head(&key("a/b")).await.unwrap().modified.expect(target.name);
        let now = larder_sdk::Time::from(std::time::SystemTime::now());
        assert!((time.seconds - now.seconds).abs() < 60, "{}: {time:?} and {now:?}", target.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_make_the_same_folders_at_once() {
    for target in targets() {
        let destination = target.open();
        for round in 0..5 {
            stream::iter(0..16)
                .map(|writer| (writer, &destination))
                .map(|(writer, destination)| async move {
                    write(&**destination, &format!("new-{round}/and/deep/{writer}")).await
                })
                .buffer_unordered(16)
                .try_collect::<()>()
                .await
                .unwrap_or_else(|error| panic!("{}: {error:?}", target.name));
        }
    }
}
