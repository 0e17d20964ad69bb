//! Where a repository is: the URL of a config file, checked and taken apart.

use std::{fmt, path::PathBuf};

use larder_sdk::{Error, ErrorKind, Result};
use url::Url;

use crate::nearest::nearest;

/// The kinds of store, by scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    /// A folder of this machine.
    File,
    /// This process's memory, for tests and trials.
    Memory,
    /// S3 and what speaks its protocol.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
    /// `WebDAV`, over http or https.
    WebDav,
}

/// A checked URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    /// Which kind of store.
    pub(crate) scheme: Scheme,
    /// Bucket or container; for `WebDAV` the server as a URL; for memory the store's name; empty for a folder.
    pub(crate) root: String,
    /// What stands before every object's name, without slashes at its ends; empty if nothing does. Not used for a folder.
    pub(crate) prefix: String,
    /// The folder, for `file://` alone.
    pub(crate) folder: PathBuf,
    shown: String,
}

/// The schemes a URL may have, as written.
const SCHEMES: [(&str, Scheme); 7] = [
    ("file", Scheme::File),
    ("memory", Scheme::Memory),
    ("s3", Scheme::S3),
    ("az", Scheme::Azure),
    ("gs", Scheme::Google),
    ("http", Scheme::WebDav),
    ("https", Scheme::WebDav),
];

impl Location {
    /// Takes a URL apart. What is wrong with it is [`ErrorKind::Configuration`]; nothing that may be a password is repeated.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text).map_err(|error| {
            wrong(format!("the repository's URL cannot be read: {error}"))
                .with_hint("for a folder write file:///PATH, for a bucket s3://BUCKET/PREFIX")
        })?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("the repository's URL holds a user or password")
                .with_hint("put `user` and `password` into the repository's options"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("the repository's URL goes on after its path, with `?` or `#`")
                .with_hint("put settings and tokens into the repository's options"));
        }
        let scheme = SCHEMES.iter().find(|(name, _)| *name == url.scheme()).map(|(_, scheme)| *scheme);
        match scheme {
            Some(Scheme::File) => Self::folder(&url),
            Some(Scheme::Memory) => Self::memory(&url),
            Some(Scheme::WebDav) => Self::server(&url),
            Some(scheme) => Self::bucket(scheme, &url),
            None => Err(unknown_scheme(url.scheme())),
        }
    }

    fn folder(url: &Url) -> Result<Self> {
        let folder = url.to_file_path().map_err(|()| {
            wrong(format!("`{url}` names no folder of this machine"))
                .with_hint("a folder's URL has three slashes: file:///PATH")
        })?;
        let shown = format!("file://{}", folder.display());
        Ok(Self { scheme: Scheme::File, root: String::new(), prefix: String::new(), folder, shown })
    }

    fn memory(url: &Url) -> Result<Self> {
        if url.has_host() && url.host_str().is_some_and(|host| !host.is_empty()) {
            return Err(wrong(format!("`{url}` names a host")).with_hint("write memory:///NAME"));
        }
        let name = prefix(url)?;
        let shown = format!("memory:///{name}");
        Ok(Self { scheme: Scheme::Memory, root: name, prefix: String::new(), folder: PathBuf::new(), shown })
    }

    fn server(url: &Url) -> Result<Self> {
        let prefix = prefix(url)?;
        let mut server = url.clone();
        server.set_path("/");
        let shown = format!("{server}{prefix}");
        Ok(Self { scheme: Scheme::WebDav, root: server.into(), prefix, folder: PathBuf::new(), shown })
    }

    fn bucket(scheme: Scheme, url: &Url) -> Result<Self> {
        let root = url.host_str().unwrap_or_default().to_owned();
        if root.is_empty() || url.port().is_some() {
            return Err(wrong(format!("`{url}` names no bucket")).with_hint(
                "write SCHEME://BUCKET/PREFIX; a server's address is an option, `aws_endpoint` say",
            ));
        }
        let prefix = prefix(url)?;
        let shown = [&format!("{}://{root}", url.scheme()), prefix.as_str()].join("/");
        Ok(Self {
            scheme,
            root,
            shown: shown.trim_end_matches('/').to_owned(),
            prefix,
            folder: PathBuf::new(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The path as text, percent signs resolved, without slashes at its ends.
fn prefix(url: &Url) -> Result<String> {
    let parts: Vec<String> =
        url.path().split('/').filter(|part| !part.is_empty()).map(decoded).collect::<Result<_>>()?;
    let usable = |part: &String| {
        !matches!(part.as_str(), "." | "..")
            && !part.contains(['/', '\\'])
            && !part.contains(char::is_control)
    };
    if parts.iter().all(usable) {
        Ok(parts.join("/"))
    } else {
        Err(wrong(format!(
            "`{url}` has a part that no store takes: `.`, `..`, a slash or a control character in code"
        )))
    }
}

fn decoded(part: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let (Some(high), Some(low)) = (digit(), digit()) else {
                return Err(wrong(format!(
                    "`{part}` in the repository's URL has a `%` without two digits after it"
                )));
            };
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| wrong(format!("`{part}` in the repository's URL is no UTF-8")))
}

fn unknown_scheme(scheme: &str) -> Error {
    let names: Vec<&str> = SCHEMES.iter().map(|(name, _)| *name).collect();
    let hint = match nearest(scheme, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}://`?"),
        None => format!("known are: {}", names.join(", ")),
    };
    wrong(format!("no store is known for `{scheme}://`")).with_hint(hint)
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message).with_code("store-url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let cases = [
            ("s3://Backups/a/b/", Scheme::S3, "Backups", "a/b", "s3://Backups/a/b"),
            ("az://box", Scheme::Azure, "box", "", "az://box"),
            ("gs://box/with%20space", Scheme::Google, "box", "with space", "gs://box/with space"),
            (
                "https://nas:8443/dav/x",
                Scheme::WebDav,
                "https://nas:8443/",
                "dav/x",
                "https://nas:8443/dav/x",
            ),
            ("memory:///one", Scheme::Memory, "one", "", "memory:///one"),
            ("memory:///", Scheme::Memory, "", "", "memory:///"),
        ];
        for (url, scheme, root, prefix, shown) in cases {
            let location = Location::parse(url).unwrap();
            assert_eq!(
                (location.scheme, &*location.root, &*location.prefix),
                (scheme, root, prefix),
                "{url}"
            );
            assert_eq!(location.to_string(), shown);
        }
        let folder = Location::parse("file:///srv/a%20b/").unwrap();
        assert_eq!(folder.folder, PathBuf::from("/srv/a b/"));
    }

    #[test]
    fn wrong_urls_say_what_to_write() {
        let cases = [
            ("/srv/backup", "file:///"),
            ("file://srv/backup", "three slashes"),
            ("s4://bucket", "s3://"),
            ("ftp://host/x", "known are"),
            ("s3:///x", "BUCKET"),
            ("s3://bucket/x?versionId=1", "options"),
        ];
        for (url, hint) in cases {
            let error = Location::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{url}");
            assert!(error.hint().unwrap_or_default().contains(hint), "{url}: {error:?}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let error = Location::parse("https://me:geheim@host/dav").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(!format!("{error:?}").contains("geheim"));
    }
}
