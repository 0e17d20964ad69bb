//! Finds the parts of a MIME message while its bytes stream by, so that an attachment is cut out of every message that carries it.
//!
//! No boundary parameter is read: a line that looks like a delimiter and is followed by a header begins a part, and its body, after
//! the blank line, ends before the next line that looks like one. That holds at any depth of nesting and for messages that are cut short
//! or broken; where it is mistaken a chunk is cut elsewhere than it might be, and nothing else.

use std::{collections::VecDeque, ops::Range};

/// A part's body is cut out from this many bytes on; a smaller one costs more in ids than it may save.
pub(super) const PART_BYTES_MIN: usize = 8 << 10;
/// Longest delimiter line in bytes, without its line end: `--`, 70 characters, `--` (RFC 2046, section 5.1.1), and some mercy.
const DELIMITER_BYTES_MAX: usize = 80;
/// No border that a finder reports is changed by bytes further behind it than this.
pub(super) const LOOKAHEAD_BYTES: usize = PART_BYTES_MIN + DELIMITER_BYTES_MAX + 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Within a header, a message's or a part's.
    Header,
    /// In the line after a delimiter.
    AfterDelimiter,
    /// Within a body, or in text that belongs to no part.
    Body,
}

/// Finds the bodies of parts. Keeps a few bytes of the line it is in and the parts not yet cut out.
pub(super) struct PartFinder {
    place: Place,
    /// Offset of the next byte in the stream.
    position: u64,
    /// Offset at which the line under way began.
    line_start: u64,
    /// The line's beginning, as much as tells a delimiter.
    line: Vec<u8>,
    /// Bodies of at least [`PART_BYTES_MIN`], in order.
    parts: VecDeque<Range<u64>>,
    /// Where the body under way began.
    open: Option<u64>,
}

impl PartFinder {
    /// At the beginning of a message.
    pub(super) fn new() -> Self {
        Self {
            place: Place::Header,
            position: 0,
            line_start: 0,
            line: Vec::with_capacity(DELIMITER_BYTES_MAX + 2),
            parts: VecDeque::new(),
            open: None,
        }
    }

    /// The next bytes of the message.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.place == Place::Body && !self.may_delimit(bytes) {
                self.pass_lines(bytes)
            } else {
                self.take_line(bytes)
            };
            bytes = &bytes[taken..];
        }
    }

    /// Whether the line under way, which these bytes continue, begins with two dashes or may yet.
    fn may_delimit(&self, next: &[u8]) -> bool {
        self.line.iter().chain(next).take(2).all(|byte| *byte == b'-')
    }

    /// Takes the rest of the line under way. Returns how many bytes that was.
    fn take_line(&mut self, bytes: &[u8]) -> usize {
        let end = memchr::memchr(b'\n', bytes);
        self.keep(&bytes[..end.unwrap_or(bytes.len())]);
        let taken = end.map_or(bytes.len(), |end| end + 1);
        self.position += taken as u64;
        if end.is_some() {
            self.line_ends();
            self.line.clear();
            self.line_start = self.position;
        }
        taken
    }

    /// Takes all lines up to one that begins with dashes: in a body no other tells anything, and most bytes are in bodies.
    fn pass_lines(&mut self, bytes: &[u8]) -> usize {
        let taken = memchr::memmem::find(bytes, b"\n--").map_or(bytes.len(), |at| at + 1);
        let mut line = &bytes[..taken];
        if let Some(end) = memchr::memrchr(b'\n', line) {
            self.line.clear();
            self.line_start = self.position + end as u64 + 1;
            line = &line[end + 1..];
        }
        self.keep(line);
        self.position += taken as u64;
        taken
    }

    /// The message is over: no line follows the one under way.
    pub(super) fn end(&mut self) {
        self.line_ends();
        self.close(self.position);
    }

    /// The first border after an offset: where a body begins or ends. Borders up to [`LOOKAHEAD_BYTES`] before the last byte
    /// fed are final.
    pub(super) fn border_after(&mut self, offset: u64) -> Option<u64> {
        while self.parts.front().is_some_and(|part| part.end <= offset) {
            self.parts.pop_front();
        }
        let open = self.open.filter(|start| self.position - start >= PART_BYTES_MIN as u64);
        match self.parts.front() {
            Some(part) => Some(if part.start > offset { part.start } else { part.end }),
            None => open.filter(|start| *start > offset),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = DELIMITER_BYTES_MAX + 2 - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn line_ends(&mut self) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let header = is_header(line);
        if is_delimiter(line) {
            self.close(self.line_start);
            self.place = Place::AfterDelimiter;
        } else if self.place == Place::Header && line.is_empty() {
            self.place = Place::Body;
            self.open = Some(self.position);
        } else if self.place == Place::AfterDelimiter {
            self.place = if header { Place::Header } else { Place::Body };
        }
    }

    fn close(&mut self, end: u64) {
        if let Some(start) = self.open.take()
            && end - start >= PART_BYTES_MIN as u64
        {
            self.parts.push_back(start..end);
        }
    }
}

fn is_delimiter(line: &[u8]) -> bool {
    (3..=DELIMITER_BYTES_MAX).contains(&line.len()) && line.starts_with(b"--") && line != b"-- "
}

/// `Name:` with a name of letters, digits and `-`.
fn is_header(line: &[u8]) -> bool {
    let name = line.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    name > 0 && line.get(name) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn borders(message: &[u8], piece: usize) -> Vec<u64> {
        let mut finder = PartFinder::new();
        message.chunks(piece).for_each(|piece| finder.feed(piece));
        finder.end();
        let mut found = Vec::new();
        while let Some(border) = finder.border_after(found.last().copied().unwrap_or(0)) {
            found.push(border);
        }
        found
    }

    fn at(message: &[u8], text: &str) -> u64 {
        let found = memchr::memmem::find(message, text.as_bytes());
        found.unwrap_or_else(|| panic!("{text} is not there")) as u64
    }

    fn attachment(mark: &str, lines: usize) -> String {
        format!("{mark}{}", format!("{}\r\n", "QUJD".repeat(19)).repeat(lines))
    }

    #[test]
    fn bodies_of_parts_are_found_at_any_depth_and_for_any_pieces() {
        let outer = attachment("OUTER", 200);
        let inner = attachment("INNER", 300);
        let message = format!(
            "From: a@b\r\nContent-Type: multipart/mixed;\r\n boundary=x\r\n\r\npreamble\r\n--x\r\nContent-Type: text/plain\r\n\r\nshort\r\n\
             --x\r\nContent-Type: application/pdf\r\n\r\n{outer}--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: c@d\r\n\
             Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\nContent-Type: image/png\r\n\r\n{inner}--y--\r\n\r\n--x--\r\nepilogue\r\n"
        );
        let message = message.as_bytes();
        let (outer_at, inner_at) = (at(message, "OUTER"), at(message, "INNER"));
        let expected = [outer_at, outer_at + outer.len() as u64, inner_at, inner_at + inner.len() as u64];
        for piece in [1, 7, 76, 4096, message.len()] {
            assert_eq!(borders(message, piece), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn a_message_of_one_part_is_cut_after_its_header() {
        let body = attachment("BODY", 200);
        let message = format!("Subject: x\n\n{body}");
        let start = at(message.as_bytes(), "BODY");
        assert_eq!(borders(message.as_bytes(), 100), [start, message.len() as u64]);
    }

    #[test]
    fn dashes_in_text_begin_no_part() {
        let text = "some words\r\n".repeat(2000);
        let message = format!("Subject: x\r\n\r\n-----Original Message-----\r\n{text}");
        assert!(borders(message.as_bytes(), 100).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn passing_over_lines_finds_what_taking_each_finds(
            lines in proptest::collection::vec("(-{0,3}|a|A: b)\\PC{0,3}\r?\n", 0..40),
            body in 0_usize..3 * PART_BYTES_MIN,
            piece in 1_usize..200,
        ) {
            let mut message = lines.concat().into_bytes();
            message.extend(std::iter::repeat_n(b"a body of a part\n", body / 17).flatten());
            message.extend_from_slice(lines.concat().as_bytes());
            let mut slow = PartFinder::new();
            let mut rest = message.as_slice();
            while !rest.is_empty() {
                rest = &rest[slow.take_line(rest)..];
            }
            slow.end();
            let mut found = Vec::new();
            while let Some(border) = slow.border_after(found.last().copied().unwrap_or(0)) {
                found.push(border);
            }
            proptest::prop_assert_eq!(borders(&message, piece), found);
        }
    }
}
