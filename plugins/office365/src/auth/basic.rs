//! Basic authentication: user and password with every request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use larder_sdk::Secret;

use crate::{error::Explanation, http::Response};

/// The `Authorization` header's value.
pub(super) fn header(user: &str, password: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
}

/// What a 401 to Basic means. The schemes the server names tell whether it takes Basic at all.
pub(crate) fn refused(response: &Response) -> Explanation {
    let schemes: Vec<String> = response
        .headers("www-authenticate")
        .iter()
        .filter_map(|value| value.split([' ', ',']).next())
        .map(str::to_ascii_lowercase)
        .collect();
    if !schemes.is_empty() && !schemes.iter().any(|scheme| scheme == "basic") {
        return Explanation::lasting(
            "basic-off",
            "the server does not take Basic authentication (Exchange Online dropped it in October 2022)",
            "use OAuth for Exchange Online, or switch Basic on for the EWS virtual directory of a server on premises",
        );
    }
    Explanation::lasting(
        "wrong-password",
        "the request failed with 401 Unauthorized: the user or password was not taken",
        "if the account has MFA, use an app password made for this very account; if it is new, it may take time to take effect",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_joined_as_utf8() {
        assert_eq!(header("user", &Secret::new("password")), "Basic dXNlcjpwYXNzd29yZA==");
        assert_eq!(header("ü", &Secret::new("§")), format!("Basic {}", STANDARD.encode("ü:§".as_bytes())));
    }
}
