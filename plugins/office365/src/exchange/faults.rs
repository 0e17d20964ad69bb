//! What can go wrong at an Exchange server, by code: what it means for the item, the mailbox or the account, and what to
//! do about it. Faults come as SOAP faults under any HTTP status and as response messages under 200.

use std::time::Duration;

use larder_sdk::{Error, ErrorKind};

use super::{names::prefix, xml::Element};

/// Longest back-off that is believed, so that one wrong number cannot stop a backup for days.
const BACK_OFF_MAX: Duration = Duration::from_hours(24);
/// Servers cut fractions of a millisecond off: added so that no request is sent before the time they meant.
const ROUNDING: Duration = Duration::from_millis(2);
/// Longest text of the server in our messages, in bytes.
const TEXT_BYTES_MAX: usize = 300;

/// Our code for an answer without error and without the content asked for: some servers leave out what they cannot convert.
pub(crate) const NO_CONTENT: &str = "NoContent";

/// A failure as the server told it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Its response code: `ErrorServerBusy`. Never empty; `UnknownFault` if the server gave none.
    pub(crate) code: String,
    /// What it says, cut to a sensible length.
    pub(crate) text: String,
    /// How long the account must stay away, if the server said so.
    pub(crate) back_off: Option<Duration>,
    /// The address that should have been used, with `ErrorNonPrimarySmtpAddress`.
    pub(crate) primary: Option<String>,
}

/// What to do about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advice {
    /// The account must rest; then, or with another account, the request may be sent again.
    RestAccount,
    /// The account has too many requests under way: fewer at once, then again.
    FewerAtOnce,
    /// The mailbox's server has trouble: wait, whatever the account, then again.
    RestMailbox,
    /// Too much in one request: ask for less, then again.
    AskForLess,
    /// Write the request in an older schema, then again.
    OlderSchema,
    /// The rest of the batch was not looked at: ask for it again.
    AskForRest,
    /// This account cannot go on, others may.
    OtherAccount,
    /// The sync state is of no use: list from nothing.
    ListAgain,
    /// The item is not there (any more).
    ItemGone,
    /// The folder is not there (any more).
    FolderGone,
    /// The server has no MIME for this kind of item.
    NoMime,
    /// The item is damaged or cannot be converted.
    ItemDamaged,
    /// Not allowed.
    Denied,
    /// The mailbox cannot be opened at all.
    NoMailbox,
    /// The server does not know this operation or id.
    Unsupported,
    /// The server had an error of its own: a few tries, then the item counts as damaged.
    TryAgain,
    /// Our request was wrong.
    Bug,
}

impl Problem {
    /// A problem with a code of our own making.
    pub(crate) fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: shorten(text.into()), ..Self::default() }
    }

    /// Reads a `Fault` element. The code stands in different places on different servers.
    pub(crate) fn of_fault(fault: &Element) -> Self {
        let from_detail =
            fault.child("detail").and_then(|detail| detail.find("ResponseCode")).map(|code| code.text.trim());
        let from_name = fault.text_of("faultcode").map(|code| code.rsplit(':').next().unwrap_or(code));
        let code = from_detail
            .filter(|code| !code.is_empty())
            .or_else(|| from_name.filter(|code| code.starts_with("Error")));
        let text = fault.text_of("faultstring").unwrap_or_default();
        let unknown_request = text.starts_with("Unknown request");
        let code = code.unwrap_or(if unknown_request { "UnknownRequest" } else { "UnknownFault" });
        Self { code: code.to_owned(), text: shorten(text.to_owned()), back_off: None, primary: None }
            .with_values(fault)
    }

    /// Reads a response message whose class is not success.
    pub(crate) fn of_message(message: &Element) -> Self {
        let code = message.text_of("ResponseCode").filter(|code| !code.is_empty()).unwrap_or("UnknownFault");
        let text = message.text_of("MessageText").unwrap_or_default();
        Self::new(code, text).with_values(message)
    }

    /// Takes over what stands in `MessageXml`, whatever namespace it is in.
    fn with_values(mut self, element: &Element) -> Self {
        let Some(values) = element.find("MessageXml") else { return self };
        for value in values.children_named("Value") {
            let text = value.text.trim();
            match value.attribute("Name") {
                Some("BackOffMilliseconds") => {
                    self.back_off =
                        text.parse().ok().map(|ms| Duration::from_millis(ms).min(BACK_OFF_MAX) + ROUNDING);
                }
                Some("InnerErrorResponseCode") if text.starts_with("Error") => {
                    text.clone_into(&mut self.code);
                }
                Some("PrimarySmtpAddress" | "Primary") => self.primary = Some(text.to_owned()),
                _ => {}
            }
        }
        self
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> Advice {
        // Whatever the code, a server that says how long to stay away means it.
        if self.back_off.is_some() { Advice::RestAccount } else { advice(&self.code) }
    }

    /// True if a folder that not every mailbox has is not there, as servers say it in many ways.
    pub(crate) fn means_absent(&self) -> bool {
        matches!(self.advice(), Advice::FolderGone | Advice::ItemGone | Advice::Denied | Advice::Unsupported)
            || self.code == "ErrorGetRemoteArchiveFolderFailed"
    }

    /// The error for the host, about `what`.
    pub(crate) fn error(&self, what: &str) -> Error {
        let said = if self.text.is_empty() { String::new() } else { format!(" ({})", self.text) };
        let mut error = Error::new(self.advice().kind(), format!("{what}: {}{said}", self.code))
            .with_code(slug(&self.code));
        if let Some(wait) = self.back_off {
            error = error.with_retry_after(wait);
        }
        if let Some(hint) = self.hint() {
            error = error.with_hint(hint);
        }
        error
    }

    fn hint(&self) -> Option<String> {
        Some(match self.code.as_str() {
            "ErrorImpersonateUserDenied" | "ErrorImpersonationDenied" | "ErrorImpersonationFailed" => {
                "give the account the role ApplicationImpersonation for this mailbox, or set access = \"delegate\" and full access".into()
            }
            "ErrorNonPrimarySmtpAddress" => match &self.primary {
                Some(address) => format!("write the mailbox's primary address, {address}"),
                None => "write the mailbox's primary address".into(),
            },
            "ErrorNonExistentMailbox" | "ErrorMissingEmailAddress" => {
                "check the address; the mailbox may have been deleted or moved".into()
            }
            "ErrorFolderNotFound" | "ErrorAccessDenied" => "check that the account may read the mailbox and its folders".into(),
            "ErrorPasswordExpired" | "ErrorPasswordChangeRequired" => "renew the account's password".into(),
            _ => return None,
        })
    }
}

impl Advice {
    /// The class of the error when nothing more can be tried.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::RestAccount => ErrorKind::RetryAfter,
            Self::FewerAtOnce | Self::RestMailbox | Self::AskForLess | Self::AskForRest | Self::ListAgain => {
                ErrorKind::Unavailable
            }
            Self::OlderSchema | Self::Unsupported => ErrorKind::Unsupported,
            Self::OtherAccount => ErrorKind::Authentication,
            Self::ItemGone | Self::FolderGone | Self::NoMailbox => ErrorKind::NotFound,
            Self::NoMime | Self::ItemDamaged | Self::TryAgain => ErrorKind::CorruptItem,
            Self::Denied => ErrorKind::Denied,
            Self::Bug => ErrorKind::Bug,
        }
    }

    /// True if the request as a whole was refused, so that asking again may help; false if it is one item's matter.
    pub(crate) fn concerns_request(self) -> bool {
        matches!(
            self,
            Self::RestAccount
                | Self::FewerAtOnce
                | Self::RestMailbox
                | Self::AskForLess
                | Self::OlderSchema
                | Self::OtherAccount
                | Self::TryAgain
        )
    }
}

/// The table. Unknown codes of the `ErrorInvalid…` family are ours; any other unknown one concerns the item.
fn advice(code: &str) -> Advice {
    match code {
        "ErrorServerBusy"
        | "ErrorInsufficientResources"
        | "ErrorADUnavailable"
        | "ErrorADOperation"
        | "ErrorTooManyObjectsOpened" => Advice::RestAccount,
        "ErrorExceededConnectionCount" => Advice::FewerAtOnce,
        "ErrorExceededFindCountLimit"
        | "ErrorTimeoutExpired"
        | "ErrorNotEnoughMemory"
        | "ErrorMessageSizeExceeded"
        | "ErrorDataSizeLimitExceeded"
        | "ErrorRequestStreamTooBig" => Advice::AskForLess,
        "ErrorInternalServerTransientError"
        | "ErrorMailboxStoreUnavailable"
        | "ErrorMailboxFailover"
        | "ErrorConnectionFailed"
        | "ErrorDataSourceOperation"
        | "ErrorClientDisconnected"
        | "ErrorMailboxMoveInProgress"
        | "ErrorCrossSiteRequest" => Advice::RestMailbox,
        "ErrorInternalServerError" | "UnknownFault" => Advice::TryAgain,
        "ErrorBatchProcessingStopped" => Advice::AskForRest,
        "ErrorInvalidServerVersion"
        | "ErrorIncorrectSchemaVersion"
        | "ErrorInvalidSchemaVersionForMailboxVersion" => Advice::OlderSchema,
        "ErrorItemNotFound" => Advice::ItemGone,
        "ErrorFolderNotFound" | "ErrorSyncFolderNotFound" | "ErrorParentFolderNotFound" => Advice::FolderGone,
        "ErrorInvalidSyncStateData" => Advice::ListAgain,
        "ErrorUnsupportedMimeConversion" | NO_CONTENT => Advice::NoMime,
        "ErrorAccessDenied" | "ErrorImpersonateUserDenied" => Advice::Denied,
        "ErrorNonExistentMailbox"
        | "ErrorMailboxConfiguration"
        | "ErrorNonPrimarySmtpAddress"
        | "ErrorAccountDisabled"
        | "ErrorMissingEmailAddress"
        | "ErrorCannotFindUser" => Advice::NoMailbox,
        "ErrorPasswordExpired"
        | "ErrorPasswordChangeRequired"
        | "ErrorImpersonationDenied"
        | "ErrorImpersonationFailed" => Advice::OtherAccount,
        "UnknownRequest"
        | "ErrorInvalidOperation"
        | "ErrorArchiveMailboxNotEnabled"
        | "ErrorNoPublicFolderReplicaAvailable" => Advice::Unsupported,
        "ErrorInvalidPropertyRequest"
        | "ErrorInvalidExtendedProperty"
        | "ErrorSchemaValidation"
        | "ErrorInvalidRequest" => Advice::Bug,
        _ if code.starts_with("ErrorInvalidId") => Advice::Bug,
        _ => Advice::ItemDamaged,
    }
}

/// The stable code of an EWS code: `ErrorServerBusy` → `ews-server-busy`.
pub(crate) fn slug(code: &str) -> String {
    let mut slug = String::from("ews");
    let mut after_upper = true;
    for char in code.strip_prefix("Error").unwrap_or(code).chars().filter(char::is_ascii_alphanumeric) {
        if char.is_ascii_uppercase() && !after_upper || slug == "ews" {
            slug.push('-');
        }
        after_upper = char.is_ascii_uppercase();
        slug.push(char.to_ascii_lowercase());
    }
    slug
}

fn shorten(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(prefix(&text, TEXT_BYTES_MAX).len());
        text.push('…');
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    #[test]
    fn a_throttled_account_learns_how_long_whatever_the_namespace() {
        for space in ["t", "e"] {
            let fault = tree_of(&format!(
                "<s:Fault><faultcode>a:ErrorServerBusy</faultcode><faultstring>The server cannot service this request.\n</faultstring>\
                 <detail><e:ResponseCode> ErrorServerBusy\n</e:ResponseCode><{space}:MessageXml><{space}:Value Name=\"BackOffMilliseconds\"> 297749 \
                 </{space}:Value></{space}:MessageXml></detail></s:Fault>"
            ));
            let problem = Problem::of_fault(&fault);
            assert_eq!(problem.code, "ErrorServerBusy");
            assert_eq!(problem.back_off, Some(Duration::from_millis(297_749) + ROUNDING));
            assert_eq!(problem.advice(), Advice::RestAccount);
            let error = problem.error("reading");
            assert_eq!((error.kind(), error.code()), (ErrorKind::RetryAfter, Some("ews-server-busy")));
            assert_eq!(error.retry_after(), problem.back_off);
        }
    }

    #[test]
    fn the_inner_code_counts() {
        let message = tree_of(
            "<m:X ResponseClass=\"Error\"><m:MessageText>x</m:MessageText><m:ResponseCode>ErrorInternalServerError</m:ResponseCode>\
             <m:MessageXml><t:Value Name=\"InnerErrorResponseCode\">ErrorServerBusy</t:Value></m:MessageXml></m:X>",
        );
        assert_eq!(Problem::of_message(&message).advice(), Advice::RestAccount);
    }

    #[test]
    fn codes_in_the_fault_name_and_none_at_all() {
        let named = tree_of("<F><faultcode>ErrorFolderNotFound</faultcode><faultstring>x</faultstring></F>");
        assert_eq!(Problem::of_fault(&named).advice(), Advice::FolderGone);
        let unknown = tree_of(
            "<F><faultcode>SOAP:Server</faultcode><faultstring>Unknown request 'ExportItems'.</faultstring></F>",
        );
        assert_eq!(Problem::of_fault(&unknown).advice(), Advice::Unsupported);
        assert_eq!(Problem::of_fault(&tree_of("<F/>")).code, "UnknownFault");
    }

    #[test]
    fn a_back_off_is_bounded() {
        let fault = tree_of(
            "<F><MessageXml><Value Name=\"BackOffMilliseconds\">99999999999</Value></MessageXml></F>",
        );
        assert_eq!(Problem::of_fault(&fault).back_off, Some(BACK_OFF_MAX + ROUNDING));
        let fault =
            tree_of("<F><MessageXml><Value Name=\"BackOffMilliseconds\">soon</Value></MessageXml></F>");
        assert_eq!(Problem::of_fault(&fault).back_off, None);
    }

    #[test]
    fn codes_for_people_are_words() {
        assert_eq!(slug("ErrorMimeContentConversionFailed"), "ews-mime-content-conversion-failed");
        assert_eq!(slug("ErrorADUnavailable"), "ews-adunavailable");
        assert_eq!(slug("UnknownFault"), "ews-unknown-fault");
    }

    #[test]
    fn long_texts_are_cut() {
        let problem = Problem::new("ErrorX", "ü".repeat(5000));
        assert!(problem.text.len() < TEXT_BYTES_MAX + 4);
    }
}
