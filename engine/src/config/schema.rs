//! Checks a table of a config file against the keys that a schema declares.

use std::fmt;

use larder_sdk::{Key, Schema, Takes};

use super::{
    diagnostic::{Diagnostics, Span},
    raw::{Entry, Node, Table, Value, sounds_secret},
    suggest::{did_you_mean, nearest},
};

/// Where a secret can be found, as keys of its table.
pub(super) const SECRET_KEYS: [&str; 4] = ["env", "file", "command", "keyring"];

/// A table's place in the file, for people: `[set.home.options]`, or `[[…]]` for one of several.
#[derive(Clone, Debug)]
pub(super) struct Path {
    name: String,
    one_of_many: bool,
}

impl Path {
    /// The path of a table from its dotted name; empty for the top of the file.
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), one_of_many: false }
    }
    /// The path of a table in this one.
    pub(super) fn below(&self, key: &str) -> Self {
        Self::new(if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) })
    }
    /// The path of each of the tables that share this one's name.
    fn element(&self) -> Self {
        Self { name: self.name.clone(), one_of_many: true }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name.as_str(), self.one_of_many) {
            ("", _) => f.write_str("the top of the file"),
            (name, false) => write!(f, "[{name}]"),
            (name, true) => write!(f, "[[{name}]]"),
        }
    }
}

/// Checks tables and gathers what is wrong.
pub(super) struct Checker<'a> {
    report: &'a mut Diagnostics,
}

impl<'a> Checker<'a> {
    /// Complaints go to `report`.
    pub(super) fn new(report: &'a mut Diagnostics) -> Self {
        Self { report }
    }

    /// Checks a table whose header (or opening) stands at `span`. Keys in `loose` are known to the table, but what they hold is
    /// left to someone else.
    pub(super) fn table(&mut self, schema: &Schema, table: &Table, span: &Span, path: &Path, loose: &[&str]) {
        let mut meant = Vec::new();
        for entry in &table.entries {
            if loose.contains(&entry.key.as_str()) {
                continue;
            }
            match schema.keys.iter().find(|key| key.name == entry.key) {
                Some(key) => self.value(&key.takes, &entry.node, entry, path),
                None => meant.extend(self.unknown_key(schema, entry, path, loose)),
            }
        }
        // A key that was mistyped is not missing as well.
        let missing =
            |key: &&Key| key.required && table.get(&key.name).is_none() && !meant.contains(&key.name);
        for key in schema.keys.iter().filter(missing) {
            self.report.add_with_hint(
                span,
                format!("{path} needs the key `{}`", key.name),
                format!("{}: {}; {}", key.name, key.doc, example(key)),
            );
        }
    }

    /// Complains, and returns the key that was meant, if that is plain.
    fn unknown_key(&mut self, schema: &Schema, entry: &Entry, path: &Path, loose: &[&str]) -> Option<String> {
        // A mistyped `password` may hold one. A table's place may be its header, where the key itself stands.
        if entry.node.span.start >= entry.key_span.end {
            self.report.hide(&entry.node.span);
        }
        let known = || schema.keys.iter().map(|key| key.name.as_str()).chain(loose.iter().copied());
        let (name, at) = (entry.key.as_str(), &entry.key_span);
        if let Some(found) = nearest(name, known()) {
            self.report.add(at, format!("unknown key `{name}` in {path}; did you mean `{found}`?"));
            return Some(found.to_owned());
        }
        if let Some(elsewhere) = table_that_knows(schema, name, path) {
            self.report.add(at, format!("unknown key `{name}` in {path}; it belongs in {elsewhere}"));
            return None;
        }
        let words: Vec<String> = known().map(|name| format!("`{name}`")).collect();
        let hint = if words.is_empty() {
            "this table has no keys".to_owned()
        } else {
            format!("known here: {}", words.join(", "))
        };
        self.report.add_with_hint(at, format!("unknown key `{name}` in {path}"), hint);
        None
    }

    fn value(&mut self, takes: &Takes, node: &Node, entry: &Entry, path: &Path) {
        match (takes, &node.value) {
            (Takes::Text, Value::Text(_)) | (Takes::Bool, Value::Bool(_)) => {}
            (Takes::Word(words), Value::Text(text)) if words.contains(text) => {}
            (Takes::Word(words), Value::Text(text)) => {
                let meant = did_you_mean(text, words.iter().map(String::as_str));
                self.refuse(takes, node, entry, path, &format!("not `{}`{meant}", text.escape_debug()));
            }
            (Takes::Integer(low, high), Value::Integer(Some(number))) => {
                if !(low..=high).contains(&number) {
                    self.refuse(takes, node, entry, path, &format!("not {number}"));
                }
            }
            (Takes::Secret, _) => self.secret(node, entry, path),
            (Takes::List(each), Value::List(nodes)) => {
                for node in nodes {
                    match (&**each, &node.value) {
                        (Takes::Table(schema), Value::Table(table)) => {
                            self.table(schema, table, &node.span, &path.below(&entry.key).element(), &[]);
                        }
                        (each, _) => self.value(each, node, entry, path),
                    }
                }
            }
            (Takes::Table(schema), Value::Table(table)) => {
                self.table(schema, table, &node.span, &path.below(&entry.key), &[]);
            }
            (Takes::Map, Value::Table(table)) => self.map(table, &path.below(&entry.key)),
            (Takes::AnyOf(choices), _) => self.any_of(takes, choices, node, entry, path),
            (_, value) => self.refuse(takes, node, entry, path, &format!("not {}", value.describe())),
        }
    }

    fn refuse(&mut self, takes: &Takes, node: &Node, entry: &Entry, path: &Path, instead: &str) {
        let message = format!("`{}` in {path} takes {}, {instead}", entry.key, describe(takes));
        match (takes, &node.value) {
            (Takes::List(each), value) if fits_shape(each, value) => {
                self.report.add_with_hint(&node.span, message, "put it in brackets: [ … ]");
            }
            (Takes::Text, Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Date(_)) => {
                self.report.add_with_hint(&node.span, message, "put it in quotes: \"…\"");
            }
            _ => self.report.add(&node.span, message),
        }
    }

    /// A value passes if any choice takes it. Otherwise the choice of its shape says why not.
    fn any_of(&mut self, takes: &Takes, choices: &[Takes], node: &Node, entry: &Entry, path: &Path) {
        let mut of_its_shape = None;
        for choice in choices {
            let mut report = self.report.fresh();
            Checker::new(&mut report).value(choice, node, entry, path);
            if report.is_empty() {
                return;
            }
            if fits_shape(choice, &node.value) {
                of_its_shape.get_or_insert((choice, report));
            }
        }
        if let Some((Takes::Table(_) | Takes::List(_) | Takes::Secret | Takes::Map, report)) = of_its_shape {
            self.report.absorb(report);
            return;
        }
        let instead = match &node.value {
            Value::Text(text) => format!("not `{}`", text.escape_debug()),
            Value::Integer(Some(number)) => format!("not {number}"),
            value => format!("not {}", value.describe()),
        };
        self.refuse(takes, node, entry, path, &instead);
    }

    /// Free keys with text values, of which some may be secrets.
    fn map(&mut self, table: &Table, path: &Path) {
        for entry in &table.entries {
            match &entry.node.value {
                Value::Table(_) => self.secret(&entry.node, entry, path),
                Value::Text(_) if sounds_secret(&entry.key) => self.secret(&entry.node, entry, path),
                _ => self.value(&Takes::Text, &entry.node, entry, path),
            }
        }
    }

    /// A table with one key that says where the secret is found. The value itself is refused and never repeated.
    fn secret(&mut self, node: &Node, entry: &Entry, path: &Path) {
        let key = &entry.key;
        let forms = format!(
            "write {key} = {{ env = \"NAME\" }}, {{ file = \"PATH\" }}, {{ command = \"PROGRAM ARGUMENT\" }} or {{ keyring = \"SERVICE/USER\" }}"
        );
        let Value::Table(table) = &node.value else {
            self.report.hide(&node.span);
            self.report.add_with_hint(
                &node.span,
                format!("`{key}` in {path} is a secret and must not stand in the config file"),
                forms,
            );
            return;
        };
        match table.entries.as_slice() {
            [only] if SECRET_KEYS.contains(&only.key.as_str()) => match &only.node.value {
                Value::Text(text) if !text.is_empty() => {}
                Value::Text(_) => {
                    self.report.add(&only.node.span, format!("`{}` of `{key}` in {path} is empty", only.key));
                }
                value => {
                    let message =
                        format!("`{}` of `{key}` in {path} takes a text, not {}", only.key, value.describe());
                    self.report.add(&only.node.span, message);
                }
            },
            [only] => {
                self.report.hide(&only.node.span);
                let meant = did_you_mean(&only.key, SECRET_KEYS);
                self.report.add_with_hint(
                    &only.key_span,
                    format!("unknown key `{}` in the secret `{key}` in {path}{meant}", only.key),
                    forms,
                );
            }
            _ => {
                self.report.hide(&node.span);
                self.report.add_with_hint(
                    &entry.key_span,
                    format!("the secret `{key}` in {path} takes exactly one of `env`, `file`, `command`, `keyring`"),
                    forms,
                );
            }
        }
    }
}

/// The path of a table within `schema` that has a key of this name.
fn table_that_knows(schema: &Schema, name: &str, path: &Path) -> Option<Path> {
    schema.keys.iter().find_map(|key| match &key.takes {
        Takes::Table(inner) if inner.keys.iter().any(|key| key.name == name) => Some(path.below(&key.name)),
        Takes::List(each) => match &**each {
            Takes::Table(inner) if inner.keys.iter().any(|key| key.name == name) => {
                Some(path.below(&key.name).element())
            }
            _ => None,
        },
        _ => None,
    })
}

/// True if the value has the outer form of what is taken, whatever is inside.
fn fits_shape(takes: &Takes, value: &Value) -> bool {
    match takes {
        Takes::Text | Takes::Word(_) => matches!(value, Value::Text(_)),
        Takes::Integer(..) => matches!(value, Value::Integer(_)),
        Takes::Bool => matches!(value, Value::Bool(_)),
        Takes::List(_) => matches!(value, Value::List(_)),
        Takes::AnyOf(choices) => choices.iter().any(|choice| fits_shape(choice, value)),
        _ => matches!(value, Value::Table(_)),
    }
}

/// What is taken, for people.
pub fn describe(takes: &Takes) -> String {
    match takes {
        Takes::Text => "a text".to_owned(),
        Takes::Word(words) => join_or(words.iter().map(|word| format!("`{word}`")).collect()),
        Takes::Integer(i64::MIN, i64::MAX) => "a whole number".to_owned(),
        Takes::Integer(low, i64::MAX) => format!("a whole number from {low}"),
        Takes::Integer(low, high) => format!("a whole number from {low} to {high}"),
        Takes::Bool => "true or false".to_owned(),
        Takes::Secret => "a secret".to_owned(),
        Takes::List(each) => match &**each {
            Takes::Text => "an array of texts".to_owned(),
            Takes::Table(_) => "an array of tables".to_owned(),
            each => format!("an array, each {}", describe(each)),
        },
        Takes::Table(_) => "a table".to_owned(),
        Takes::Map => "a table of texts".to_owned(),
        Takes::AnyOf(choices) => join_or(choices.iter().map(describe).collect()),
        _ => "something else".to_owned(),
    }
}

/// How a missing key could be written.
fn example(key: &Key) -> String {
    let name = &key.name;
    match &key.takes {
        Takes::Text => format!("write {name} = \"…\""),
        Takes::Word(words) => format!("write {name} = \"{}\"", words.first().map_or("…", String::as_str)),
        Takes::Secret => format!("write {name} = {{ env = \"NAME\" }}"),
        Takes::List(each) if matches!(**each, Takes::Text) => format!("write {name} = [\"…\"]"),
        takes => format!("it takes {}", describe(takes)),
    }
}

fn join_or(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} or {last}", words.join(", ")),
        None => "nothing".to_owned(),
    }
}
