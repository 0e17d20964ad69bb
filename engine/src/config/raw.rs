//! A config file as it stands: parsed with the place of everything in it, nothing judged, nothing read.

use std::sync::Arc;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::diagnostic::{Diagnostics, Span, Text};
use crate::error::Result;

/// A parsed file.
#[derive(Debug)]
pub(super) struct Document {
    /// What it was parsed from.
    pub(super) text: Arc<Text>,
    /// The top table.
    pub(super) root: Table,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The value.
    pub(super) value: Value,
    /// Its place; of a table with a header, the header's.
    pub(super) span: Span,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text.
    Text(String),
    /// A whole number; `None` if it does not fit 64 bits.
    Integer(Option<i64>),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A date or time, as written.
    Date(String),
    /// An array.
    List(Vec<Node>),
    /// A table.
    Table(Table),
}

/// A table's entries in the order of the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// The entries.
    pub(super) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) key_span: Span,
    /// The value.
    pub(super) node: Node,
}

impl Table {
    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }
    /// The text of a key, if it is one.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
    /// The whole number of a key, if it is one.
    pub(super) fn integer(&self, key: &str) -> Option<i64> {
        match &self.get(key)?.value {
            Value::Integer(number) => *number,
            _ => None,
        }
    }
    /// The table of a key, if it is one.
    pub(super) fn table(&self, key: &str) -> Option<&Table> {
        match &self.get(key)?.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The table as JSON.
    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Object(
            self.entries.iter().map(|entry| (entry.key.clone(), entry.node.value.to_json())).collect(),
        )
    }
}

impl Value {
    /// What it is, with its article, for people.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Bool(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "an array",
            Self::Table(_) => "a table",
        }
    }

    /// The value as JSON. What JSON has no word for (dates, infinity) becomes text or null; no schema takes those.
    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) | Self::Date(text) => text.as_str().into(),
            Self::Integer(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Bool(value) => (*value).into(),
            Self::List(nodes) => nodes.iter().map(|node| node.value.to_json()).collect(),
            Self::Table(table) => table.to_json(),
        }
    }
}

impl Document {
    /// Parses a file's content. `name` is what errors call it.
    pub(super) fn parse(name: &str, content: String) -> Result<Self> {
        let text = Arc::new(Text { name: name.to_owned(), content });
        let root = match DeTable::parse(&text.content) {
            Ok(table) => convert_table(table.get_ref()),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let mut report = Diagnostics::new(
                    Arc::clone(&text),
                    secret_line(&text.content, span.start).into_iter().collect(),
                );
                report.add(&span, format!("this is not valid TOML: {}", error.message()));
                report.into_result()?;
                Table::default()
            }
        };
        Ok(Self { text, root })
    }

    /// An empty report about this file, which never shows a text whose key sounds like a secret's.
    pub(super) fn diagnostics(&self) -> Diagnostics {
        let mut hidden = Vec::new();
        hide_secrets(&self.root, &mut hidden);
        Diagnostics::new(Arc::clone(&self.text), hidden)
    }
}

/// True if a key of this name holds something that should not be seen.
pub(super) fn sounds_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    // `…_token_file` holds a path.
    !key.ends_with("_file")
        && [
            "password",
            "passphrase",
            "secret",
            "token",
            "credential",
            "private_key",
            "account_key",
            "sas_key",
        ]
        .iter()
        .any(|word| key.contains(word))
}

fn hide_secrets(table: &Table, hidden: &mut Vec<Span>) {
    for entry in &table.entries {
        if sounds_secret(&entry.key) && !matches!(entry.node.value, Value::Table(_)) {
            hidden.push(entry.node.span.clone());
        } else {
            hide_secrets_below(&entry.node.value, hidden);
        }
    }
}

fn hide_secrets_below(value: &Value, hidden: &mut Vec<Span>) {
    match value {
        Value::Table(table) => hide_secrets(table, hidden),
        Value::List(nodes) => nodes.iter().for_each(|node| hide_secrets_below(&node.value, hidden)),
        _ => {}
    }
}

/// What to hide of a line that could not be parsed: if it names a secret, everything after its first `=`.
fn secret_line(content: &str, at: usize) -> Option<Span> {
    let at = content.floor_char_boundary(at.min(content.len()));
    let start = content[..at].rfind('\n').map_or(0, |found| found + 1);
    let end = content[at..].find('\n').map_or(content.len(), |found| at + found);
    let line = &content[start..end];
    match line.find('=') {
        Some(equals) if sounds_secret(line) => Some(start + equals + 1..end),
        // The rest of a text of several lines has no key on its line; what it belongs to is not known.
        None => Some(start..end),
        Some(_) => None,
    }
}

fn convert_table(table: &DeTable<'_>) -> Table {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: convert(value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    Table { entries }
}

fn convert(node: &Spanned<DeValue<'_>>) -> Node {
    let value = match node.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(nodes) => Value::List(nodes.iter().map(convert).collect()),
        DeValue::Table(table) => Value::Table(convert_table(table)),
    };
    Node { value, span: node.span() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_place() {
        let document = Document::parse(
            "x.toml",
            "[set.home]\nsource = \"files\"\n[set.home.options]\npaths = [1, 0x10]\n".to_owned(),
        )
        .unwrap();
        let home = document.root.table("set").and_then(|sets| sets.table("home")).unwrap();
        assert_eq!(home.text("source"), Some("files"));
        let source = &home.entries[0];
        assert_eq!(&document.text.content[source.key_span.clone()], "source");
        assert_eq!(&document.text.content[source.node.span.clone()], "\"files\"");
        assert_eq!(home.table("options").unwrap().to_json().to_string(), r#"{"paths":[1,16]}"#);
    }

    #[test]
    fn a_syntax_error_shows_where() {
        let error = Document::parse("x.toml", "a = 1\nb = [1,\n".to_owned()).unwrap_err();
        assert!(error.message().starts_with("x.toml:"), "{}", error.message());
        assert!(error.message().contains("this is not valid TOML: "), "{}", error.message());
    }

    #[test]
    fn a_syntax_error_shows_no_secret() {
        for content in [
            "password = \"geheim\nx = 1",
            "password = geheim",
            "a = { password = geheim }",
            "password = '''\ngeheim",
        ] {
            let error = Document::parse("x.toml", content.to_owned()).unwrap_err();
            assert!(!error.message().contains("geheim"), "{}", error.message());
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert!(Document::parse("x.toml", format!("a = {}", "[".repeat(100_000))).is_err());
    }
}
