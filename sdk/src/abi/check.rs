//! Whether what a plugin says keeps the model's rules: for hosts, and for the conformance suite.
//!
//! Lengths of ids and tags are checked where they are decoded.

use std::collections::HashSet;

use crate::{
    Container, Error, ErrorKind, Event, Explained, Item, ItemId, Kind, ListPage, Name, ObjectKey, PluginInfo,
    Result, Time, codec,
    limits::{CODE_BYTES_MAX, CODES_MAX, ERROR_TEXT_BYTES_MAX, ITEM_BYTES_MAX, LIST_PAGE_MAX, STREAMS_MAX},
};

/// Longest kind in bytes.
const KIND_BYTES_MAX: usize = 64;
/// Longest stream name in bytes.
const STREAM_NAME_BYTES_MAX: usize = 4096;
/// Longest media type in bytes.
const MEDIA_BYTES_MAX: usize = 256;
/// Most parts of a container's path.
const PATH_PARTS_MAX: usize = 16;
/// Longest plugin name in bytes.
const PLUGIN_NAME_BYTES_MAX: usize = 64;

/// A plugin's description of itself.
pub fn info(info: &PluginInfo) -> Result<()> {
    let name = info.name.as_str();
    if !is_word(name, PLUGIN_NAME_BYTES_MAX) {
        return Err(broken(format!("`{}` is no plugin name", name.escape_debug())));
    }
    if info.codes.len() > CODES_MAX {
        return Err(broken(format!(
            "it explains {} codes, at most {CODES_MAX} are allowed",
            info.codes.len()
        )));
    }
    let mut seen = HashSet::with_capacity(info.codes.len());
    for explained in &info.codes {
        self::explained(explained)?;
        if !seen.insert(&explained.code) {
            return Err(broken(format!("code `{}` is explained twice", explained.code)));
        }
    }
    Ok(())
}

/// What a code means.
fn explained(explained: &Explained) -> Result<()> {
    let Explained { code, meaning, remedy, more } = explained;
    if !is_word(code, CODE_BYTES_MAX) {
        return Err(broken(format!("`{}` is no code", code.escape_debug())));
    }
    let texts = [meaning, remedy].into_iter().chain(more);
    if meaning.is_empty() || texts.into_iter().any(|text| text.len() > ERROR_TEXT_BYTES_MAX) {
        return Err(broken(format!("code `{code}` is explained by nothing, or by too much")));
    }
    Ok(())
}

/// Lower case, digits and `-`, and not too long.
fn is_word(text: &str, bytes_max: usize) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= bytes_max && text.bytes().all(letter)
}

/// A container of a discovery.
pub fn container(container: &Container) -> Result<()> {
    let what = || format!("container \"{}\"", container.id.display());
    if container.id.is_empty() {
        return Err(broken(format!("container \"{}\" has an empty id", container.title.escape_debug())));
    }
    if container.path.is_empty() || container.path.len() > PATH_PARTS_MAX {
        return Err(broken(format!("{}: a path of {} parts", what(), container.path.len())));
    }
    for part in &container.path {
        name(part).map_err(|error| error.context(what()))?;
    }
    if codec::encode_plain(container)?.len() > ITEM_BYTES_MAX {
        return Err(broken(format!("{}: more than {ITEM_BYTES_MAX} bytes", what())));
    }
    kind(&container.kind).map_err(|error| error.context(what()))
}

/// All containers of a discovery: each by itself, and each id once.
pub fn containers(containers: &[Container]) -> Result<()> {
    let mut seen = HashSet::with_capacity(containers.len());
    for container in containers {
        self::container(container)?;
        if !seen.insert(&container.id) {
            return Err(broken(format!("container \"{}\" is listed twice", container.id.display())));
        }
    }
    Ok(())
}

/// An offered item.
pub fn item(item: &Item) -> Result<()> {
    check_item(item).map_err(|error| error.context(format_args!("item \"{}\"", item.id.display())))
}

fn check_item(item: &Item) -> Result<()> {
    id(&item.id)?;
    name(&item.name)?;
    kind(&item.kind)?;
    if item.parent == item.id {
        return Err(broken("it is its own parent"));
    }
    if let Some(modified) = &item.modified {
        time(modified)?;
    }
    streams(item)
}

/// An event that is no offer. Names that are not known may be empty.
pub fn event(event: &Event) -> Result<()> {
    match event {
        Event::Deleted(deleted) => id(deleted),
        Event::Moved { was, id: now, .. } => id(was).and_then(|()| id(now)),
        Event::Unread(unread) => id(&unread.id).and_then(|()| name_if_known(&unread.name)),
        Event::Skipped { id: skipped, name, .. } => id(skipped).and_then(|()| name_if_known(name)),
        _ => Ok(()),
    }
}

/// A page of a listing: everything on it lies directly in its folder.
pub fn page(folder: &str, page: &ListPage) -> Result<()> {
    let entries = page.objects.len() + page.folders.len();
    if entries > LIST_PAGE_MAX {
        return Err(broken(format!("a page of {entries} entries, at most {LIST_PAGE_MAX} are allowed")));
    }
    let names =
        page.objects.iter().map(|(key, _)| key.as_str()).chain(page.folders.iter().map(String::as_str));
    for name in names {
        let inside = if folder.is_empty() {
            Some(name)
        } else {
            name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'))
        };
        let direct = inside.is_some_and(|part| !part.is_empty() && !part.contains('/'));
        if !direct || name.len() > ObjectKey::BYTES_MAX {
            return Err(broken(format!("\"{}\" in the listing of folder \"{folder}\"", name.escape_debug())));
        }
    }
    Ok(())
}

fn id(id: &ItemId) -> Result<()> {
    if id.is_empty() { Err(broken("an item has an empty id")) } else { Ok(()) }
}

fn name_if_known(known: &Name) -> Result<()> {
    if known.is_empty() { Ok(()) } else { name(known) }
}

fn name(name: &Name) -> Result<()> {
    let bytes = name.as_bytes();
    if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') || bytes.contains(&0) {
        return Err(broken(format!("\"{}\" is no name", name.display().escape_debug())));
    }
    Ok(())
}

fn kind(kind: &Kind) -> Result<()> {
    let word = kind.as_str();
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if word.is_empty() || word.len() > KIND_BYTES_MAX || !word.bytes().all(letter) {
        return Err(broken(format!("\"{}\" is no kind", word.escape_debug())));
    }
    Ok(())
}

fn time(time: &Time) -> Result<()> {
    if time.nanos >= 1_000_000_000 {
        Err(broken(format!("{} nanoseconds in a time", time.nanos)))
    } else {
        Ok(())
    }
}

fn streams(item: &Item) -> Result<()> {
    if item.streams.len() > STREAMS_MAX {
        return Err(broken(format!("{} streams, at most {STREAMS_MAX} are allowed", item.streams.len())));
    }
    for stream in &item.streams {
        let name = &stream.name;
        if name.is_empty() || name.len() > STREAM_NAME_BYTES_MAX || name.contains('\0') {
            return Err(broken(format!("\"{}\" is no stream name", name.escape_debug())));
        }
        if stream.media.len() > MEDIA_BYTES_MAX {
            return Err(broken(format!("stream \"{name}\": a media type of {} bytes", stream.media.len())));
        }
    }
    if item.streams.len() > 1 {
        let mut seen = HashSet::with_capacity(item.streams.len());
        if let Some(twice) = item.streams.iter().find(|stream| !seen.insert(stream.name.as_str())) {
            return Err(broken(format!("two streams are called \"{}\"", twice.name)));
        }
    }
    Ok(())
}

fn broken(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::CorruptItem, message)
}
