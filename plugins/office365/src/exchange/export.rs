//! Items as the server's own streams (`ExportItems`): opaque bytes with every property, recipient, attachment and exception, which a server takes in
//! again as they are. Not every server gives them; whether this one does is asked once.

use larder_sdk::{Body, LogLevel, Result};
use tokio::sync::Mutex;

pub(super) use crate::options::Fidelity;

use super::{
    client::{Asked, Client, Failure},
    content::{Coding, Content},
    context::Context,
    faults::{Advice, Problem},
    requests,
};

/// An id that no item has.
const NO_ITEM: &str = "AAAA";

/// Whether the server exports, once known. One for a whole source.
#[derive(Debug, Default)]
pub(super) struct Exporting {
    there: Mutex<Option<bool>>,
}

impl Exporting {
    /// Asks, unless it is known.
    pub(super) async fn is_there(&self, client: &Client) -> Asked<bool> {
        // Held over the question, so that it is asked once.
        let mut there = self.there.lock().await;
        if let Some(known) = *there {
            return Ok(known);
        }
        let found = match client.call_one(&requests::export_items(NO_ITEM)).await {
            Ok(_) => true,
            Err(Failure::Refused(problem)) if is_unknown(&problem) => false,
            // That it does not find the item shows that it looked.
            Err(Failure::Refused(problem)) if !problem.advice().concerns_request() => true,
            Err(failure) => return Err(failure),
        };
        *there = Some(found);
        Ok(found)
    }
}

/// True if the operation is not known; a server with a schema says that the request does not fit it.
fn is_unknown(problem: &Problem) -> bool {
    problem.advice() == Advice::Unsupported
        || matches!(
            problem.code.as_str(),
            "ErrorSchemaValidation" | "ErrorInvalidRequest" | "ErrorInvalidServerVersion"
        )
}

/// The fidelity a mailbox is read with: the one wanted, if its server can.
pub(super) async fn agree(context: &Context) -> Result<Fidelity> {
    let wanted = context.options.fidelity;
    if wanted == Fidelity::Mime {
        return Ok(wanted);
    }
    let there = context.exporting.is_there(&context.client).await;
    if there.map_err(|failure| failure.error(&context.address))? {
        return Ok(wanted);
    }
    context.log(LogLevel::Warning, "its server does not export items: they are read as MIME");
    Ok(Fidelity::Mime)
}

/// An item's stream. A server that is interrupted ends it with a remark in its midst: that is no base64, so the content is refused as
/// cut short and asked for again.
pub(super) async fn open(client: &Client, wire: &str) -> Asked<Box<dyn Body>> {
    let content = Content::open(client, &requests::export_items(wire), "Data", Coding::Base64).await?;
    Ok(Box::new(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_without_exports_are_told_from_items_that_are_not_there() {
        for (code, unknown) in [
            ("UnknownRequest", true),
            ("ErrorSchemaValidation", true),
            ("ErrorInvalidIdMalformed", false),
            ("ErrorItemNotFound", false),
            ("ErrorServerBusy", false),
        ] {
            assert_eq!(is_unknown(&Problem::new(code, "")), unknown, "{code}");
        }
    }
}
