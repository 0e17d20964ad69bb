//! Names that a snapshot can hold: from subjects and folder names, which may hold anything.

use larder_sdk::Name;

/// Longest name without its extension, in bytes of UTF-8.
const NAME_BYTES_MAX: usize = 120;

/// An item's name: its subject made safe, and what its content is.
pub(crate) fn item_name(subject: &str, extension: &str) -> Name {
    let stem = safe(subject);
    let stem = if stem.is_empty() { "(no subject)" } else { &stem };
    Name::new(format!("{stem}.{extension}"))
}

/// A folder's name.
pub(crate) fn folder_name(display_name: &str) -> Name {
    let name = safe(display_name);
    Name::new(if name.is_empty() { "(no name)".to_owned() } else { name })
}

/// Text without `/`, control characters and what text direction tricks need; no leading dot, no white space around it.
fn safe(text: &str) -> String {
    let mut safe = String::new();
    for char in text.trim().chars() {
        let char = match char {
            '/' | '\\' => '_',
            _ if char.is_control() || is_invisible(char) => ' ',
            _ => char,
        };
        if safe.is_empty() && char == '.' {
            safe.push('_');
            continue;
        }
        if char.is_whitespace() && safe.ends_with(' ') {
            continue;
        }
        if safe.len() + char.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        safe.push(if char.is_whitespace() { ' ' } else { char });
    }
    safe.truncate(safe.trim_end().len());
    safe.split_off(safe.len() - safe.trim_start().len())
}

/// The longest beginning of a text that is at most `bytes_max` long and ends between characters.
pub(crate) fn prefix(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Characters that change how the others are shown: marks of direction, joiners, the replacement of objects.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(subject: &str) -> String {
        item_name(subject, "eml").display().into_owned()
    }

    #[test]
    fn subjects_become_names() {
        assert_eq!(name("Re: a/b \\ c"), "Re: a_b _ c.eml");
        assert_eq!(name(""), "(no subject).eml");
        assert_eq!(name(" \t\r\n"), "(no subject).eml");
        assert_eq!(name(".."), "_..eml");
        assert_eq!(name("../../etc/passwd"), "_._.._etc_passwd.eml");
        assert_eq!(name(".hidden"), "_hidden.eml");
        assert_eq!(name("two\r\nlines \u{202E}gnp"), "two lines gnp.eml");
        assert_eq!(name("fdp\u{0}x"), "fdp x.eml");
    }

    #[test]
    fn long_subjects_are_cut_between_characters() {
        let long = name(&"ü".repeat(300));
        assert_eq!(long.len(), NAME_BYTES_MAX + 4);
        assert!(long.ends_with("ü.eml"));
        assert_eq!(folder_name("Ordner/Ä").display(), "Ordner_Ä");
        assert_eq!(folder_name("..").display(), "_.");
        assert_eq!(folder_name("").display(), "(no name)");
        assert_eq!((prefix("aü", 2), prefix("aü", 3), prefix("", 9)), ("a", "aü", ""));
    }
}
