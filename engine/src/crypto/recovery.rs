//! Recovery keys: passwords made by us, to be printed and typed in again from paper.
//!
//! `LARDER-` and eight groups of four symbols. Seven groups are random, 140 bits; the eighth is a checksum, so that a typing error is told
//! from a key that is another one. The symbols are Crockford's base 32: no I, L, O or U, and who writes I, L or O means 1 or 0.

use larder_sdk::{Result, Secret};
use zeroize::Zeroizing;

use crate::hash::fill_random;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const PREFIX: &str = "LARDER";
const GROUP: usize = 4;
const RANDOM_SYMBOLS: usize = 28;
const SYMBOLS: usize = 32;
/// What the checksum is derived for.
const CHECK_CONTEXT: &str = "larder 2026 recovery key checksum";

/// What a password looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// Like any other password.
    Password,
    /// Like a recovery key, and its checksum fits.
    RecoveryKey,
    /// Like a recovery key, and its checksum does not fit or it has too many or too few symbols.
    Mistyped,
}

/// Makes a recovery key, in the form in which it is shown.
pub fn recovery_key() -> Result<Secret> {
    let mut random = Zeroizing::new([0_u8; RANDOM_SYMBOLS]);
    fill_random(&mut random[..])?;
    Ok(shown(&random))
}

fn shown(random: &[u8; RANDOM_SYMBOLS]) -> Secret {
    let mut symbols = Zeroizing::new([0_u8; SYMBOLS]);
    for (symbol, byte) in symbols.iter_mut().zip(random) {
        // 256 is a multiple of 32: every symbol is as likely as every other.
        *symbol = ALPHABET[usize::from(byte % 32)];
    }
    let check = checksum(&symbols[..RANDOM_SYMBOLS]);
    symbols[RANDOM_SYMBOLS..].copy_from_slice(&check);
    let mut shown = Zeroizing::new(String::with_capacity(PREFIX.len() + SYMBOLS + SYMBOLS / GROUP));
    shown.push_str(PREFIX);
    for (at, symbol) in symbols.iter().enumerate() {
        if at % GROUP == 0 {
            shown.push('-');
        }
        shown.push(char::from(*symbol));
    }
    Secret::new(shown.as_str())
}

/// Tells a recovery key from a password.
pub fn looks_of(password: &Secret) -> Looks {
    let text = password.expose().trim();
    if symbols(text).is_some() {
        return Looks::RecoveryKey;
    }
    let groups: Vec<&str> = text.split(['-', ' ']).filter(|group| !group.is_empty()).collect();
    let is_grouped = groups.len() == SYMBOLS / GROUP && groups.iter().all(|group| group.len() == GROUP);
    let is_named = text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
        && text.len() >= SYMBOLS / 2;
    if is_grouped || is_named { Looks::Mistyped } else { Looks::Password }
}

/// A password as keys are derived from it: a recovery key without what may be written in more than one way, anything else as it is.
pub(super) fn canonical(password: &Secret) -> Secret {
    match symbols(password.expose().trim()) {
        Some(symbols) => Secret::new(String::from_utf8_lossy(&symbols[..])),
        None => password.clone(),
    }
}

/// The symbols of a recovery key; `None` if it is none, or has an error in it.
fn symbols(text: &str) -> Option<Zeroizing<[u8; SYMBOLS]>> {
    let has_prefix = text.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    let rest = if has_prefix { &text[PREFIX.len()..] } else { text };
    let mut symbols = Zeroizing::new([0; SYMBOLS]);
    let mut count = 0;
    for byte in rest.bytes().filter(|byte| !matches!(byte, b'-' | b' ')) {
        let symbol = match byte.to_ascii_uppercase() {
            b'I' | b'L' => b'1',
            b'O' => b'0',
            other => other,
        };
        if !ALPHABET.contains(&symbol) {
            return None;
        }
        *symbols.get_mut(count)? = symbol;
        count += 1;
    }
    (count == SYMBOLS && symbols[RANDOM_SYMBOLS..] == checksum(&symbols[..RANDOM_SYMBOLS])).then_some(symbols)
}

fn checksum(symbols: &[u8]) -> [u8; SYMBOLS - RANDOM_SYMBOLS] {
    let mut check = [0; SYMBOLS - RANDOM_SYMBOLS];
    blake3::Hasher::new_derive_key(CHECK_CONTEXT).update(symbols).finalize_xof().fill(&mut check);
    check.map(|byte| ALPHABET[usize::from(byte % 32)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_however_it_is_typed() {
        let key = recovery_key().unwrap();
        let shown = key.expose();
        assert_eq!(shown.len(), "LARDER".len() + 8 * 5);
        assert_ne!(recovery_key().unwrap(), key);
        let bare: String = shown["LARDER-".len()..].replace('-', "");
        for typed in [
            shown.to_lowercase(),
            shown.replace('-', " "),
            shown["LARDER-".len()..].to_owned(),
            bare.clone(),
            format!("  {shown} "),
            shown["LARDER".len()..].replace('1', "l").replace('0', "o"),
        ] {
            let typed = Secret::new(typed);
            assert_eq!(looks_of(&typed), Looks::RecoveryKey, "{}", typed.expose());
            assert_eq!(canonical(&typed).expose(), bare);
        }
    }

    #[test]
    fn a_typing_error_is_told_from_a_password() {
        let key = shown(&std::array::from_fn(|at| at as u8 * 9));
        let shown = key.expose();
        for at in "LARDER-".len()..shown.len() {
            if shown.as_bytes()[at] == b'-' {
                continue;
            }
            let mut wrong = shown.as_bytes().to_vec();
            wrong[at] = if wrong[at] == b'7' { b'8' } else { b'7' };
            let wrong = Secret::new(String::from_utf8(wrong).unwrap());
            assert_eq!(looks_of(&wrong), Looks::Mistyped, "{} for {shown}", wrong.expose());
            assert_eq!(canonical(&wrong), wrong);
        }
        assert_eq!(looks_of(&Secret::new(&shown[..shown.len() - 1])), Looks::Mistyped);
        assert_eq!(looks_of(&Secret::new(format!("{shown}7"))), Looks::Mistyped);
        for password in ["correct horse battery staple", "larder", "larder-home", "", "a b c d e f g h"] {
            assert_eq!(looks_of(&Secret::new(password)), Looks::Password, "{password}");
        }
    }
}
