//! The directory: `ResolveNames` and `ExpandDL`.

use super::Context;
use crate::exchange::answer::{Failure, message, refusal, response};
use crate::exchange::xml::Element;
use crate::gate::Service;

/// Hits one search gives at most.
const HITS_MAX: usize = 100;

/// Someone in the directory.
struct Entry {
    name: String,
    address: String,
    kind: &'static str,
}

impl Entry {
    fn element(&self) -> Element {
        Element::types("Mailbox")
            .with_child(Element::value("Name", self.name.as_str()))
            .with_child(Element::value("EmailAddress", self.address.as_str()))
            .with_child(Element::value("RoutingType", "SMTP"))
            .with_child(Element::value("MailboxType", self.kind))
    }
}

/// `ResolveNames`: those whose name, or a word of it, or address starts with the entry.
pub(super) fn resolve(context: &mut Context<'_>, request: &Element) -> Element {
    let wanted = request.child_text("UnresolvedEntry").unwrap_or_default().to_lowercase();
    let wanted = wanted.strip_prefix("smtp:").unwrap_or(&wanted);
    let meets = |entry: &Entry| {
        let name = entry.name.to_lowercase();
        entry.address.starts_with(wanted)
            || name.starts_with(wanted)
            || name.split(' ').any(|word| word.starts_with(wanted))
    };
    let found: Vec<Entry> = entries(context).into_iter().filter(meets).collect();
    let full = matches!(request.attribute("ReturnFullContactData"), Some("true" | "1"));
    let resolutions = found.iter().take(HITS_MAX).map(|entry| {
        let contact = full.then(|| {
            Element::types("Contact").with_child(Element::value("DisplayName", entry.name.as_str()))
        });
        Element::types("Resolution").with_child(entry.element()).with_children(contact)
    });
    let set = Element::messages("ResolutionSet")
        .with_attribute("TotalItemsInView", found.len().min(HITS_MAX).to_string())
        .with_attribute("IncludesLastItemInRange", (found.len() <= HITS_MAX).to_string())
        .with_children(resolutions);
    let one = match found.len() {
        0 => message("ResolveNames", Err(no_results())),
        1 => message("ResolveNames", Ok(vec![set])),
        _ => {
            let multiple = Failure::new("ErrorNameResolutionMultipleResults", "Multiple results were found.");
            refusal(Element::messages("ResolveNamesResponseMessage"), "Warning", &multiple).with_child(set)
        }
    };
    let mut response = response("ResolveNames", []);
    if let Some(messages) = response.child_mut("ResponseMessages") {
        messages.children.push(one);
    }
    response
}

/// `ExpandDL`: the members of one group.
pub(super) fn expand(context: &mut Context<'_>, request: &Element) -> Element {
    let address = request
        .descend(&["Mailbox", "EmailAddress"])
        .map(|address| address.text.trim().to_lowercase())
        .unwrap_or_default();
    let group = context.world.groups().iter().find(|group| group.address == address);
    let outcome = group.ok_or_else(no_results).map(|group| {
        let members: Vec<Element> = entries(context)
            .iter()
            .filter(|entry| group.members.contains(&entry.address))
            .map(Entry::element)
            .collect();
        vec![
            Element::messages("DLExpansion")
                .with_attribute("TotalItemsInView", members.len().to_string())
                .with_attribute("IncludesLastItemInRange", "true")
                .with_children(members),
        ]
    });
    response("ExpandDL", [outcome])
}

fn entries(context: &Context<'_>) -> Vec<Entry> {
    let there = |address: &str| !context.shared.faults.vanished(Service::Exchange, address);
    let mailboxes = context.world.mailboxes().filter(|mailbox| there(&mailbox.address)).map(|mailbox| {
        Entry { name: mailbox.display_name.clone(), address: mailbox.address.clone(), kind: "Mailbox" }
    });
    let groups = context.world.groups().iter().map(|group| Entry {
        name: group.display_name.clone(),
        address: group.address.clone(),
        kind: "PublicDL",
    });
    mailboxes.chain(groups).collect()
}

fn no_results() -> Failure {
    Failure::new("ErrorNameResolutionNoResults", "No results were found.")
}
