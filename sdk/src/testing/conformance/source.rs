//! The checks of a source.

use futures::future::try_join;

use super::{
    Checked, OrViolation, Violation, ensure,
    reading::{Reading, read},
};
use crate::{
    Body, Container, ContainerId, Finding, Item, Offer, Owed, Reader, ReaderHost, Source,
    abi::check,
    limits::{OPEN_BODIES_MAX, PIECE_BYTES_MAX},
    testing::ReaderMemory,
};

/// Most containers that are read.
const CONTAINERS_READ: usize = 4;
/// Most streams of a container that are read.
const STREAMS_READ: usize = 200;
/// Most bytes of a stream that are read.
const STREAM_BYTES_READ: usize = 16 << 20;

/// What was seen of a source that keeps its contract, so that a test can tell a full check from an empty one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceReport {
    /// Containers discovered.
    pub containers: usize,
    /// Items offered by the containers read.
    pub items: usize,
    /// Streams read.
    pub streams: usize,
}

/// Checks a source that is not changed meanwhile. Reads a few containers twice, and some of their streams.
///
/// Run it on a multi-threaded runtime.
pub async fn check_source(source: &dyn Source) -> Checked<SourceReport> {
    let findings = source.validate().await.or_violation("validate", "checking")?;
    findings.iter().try_for_each(check_finding)?;
    let containers = discover(source).await?;
    let mut report = SourceReport { containers: containers.len(), ..SourceReport::default() };
    for container in containers.iter().take(CONTAINERS_READ) {
        read_container(source, container, &mut report).await.map_err(|violation| {
            Violation::new(&violation.check, format!("container \"{}\": {}", container.title, violation.text))
        })?;
    }
    if let [first, second, ..] = containers.as_slice() {
        let (one, two) = (ReaderMemory::new(), ReaderMemory::new());
        try_join(read(source, first, &one), read(source, second, &two)).await?;
    }
    unknown_container(source).await?;
    Ok(report)
}

fn check_finding(finding: &Finding) -> Checked {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let code = &finding.code;
    ensure!(
        !code.is_empty() && code.bytes().all(letter),
        "validate",
        "\"{code}\" is no code: lower case, words joined by `-`"
    );
    ensure!(!finding.message.is_empty(), "validate", "finding `{code}` has no message");
    Ok(())
}

async fn discover(source: &dyn Source) -> Checked<Vec<Container>> {
    let found = source.discover().await.or_violation("discover", "listing containers")?;
    found.findings.iter().try_for_each(check_finding)?;
    check::containers(&found.containers).or_violation("discover", "checking the containers")?;
    let again = source.discover().await.or_violation("discover", "listing containers again")?;
    let ids = |containers: &[Container]| {
        let mut ids: Vec<ContainerId> = containers.iter().map(|container| container.id.clone()).collect();
        ids.sort();
        ids
    };
    ensure!(
        ids(&found.containers) == ids(&again.containers),
        "discover",
        "a second listing has other ids, and nothing was changed"
    );
    Ok(found.containers)
}

async fn read_container(source: &dyn Source, container: &Container, report: &mut SourceReport) -> Checked {
    let memory = ReaderMemory::new();
    let (reader, first) = read(source, container, &memory).await?;
    ensure!(first.deleted.is_empty(), "next", "{} items are deleted in a first reading", first.deleted.len());
    report.items += first.offers.len();
    report.streams += read_streams(&*reader, &first).await?;
    drop(reader);
    read_again(source, container, &memory, &first).await?;
    pay_debts(source, container, &memory, &first).await
}

/// With the cursors of the first reading, and nothing changed, nothing may be told that changes anything.
async fn read_again(
    source: &dyn Source,
    container: &Container,
    memory: &ReaderMemory,
    first: &Reading,
) -> Checked {
    let (_, second) = read(source, container, memory).await?;
    if let Some(id) = second.deleted.iter().find(|id| first.offers.contains_key(*id)) {
        return Err(Violation::new(
            "cursors",
            format!("item \"{}\" is deleted in a second reading, and nothing was changed", id.display()),
        ));
    }
    for (id, offer) in &second.offers {
        let before = first.offers.get(id).map(|offer| &offer.item);
        let same = before.is_some_and(|before| before.tag == offer.item.tag);
        ensure!(
            same,
            "cursors",
            "item \"{}\" is new or has another tag in a second reading, and nothing was changed",
            id.display()
        );
    }
    if !second.full.is_empty() && first.unread.is_empty() {
        let lost = first
            .offers
            .iter()
            .find(|(id, offer)| second.full.contains(&offer.scope) && !second.offers.contains_key(*id));
        if let Some((id, _)) = lost {
            return Err(Violation::new(
                "cursors",
                format!("item \"{}\" is missing in a second full listing", id.display()),
            ));
        }
    }
    Ok(())
}

/// What is owed is offered, deleted or unread again.
async fn pay_debts(
    source: &dyn Source,
    container: &Container,
    memory: &ReaderMemory,
    first: &Reading,
) -> Checked {
    let Some(offer) = first.offers.values().find(|offer| !offer.item.folder) else {
        return Ok(());
    };
    let Item { id, parent, name, .. } = offer.item.clone();
    memory.owe(Owed { id: id.clone(), parent, name, scope: offer.scope.clone(), tries: 1 });
    let (_, reading) = read(source, container, memory).await?;
    let spoken_of = reading.offers.contains_key(&id) || reading.unread.contains(&id);
    ensure!(
        spoken_of,
        "owed",
        "item \"{}\" is owed and there, and was neither offered nor unread",
        id.display()
    );
    Ok(())
}

/// Reads streams, several at once, and each of some twice.
async fn read_streams(reader: &dyn Reader, reading: &Reading) -> Checked<usize> {
    let wanted: Vec<(&Offer, usize)> = reading
        .offers
        .values()
        .flat_map(|offer| (0..offer.item.streams.len()).map(move |stream| (offer, stream)))
        .take(STREAMS_READ)
        .collect();
    for group in wanted.chunks(OPEN_BODIES_MAX) {
        let together = read_together(reader, group).await?;
        // Again, alone: the same bytes must come.
        let (offer, stream) = group[0];
        let alone = read_together(reader, &[(offer, stream)]).await?;
        ensure!(
            alone[0] == together[0],
            "open",
            "{} gives other bytes when read again",
            subject(offer, stream)
        );
    }
    if let Some((offer, _)) = wanted.first() {
        let beyond = reader.open(offer, offer.item.streams.len()).await;
        ensure!(
            beyond.is_err(),
            "open",
            "a stream that item \"{}\" does not have was opened",
            offer.item.id.display()
        );
    }
    Ok(wanted.len())
}

/// Opens all, then reads them in turns, a piece each.
async fn read_together(reader: &dyn Reader, group: &[(&Offer, usize)]) -> Checked<Vec<Vec<u8>>> {
    let mut open: Vec<Option<Box<dyn Body>>> = Vec::new();
    for (offer, stream) in group {
        let body = reader
            .open(offer, *stream)
            .await
            .or_violation("open", &format!("opening {}", subject(offer, *stream)))?;
        open.push(Some(body));
    }
    let mut contents = vec![Vec::new(); group.len()];
    while open.iter().any(Option::is_some) {
        for ((slot, content), (offer, stream)) in open.iter_mut().zip(&mut contents).zip(group) {
            let Some(body) = slot else {
                continue;
            };
            let what = || subject(offer, *stream);
            match body.read().await.or_violation("body", &format!("reading {}", what()))? {
                Some(piece) => {
                    let fits = !piece.is_empty() && piece.len() <= PIECE_BYTES_MAX;
                    ensure!(
                        fits,
                        "body",
                        "{}: a piece of {} bytes, where 1 to {PIECE_BYTES_MAX} are allowed",
                        what(),
                        piece.len()
                    );
                    content.extend_from_slice(&piece);
                    if content.len() >= STREAM_BYTES_READ {
                        *slot = None;
                    }
                }
                None => *slot = None,
            }
        }
    }
    Ok(contents)
}

fn subject(offer: &Offer, stream: usize) -> String {
    let name = offer.item.streams.get(stream).map_or("?", |stream| stream.name.as_str());
    format!("stream \"{name}\" of item \"{}\"", offer.item.id.display())
}

/// A container that is not there is an error, at the latest with the first batch.
async fn unknown_container(source: &dyn Source) -> Checked {
    let unknown = Container {
        id: "no container has this id, or so one would think".into(),
        path: vec!["unknown".into()],
        kind: crate::Kind::new("unknown"),
        title: "unknown".to_owned(),
        path_ids: false,
        meta: Vec::new(),
    };
    let Ok(reader) = source.read(&unknown, ReaderHost::new(ReaderMemory::new())).await else {
        return Ok(());
    };
    let said = reader.next().await;
    ensure!(said.is_err(), "read", "a container that does not exist was read");
    Ok(())
}
