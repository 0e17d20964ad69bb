//! What a mailbox has beside folders and items.

/// Rules, automatic reply, categories, delegates.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// The inbox rules' names; each moves what says so in its subject.
    pub(crate) rules: Vec<String>,
    /// The automatic reply; none: nobody is away.
    pub(crate) reply: Option<String>,
    /// The master list of categories.
    pub(crate) categories: Vec<String>,
    /// The address of who may act for the owner, with the right to edit the calendar.
    pub(crate) delegate: Option<String>,
}

impl Settings {
    /// What the documents of a right backup contain, by their names.
    pub(super) fn documents(&self, address: &str) -> Vec<(&'static str, Vec<String>)> {
        let reply = self.reply.clone().unwrap_or_else(|| "Disabled".to_owned());
        let delegate: Vec<String> = self.delegate.iter().cloned().collect();
        let mut permissions = delegate.clone();
        permissions.push(address.to_owned());
        vec![
            ("Inbox Rules.json", self.rules.clone()),
            ("Out of Office.json", vec![reply]),
            ("Categories.json", self.categories.clone()),
            ("Delegates.json", delegate),
            ("Folder Permissions.json", permissions),
        ]
    }
}
