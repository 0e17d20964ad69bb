//! Names as a file system can hold them.
//!
//! Nearly every name stands as it is. What cannot is escaped so that no two names meet and each can be told back:
//! - a byte that may not stand in a name (`/`, zero) becomes `%{HH}`, in hexadecimal; so does the first dot of `.` and `..`;
//! - the name without bytes becomes `%{}`;
//! - `%` before `{` becomes `%{25}`, and `%` anywhere else stays: files called `100%` or `a%2Fb` keep their names;
//! - a name of over 255 bytes is cut and gets `%{DIGEST}` before its extension, 32 hexadecimal digits of its BLAKE3: this
//!   cannot be told back from itself, so the report says which name it was.

/// Longest name that common file systems hold, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Longest extension that a cut name keeps, with its dot, in bytes.
const EXTENSION_BYTES_MAX: usize = 16;
const DIGEST_CHARS: usize = 32;

/// A name as the target has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Escaped {
    /// 1 to 255 bytes without `/` and zero; not `.` or `..`.
    pub(super) bytes: Vec<u8>,
    /// True if they are not the name's own.
    pub(super) changed: bool,
}

/// Escapes a name.
pub(super) fn escape(name: &[u8]) -> Escaped {
    let bytes = escape_bytes(name);
    let bytes = if bytes.len() > NAME_BYTES_MAX { cut(name, &bytes) } else { bytes };
    Escaped { changed: bytes != name, bytes }
}

fn escape_bytes(name: &[u8]) -> Vec<u8> {
    match name {
        b"" => return b"%{}".to_vec(),
        b"." => return b"%{2E}".to_vec(),
        b".." => return b"%{2E}.".to_vec(),
        _ => {}
    }
    let mut escaped = Vec::with_capacity(name.len());
    for (at, &byte) in name.iter().enumerate() {
        let forbidden = matches!(byte, b'/' | 0) || byte == b'%' && name.get(at + 1) == Some(&b'{');
        if forbidden {
            escaped.extend_from_slice(format!("%{{{byte:02X}}}").as_bytes());
        } else {
            escaped.push(byte);
        }
    }
    escaped
}

fn cut(name: &[u8], escaped: &[u8]) -> Vec<u8> {
    let digest = blake3::hash(name).to_hex();
    let extension = match escaped.iter().rposition(|&byte| byte == b'.') {
        Some(at) if at > 0 && escaped.len() - at <= EXTENSION_BYTES_MAX => &escaped[at..],
        _ => &[],
    };
    let mut keep = NAME_BYTES_MAX - extension.len() - DIGEST_CHARS - "%{}".len();
    // Not inside a character of UTF-8: its later bytes begin with the bits 10.
    while keep > 0 && escaped[keep] & 0xc0 == 0x80 {
        keep -= 1;
    }
    let mut bytes = escaped[..keep].to_vec();
    bytes.extend_from_slice(format!("%{{{}}}", &digest[..DIGEST_CHARS]).as_bytes());
    bytes.extend_from_slice(extension);
    bytes
}

/// Tells an escaped name back; `None` for one that was cut.
#[cfg(test)]
fn unescape(escaped: &[u8]) -> Option<Vec<u8>> {
    if escaped == b"%{}" {
        return Some(Vec::new());
    }
    let mut name = Vec::new();
    let mut rest = escaped;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(inner) = rest.strip_prefix(b"%{") {
            let digits = inner.get(..2).filter(|_| inner.get(2) == Some(&b'}'))?;
            name.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &inner[3..];
        } else {
            name.push(byte);
            rest = after;
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(name: &[u8]) -> Vec<u8> {
        escape(name).bytes
    }

    #[test]
    fn ordinary_names_stay() {
        for name in [&b"a"[..], b"100%", b"a%2Fb", b"...", b".hidden", b"\xff\xfe", b"a\nb", b"{}", b"%"] {
            assert_eq!(escaped(name), name);
        }
    }

    #[test]
    fn attacks_become_harmless() {
        assert_eq!(escaped(b"."), b"%{2E}");
        assert_eq!(escaped(b".."), b"%{2E}.");
        assert_eq!(escaped(b"../../etc/passwd"), b"..%{2F}..%{2F}etc%{2F}passwd");
        assert_eq!(escaped(b"/etc"), b"%{2F}etc");
        assert_eq!(escaped(b"a\0b"), b"a%{00}b");
        assert_eq!(escaped(b""), b"%{}");
        assert_eq!(escaped(b"%{2F}"), b"%{25}{2F}", "no name can pose as an escaped one");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let name = format!("{}.eml", "\u{20ac}".repeat(100));
        let cut = escape(name.as_bytes());
        assert!(cut.changed && cut.bytes.len() <= 255);
        let text = String::from_utf8(cut.bytes).unwrap();
        assert!(text.starts_with('\u{20ac}') && std::path::Path::new(&text).extension().unwrap() == "eml");
        let other = escaped(name.replace(".eml", "\u{20ac}.eml").as_bytes());
        assert_ne!(text.as_bytes(), other);
        assert!(!escape(&[b'x'; 255]).changed);
        assert!(escape(&[b'x'; 256]).changed);
        assert!(escape(&[b'/'; 255]).bytes.len() <= 255);
        assert!(escape(&[0x80; 300]).bytes.len() <= 255, "all of it looks like the inside of a character");
    }

    proptest! {
        #[test]
        fn every_name_is_legal_and_told_back(name in prop::collection::vec(
            prop::sample::select(b"%{}2F/.\0a\xff".to_vec()), 0..40)) {
            let escaped = escape(&name);
            prop_assert!(!escaped.bytes.is_empty());
            prop_assert_eq!(escaped.changed, escaped.bytes != name);
            prop_assert!(!escaped.bytes.iter().any(|byte| matches!(byte, b'/' | 0)));
            prop_assert!(escaped.bytes != b"." && escaped.bytes != b"..");
            prop_assert_eq!(unescape(&escaped.bytes), Some(name));
        }
    }
}
