//! The nearest known word to a mistyped one.

/// Longest word that is compared, in characters: longer ones get no suggestion.
const WORD_CHARS_MAX: usize = 64;

/// The candidate nearest to `word`, if it is near enough to be meant: a third of its letters may differ, and one always may.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let allowed = (lower.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean `X`?`, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |found| format!("; did you mean `{found}`?"))
}

/// How many letters must be added, dropped, changed or swapped with their neighbour to get from one word to the other.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    if from.len() > WORD_CHARS_MAX || to.len() > WORD_CHARS_MAX {
        return usize::MAX;
    }
    let mut before_last = vec![0; to.len() + 1];
    let mut last: Vec<usize> = (0..=to.len()).collect();
    let mut row = last.clone();
    for (i, left) in from.iter().enumerate() {
        row[0] = i + 1;
        for (j, right) in to.iter().enumerate() {
            let changed = last[j] + usize::from(left != right);
            row[j + 1] = changed.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == to[j - 1] && from[i - 1] == *right {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        std::mem::swap(&mut before_last, &mut last);
        std::mem::swap(&mut last, &mut row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["sites", "exclude", "versions", "permissions"];
        assert_eq!(nearest("sits", known), Some("sites"));
        assert_eq!(nearest("site", known), Some("sites"));
        assert_eq!(nearest("Exlcude", known), Some("exclude"));
        assert_eq!(nearest("permisions", known), Some("permissions"));
        assert_eq!(nearest("mailboxes", known), None);
        assert_eq!(nearest("a", ["b"]), None);
    }

    #[test]
    fn counts_a_swap_as_one() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
