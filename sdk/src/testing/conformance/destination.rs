//! The checks of a destination.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::join_all, stream};

use super::{Checked, OrViolation, Violation, ensure};
use crate::{Destination, ErrorKind, ObjectInfo, ObjectKey, Result, limits::LIST_PAGE_MAX};

/// Sizes to write, in bytes: nothing, one byte, and around powers of two.
const SIZES: [usize; 6] = [0, 1, 4095, 65_536, 1 << 20, (5 << 20) + 17];
/// More objects than a page of a listing holds.
const MANY: usize = LIST_PAGE_MAX + 25;
/// How many calls at once make the many objects.
const AT_ONCE: usize = 16;

/// Checks a destination. Everything is written below `folder` (one that nobody else uses), and removed at the end.
///
/// Makes a few thousand calls and moves some 30 MiB. Run it on a multi-threaded runtime.
pub async fn check_destination(destination: &dyn Destination, folder: &str) -> Checked {
    let at = At { destination, folder };
    ensure!(
        at.list("").await?.is_empty(),
        "list",
        "folder \"{folder}\" has objects already, or a missing folder is not empty"
    );
    let checked = all(&at).await;
    let removed = at.remove_all().await;
    checked.and(removed)
}

async fn all(at: &At<'_>) -> Checked {
    put_and_get(at).await?;
    ranges(at).await?;
    missing_objects(at).await?;
    put_if_absent(at).await?;
    listing(at).await?;
    at.remove_all().await?;
    let left = at.list("").await?;
    ensure!(left.is_empty(), "delete", "{} objects are listed after all were removed", left.len());
    Ok(())
}

/// A destination and where in it the checks work.
struct At<'a> {
    destination: &'a dyn Destination,
    folder: &'a str,
}

impl At<'_> {
    fn key(&self, name: &str) -> Checked<ObjectKey> {
        ObjectKey::new(format!("{}/{name}", self.folder)).or_violation("names", "making a name")
    }

    async fn put(&self, name: &str, data: Bytes) -> Checked<ObjectKey> {
        let key = self.key(name)?;
        self.destination.put(&key, data).await.or_violation("put", &format!("writing {key}"))?;
        Ok(key)
    }

    async fn get(&self, key: &ObjectKey) -> Checked<Bytes> {
        self.destination.get(key).await.or_violation("get", &format!("reading {key}"))
    }

    /// Every object below a folder of ours, through all pages.
    async fn list(&self, below: &str) -> Checked<BTreeMap<ObjectKey, ObjectInfo>> {
        let top = if below.is_empty() { self.folder.to_owned() } else { format!("{}/{below}", self.folder) };
        let mut found = BTreeMap::new();
        let mut folders = vec![top];
        while let Some(folder) = folders.pop() {
            let mut token = None;
            loop {
                let what = format!("listing \"{folder}\"");
                let page = self.destination.list(&folder, token).await.or_violation("list", &what)?;
                crate::abi::check::page(&folder, &page).or_violation("list", &what)?;
                for (key, info) in page.objects {
                    let name = key.to_string();
                    ensure!(found.insert(key, info).is_none(), "list", "{name} is listed twice");
                }
                folders.extend(page.folders);
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn remove_all(&self) -> Checked {
        let keys: Vec<_> = self.list("").await?.into_keys().collect();
        stream::iter(keys)
            .map(|key| async move {
                self.destination.delete(&key).await.or_violation("delete", &format!("removing {key}"))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }
}

/// Bytes that differ from place to place and from seed to seed.
fn data(seed: u8, length: usize) -> Bytes {
    (0..length).map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ seed).collect::<Vec<_>>().into()
}

async fn put_and_get(at: &At<'_>) -> Checked {
    for length in SIZES {
        let key = at.put(&format!("plain/{length}"), data(1, length)).await?;
        let read = at.get(&key).await?;
        ensure!(
            read == data(1, length),
            "get",
            "{key}: {} bytes differ from the {length} written",
            read.len()
        );
        let info = at.destination.head(&key).await.or_violation("head", &format!("asking for {key}"))?;
        ensure!(info.size == length as u64, "head", "{key}: {} bytes where {length} were written", info.size);
    }
    let key = at.put("plain/replaced", data(1, 1000)).await?;
    at.put("plain/replaced", data(2, 10)).await?;
    let read = at.get(&key).await?;
    ensure!(read == data(2, 10), "put", "{key} was written again, and reading it gives other bytes");
    Ok(())
}

async fn ranges(at: &At<'_>) -> Checked {
    let whole = data(3, 100_000);
    let key = at.put("ranges/object", whole.clone()).await?;
    for range in [0..1, 0..100_000, 99_999..100_000, 12_345..67_890, 0..0, 100_000..100_000] {
        let what = format!("reading bytes {range:?} of {key}");
        let read = at.destination.get_range(&key, range.clone()).await.or_violation("get_range", &what)?;
        let right = whole.slice(range.start as usize..range.end as usize);
        ensure!(read == right, "get_range", "{what} gave {} other bytes", read.len());
    }
    for range in [0..100_001, 99_999..100_001, 200_000..200_001] {
        let outcome = at.destination.get_range(&key, range.clone()).await;
        let what = format!("bytes {range:?} of an object of 100000");
        expect_kind("get_range", &what, outcome, ErrorKind::CorruptItem)?;
    }
    Ok(())
}

async fn missing_objects(at: &At<'_>) -> Checked {
    let key = at.key("missing/object")?;
    expect_kind("get", "a missing object", at.destination.get(&key).await, ErrorKind::NotFound)?;
    expect_kind(
        "get_range",
        "a missing object",
        at.destination.get_range(&key, 0..1).await,
        ErrorKind::NotFound,
    )?;
    expect_kind("head", "a missing object", at.destination.head(&key).await, ErrorKind::NotFound)?;
    at.destination.delete(&key).await.or_violation("delete", "removing a missing object")?;
    let key = at.put("missing/once", data(4, 10)).await?;
    at.destination.delete(&key).await.or_violation("delete", "removing an object")?;
    expect_kind("get", "a removed object", at.destination.get(&key).await, ErrorKind::NotFound)
}

async fn put_if_absent(at: &At<'_>) -> Checked {
    let check = "put_if_absent";
    let key = at.key("absent/object")?;
    at.destination.put_if_absent(&key, data(5, 100)).await.or_violation(check, "writing a new object")?;
    let again = at.destination.put_if_absent(&key, data(6, 100)).await;
    expect_kind(check, "writing an object that is there", again, ErrorKind::AlreadyExists)?;
    let read = at.get(&key).await?;
    ensure!(read == data(5, 100), check, "{key} was changed by a write that was refused");
    if !at.destination.capabilities().put_if_absent {
        return Ok(());
    }
    for round in 0..8 {
        let key = at.key(&format!("absent/race-{round}"))?;
        let writers = (0..8).map(|writer| at.destination.put_if_absent(&key, data(writer, 1000)));
        let outcomes = join_all(writers).await;
        let winners: Vec<_> =
            (0..8).zip(&outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(writer, _)| writer).collect();
        ensure!(
            winners.len() == 1,
            check,
            "{} of 8 writers of {key} succeeded at once, where one must",
            winners.len()
        );
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            expect_kind(check, "losing a race", outcome, ErrorKind::AlreadyExists)?;
        }
        ensure!(
            at.get(&key).await? == data(winners[0], 1000),
            check,
            "{key} does not hold what the winner wrote"
        );
    }
    Ok(())
}

async fn listing(at: &At<'_>) -> Checked {
    let names: BTreeSet<_> = (0..MANY)
        .map(|number| format!("many/{number:05}"))
        .chain(["many/a/b/c.d_e".to_owned(), "many/a-b".to_owned()])
        .collect();
    let written: BTreeSet<ObjectKey> = stream::iter(&names)
        .map(|name| at.put(name, data(7, name.len())))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    if !at.destination.capabilities().list_after_put {
        return Ok(());
    }
    let found = at.list("many").await?;
    if let Some(lost) = written.iter().find(|key| !found.contains_key(*key)) {
        return Err(Violation::new("list", format!("{lost} was written and is not listed")));
    }
    ensure!(
        found.len() == written.len(),
        "list",
        "{} objects are listed, {} were written",
        found.len(),
        written.len()
    );
    for (key, info) in &found {
        let length = (key.as_str().len() - at.folder.len() - 1) as u64;
        ensure!(
            info.size == length,
            "list",
            "{key} is listed with {} bytes, written were {length}",
            info.size
        );
    }
    // A folder's name is no prefix: `many/a` holds neither `many/a-b` nor itself.
    let inside = at.list("many/a").await?;
    ensure!(inside.len() == 1, "list", "folder \"many/a\" lists {} objects, where it has one", inside.len());
    Ok(())
}

fn expect_kind<T>(check: &str, what: &str, outcome: Result<T>, kind: ErrorKind) -> Checked {
    match outcome {
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) => {
            let text =
                format!("{what}: an error of kind {:?} ({error}), where {kind:?} is due", error.kind());
            Err(Violation::new(check, text))
        }
        Ok(_) => {
            Err(Violation::new(check, format!("{what}: success, where an error of kind {kind:?} is due")))
        }
    }
}
