//! A folder's names in one allocation, so that a folder of a million entries takes some 40 MB and not a million boxes.

use std::ops::Range;

/// Names, each up to 255 bytes, without an order until [`Names::sort`].
#[derive(Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl Names {
    pub(crate) fn push(&mut self, name: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.spans.push(start..self.bytes.len());
    }

    /// The name at a place, if there are so many.
    pub(crate) fn get(&self, place: usize) -> Option<&[u8]> {
        self.spans.get(place).map(|span| &self.bytes[span.clone()])
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Sorts by raw bytes.
    pub(crate) fn sort(&mut self) {
        let bytes = &self.bytes;
        self.spans.sort_unstable_by(|a, b| bytes[a.clone()].cmp(&bytes[b.clone()]));
    }

    /// True if the name is there. The names must be sorted.
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.spans.binary_search_by(|span| self.bytes[span.clone()].cmp(name)).is_ok()
    }
}

impl<'a> FromIterator<&'a [u8]> for Names {
    fn from_iter<T: IntoIterator<Item = &'a [u8]>>(names: T) -> Self {
        let mut collected = Self::default();
        for name in names {
            collected.push(name);
        }
        collected
    }
}
