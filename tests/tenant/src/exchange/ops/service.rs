//! Operations about the server rather than its content: `ConvertId`, time zones.

use super::{Context, list};
use crate::exchange::answer::{Failure, Outcome, response};
use crate::exchange::ids::EntryId;
use crate::exchange::xml::Element;

/// `ConvertId` among the forms this server knows: `EwsId` and `HexEntryId`.
pub(super) fn convert_ids(_context: &mut Context<'_>, request: &Element) -> Element {
    let to = request.attribute("DestinationFormat").unwrap_or_default();
    response("ConvertId", list(request, "SourceIds").iter().map(|id| convert_id(id, to)))
}

fn convert_id(source: &Element, to: &str) -> Outcome {
    let malformed = || Failure::new("ErrorInvalidIdMalformed", "Id is malformed.");
    let text = source.attribute("Id").unwrap_or_default();
    let id = match source.attribute("Format") {
        Some("EwsId") => EntryId::decode(text),
        Some("HexEntryId") => EntryId::decode_hex(text),
        _ => return Err(malformed()),
    };
    let id = id.map_err(|_| malformed())?;
    let converted = match to {
        "EwsId" => id.encode(),
        "HexEntryId" => id.encode_hex(),
        _ => return Err(Failure::new("ErrorInvalidOperation", "The destination format is not supported.")),
    };
    // The payload's type is told by an attribute of another namespace, as on a real server.
    let element = Element::messages("AlternateId")
        .with_attribute("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
        .with_attribute("xsi:type", "t:AlternateIdType")
        .with_attribute("Format", to)
        .with_attribute("Id", converted)
        .with_attribute("Mailbox", source.attribute("Mailbox").unwrap_or_default());
    Ok(vec![element])
}

/// `GetServerTimeZones`: UTC, the only zone this server knows.
pub(super) fn time_zones(request: &Element) -> Element {
    let ids = list(request, "Ids");
    let wanted = ids.is_empty() || ids.iter().any(|id| id.text.trim() == "UTC");
    let zones = Element::messages("TimeZoneDefinitions").with_children(wanted.then(utc));
    response("GetServerTimeZones", [Ok(vec![zones])])
}

fn utc() -> Element {
    const PERIOD: &str = "trule:Microsoft/Registry/UTC/2004-Standard";
    let transition = |kind: &str, to: &str| {
        Element::types("Transition").with_child(Element::value("To", to).with_attribute("Kind", kind))
    };
    let period = Element::types("Period")
        .with_attribute("Bias", "PT0S")
        .with_attribute("Name", "Standard")
        .with_attribute("Id", PERIOD);
    let group =
        Element::types("TransitionsGroup").with_attribute("Id", "0").with_child(transition("Period", PERIOD));
    Element::types("TimeZoneDefinition")
        .with_attribute("Id", "UTC")
        .with_attribute("Name", "(UTC) Coordinated Universal Time")
        .with_child(Element::types("Periods").with_child(period))
        .with_child(Element::types("TransitionsGroups").with_child(group))
        .with_child(Element::types("Transitions").with_child(transition("Group", "0")))
}
