//! SharePoint's refusals, with the numbers clients branch on.

use axum::http::StatusCode;

use super::model::EditError;

/// An answer that is not a success.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// Number and exception, as in `odata.error.code`.
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn item_missing() -> Self {
        let text = "Item does not exist. It may have been deleted by another user.";
        Self::new(StatusCode::NOT_FOUND, "-2130575338, Microsoft.SharePoint.SPException", text)
    }

    pub(crate) fn file_missing() -> Self {
        Self::new(StatusCode::NOT_FOUND, "-2147024894, System.IO.FileNotFoundException", "File Not Found.")
    }

    pub(crate) fn list_missing(name: &str) -> Self {
        let text = format!("List '{name}' does not exist at this site; it may have been deleted.");
        Self::new(StatusCode::NOT_FOUND, "-1, System.ArgumentException", text)
    }

    pub(crate) fn foreign_path(path: &str) -> Self {
        let text = format!("Server relative urls must start with the address of this site: '{path}'");
        Self::new(StatusCode::BAD_REQUEST, "-2147024809, System.ArgumentException", text)
    }

    /// Malformed request, unknown property, parameter or function.
    pub(crate) fn bad_query(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "-1, Microsoft.SharePoint.Client.InvalidClientQueryException",
            message,
        )
    }

    pub(crate) fn no_resource(name: &str) -> Self {
        let text = format!("Cannot find resource for the request {name}.");
        Self::new(StatusCode::NOT_FOUND, "-1, Microsoft.SharePoint.Client.ResourceNotFoundException", text)
    }

    pub(crate) fn no_field(name: &str) -> Self {
        let text = format!("The field or property '{name}' does not exist.");
        Self::new(StatusCode::BAD_REQUEST, "-1, Microsoft.SharePoint.SPException", text)
    }

    pub(crate) fn list_threshold() -> Self {
        let text = "The attempted operation is prohibited because it exceeds the list view threshold.";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "-2147024860, Microsoft.SharePoint.SPQueryThrottledException",
            text,
        )
    }

    pub(crate) fn denied() -> Self {
        let text = "Attempted to perform an unauthorized operation.";
        Self::new(StatusCode::FORBIDDEN, "-2147024891, System.UnauthorizedAccessException", text)
    }

    pub(crate) fn stale_digest() -> Self {
        let text = "The security validation for this page is invalid and might be corrupted. Please go back and try \
                    your operation again.";
        Self::new(StatusCode::FORBIDDEN, "-2130575251, Microsoft.SharePoint.SPException", text)
    }

    pub(crate) fn etag_mismatch(sent: &str, held: &str) -> Self {
        let text =
            format!("The request ETag value '{sent}' does not match the object's ETag value '{held}'.");
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "-1, Microsoft.SharePoint.Client.ClientServiceException",
            text,
        )
    }

    pub(crate) fn locked() -> Self {
        let text = "The file is locked for exclusive use.";
        Self::new(StatusCode::LOCKED, "-2147018894, Microsoft.SharePoint.SPFileLockException", text)
    }

    pub(crate) fn broken() -> Self {
        let text = "An unexpected error has occurred.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "-2146232832, Microsoft.SharePoint.SPException", text)
    }

    pub(crate) fn unknown_user() -> Self {
        let text = "The specified user could not be found.";
        Self::new(StatusCode::BAD_REQUEST, "-2146232832, Microsoft.SharePoint.SPException", text)
    }

    pub(crate) fn token_refused() -> Self {
        let text = "The changeToken refers to a time before the start of the current change log.";
        Self::new(StatusCode::BAD_REQUEST, "-2146232832, Microsoft.SharePoint.SPException", text)
    }

    /// The request's body is larger than one request may be.
    pub(crate) fn too_big() -> Self {
        Self::bad_query(
            "The request message is too big. The server does not allow messages larger than 262144000 bytes.",
        )
    }

    /// The error an item fault asks for.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            403 => Self::denied(),
            404 => Self::file_missing(),
            423 => Self::locked(),
            _ => Self::broken(),
        }
    }
}

impl From<EditError> for ApiError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::NotFound => Self::file_missing(),
            EditError::NameTaken => Self::new(
                StatusCode::BAD_REQUEST,
                "-2130575257, Microsoft.SharePoint.SPException",
                "A file or folder with this name already exists.",
            ),
            EditError::BadName => Self::new(
                StatusCode::BAD_REQUEST,
                "-2130575245, Microsoft.SharePoint.SPException",
                "The file or folder name contains characters that are not permitted.",
            ),
            EditError::TooLong => Self::new(
                StatusCode::BAD_REQUEST,
                "-2147024690, System.IO.PathTooLongException",
                "The specified file or folder name is too long.",
            ),
            EditError::TitleTaken => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "-2130575342, Microsoft.SharePoint.SPException",
                "A list, survey, discussion board, or document library with the specified title already exists in \
                 this Web site.",
            ),
        }
    }
}

impl From<crate::content::BodyError> for ApiError {
    fn from(_: crate::content::BodyError) -> Self {
        Self::broken()
    }
}
