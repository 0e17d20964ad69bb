//! One page of a listing.

use larder_sdk::{ObjectInfo, limits};

/// One page of a listing; all names are whole, the store's prefix included.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The objects directly in the folder.
    pub(crate) objects: Vec<(String, ObjectInfo)>,
    /// The folders directly in the folder, without a trailing `/`.
    pub(crate) folders: Vec<String>,
    /// What to ask for next.
    pub(crate) next: Option<String>,
}

impl Page {
    /// Cuts a page out of a whole folder, in any order, for stores that list in one piece: the first names after `token`. An entry
    /// without an [`ObjectInfo`] is a folder.
    pub(crate) fn cut(
        folder: impl Iterator<Item = (String, Option<ObjectInfo>)>,
        token: Option<&str>,
    ) -> Self {
        let mut entries: Vec<_> =
            folder.filter(|(name, _)| token.is_none_or(|token| &**name > token)).collect();
        entries.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let more = entries.len() > limits::LIST_PAGE_MAX;
        entries.truncate(limits::LIST_PAGE_MAX);
        let mut page =
            Self { next: entries.last().filter(|_| more).map(|(name, _)| name.clone()), ..Self::default() };
        for (name, info) in entries {
            match info {
                Some(info) => page.objects.push((name, info)),
                None => page.folders.push(name),
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_double() {
        let info = |size| Some(ObjectInfo { size, modified: None });
        let folder =
            || (0..2500_u64).rev().map(|n| (format!("{n:05}"), if n % 7 == 0 { None } else { info(n) }));
        let mut names = Vec::new();
        let mut token = None;
        let mut pages = 0;
        loop {
            let page = Page::cut(folder(), token.as_deref());
            names.extend(page.objects.into_iter().map(|(name, _)| name));
            names.extend(page.folders);
            pages += 1;
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        names.sort_unstable();
        assert_eq!(pages, 3);
        assert_eq!(names, (0..2500).map(|n| format!("{n:05}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_full_last_page_is_the_last() {
        let folder = (0..limits::LIST_PAGE_MAX).map(|n| (format!("{n:05}"), None));
        assert_eq!(Page::cut(folder, None).next, None);
    }
}
