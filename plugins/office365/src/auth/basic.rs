//! Basic authentication: user and password with every request.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use larder_sdk::Secret;

/// The `Authorization` header's value.
pub(super) fn header(user: &str, password: &Secret) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
}

/// True if the schemes that a 401 names leave Basic out.
pub(super) fn is_off(schemes: &[&str]) -> bool {
    let mut names = schemes
        .iter()
        .filter_map(|value| value.trim().split([' ', ',']).next())
        .filter(|name| !name.is_empty());
    !schemes.is_empty() && !names.any(|name| name.eq_ignore_ascii_case("basic"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_joined_as_utf8() {
        assert_eq!(header("user", &Secret::new("password")), "Basic dXNlcjpwYXNzd29yZA==");
        assert_eq!(header("ü", &Secret::new("§")), format!("Basic {}", STANDARD.encode("ü:§".as_bytes())));
    }

    #[test]
    fn a_server_that_names_other_schemes_has_basic_off() {
        assert!(is_off(&["Bearer realm=\"x\""]) && is_off(&["Negotiate", "NTLM"]));
        assert!(!is_off(&["Negotiate", "basic realm=\"x\""]) && !is_off(&[]));
    }
}
