//! Turns rows into offers, and offers into streams.

use std::sync::Arc;

use bytes::Bytes;
use larder_sdk::{
    Body, Error, ErrorKind, Event, Item, ItemId, Name, Offer, ReadyBody, Result, ScopeId, Unread,
};

use super::{
    client::{Asked, Client, Failure},
    content::{Coding, Content},
    context::Context,
    details,
    export::{self, Fidelity},
    faults::Advice,
    formats::Format,
    ids::Ids,
    item::{self, DETAILS, EXPORT, Form, Reading, kind_of, needs_details},
    names,
    outbox::Outbox,
    rebuild::Rebuilt,
    requests,
    xml::Element,
};

/// Where items are told of.
#[derive(Clone, Copy)]
pub(super) struct At<'run> {
    pub(super) context: &'run Context,
    /// Whom to ask for them.
    pub(super) client: &'run Client,
    pub(super) scope: &'run ScopeId,
    /// The id of their folder.
    pub(super) folder: &'run str,
}

/// What an offer carries until its content is asked for.
pub(super) struct Carry {
    form: Form,
    client: Client,
    /// The item's id on the wire.
    wire: String,
    /// The content, if it had to be looked into to make the offer and is small.
    content: Option<Bytes>,
}

/// Offers the item that `row` tells of.
pub(super) async fn offer(at: At<'_>, (ids, row): (Ids, &Element), outbox: &mut Outbox) -> Result<()> {
    let context = at.context;
    let class = row.text_of("ItemClass").unwrap_or_default();
    let (reading, known) = match context.fidelity() {
        Fidelity::Export => (Reading::plain(Form::Export, Format::Fts), None),
        fidelity => {
            let seen = context.formats.of(at.client, &context.host, &kind_of(class), class, &ids).await;
            let mut reading = Reading::plain(Form::Mime, seen.format);
            reading.export = fidelity == Fidelity::Both;
            reading.details = needs_details(class);
            (reading, seen.content)
        }
    };
    let Some(item) = item::item(row, &ids.kept, at.folder, reading) else { return Ok(()) };
    if let Some(moved) = context.departed.moved(&item) {
        outbox.push(moved).await?;
    }
    let carry = Carry { form: reading.form, client: at.client.clone(), wire: ids.wire, content: known };
    outbox.push(event(at, item, carry)).await
}

/// Offers an item whose content is built here.
pub(super) async fn offer_rebuilt(
    at: At<'_>,
    (ids, row): (Ids, &Element),
    outbox: &mut Outbox,
) -> Result<()> {
    let reading = Reading::plain(Form::Rebuilt, Format::Eml);
    let Some(item) = item::item(row, &ids.kept, at.folder, reading) else { return Ok(()) };
    let carry = Carry { form: Form::Rebuilt, client: at.client.clone(), wire: ids.wire, content: None };
    outbox.push(event(at, item, carry)).await
}

/// The offer of an item with its content as it was.
pub(super) fn offer_known(at: At<'_>, wire: String, item: Item) -> Event {
    // Asked for only if the host has lost the content: then the form follows from what the streams are.
    let form = if item.meta.iter().any(|(name, _)| name == "rebuilt") {
        Form::Rebuilt
    } else if item.name.as_bytes().ends_with(b".fts") {
        Form::Export
    } else {
        Form::Mime
    };
    event(at, item, Carry { form, client: at.client.clone(), wire, content: None })
}

/// The offer of an item whose content is here already.
pub(super) fn offer_ready(scope: ScopeId, item: Item, content: Bytes) -> Event {
    Event::Offer(Offer { scope, item, carry: Some(Arc::new(Ready(content))) })
}

/// What such an offer carries.
struct Ready(Bytes);

fn event(at: At<'_>, item: Item, carry: Carry) -> Event {
    at.context.offered.note(&item.id);
    Event::Offer(Offer { scope: at.scope.clone(), item, carry: Some(Arc::new(carry)) })
}

/// An item that is there and cannot be read now. Its last known name stays.
pub(super) async fn unread(at: At<'_>, id: ItemId, error: Error) -> Event {
    let context = at.context;
    context.offered.note(&id);
    let known = context.host.item(&id).await.ok().flatten();
    let name =
        known.map_or_else(|| names::item_name("(unreadable)", Format::Eml.extension()), |item| item.name);
    Event::Unread(Unread { scope: at.scope.clone(), id, parent: ItemId::from(at.folder), name, error })
}

/// A folder whose items cannot be listed now. Its own scope stays where it was.
pub(super) async fn unread_folder(context: &Context, scope: ScopeId, id: &str, error: Error) -> Event {
    let id = ItemId::from(id);
    let known = context.host.item(&id).await.ok().flatten();
    let (name, parent) = known
        .map_or_else(|| (Name::from("(unreadable)"), ItemId::default()), |item| (item.name, item.parent));
    Event::Unread(Unread { scope, id, parent, name, error })
}

/// Opens one of an offer's streams.
///
/// Where the server has no MIME for a kind of item, the content is built here at once. Where making MIME *failed*, that is an
/// error: the item is owed, tried again in the next run, and built here only if it keeps failing (see `owed`).
pub(super) async fn open(context: &Context, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
    let what = || format!("{} in {}", offer.item.name.display(), context.address);
    let Some(info) = offer.item.streams.get(stream) else {
        return Err(Error::bug(format!("{}: it has no stream {stream}", what())));
    };
    if let Some(Ready(content)) = offer.carry.as_deref().and_then(|carry| carry.downcast_ref::<Ready>()) {
        return Ok(Box::new(ReadyBody::new(content.clone())));
    }
    let carry = offer.carry.as_deref().and_then(|carry| carry.downcast_ref::<Carry>());
    let Some(carry) = carry else {
        return Err(Error::bug(format!("{}: nothing is carried with it", what())));
    };
    let failed = |failure: Failure| failure.error(&what());
    match info.name.as_str() {
        EXPORT => export::open(&carry.client, &carry.wire).await.map_err(failed),
        DETAILS => details::open(&carry.client, &carry.wire, item_class(&offer.item)).await.map_err(failed),
        _ => open_content(context, offer, carry).await,
    }
}

async fn open_content(context: &Context, offer: &Offer, carry: &Carry) -> Result<Box<dyn Body>> {
    let what = || format!("{} in {}", offer.item.name.display(), context.address);
    if let Some(content) = carry.content.clone() {
        return Ok(Box::new(ReadyBody::new(content)));
    }
    match carry.form {
        Form::Export => {
            return export::open(&carry.client, &carry.wire).await.map_err(|failure| failure.error(&what()));
        }
        Form::Rebuilt => return rebuilt(carry, &what()).await,
        Form::Mime => {}
    }
    let call = requests::get_mime(&carry.wire);
    match Content::open(&carry.client, &call, "MimeContent", Coding::Base64).await {
        Ok(mime) => Ok(Box::new(mime)),
        Err(failure) if failure.advice() == Some(Advice::NoMime) => {
            if !offer.item.name.as_bytes().ends_with(b".eml") {
                let text = format!("{}: the server has no content for it in the form its like have", what());
                return Err(Error::new(ErrorKind::CorruptItem, text).with_code("ews-no-mime"));
            }
            rebuilt(carry, &what()).await
        }
        Err(failure) => Err(failure.error(&what())),
    }
}

fn item_class(item: &Item) -> &str {
    item::text_of(&item.meta, "item_class")
}

async fn rebuilt(carry: &Carry, what: &str) -> Result<Box<dyn Body>> {
    let rebuilt = Rebuilt::open(&carry.client, &carry.wire).await.map_err(|failure| failure.error(what))?;
    Ok(Box::new(rebuilt))
}

/// Whether an item's MIME can be had; reads none of it.
pub(super) async fn probe(client: &Client, wire: &str) -> Asked<()> {
    Content::open(client, &requests::get_mime(wire), "MimeContent", Coding::Base64).await.map(drop)
}
