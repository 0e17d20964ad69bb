//! Columns of lists.

use serde_json::{Value, json};

use super::Guid;

/// A column's type, with Microsoft's numbers and names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Text,
    Note,
    Number,
    DateTime,
    Boolean,
    Choice(Vec<&'static str>),
    User,
    /// Refers to items of this list by id.
    Lookup(Guid),
    Url,
    Counter,
    Computed,
    ContentType,
    Attachments,
    File,
}

impl FieldKind {
    /// `FieldTypeKind`.
    pub(crate) fn number(&self) -> u32 {
        match self {
            Self::Text => 2,
            Self::Note => 3,
            Self::DateTime => 4,
            Self::Counter => 5,
            Self::Choice(_) => 6,
            Self::Lookup(_) => 7,
            Self::Boolean => 8,
            Self::Number => 9,
            Self::Url => 11,
            Self::Computed => 12,
            Self::File => 18,
            Self::Attachments => 19,
            Self::User => 20,
            Self::ContentType => 25,
        }
    }

    /// `TypeAsString`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Note => "Note",
            Self::DateTime => "DateTime",
            Self::Counter => "Counter",
            Self::Choice(_) => "Choice",
            Self::Lookup(_) => "Lookup",
            Self::Boolean => "Boolean",
            Self::Number => "Number",
            Self::Url => "URL",
            Self::Computed => "Computed",
            Self::File => "File",
            Self::Attachments => "Attachments",
            Self::User => "User",
            Self::ContentType => "ContentTypeId",
        }
    }
}

/// One column.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) id: Guid,
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) kind: FieldKind,
    pub(crate) hidden: bool,
    pub(crate) read_only: bool,
    /// Came with the list's base type, was not added to the list.
    pub(crate) base: bool,
}

impl Field {
    /// The name of its value in REST: people and lookups appear by id.
    pub(crate) fn rest_name(&self) -> String {
        match self.kind {
            FieldKind::User | FieldKind::Lookup(_) => format!("{}Id", self.name),
            _ => self.name.clone(),
        }
    }

    /// Whether people fill it in.
    pub(crate) fn is_user_column(&self) -> bool {
        !self.read_only
            && !self.hidden
            && matches!(
                self.kind,
                FieldKind::Text
                    | FieldKind::Note
                    | FieldKind::Number
                    | FieldKind::DateTime
                    | FieldKind::Boolean
                    | FieldKind::Choice(_)
                    | FieldKind::User
                    | FieldKind::Lookup(_)
                    | FieldKind::Url
            )
            && self.name != "FileLeafRef"
    }

    /// The schema as the service writes it.
    pub(crate) fn schema_xml(&self) -> String {
        let rest = match &self.kind {
            FieldKind::Choice(choices) => {
                let choices = choices.join("</CHOICE><CHOICE>");
                format!("><CHOICES><CHOICE>{choices}</CHOICE></CHOICES></Field>")
            }
            FieldKind::Lookup(list) => format!(" List=\"{{{list}}}\" ShowField=\"Title\" />"),
            FieldKind::Note => " NumLines=\"6\" RichText=\"FALSE\" />".to_string(),
            _ => " />".to_string(),
        };
        format!(
            "<Field ID=\"{{{}}}\" Type=\"{}\" Name=\"{name}\" StaticName=\"{name}\" DisplayName=\"{}\"{rest}",
            self.id,
            self.kind.name(),
            self.title,
            name = self.name,
        )
    }

    /// Checks a value somebody sends for this column and brings it into REST's form.
    pub(crate) fn accept(&self, value: &Value) -> Option<Value> {
        if value.is_null() {
            return Some(Value::Null);
        }
        match &self.kind {
            FieldKind::Text | FieldKind::Note => value.as_str().map(|text| json!(text)),
            FieldKind::Choice(choices) => value
                .as_str()
                .filter(|text| choices.is_empty() || choices.contains(text))
                .map(|text| json!(text)),
            FieldKind::Number => number(value),
            FieldKind::Boolean => value.as_bool().map(|flag| json!(flag)),
            FieldKind::DateTime => {
                let at = crate::clock::parse_iso(value.as_str()?)?;
                Some(json!(crate::clock::iso_seconds(at)))
            }
            FieldKind::User | FieldKind::Lookup(_) => value.as_u64().map(|id| json!(id)),
            FieldKind::Url => {
                let (url, text) =
                    (value.get("Url")?.as_str()?, value.get("Description").and_then(Value::as_str));
                Some(json!({"Description": text.unwrap_or(url), "Url": url}))
            }
            _ => None,
        }
    }
}

fn number(value: &Value) -> Option<Value> {
    let number = value.as_f64()?;
    Some(json!(number))
}
