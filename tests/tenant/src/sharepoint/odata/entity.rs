//! An entity before it is written in one of the JSON forms.

use serde_json::Value;

/// A property's value.
#[derive(Clone, Debug)]
pub(crate) enum Prop {
    /// Comes unless `$select` leaves it out.
    Plain(Value),
    /// Comes only if `$select` names it.
    Extra(Value),
    /// A value of parts, with its type's name.
    Complex(&'static str, Vec<(&'static str, Value)>),
    /// Leads to other entities; comes with `$expand`.
    Link,
    /// One expanded entity.
    One(Box<Entity>),
    /// Several expanded entities.
    Many(Vec<Entity>),
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    /// Type name, `SP.List` say.
    pub(crate) kind: String,
    /// Address below `_api/`.
    pub(crate) address: String,
    pub(crate) etag: Option<String>,
    pub(crate) props: Vec<(String, Prop)>,
}

impl Entity {
    pub(crate) fn new(kind: impl Into<String>, address: impl Into<String>) -> Self {
        Self { kind: kind.into(), address: address.into(), etag: None, props: Vec::new() }
    }

    /// Adds a property that comes by default.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.props.push((name.to_string(), Prop::Plain(value.into())));
        self
    }

    /// Adds a property that must be selected.
    pub(crate) fn with_extra(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.props.push((name.to_string(), Prop::Extra(value.into())));
        self
    }

    /// Adds a value of parts.
    pub(crate) fn with_complex(
        mut self,
        name: &str,
        kind: &'static str,
        parts: Vec<(&'static str, Value)>,
    ) -> Self {
        self.props.push((name.to_string(), Prop::Complex(kind, parts)));
        self
    }

    /// Adds a `SP.ResourcePath`.
    pub(crate) fn with_path(self, name: &str, path: &str) -> Self {
        self.with_complex(name, "SP.ResourcePath", vec![("DecodedUrl", path.into())])
    }

    /// Adds properties that lead to other entities.
    pub(crate) fn with_links(mut self, names: &[&str]) -> Self {
        self.props.extend(names.iter().map(|name| ((*name).to_string(), Prop::Link)));
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Prop> {
        self.props.iter().find(|(mine, _)| mine == name).map(|(_, prop)| prop)
    }
}
