//! The known word that somebody who mistyped most likely meant.

/// The known word nearest to `word`, if one is near enough to be worth a guess: one contains the other, or one letter or at
/// most a third of them differ.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let rank = |candidate: &str| {
        let edits = edits(word, candidate);
        let contained = word.len() >= 3 && (candidate.contains(word) || word.contains(candidate));
        let close = edits <= 1 || edits * 3 <= candidate.len().max(word.len());
        (word.len() >= 2 && (contained || close)).then_some(edits)
    };
    known.filter_map(|candidate| Some((rank(candidate)?, candidate))).min().map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out or changed to make one word the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_or_none() {
        let known = ["aws_region", "aws_endpoint", "allow_http", "user"];
        let guess = |word| nearest(word, known.into_iter());
        assert_eq!(guess("aws_regoin"), Some("aws_region"));
        assert_eq!(guess("region"), Some("aws_region"));
        assert_eq!(guess("allow-http"), Some("allow_http"));
        assert_eq!(guess("zzzzzz"), None);
        assert_eq!(guess(""), None);
    }
}
