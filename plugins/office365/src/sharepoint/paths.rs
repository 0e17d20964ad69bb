//! Addresses: server-relative paths in OData literals, and identifiers in one spelling.

use std::fmt::Write as _;

/// Text as an OData literal in a URL: quotes doubled, then everything but plain characters percent-encoded once.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    out.push('\'');
    for byte in text.replace('\'', "''").bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out.push('\'');
    out
}

/// `GetFileByServerRelativePath` on a decoded path. The path goes in an alias, which has no limit of its own.
pub(super) fn file_by_path(decoded: &str, tail: &str) -> String {
    format!("web/GetFileByServerRelativePath(decodedUrl=@f){tail}?@f={}", literal(decoded))
}

/// `GetFolderByServerRelativePath` on a decoded path.
pub(super) fn folder_by_path(decoded: &str, tail: &str) -> String {
    format!("web/GetFolderByServerRelativePath(decodedUrl=@f){tail}?@f={}", literal(decoded))
}

/// A GUID in lower case without braces; `None` if it is none.
pub(super) fn guid(text: &str) -> Option<String> {
    let bare = text.trim().trim_start_matches('{').trim_end_matches('}');
    let shaped = bare.len() == 36
        && bare
            .char_indices()
            .all(|(at, c)| if matches!(at, 8 | 13 | 18 | 23) { c == '-' } else { c.is_ascii_hexdigit() });
    shaped.then(|| bare.to_ascii_lowercase())
}

/// The last part of a server-relative path.
pub(super) fn leaf(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// A path as it is compared: SharePoint keeps case and does not tell it apart.
pub(super) fn folded(path: &str) -> String {
    path.trim_end_matches('/').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_doubled_then_encoded_once() {
        assert_eq!(literal("it's 100%#1 & +.txt"), "'it%27%27s%20100%25%231%20%26%20%2B.txt'");
        assert_eq!(literal("/a/ü"), "'%2Fa%2F%C3%BC'");
        assert_eq!(
            file_by_path("/a", "/$value"),
            "web/GetFileByServerRelativePath(decodedUrl=@f)/$value?@f='%2Fa'"
        );
    }

    #[test]
    fn guids_have_one_spelling() {
        let plain = "0a7a1f00-0000-4000-8000-00000000000b";
        assert_eq!(guid("{0A7A1F00-0000-4000-8000-00000000000B}").as_deref(), Some(plain));
        assert_eq!(guid(plain).as_deref(), Some(plain));
        assert!(guid("0a7a1f00").is_none() && guid("").is_none() && guid(&"ü".repeat(18)).is_none());
    }

    #[test]
    fn leaves_and_folding() {
        assert_eq!((leaf("/sites/a/Lists/Tasks/"), leaf("/"), leaf("x")), ("Tasks", "", "x"));
        assert_eq!(folded("/Sites/A/"), folded("/sites/a"));
    }
}
