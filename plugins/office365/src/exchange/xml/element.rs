//! A small part of an answer as a tree. Names are compared without prefix: servers choose prefixes freely.

use super::Tag;

/// An element with all in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Its name without prefix.
    pub(crate) name: String,
    /// Its attributes without prefixes.
    pub(crate) attributes: Vec<(String, String)>,
    /// The elements in it, in order.
    pub(crate) children: Vec<Element>,
    /// The text directly in it.
    pub(crate) text: String,
}

impl Element {
    pub(super) fn new(tag: Tag) -> Self {
        Self { name: tag.name, attributes: tag.attributes, children: Vec::new(), text: String::new() }
    }

    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The children of that name.
    pub(crate) fn children_named<'tree>(
        &'tree self,
        name: &'tree str,
    ) -> impl Iterator<Item = &'tree Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element on a path of names below this one.
    pub(crate) fn path(&self, names: &[&str]) -> Option<&Element> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The first element of that name in this tree, this one included, in document order.
    pub(crate) fn find(&self, name: &str) -> Option<&Element> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// The text of the first child of that name, white space around it removed.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// An attribute's value.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
