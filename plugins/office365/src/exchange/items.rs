//! Asks for what is known of items beside their content: many at a time, fewer where that is too much, and each alone where
//! a batch fails, so that one bad item costs nobody else.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
};

use larder_sdk::Error;

use super::{
    answer::Message,
    client::{Asked, Client, Failure},
    faults::Advice,
    ids::Ids,
    item::id_of,
    requests,
    xml::Element,
};

/// Most items of one request.
const BATCH_MAX: usize = 50;
/// Requests for one item before it counts as unreadable: in a batch, and alone.
const ASKS_MAX: u32 = 3;

/// How many items a request asks for: halved when that is too much, and grown again by one with each success.
pub(super) struct BatchSize(AtomicUsize);

impl Default for BatchSize {
    fn default() -> Self {
        Self(AtomicUsize::new(BATCH_MAX))
    }
}

impl BatchSize {
    fn current(&self) -> usize {
        self.0.load(Ordering::Relaxed).clamp(1, BATCH_MAX)
    }
    fn less(&self, failed: usize) {
        self.0.store((failed / 2).max(1), Ordering::Relaxed);
    }
    fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        self.0.fetch_min(BATCH_MAX, Ordering::Relaxed);
    }
}

/// An item to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) ids: Ids,
    /// True if it is known to be mail, which has properties that other items may not be asked for.
    pub(super) mail: bool,
    asked: u32,
    alone: bool,
}

impl Wanted {
    /// An item by its ids.
    pub(super) fn new(ids: Ids, mail: bool) -> Self {
        Self { ids, mail, asked: 0, alone: false }
    }
}

/// What became of an item.
#[derive(Debug)]
pub(super) enum Fetched {
    /// Its row.
    Row(Element),
    /// It is not there any more.
    Gone,
    /// It cannot be read.
    Unreadable(Error),
}

/// Asks for items, as many as one request may, and takes them off `queue`; what must be asked for again goes back to it.
///
/// An error concerns the mailbox: its items are not to blame.
pub(super) async fn fetch(
    client: &Client,
    size: &BatchSize,
    queue: &mut VecDeque<Wanted>,
) -> Asked<Vec<(Ids, Fetched)>> {
    let Some(batch) = take(queue, size.current()) else { return Ok(Vec::new()) };
    let mail = batch.iter().all(|wanted| wanted.mail);
    let ids: Vec<&str> = batch.iter().map(|wanted| wanted.ids.wire.as_str()).collect();
    match client.call(&requests::get_metadata(&ids, mail)).await {
        Ok(messages) => {
            size.more();
            Ok(settle(batch, messages, queue))
        }
        Err(failure) => refused(size, batch, failure, queue),
    }
}

/// The items at the head of the queue that may go together: all mail or none, and those that must go alone alone.
fn take(queue: &mut VecDeque<Wanted>, most: usize) -> Option<Vec<Wanted>> {
    let first = queue.pop_front()?;
    let mut batch = vec![first];
    let (mail, alone) = (batch[0].mail, batch[0].alone);
    while !alone && batch.len() < most {
        if !queue.front().is_some_and(|next| next.mail == mail && !next.alone) {
            break;
        }
        batch.extend(queue.pop_front());
    }
    Some(batch)
}

/// Matches messages to items by position: a failure carries no id.
fn settle(batch: Vec<Wanted>, messages: Vec<Message>, queue: &mut VecDeque<Wanted>) -> Vec<(Ids, Fetched)> {
    let mut settled = Vec::with_capacity(batch.len());
    let mut messages = messages.into_iter();
    for mut wanted in batch {
        wanted.asked += 1;
        let Some(message) = messages.next() else {
            again(wanted, None, queue, &mut settled);
            continue;
        };
        match message.problem {
            Some(problem) if !message.usable => match problem.advice() {
                Advice::ItemGone => settled.push((wanted.ids, Fetched::Gone)),
                Advice::AskForRest => {
                    // It was not looked at, which is not its fault.
                    wanted.asked -= 1;
                    wanted.alone = true;
                    queue.push_back(wanted);
                }
                _ => {
                    // A property that this one item may not be asked for?
                    wanted.mail &= problem.advice() != Advice::Bug;
                    let error = problem.error(&format!("item {}", wanted.ids.wire));
                    again(wanted, Some(error), queue, &mut settled);
                }
            },
            _ => match row(message.element) {
                Some(row) => settled.push((wanted.ids, Fetched::Row(row))),
                None => again(wanted, None, queue, &mut settled),
            },
        }
    }
    settled
}

/// Asks for an item once more, alone, unless it has had its chances.
fn again(
    mut wanted: Wanted,
    error: Option<Error>,
    queue: &mut VecDeque<Wanted>,
    settled: &mut Vec<(Ids, Fetched)>,
) {
    let hopeless = wanted.asked >= ASKS_MAX
        || (wanted.alone && error.as_ref().is_some_and(|error| !error.is_transient()));
    if hopeless {
        let error = error.unwrap_or_else(|| {
            let text = format!("item {}: the server leaves it out of its answers", wanted.ids.wire);
            Error::new(larder_sdk::ErrorKind::CorruptItem, text).with_code("ews-item-left-out")
        });
        settled.push((wanted.ids, Fetched::Unreadable(error)));
        return;
    }
    wanted.alone = true;
    queue.push_back(wanted);
}

/// The whole request was refused, or its answer could not be read.
fn refused(
    size: &BatchSize,
    batch: Vec<Wanted>,
    failure: Failure,
    queue: &mut VecDeque<Wanted>,
) -> Asked<Vec<(Ids, Fetched)>> {
    let divisible = match &failure {
        Failure::Refused(problem) => !matches!(
            problem.advice(),
            Advice::RestAccount | Advice::OtherAccount | Advice::NoMailbox | Advice::RestMailbox
        ),
        Failure::Lost(error) => error.code().is_some_and(|code| code.starts_with("ews-answer-")),
    };
    if !divisible {
        return Err(failure);
    }
    if let [one] = batch.as_slice() {
        if one.mail {
            queue.push_front(Wanted { mail: false, ..one.clone() });
            return Ok(Vec::new());
        }
        let error = failure.error(&format!("item {}", one.ids.wire));
        return Ok(vec![(one.ids.clone(), Fetched::Unreadable(error))]);
    }
    size.less(batch.len());
    for wanted in batch.into_iter().rev() {
        queue.push_front(wanted);
    }
    Ok(Vec::new())
}

/// The item element of a message.
fn row(message: Element) -> Option<Element> {
    let items = message.children.into_iter().find(|child| child.name == "Items")?;
    items.children.into_iter().next().filter(|item| item.child("ItemId").and_then(id_of).is_some())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::exchange::{answer::split, xml::tree_of};

    fn queue(items: &[(&str, bool)]) -> VecDeque<Wanted> {
        items.iter().map(|(id, mail)| Wanted::new(Ids::unconverted(id), *mail)).collect()
    }

    fn answer(parts: &[(&str, &str)]) -> Vec<Message> {
        let mut messages = String::new();
        for (class, rest) in parts {
            let _ = write!(
                messages,
                "<GetItemResponseMessage ResponseClass=\"{class}\">{rest}</GetItemResponseMessage>"
            );
        }
        split(tree_of(&format!(
            "<GetItemResponse><ResponseMessages>{messages}</ResponseMessages></GetItemResponse>"
        )))
    }

    const GOOD: (&str, &str) = (
        "Success",
        "<ResponseCode>NoError</ResponseCode><Items><Message><ItemId Id=\"x\"/></Message></Items>",
    );

    #[test]
    fn mail_and_others_go_apart() {
        let mut queue = queue(&[("a", true), ("b", true), ("c", false), ("d", true)]);
        assert_eq!(take(&mut queue, 50).unwrap().len(), 2);
        assert_eq!(take(&mut queue, 50).unwrap().len(), 1);
        assert_eq!(take(&mut queue, 50).unwrap().len(), 1);
        assert!(take(&mut queue, 50).is_none());
    }

    #[test]
    fn every_item_of_a_batch_ends_somewhere() {
        let mut queue = queue(&[("a", true), ("b", true), ("c", true), ("d", true), ("e", true)]);
        let batch = take(&mut queue, 50).unwrap();
        let messages = answer(&[
            GOOD,
            ("Error", "<ResponseCode>ErrorItemNotFound</ResponseCode>"),
            ("Error", "<ResponseCode>ErrorCorruptData</ResponseCode>"),
            ("Warning", "<ResponseCode>ErrorBatchProcessingStopped</ResponseCode>"),
        ]);
        let settled = settle(batch, messages, &mut queue);
        assert!(
            matches!(settled.as_slice(), [(a, Fetched::Row(_)), (b, Fetched::Gone)] if a.wire == "a" && b.wire == "b")
        );
        let left: Vec<_> = queue.iter().map(|wanted| wanted.ids.wire.as_str()).collect();
        assert_eq!(left, ["c", "d", "e"], "the damaged, the one not looked at, the one left out");
        assert!(queue.iter().all(|wanted| wanted.alone));

        let alone = take(&mut queue, 50).unwrap();
        assert_eq!(alone.len(), 1);
        let settled =
            settle(alone, answer(&[("Error", "<ResponseCode>ErrorCorruptData</ResponseCode>")]), &mut queue);
        assert!(
            matches!(settled.as_slice(), [(c, Fetched::Unreadable(error))] if c.wire == "c" && error.code() == Some("ews-corrupt-data"))
        );
    }

    #[test]
    fn too_much_at_once_is_halved_and_a_single_one_given_up() {
        let size = BatchSize::default();
        let mut queue = queue(&[("a", false), ("b", false), ("c", false), ("d", false)]);
        let batch = take(&mut queue, size.current()).unwrap();
        let timeout = || Failure::Refused(crate::exchange::faults::Problem::new("ErrorTimeoutExpired", ""));
        assert!(refused(&size, batch, timeout(), &mut queue).unwrap().is_empty());
        assert_eq!((size.current(), queue.len()), (2, 4));
        let one = take(&mut queue, 1).unwrap();
        assert!(matches!(
            refused(&size, one, timeout(), &mut queue).unwrap().as_slice(),
            [(_, Fetched::Unreadable(_))]
        ));
        let busy = Failure::Refused(crate::exchange::faults::Problem::new("ErrorServerBusy", ""));
        let rest = take(&mut queue, 9).unwrap();
        assert!(refused(&size, rest, busy, &mut queue).is_err(), "the items are not to blame");
    }
}
