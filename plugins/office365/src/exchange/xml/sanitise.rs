//! Drops what XML 1.0 forbids and servers send all the same: control bytes, character references to them, a byte order
//! mark. Works across buffer borders.

use bytes::Bytes;

/// Longest reference that is looked at as a whole, in bytes: `&#x0010FFFF;` and some leading zeros.
const REFERENCE_BYTES_MAX: usize = 16;
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The filter's state between two buffers.
#[derive(Debug, Default)]
pub(super) struct Sanitiser {
    started: bool,
    /// A reference, or the document's first bytes, whose end has not been seen yet.
    held: Vec<u8>,
}

impl Sanitiser {
    /// Filters the next buffer. What is returned may be empty though the document goes on.
    pub(super) fn feed(&mut self, input: Bytes) -> Bytes {
        if self.started && self.held.is_empty() && !input.iter().any(|byte| needs_look(*byte)) {
            return input;
        }
        let mut output = Vec::with_capacity(self.held.len() + input.len());
        let mut rest: &[u8] = &input;
        if !self.started {
            rest = self.start(rest, &mut output);
        }
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            self.byte(byte, &mut output);
        }
        Bytes::from(output)
    }

    /// What was held back at the end of the document.
    pub(super) fn finish(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.held))
    }

    /// Looks at the first three bytes, as soon as they are there.
    fn start<'input>(&mut self, input: &'input [u8], output: &mut Vec<u8>) -> &'input [u8] {
        let missing = BYTE_ORDER_MARK.len().saturating_sub(self.held.len()).min(input.len());
        let (first, rest) = input.split_at(missing);
        self.held.extend_from_slice(first);
        if self.held == BYTE_ORDER_MARK {
            self.held.clear();
            self.started = true;
        } else if !BYTE_ORDER_MARK.starts_with(&self.held) {
            self.started = true;
            for byte in std::mem::take(&mut self.held) {
                self.byte(byte, output);
            }
        }
        rest
    }

    fn byte(&mut self, byte: u8, output: &mut Vec<u8>) {
        if is_illegal_byte(byte) {
            return;
        }
        if self.held.is_empty() {
            if byte == b'&' {
                self.held.push(byte);
            } else {
                output.push(byte);
            }
            return;
        }
        match byte {
            b';' => {
                self.held.push(byte);
                if !is_illegal_reference(&self.held) {
                    output.extend_from_slice(&self.held);
                }
                self.held.clear();
            }
            b'&' => {
                output.append(&mut self.held);
                self.held.push(byte);
            }
            _ => {
                self.held.push(byte);
                if byte == b'<' || self.held.len() > REFERENCE_BYTES_MAX {
                    output.append(&mut self.held);
                }
            }
        }
    }
}

fn needs_look(byte: u8) -> bool {
    byte == b'&' || is_illegal_byte(byte)
}

fn is_illegal_byte(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')
}

/// True for a numeric reference to a code point that XML 1.0 does not allow. Named references pass.
fn is_illegal_reference(reference: &[u8]) -> bool {
    let Some(digits) = reference.strip_prefix(b"&#").and_then(|rest| rest.strip_suffix(b";")) else {
        return false;
    };
    let (digits, radix) = match digits.split_first() {
        Some((b'x' | b'X', hex)) => (hex, 16),
        _ => (digits, 10),
    };
    let number = std::str::from_utf8(digits).ok().and_then(|text| u32::from_str_radix(text, radix).ok());
    !number.and_then(char::from_u32).is_some_and(is_xml_char)
}

/// The characters of XML 1.0.
pub(crate) fn is_xml_char(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(pieces: &[&[u8]]) -> Vec<u8> {
        let mut sanitiser = Sanitiser::default();
        let mut output = Vec::new();
        for piece in pieces {
            output.extend_from_slice(&sanitiser.feed(Bytes::copy_from_slice(piece)));
        }
        output.extend_from_slice(&sanitiser.finish());
        output
    }

    #[test]
    fn illegal_characters_and_references_go() {
        let dirty =
            b"\xEF\xBB\xBF<a b=\"&#x1;1\">\x01x&#xB;y&#11;z&#xFFFF;&#xD800; &amp; &#x41;&#10;\x1F</a>";
        let wanted = b"<a b=\"1\">xyz &amp; &#x41;&#10;</a>".to_vec();
        assert_eq!(clean(&[dirty]), wanted);
        let single: Vec<&[u8]> = dirty.chunks(1).collect();
        assert_eq!(clean(&single), wanted);
        for cut in 0..dirty.len() {
            assert_eq!(clean(&[&dirty[..cut], &dirty[cut..]]), wanted, "cut at {cut}");
        }
    }

    #[test]
    fn what_only_looks_like_a_reference_stays() {
        for text in ["a & b", "a &&#x41; b", "&nosuchnamethatisverylongindeed;", "x &", "&#", "&<a/>"] {
            assert_eq!(clean(&[text.as_bytes()]), text.as_bytes());
        }
    }

    #[test]
    fn a_short_document_is_not_lost_to_the_byte_order_mark() {
        assert_eq!(clean(&[b"\xEF", b"\xBB"]), b"\xEF\xBB");
        assert_eq!(clean(&[b"<", b"a/>"]), b"<a/>");
    }
}
