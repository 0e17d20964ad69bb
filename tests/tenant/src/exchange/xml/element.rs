//! One XML element: namespace, name, attributes, children, text, and perhaps content that is streamed as base64.

use crate::exchange::content::Content;

/// The namespaces EWS speaks; anything else is foreign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Space {
    /// SOAP 1.1 envelope.
    Soap,
    /// EWS messages: requests, responses, shapes.
    Messages,
    /// EWS types: items, folders, ids.
    Types,
    /// A namespace no EWS request uses.
    Foreign,
}

impl Space {
    /// The namespace of `uri`. The documentation's `https://` spellings are foreign, as on a real server.
    pub(crate) fn of(uri: &str) -> Self {
        match uri {
            "http://schemas.xmlsoap.org/soap/envelope/" => Self::Soap,
            "http://schemas.microsoft.com/exchange/services/2006/messages" => Self::Messages,
            "http://schemas.microsoft.com/exchange/services/2006/types" => Self::Types,
            _ => Self::Foreign,
        }
    }

    /// The namespace's address, as violations name it.
    pub(crate) const fn uri(self) -> &'static str {
        match self {
            Self::Soap => "http://schemas.xmlsoap.org/soap/envelope/",
            Self::Messages => "http://schemas.microsoft.com/exchange/services/2006/messages",
            Self::Types => "http://schemas.microsoft.com/exchange/services/2006/types",
            Self::Foreign => "",
        }
    }

    /// The prefix answers use.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Soap => "s:",
            Self::Messages => "m:",
            Self::Types => "t:",
            Self::Foreign => "",
        }
    }
}

/// An element read from a request, kept as a property of an item, or built for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) space: Space,
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    pub(crate) children: Vec<Element>,
    pub(crate) text: String,
    /// Bytes written as base64 in place of text.
    pub(crate) payload: Option<Content>,
    /// Where it starts in the request, in bytes; 0 in built elements.
    pub(crate) offset: usize,
}

impl Element {
    /// An empty element.
    pub(crate) fn new(space: Space, name: &str) -> Self {
        Self {
            space,
            name: name.to_owned(),
            attributes: Vec::new(),
            children: Vec::new(),
            text: String::new(),
            payload: None,
            offset: 0,
        }
    }

    /// An empty element of the types namespace.
    pub(crate) fn types(name: &str) -> Self {
        Self::new(Space::Types, name)
    }

    /// An empty element of the messages namespace.
    pub(crate) fn messages(name: &str) -> Self {
        Self::new(Space::Messages, name)
    }

    /// An element of the types namespace holding `text`.
    pub(crate) fn value(name: &str, text: impl Into<String>) -> Self {
        Self::types(name).with_text(text)
    }

    pub(crate) fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    pub(crate) fn with_attribute(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attributes.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn with_child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    pub(crate) fn with_children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    pub(crate) fn with_payload(mut self, content: Content) -> Self {
        self.payload = Some(content);
        self
    }

    /// The value of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first child of that local name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first child of that local name, to change.
    pub(crate) fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.children.iter_mut().find(|child| child.name == name)
    }

    /// The trimmed text of the first child of that name.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// Follows child names down from here.
    pub(crate) fn descend(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }
}
