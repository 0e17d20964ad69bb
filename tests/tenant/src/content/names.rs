//! Words, sentences and file names, among them the names that break careless clients.

use super::Rng;

const WORDS: [&str; 48] = [
    "account", "agenda", "annual", "approval", "archive", "audit", "board", "budget", "client", "contract",
    "copy", "customer", "delivery", "design", "draft", "event", "export", "forecast", "garden", "handover",
    "harbour", "invoice", "journal", "kitchen", "ledger", "letter", "margin", "meeting", "minutes", "notice",
    "offer", "order", "paper", "plan", "policy", "project", "proposal", "quarter", "receipt", "report",
    "review", "sample", "schedule", "supply", "survey", "travel", "update", "winter",
];

/// Stems with what URLs, OData literals, XML and file systems each treat specially. None is forbidden by SharePoint.
const NASTY: [&str; 14] = [
    "it's 100%#1 & +",
    "Überprüfung – Größe",
    "報告書 2026",
    "отчёт за март",
    "percent %20 not a space",
    "comma, semi; equals=",
    "brackets [1] (2) {3}",
    "tilde~ caret^ dollar$ at@",
    "two  spaces",
    "e\u{301} combining",
    "🦀 crab",
    "'quoted'",
    ".leading dot",
    "a''b",
];

/// One plain word.
pub fn word(rng: &mut Rng) -> &'static str {
    WORDS[rng.index(WORDS.len())]
}

/// `words` words, the first with a capital, ended by a full stop.
pub fn sentence(rng: &mut Rng, words: usize) -> String {
    let mut text = (0..words).map(|_| word(rng)).collect::<Vec<_>>().join(" ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

/// A file's name with this ending: mostly plain, now and then nasty, rarely 200 letters long. `number` keeps it
/// apart from its neighbours.
pub fn file_name(rng: &mut Rng, number: usize, ending: &str) -> String {
    match rng.below(12) {
        0 | 1 => format!("{} {number}.{ending}", NASTY[rng.index(NASTY.len())]),
        2 if rng.chance(0.3) => {
            let tail = format!(" {number}.{ending}");
            let mut long = sentence(rng, 40).replace('.', "");
            long.truncate(200 - tail.len());
            // A space before the tail is fine, one lost to trimming would not be.
            format!("{}{tail}", long.trim_end())
        }
        _ => format!("{}-{}-{number}.{ending}", word(rng), word(rng)),
    }
}
