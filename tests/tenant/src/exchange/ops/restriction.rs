//! Restrictions: the conditions of a search.

use std::cmp::Ordering;

use crate::exchange::answer::Failure;
use crate::exchange::render;
use crate::exchange::shape::Path;
use crate::exchange::world::{Item, Mailbox};
use crate::exchange::xml::Element;

/// Whether an item meets a condition.
pub(super) fn matches(mailbox: &Mailbox, item: &Item, condition: &Element) -> Result<bool, Failure> {
    let all = |wanted: bool| {
        for child in &condition.children {
            if matches(mailbox, item, child)? != wanted {
                return Ok(!wanted);
            }
        }
        Ok(wanted)
    };
    match condition.name.as_str() {
        "And" => return all(true),
        "Or" => return all(false),
        "Not" => {
            return condition
                .children
                .first()
                .map_or(Ok(true), |child| matches(mailbox, item, child).map(|met| !met));
        }
        _ => {}
    }
    let value = text_of(mailbox, item, &Path::read_in(condition)?);
    if condition.name == "Exists" {
        return Ok(value.is_some());
    }
    if condition.name == "Contains" {
        return Ok(contains(condition, value.as_deref().unwrap_or_default()));
    }
    let constant = condition
        .descend(&["FieldURIOrConstant", "Constant"])
        .and_then(|constant| constant.attribute("Value"));
    let Some(constant) = constant else { return Err(unsupported()) };
    let order = compare(value.as_deref().unwrap_or_default(), constant);
    match condition.name.as_str() {
        "IsEqualTo" => Ok(value.is_some() && order == Ordering::Equal),
        "IsNotEqualTo" => Ok(order != Ordering::Equal),
        "IsGreaterThan" => Ok(value.is_some() && order == Ordering::Greater),
        "IsGreaterThanOrEqualTo" => Ok(value.is_some() && order != Ordering::Less),
        "IsLessThan" => Ok(value.is_some() && order == Ordering::Less),
        "IsLessThanOrEqualTo" => Ok(value.is_some() && order != Ordering::Greater),
        _ => Err(unsupported()),
    }
}

/// The text of a property; none if the item does not have it.
pub(super) fn text_of(mailbox: &Mailbox, item: &Item, path: &Path) -> Option<String> {
    match path {
        Path::Field(field) => {
            let element = render::property(mailbox, item, field)?;
            // Of lists and people, the first entry counts.
            let mut at = &element;
            while let Some(first) = at.children.first() {
                at = first;
            }
            Some(at.text.clone())
        }
        Path::Indexed { field, index, .. } => {
            let entries = item.properties.get(field.element)?;
            entries
                .children
                .iter()
                .find(|entry| entry.attribute("Key") == Some(index.as_str()))
                .map(|entry| entry.text.clone())
        }
        Path::Extended(field) => render::item_value(item, field).and_then(|values| values.into_iter().next()),
    }
}

fn contains(condition: &Element, value: &str) -> bool {
    let constant =
        condition.child("Constant").and_then(|constant| constant.attribute("Value")).unwrap_or_default();
    let (value, constant) = match condition.attribute("ContainmentComparison") {
        Some("Exact") | None => (value.to_owned(), constant.to_owned()),
        Some(_) => (value.to_lowercase(), constant.to_lowercase()),
    };
    match condition.attribute("ContainmentMode") {
        Some("FullString") => value == constant,
        Some("Prefixed") => value.starts_with(&constant),
        _ => value.contains(&constant),
    }
}

/// Truth values compare as such however they are written, numbers as numbers, times as times, all else as text.
fn compare(value: &str, constant: &str) -> Ordering {
    let (value, constant) = (digit(value), digit(constant));
    match (value.parse::<i64>(), constant.parse::<i64>()) {
        (Ok(value), Ok(constant)) => value.cmp(&constant),
        _ => match (crate::clock::parse_iso(value), crate::clock::parse_iso(constant)) {
            (Some(value), Some(constant)) => value.cmp(&constant),
            _ => value.cmp(constant),
        },
    }
}

/// XML Schema writes truth values in two ways; the shorter one.
fn digit(text: &str) -> &str {
    match text {
        "true" => "1",
        "false" => "0",
        other => other,
    }
}

fn unsupported() -> Failure {
    Failure::new("ErrorUnsupportedQueryFilter", "The query filter is not supported.")
}
