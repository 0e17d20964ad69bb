//! RFC 2047 encoded words: non-ASCII text in headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// UTF-8 bytes in one encoded word, so that it stays within 75 characters.
const WORD_BYTES_MAX: usize = 42;

/// `text` as a header value: as it is when it is plain ASCII, else as folded encoded words.
pub(crate) fn encode_words(text: &str) -> String {
    let plain = |character: char| (' '..='~').contains(&character);
    if text.chars().all(plain) && !text.contains("=?") && text.len() < 900 {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len() + character.len_utf8() > WORD_BYTES_MAX {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let words: Vec<String> =
        words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

/// A header value with its encoded words read; unknown charsets and broken words stay as they are.
pub(super) fn decode_words(value: &str) -> String {
    let mut text = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some(start) = rest.find("=?") {
        let (before, candidate) = rest.split_at(start);
        if let Some((decoded, length)) = decode_word(candidate) {
            if !(after_word && before.trim().is_empty()) {
                text.push_str(before);
            }
            text.push_str(&decoded);
            rest = &candidate[length..];
            after_word = true;
        } else {
            text.push_str(before);
            text.push_str("=?");
            rest = &candidate[2..];
            after_word = false;
        }
    }
    text.push_str(rest);
    text
}

/// The text and length of the encoded word at the start of `candidate`.
fn decode_word(candidate: &str) -> Option<(String, usize)> {
    let mut parts = candidate.get(2..)?.splitn(3, '?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let end = rest.find("?=")?;
    let encoded = &rest[..end];
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(encoded).ok()?,
        "Q" | "q" => quoted(encoded.replace('_', " ").as_bytes()),
        _ => return None,
    };
    let text = decode_charset(&bytes, charset)?;
    Some((text, 2 + charset.len() + 1 + encoding.len() + 1 + end + 2))
}

/// Bytes in one of the charsets this server knows, as text.
pub(super) fn decode_charset(bytes: &[u8], charset: &str) -> Option<String> {
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" | "ascii" | "" => Some(String::from_utf8_lossy(bytes).into_owned()),
        "iso-8859-1" | "latin1" | "windows-1252" => {
            Some(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        _ => None,
    }
}

/// Quoted-printable bytes as they were; broken escapes stay as they are.
pub(super) fn quoted(encoded: &[u8]) -> Vec<u8> {
    let hex = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while at < encoded.len() {
        let rest = &encoded[at..];
        match rest {
            [b'=', b'\r', b'\n', ..] => at += 3,
            [b'=', b'\n', ..] => at += 2,
            [b'=', high, low, ..] if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0);
                bytes.push(value as u8);
                at += 3;
            }
            _ => {
                bytes.push(rest[0]);
                at += 1;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back() {
        for text in ["plain", "Größe – 文件 😀", &"ä".repeat(200), "=?not a word", "tab\tand \u{1}"]
        {
            assert_eq!(decode_words(&encode_words(text).replace("\r\n ", " ")), text);
        }
    }

    #[test]
    fn quoted_words_in_latin1_are_read() {
        assert_eq!(decode_words("=?iso-8859-1?Q?Gr=F6=DFe_1?= end"), "Größe 1 end");
        assert_eq!(decode_words("=?koi8-r?B?8A==?="), "=?koi8-r?B?8A==?=");
    }
}
