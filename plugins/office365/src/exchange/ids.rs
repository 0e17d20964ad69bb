//! An item's two ids: the one of this wire, and the one that is kept.
//!
//! Kept is the MAPI entry id, which every way to a mailbox can be asked by: EWS turns ids into it with `ConvertId`, Graph with
//! `translateExchangeIds`. So a set that was begun over one wire can be gone on with over another. It is kept as lower-case hexadecimal digits.
//! A server without `ConvertId`, or an id it will not convert, leaves the id of the wire in its place.

use std::sync::atomic::{AtomicBool, Ordering};

use larder_sdk::ItemId;

use super::{
    answer::Message,
    client::{Asked, Client, Failure},
    faults::Advice,
    requests,
};

/// Ids of one request.
const BATCH: usize = 500;
/// Fewest bytes of an entry id: flags and the store's id. Shorter texts of hexadecimal digits are ids of the wire.
const ENTRY_ID_BYTES_MIN: usize = 20;

/// An item by both ids.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ids {
    /// An EWS `ItemId`.
    pub(super) wire: String,
    /// What the item is called in a snapshot.
    pub(super) kept: ItemId,
}

impl Ids {
    /// An item of a server that converts no ids.
    pub(super) fn unconverted(wire: &str) -> Self {
        Self { wire: wire.to_owned(), kept: ItemId::from(wire) }
    }
}

/// Converts ids of one mailbox.
#[derive(Debug, Default)]
pub(super) struct Converter {
    /// The server does not know the operation.
    missing: AtomicBool,
}

impl Converter {
    /// Both ids of items that the wire named, in order.
    pub(super) async fn of_wire(&self, client: &Client, mailbox: &str, wire: Vec<String>) -> Asked<Vec<Ids>> {
        let mut ids = Vec::with_capacity(wire.len());
        for batch in wire.chunks(BATCH) {
            let converted = self.convert(client, mailbox, batch, ("EwsId", "HexEntryId")).await?;
            let both = batch.iter().zip(converted).map(|(wire, hex)| {
                let kept = hex.and_then(|hex| entry_id(&hex));
                Ids { wire: wire.clone(), kept: kept.unwrap_or_else(|| ItemId::from(wire.as_str())) }
            });
            ids.extend(both);
        }
        Ok(ids)
    }

    /// Both ids of items as they are kept, in order.
    pub(super) async fn of_kept(&self, client: &Client, mailbox: &str, kept: Vec<ItemId>) -> Asked<Vec<Ids>> {
        let mut ids = Vec::with_capacity(kept.len());
        for batch in kept.chunks(BATCH) {
            let texts: Vec<String> = batch.iter().map(|id| id.display().into_owned()).collect();
            let entry: Vec<String> = texts.iter().filter(|text| is_entry_id(text)).cloned().collect();
            let converted = self.convert(client, mailbox, &entry, ("HexEntryId", "EwsId")).await?;
            let mut converted = converted.into_iter();
            for (kept, text) in batch.iter().zip(texts) {
                let wire = if is_entry_id(&text) { converted.next().flatten() } else { None };
                ids.push(Ids { wire: wire.unwrap_or(text), kept: kept.clone() });
            }
        }
        Ok(ids)
    }

    /// The ids in another format; none where the server refuses one.
    async fn convert(
        &self,
        client: &Client,
        mailbox: &str,
        ids: &[String],
        formats: (&str, &str),
    ) -> Asked<Vec<Option<String>>> {
        if ids.is_empty() || self.missing.load(Ordering::Relaxed) {
            return Ok(vec![None; ids.len()]);
        }
        match client.call(&requests::convert_ids(ids, formats, mailbox)).await {
            Ok(messages) if messages.len() == ids.len() => messages.into_iter().map(one).collect(),
            Ok(messages) => {
                let text = format!("{} answers for {} ids", messages.len(), ids.len());
                Err(super::xml::pull::malformed(&text).into())
            }
            Err(Failure::Refused(problem)) if problem.advice() == Advice::Unsupported => {
                self.missing.store(true, Ordering::Relaxed);
                Ok(vec![None; ids.len()])
            }
            Err(failure) => Err(failure),
        }
    }
}

/// The id in a message. What may pass by itself must not give an item another id for good: that is an error.
fn one(message: Message) -> Asked<Option<String>> {
    match message.problem {
        Some(problem) if !message.usable => match problem.advice() {
            Advice::Bug | Advice::ItemGone | Advice::ItemDamaged | Advice::Unsupported => Ok(None),
            _ => Err(problem.into()),
        },
        _ => Ok(message
            .element
            .child("AlternateId")
            .and_then(|id| id.attribute("Id"))
            .filter(|id| !id.is_empty() && id.len() <= ItemId::BYTES_MAX)
            .map(str::to_owned)),
    }
}

fn entry_id(hex: &str) -> Option<ItemId> {
    is_entry_id(hex).then(|| ItemId::from(hex.to_ascii_lowercase()))
}

fn is_entry_id(text: &str) -> bool {
    text.len() >= 2 * ENTRY_ID_BYTES_MIN
        && text.len().is_multiple_of(2)
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{answer::split, xml::tree_of};

    #[test]
    fn entry_ids_are_told_from_ids_of_the_wire() {
        let hex = "00000000D8082F4D5C23FCCD8B4F1A524141CEA8";
        assert_eq!(entry_id(hex), Some(ItemId::from(hex.to_lowercase())));
        for other in ["", "AAAA", "AAMkADk0", "00000000D8082F4D5C23FCCD8B4F1A524141CEA", &"=".repeat(80)] {
            assert_eq!(entry_id(other), None, "{other}");
        }
    }

    #[test]
    fn what_may_pass_by_itself_gives_no_other_id() {
        let read = |messages: &str| {
            let answer = tree_of(&format!(
                "<ConvertIdResponse><ResponseMessages>{messages}</ResponseMessages></ConvertIdResponse>"
            ));
            one(split(answer).remove(0))
        };
        let refused =
            |code: &str| read(&format!("<M ResponseClass=\"Error\"><ResponseCode>{code}</ResponseCode></M>"));
        assert_eq!(refused("ErrorInvalidIdMalformed").unwrap(), None);
        assert!(refused("ErrorInternalServerError").is_err());
        let good = read(
            "<M ResponseClass=\"Success\"><ResponseCode>NoError</ResponseCode><AlternateId Id=\"00AA\"/></M>",
        );
        assert_eq!(good.unwrap().as_deref(), Some("00AA"));
    }
}
