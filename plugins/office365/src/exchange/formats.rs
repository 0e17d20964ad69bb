//! What the server's MIME of an item really is. Exchange gives events as iCalendar and contacts as vCard, other servers
//! wrap both into mail; the name's extension has to say which before the content is read. So the first item of each
//! sort is looked into, and what was seen holds for the rest of the run.

use std::collections::HashMap;

use bytes::Bytes;
use larder_sdk::{Kind, ReaderHost};
use tokio::sync::Mutex;

use super::{
    client::{Asked, Client},
    content::{Coding, Content},
    faults::Advice,
    ids::Ids,
    requests,
};

/// What content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A message as on the Internet, RFC 5322.
    Eml,
    /// iCalendar.
    Ics,
    /// vCard.
    Vcf,
    /// A stream of the server's own.
    Fts,
}

impl Format {
    /// The extension of names.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::Eml => "eml",
            Self::Ics => "ics",
            Self::Vcf => "vcf",
            Self::Fts => "fts",
        }
    }

    /// The media type of streams.
    pub(super) fn media(self) -> &'static str {
        match self {
            Self::Eml => "message/rfc822",
            Self::Ics => "text/calendar",
            Self::Vcf => "text/vcard",
            Self::Fts => "application/octet-stream",
        }
    }

    fn of_name(name: &[u8]) -> Option<Self> {
        [Self::Eml, Self::Ics, Self::Vcf].into_iter().find(|format| {
            name.strip_suffix(format.extension().as_bytes()).is_some_and(|stem| stem.ends_with(b"."))
        })
    }

    fn of_content(content: &[u8]) -> Self {
        let text = content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content).trim_ascii_start();
        let begins =
            |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if begins(b"BEGIN:VCALENDAR") {
            Self::Ics
        } else if begins(b"BEGIN:VCARD") {
            Self::Vcf
        } else {
            Self::Eml
        }
    }
}

/// What has been seen so far, by sort of item. One for a whole source: a tenant's mailboxes are alike.
#[derive(Default)]
pub(super) struct Formats {
    seen: Mutex<HashMap<&'static str, Format>>,
}

/// A format, and the content if looking for the format has brought all of it.
pub(super) struct Seen {
    pub(super) format: Format,
    pub(super) content: Option<Bytes>,
}

impl From<Format> for Seen {
    fn from(format: Format) -> Self {
        Self { format, content: None }
    }
}

impl Formats {
    /// The format of an item's content. Never fails: an item whose content cannot be had now is given its kind's usual one.
    pub(super) async fn of(
        &self,
        client: &Client,
        host: &ReaderHost,
        kind: &Kind,
        class: &str,
        ids: &Ids,
    ) -> Seen {
        let list = class.to_ascii_lowercase().starts_with("ipm.distlist");
        let (sort, usual) = match kind.as_str() {
            "event" => ("event", Format::Ics),
            "contact" if list => ("list", Format::Eml),
            "contact" => ("contact", Format::Vcf),
            _ => return Format::Eml.into(),
        };
        // Held over the look, so that it is taken once.
        let mut seen = self.seen.lock().await;
        if let Some(format) = seen.get(sort) {
            return (*format).into();
        }
        let before = host.item(&ids.kept).await.ok().flatten().filter(|item| item.kind == *kind);
        if let Some(format) = before.and_then(|item| Format::of_name(item.name.as_bytes())) {
            seen.insert(sort, format);
            return format.into();
        }
        match look(client, &ids.wire).await {
            Ok(found) => {
                seen.insert(sort, found.format);
                found
            }
            // This one will be rebuilt; others of its sort may be better off.
            Err(failure) if failure.advice() == Some(Advice::NoMime) => Format::Eml.into(),
            Err(_) => usual.into(),
        }
    }
}

async fn look(client: &Client, id: &str) -> Asked<Seen> {
    let body = Content::open(client, &requests::get_mime(id), "MimeContent", Coding::Base64).await?;
    Ok(Seen { format: Format::of_content(body.first()), content: body.whole() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_names_tell_the_format() {
        assert_eq!(Format::of_content(b"\xEF\xBB\xBF\r\nbegin:vcalendar\r\nVERSION:2.0"), Format::Ics);
        assert_eq!(Format::of_content(b"BEGIN:VCARD"), Format::Vcf);
        assert_eq!(Format::of_content(b"From: a@b.c"), Format::Eml);
        assert_eq!(Format::of_content(b""), Format::Eml);
        assert_eq!(Format::of_name(b"x.ics"), Some(Format::Ics));
        assert_eq!(Format::of_name(b"xics"), None);
    }
}
