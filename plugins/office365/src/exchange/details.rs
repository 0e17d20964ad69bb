//! All that the server tells of an item as JSON, for items of which MIME is not nearly all: contacts, events with their exceptions, tasks, notes,
//! distribution lists, meeting messages, reports.

use larder_sdk::{Body, Kind, ReadyBody};
use serde_json::{Map, Value, json};

use super::{
    client::{Asked, Client},
    faults::Advice,
    item::kind_of,
    rebuild::tree,
    requests,
    xml::Element,
};

/// Most exceptions of a series that are asked for.
const EXCEPTIONS_MAX: usize = 1000;
/// Exceptions of one request.
const BATCH: usize = 25;

/// Asks for an item's properties and, if it is a series, for those of its exceptions.
pub(super) async fn open(client: &Client, wire: &str, class: &str) -> Asked<Box<dyn Body>> {
    let item = ask(client, wire, named(class)).await?;
    let mut exceptions = Vec::new();
    let ids = exceptions_of(&item);
    for batch in ids.chunks(BATCH) {
        for (id, message) in batch.iter().zip(client.call(&requests::get_all_of(batch, &[])).await?) {
            let row = message.element.child("Items").and_then(|items| items.children.first());
            exceptions.push(match (row.filter(|_| message.usable), message.problem) {
                (Some(row), _) => tree(row),
                // An exception that cannot be read does not cost the series; that there is one stands there.
                (None, problem) => {
                    let code = problem.map(|problem| problem.code).unwrap_or_default();
                    json!({ "name": "Unreadable", "attributes": { "Id": id, "Code": code } })
                }
            });
        }
    }
    let mut all = Map::new();
    all.insert("item".to_owned(), tree(&item));
    if !exceptions.is_empty() {
        all.insert("exceptions".to_owned(), Value::Array(exceptions));
    }
    let bytes = serde_json::to_vec(&Value::Object(all)).unwrap_or_default();
    Ok(Box::new(ReadyBody::new(bytes)))
}

/// What items of a class have beside what is called all.
fn named(class: &str) -> &'static [&'static str] {
    match kind_of(class) {
        kind if kind == Kind::EVENT => &[
            "calendar:ModifiedOccurrences",
            "calendar:DeletedOccurrences",
            "calendar:Recurrence",
            "calendar:StartTimeZone",
            "calendar:EndTimeZone",
        ],
        kind if kind == Kind::CONTACT && class.to_ascii_lowercase().starts_with("ipm.distlist") => {
            &["distributionlist:Members"]
        }
        _ => &[],
    }
}

/// The item's element. Some kinds do not have all that is asked for: then what every kind has.
async fn ask(client: &Client, wire: &str, named: &[&str]) -> Asked<Element> {
    let answer = match client.call_one(&requests::get_all_of(&[wire.to_owned()], named)).await {
        Err(failure) if failure.advice() == Some(Advice::Bug) => {
            client.call_one(&requests::get_everything(wire)).await?
        }
        answer => answer?,
    };
    let items = answer.element.children.into_iter().find(|child| child.name == "Items");
    Ok(items.and_then(|items| items.children.into_iter().next()).unwrap_or_default())
}

fn exceptions_of(item: &Element) -> Vec<String> {
    let occurrences =
        item.child("ModifiedOccurrences").map(|list| list.children.as_slice()).unwrap_or_default();
    let ids = occurrences.iter().filter_map(|one| one.child("ItemId")?.attribute("Id"));
    ids.take(EXCEPTIONS_MAX).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    #[test]
    fn a_series_names_its_exceptions() {
        let series = tree_of(
            "<CalendarItem><ModifiedOccurrences><Occurrence><ItemId Id=\"a\"/><Start>x</Start></Occurrence>\
             <Occurrence/><Occurrence><ItemId Id=\"b\"/></Occurrence></ModifiedOccurrences></CalendarItem>",
        );
        assert_eq!(exceptions_of(&series), ["a", "b"]);
        assert!(exceptions_of(&tree_of("<Contact/>")).is_empty());
    }
}
