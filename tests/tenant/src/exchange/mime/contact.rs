//! vCard, which Exchange writes for contacts but never reads.

use super::calendar::{escape, fold};

/// A contact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Card {
    pub(crate) display_name: String,
    pub(crate) given_name: String,
    pub(crate) surname: String,
    pub(crate) company: String,
    pub(crate) title: String,
    pub(crate) notes: String,
    pub(crate) addresses: Vec<String>,
    /// Kind such as `WORK` and number.
    pub(crate) phones: Vec<(String, String)>,
}

/// The contact as a vCard.
pub(crate) fn compose_card(card: &Card) -> String {
    let mut text = "BEGIN:VCARD\r\nPROFILE:VCARD\r\nVERSION:3.0\r\nMAILER:Microsoft Exchange\r\nPRODID:Microsoft Exchange\r\n".to_owned();
    fold(&mut text, &format!("FN:{}", escape(&card.display_name)));
    fold(&mut text, &format!("N:{};{};;;", escape(&card.surname), escape(&card.given_name)));
    for address in &card.addresses {
        fold(&mut text, &format!("EMAIL;TYPE=INTERNET:{address}"));
    }
    for (kind, number) in &card.phones {
        fold(&mut text, &format!("TEL;TYPE={kind}:{number}"));
    }
    for (name, value) in [("ORG", &card.company), ("TITLE", &card.title), ("NOTE", &card.notes)] {
        if !value.is_empty() {
            fold(&mut text, &format!("{name}:{}", escape(value)));
        }
    }
    text.push_str("CLASS:PUBLIC\r\nEND:VCARD\r\n");
    text
}
