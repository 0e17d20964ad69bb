//! Mailbox files in the variant mboxrd: before each message a line `From SENDER DATE`, and a `>` before each of its own lines that look
//! like one. Lines end with a line feed alone, as mailbox files have them.

use std::io::{self, Write};

use jiff::{Timestamp, tz::TimeZone};
use larder_sdk::Time;

use super::{
    content::Outgoing,
    run::{Archive, Member, Written, unwritten},
};
use crate::error::Result;

const FROM: &[u8] = b"From ";
/// Who is named where a message names no sender that would fit.
const NOBODY: &str = "MAILER-DAEMON";
/// How far into a message the sender is looked for, in bytes.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Longest sender.
const SENDER_BYTES_MAX: usize = 320;

/// A mailbox file being written.
pub(super) struct MboxFile<'run>(&'run mut dyn Write);

impl<'run> MboxFile<'run> {
    pub(super) fn new(out: &'run mut dyn Write) -> Self {
        Self(out)
    }
}

impl Archive for MboxFile<'_> {
    fn folder(&mut self, _: &Member<'_>) -> Result<Written> {
        Ok(Written::Whole)
    }

    fn file(&mut self, member: &Member<'_>, content: &mut Outgoing) -> Result<Written> {
        let start = content.peek();
        let start = &start[..start.len().min(HEADER_BYTES_MAX)];
        let sender = sender(start).unwrap_or_else(|| NOBODY.to_owned());
        writeln!(self.0, "From {sender} {}", date(member.modified())).map_err(unwritten)?;
        let mut quoting = Quoting { out: &mut *self.0, at: At::LineStart, cr: false };
        let broken = loop {
            match content.next_chunk() {
                Ok(Some(chunk)) => quoting.write(&chunk).map_err(unwritten)?,
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        quoting.end().map_err(unwritten)?;
        broken.map_or(Ok(Written::Whole), Written::broken)
    }

    fn special(&mut self, _: &Member<'_>) -> Result<Written> {
        Ok(Written::LeftOut)
    }

    fn link(&mut self, _: &Member<'_>, _: &[u8]) -> Result<Written> {
        Ok(Written::LeftOut)
    }

    fn finish(&mut self) -> Result<()> {
        self.0.flush().map_err(unwritten)
    }
}

/// The time as `date` prints it in UTC.
fn date(time: Time) -> String {
    let moment = Timestamp::from_second(time.seconds).unwrap_or_default();
    moment.to_zoned(TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// The address in a message's `From` field.
fn sender(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let mut lines = text.lines();
    let first = lines.by_ref().take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim_end().eq_ignore_ascii_case("from").then(|| value.to_owned())
    })?;
    let folded = lines.take_while(|line| line.starts_with([' ', '\t']));
    let field = folded.fold(first, |field, line| field + line);
    let address = match (field.rfind('<'), field.rfind('>')) {
        (Some(from), Some(to)) if from < to => &field[from + 1..to],
        _ => field.split_whitespace().find(|word| word.contains('@'))?,
    };
    let fits = !address.is_empty()
        && address.len() <= SENDER_BYTES_MAX
        && address.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| address.to_owned())
}

/// Where in a line it is.
#[derive(Clone, Copy, PartialEq)]
enum At {
    /// At the start.
    LineStart,
    /// Behind nothing but `>`.
    Quoted,
    /// Behind that and the first so many letters of `From `, which are held back.
    Matching(usize),
    /// Anywhere else.
    Within,
}

/// Writes a message's bytes, quoting its lines.
struct Quoting<'run> {
    out: &'run mut dyn Write,
    at: At,
    /// A carriage return is held back: a line feed may follow.
    cr: bool,
}

impl Quoting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if self.cr {
                self.cr = false;
                if byte != b'\n' {
                    self.plain(b"\r")?;
                }
            }
            if self.at == At::Within {
                let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                self.out.write_all(&rest[..end])?;
                rest = &rest[end..];
                if rest.is_empty() {
                    return Ok(());
                }
            }
            self.byte(rest[0])?;
            rest = &rest[1..];
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> io::Result<()> {
        match (self.at, byte) {
            (_, b'\r') => self.cr = true,
            (At::LineStart | At::Quoted, b'>') => {
                self.out.write_all(b">")?;
                self.at = At::Quoted;
            }
            (At::LineStart | At::Quoted, b'F') => self.at = At::Matching(1),
            (At::Matching(held), byte) if FROM.get(held) == Some(&byte) => {
                self.at = At::Matching(held + 1);
                if held + 1 == FROM.len() {
                    // A `>` more, behind those that are there, which looks the same as one before them.
                    self.out.write_all(b">")?;
                    self.release()?;
                }
            }
            (_, b'\n') => {
                self.release()?;
                self.out.write_all(b"\n")?;
                self.at = At::LineStart;
            }
            (_, byte) => self.plain(&[byte])?,
        }
        Ok(())
    }

    fn plain(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.release()?;
        self.out.write_all(bytes)
    }

    /// Writes what was held back.
    fn release(&mut self) -> io::Result<()> {
        if let At::Matching(held) = self.at {
            self.out.write_all(&FROM[..held])?;
        }
        self.at = At::Within;
        Ok(())
    }

    /// Ends the last line and adds an empty one.
    fn end(mut self) -> io::Result<()> {
        if self.cr {
            self.plain(b"\r")?;
        }
        if self.at != At::LineStart {
            self.release()?;
            self.out.write_all(b"\n")?;
        }
        self.out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(message: &[u8], step: usize) -> String {
        let mut out = Vec::new();
        let mut quoting = Quoting { out: &mut out, at: At::LineStart, cr: false };
        message.chunks(step).for_each(|piece| quoting.write(piece).unwrap());
        quoting.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Whole lines are simple.
    fn expected(message: &str) -> String {
        let mut text = message.replace("\r\n", "\n");
        if !text.ends_with('\n') && !text.is_empty() {
            text.push('\n');
        }
        let quote = |line: &str| {
            let quote = line.trim_start_matches('>').starts_with("From ");
            if quote { format!(">{line}") } else { line.to_owned() }
        };
        text.split_inclusive('\n').map(quote).collect::<String>() + "\n"
    }

    #[test]
    fn lines_that_look_like_a_beginning_are_quoted() {
        assert_eq!(
            quoted(b"From me\r\n>From you\r\nFromage\rx\r\nFro", 3),
            ">From me\n>>From you\nFromage\rx\nFro\n\n"
        );
    }

    #[test]
    fn senders_are_addresses_or_nobody() {
        let of = |text: &str| sender(text.as_bytes());
        assert_eq!(of("To: x@y\r\nFROM: Ann <ann@contoso.com>\r\n\r\n"), Some("ann@contoso.com".to_owned()));
        assert_eq!(of("From: =?utf-8?Q?Ann?=\r\n <ann@contoso.com>\r\n"), Some("ann@contoso.com".to_owned()));
        assert_eq!(of("from: ann@contoso.com\n"), Some("ann@contoso.com".to_owned()));
        assert_eq!(of("Subject: x\n\nFrom: ann@contoso.com\n"), None);
        assert_eq!(of("From: <a b@c>\n"), None);
        assert_eq!(date(Time::from_seconds(1_100_000_000)), "Tue Nov  9 11:33:20 2004");
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            words in prop::collection::vec(prop::sample::select(vec!["From ", ">", "F", "Fr", "\r\n", "\n", "\r", "x"]), 0..30),
            step in 1_usize..9,
        ) {
            let message = words.concat();
            // A bare CR before CR LF and such: only whole lines are compared with the simple way.
            prop_assert_eq!(quoted(message.as_bytes(), step), quoted(message.as_bytes(), usize::MAX));
            if !message.contains("\r\r") {
                prop_assert_eq!(quoted(message.as_bytes(), step), expected(&message));
            }
        }
    }
}
