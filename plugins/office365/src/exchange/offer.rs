//! Turns rows into offers, and offers into streams.

use std::sync::Arc;

use bytes::Bytes;
use larder_sdk::{
    Body, Error, ErrorKind, Event, Item, ItemId, Name, Offer, ReadyBody, Result, ScopeId, Unread,
};

use super::{
    client::Asked,
    content::{Coding, Content},
    context::Context,
    faults::Advice,
    formats::Format,
    item::{self, Form, id_text, kind_of},
    names,
    rebuild::Rebuilt,
    requests,
    xml::Element,
};

/// What an offer carries until its content is asked for.
#[derive(Clone, Debug)]
pub(super) struct Carry {
    form: Form,
    /// The content, if it had to be looked into to make the offer and is small.
    content: Option<Bytes>,
}

/// The offer of the item that `row` tells of, in the folder `parent`.
pub(super) async fn offer(context: &Context, scope: &ScopeId, parent: &str, row: &Element) -> Option<Event> {
    let id = row.child("ItemId")?.attribute("Id")?;
    let class = row.text_of("ItemClass").unwrap_or_default();
    let seen = context.formats.of(&context.client, &context.host, &kind_of(class), class, id).await;
    let item = item::item(row, parent, seen.format, Form::Mime)?;
    Some(event(context, scope, item, Carry { form: Form::Mime, content: seen.content }))
}

/// The offer of an item whose content is built here.
pub(super) fn offer_rebuilt(
    context: &Context,
    scope: &ScopeId,
    parent: &str,
    row: &Element,
) -> Option<Event> {
    let item = item::item(row, parent, Format::Eml, Form::Rebuilt)?;
    Some(event(context, scope, item, Carry { form: Form::Rebuilt, content: None }))
}

/// The offer of an item with its content as it was.
pub(super) fn offer_known(context: &Context, scope: &ScopeId, item: Item) -> Event {
    event(context, scope, item, Carry { form: Form::Mime, content: None })
}

fn event(context: &Context, scope: &ScopeId, item: Item, carry: Carry) -> Event {
    context.offered.note(&id_text(&item.id));
    Event::Offer(Offer { scope: scope.clone(), item, carry: Some(Arc::new(carry)) })
}

/// An item that is there and cannot be read now. Its last known name stays.
pub(super) async fn unread(
    context: &Context,
    scope: &ScopeId,
    parent: &str,
    id: &str,
    error: Error,
) -> Event {
    let id = ItemId::from(id);
    context.offered.note(&id_text(&id));
    let known = context.host.item(&id).await.ok().flatten();
    let name =
        known.map_or_else(|| names::item_name("(unreadable)", Format::Eml.extension()), |item| item.name);
    Event::Unread(Unread { scope: scope.clone(), id, parent: ItemId::from(parent), name, error })
}

/// A folder whose items cannot be listed now. Its own scope stays where it was.
pub(super) async fn unread_folder(context: &Context, scope: ScopeId, id: &str, error: Error) -> Event {
    let id = ItemId::from(id);
    let known = context.host.item(&id).await.ok().flatten();
    let (name, parent) = known
        .map_or_else(|| (Name::from("(unreadable)"), ItemId::default()), |item| (item.name, item.parent));
    Event::Unread(Unread { scope, id, parent, name, error })
}

/// Opens an offer's content.
///
/// Where the server has no MIME for a kind of item, the content is built here at once. Where making MIME *failed*, that is an
/// error: the item is owed, tried again in the next run, and built here only if it keeps failing (see `owed`).
pub(super) async fn open(context: &Context, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
    if stream != 0 {
        return Err(Error::bug(format!("an item of a mailbox has no stream {stream}")));
    }
    let id = id_text(&offer.item.id);
    let what = || format!("{} in {}", offer.item.name.display(), context.address);
    let carry = offer.carry.as_deref().and_then(|carry| carry.downcast_ref::<Carry>());
    if let Some(content) = carry.and_then(|carry| carry.content.clone()) {
        return Ok(Box::new(ReadyBody::new(content)));
    }
    if carry.is_some_and(|carry| carry.form == Form::Rebuilt) {
        let rebuilt = Rebuilt::open(&context.client, &id).await.map_err(|failure| failure.error(&what()))?;
        return Ok(Box::new(rebuilt));
    }
    match Content::open(&context.client, &requests::get_mime(&id), "MimeContent", Coding::Base64).await {
        Ok(mime) => Ok(Box::new(mime)),
        Err(failure) if failure.advice() == Some(Advice::NoMime) => {
            if !offer.item.name.as_bytes().ends_with(b".eml") {
                let text = format!("{}: the server has no content for it in the form its like have", what());
                return Err(Error::new(ErrorKind::CorruptItem, text).with_code("ews-no-mime"));
            }
            let rebuilt =
                Rebuilt::open(&context.client, &id).await.map_err(|failure| failure.error(&what()))?;
            Ok(Box::new(rebuilt))
        }
        Err(failure) => Err(failure.error(&what())),
    }
}

/// Whether an item's MIME can be had; reads none of it.
pub(super) async fn probe(context: &Context, id: &str) -> Asked<()> {
    Content::open(&context.client, &requests::get_mime(id), "MimeContent", Coding::Base64).await.map(drop)
}
