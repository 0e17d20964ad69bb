//! Complaints about a config file, shown with the file, the line, the column, and the place underlined. Secrets on a shown line
//! are blotted out.

use std::{fmt::Write as _, ops::Range, sync::Arc};

use crate::error::EngineError;

/// A range of bytes in the file.
pub(super) type Span = Range<usize>;

/// Most complaints that one report shows.
const SHOWN_MAX: usize = 20;
/// Longest line that is shown, in characters.
const LINE_CHARS_MAX: usize = 160;
/// What stands for a secret.
const BLOT: &str = "***";

/// A config file's text and name.
#[derive(Debug)]
pub(super) struct Text {
    /// The name shown to people.
    pub(super) name: String,
    /// What is in it.
    pub(super) content: String,
}

/// One complaint.
#[derive(Clone, Debug)]
pub(super) struct Diagnostic {
    span: Span,
    message: String,
    hint: Option<String>,
}

/// Complaints about one file, gathered so that all are seen at once.
#[derive(Clone, Debug)]
pub(super) struct Diagnostics {
    text: Arc<Text>,
    hidden: Vec<Span>,
    found: Vec<Diagnostic>,
}

impl Diagnostics {
    /// No complaint yet. What lies in `hidden` is never shown.
    pub(super) fn new(text: Arc<Text>, hidden: Vec<Span>) -> Self {
        Self { text, hidden, found: Vec::new() }
    }
    /// Complains about a place.
    pub(super) fn add(&mut self, span: &Span, message: impl Into<String>) {
        self.found.push(Diagnostic { span: span.clone(), message: message.into(), hint: None });
    }
    /// Complains about a place and says what to do.
    pub(super) fn add_with_hint(&mut self, span: &Span, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Diagnostic { span: span.clone(), message: message.into(), hint: Some(hint.into()) });
    }
    /// From now on never shows what stands there.
    pub(super) fn hide(&mut self, span: &Span) {
        self.hidden.push(span.clone());
    }
    /// True if there is nothing to complain about.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
    /// A report like this one, without complaints: for trying something out.
    pub(super) fn fresh(&self) -> Self {
        Self { text: Arc::clone(&self.text), hidden: self.hidden.clone(), found: Vec::new() }
    }
    /// Takes over what another report found.
    pub(super) fn absorb(&mut self, other: Self) {
        self.hidden.extend(other.hidden);
        self.found.extend(other.found);
    }

    /// An error that shows every complaint, in the order of the file; nothing if there is none.
    pub(super) fn into_result(mut self) -> Result<(), EngineError> {
        self.found.sort_by_key(|diagnostic| diagnostic.span.start);
        let blocks: Vec<String> =
            self.found.iter().take(SHOWN_MAX).map(|diagnostic| self.render(diagnostic)).collect();
        let mut error = match self.found.as_slice() {
            [] => return Ok(()),
            [only] => {
                let error = EngineError::config_at(self.render_without_hint(only));
                return Err(match &only.hint {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                });
            }
            _ => blocks.join("\n"),
        };
        if self.found.len() > SHOWN_MAX {
            // Writing to a string cannot fail.
            let _ = write!(error, "\nand {} more", self.found.len() - SHOWN_MAX);
        }
        Err(EngineError::config_at(error))
    }

    fn render(&self, diagnostic: &Diagnostic) -> String {
        let mut block = self.render_without_hint(diagnostic);
        if let Some(hint) = &diagnostic.hint {
            block.push_str("\n   = ");
            block.push_str(hint);
        }
        block
    }

    fn render_without_hint(&self, diagnostic: &Diagnostic) -> String {
        let content = &self.text.content;
        let start = content.floor_char_boundary(diagnostic.span.start.min(content.len()));
        let line_start = content[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = content[start..].find('\n').map_or(content.len(), |at| start + at);
        let number = content[..line_start].matches('\n').count() + 1;
        let column = content[line_start..start].chars().count() + 1;
        let (line, caret, width) =
            self.shown_line(line_start..line_end, &(start..diagnostic.span.end.max(start)));
        let margin = " ".repeat(number.to_string().len());
        format!(
            "{name}:{number}:{column}: {message}\n{margin} |\n{number} | {line}\n{margin} | {indent}{carets}",
            name = self.text.name,
            message = diagnostic.message,
            indent = " ".repeat(caret),
            carets = "^".repeat(width),
        )
    }

    /// The line with secrets blotted out, where the caret begins in it, and how wide it is, all in characters.
    fn shown_line(&self, line: Span, caret: &Span) -> (String, usize, usize) {
        let (mut shown, mut columns) = (String::new(), 0);
        let (mut caret_start, mut caret_end) = (None, None);
        let mut blotted_until = line.start;
        for (offset, character) in self.text.content[line.clone()].char_indices() {
            let at = line.start + offset;
            if at >= caret.start && caret_start.is_none() {
                caret_start = Some(columns);
            }
            if at >= caret.end && caret_end.is_none() {
                caret_end = Some(columns);
            }
            if at < blotted_until {
                continue;
            }
            if let Some(end) = self.hidden.iter().filter(|span| span.contains(&at)).map(|span| span.end).max()
            {
                shown.push_str(BLOT);
                columns += BLOT.len();
                blotted_until = end;
            } else {
                shown.push(if character.is_control() { ' ' } else { character });
                columns += 1;
            }
            if columns >= LINE_CHARS_MAX {
                shown.push('…');
                break;
            }
        }
        let start = caret_start.unwrap_or(columns);
        let end = caret_end.unwrap_or(columns);
        (shown, start, end.saturating_sub(start).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: &str) -> Arc<Text> {
        Arc::new(Text { name: "larder.toml".to_owned(), content: content.to_owned() })
    }

    #[test]
    fn one_complaint_shows_its_line_and_keeps_the_hint_apart() {
        let mut report = Diagnostics::new(text("a = 1\n\tsits = 2\n"), Vec::new());
        report.add_with_hint(&(7..11), "unknown key `sits`", "remove it");
        let error = report.into_result().unwrap_err();
        assert_eq!(error.message(), "larder.toml:2:2: unknown key `sits`\n  |\n2 |  sits = 2\n  |  ^^^^");
        assert_eq!(error.hint(), Some("remove it"));
    }

    #[test]
    fn several_complaints_stand_in_the_order_of_the_file() {
        let mut report = Diagnostics::new(text("a = 1\nb = 2\n"), Vec::new());
        report.add(&(6..7), "second");
        report.add_with_hint(&(0..1), "first", "do this");
        let error = report.into_result().unwrap_err();
        assert_eq!(
            error.message(),
            "larder.toml:1:1: first\n  |\n1 | a = 1\n  | ^\n   = do this\nlarder.toml:2:1: second\n  |\n2 | b = 2\n  | ^"
        );
    }

    #[test]
    fn hidden_bytes_are_blotted_out_and_the_caret_still_fits() {
        let content = "x = { password = \"geheim\", usr = 1 }";
        let mut report = Diagnostics::new(text(content), Vec::new());
        report.hide(&(17..25));
        report.add(&(27..30), "unknown key `usr`");
        let message = report.into_result().unwrap_err().message().to_owned();
        assert_eq!(
            message,
            "larder.toml:1:28: unknown key `usr`\n  |\n1 | x = { password = ***, usr = 1 }\n  |                       ^^^"
        );
    }

    #[test]
    fn places_past_the_end_and_long_lines_do_not_break_it() {
        let mut report = Diagnostics::new(text(&"ä".repeat(500)), Vec::new());
        report.add(&(5_000..6_000), "here");
        assert!(report.into_result().unwrap_err().message().contains("larder.toml:1:501: here"));
    }
}
