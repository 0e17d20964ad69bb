//! Secrets in the system's keyring. On Linux that is the kernel's: it needs no desktop and no daemon, so it also serves a server, and
//! four small crates reach it (the desktops' Secret Service takes about a hundred).

use larder_sdk::{Error, ErrorKind, Result, Secret};

/// The secret that `place`, `SERVICE/USER`, names.
pub(super) fn secret(place: &str) -> Result<Secret> {
    let (service, user) = place
        .split_once('/')
        .filter(|(service, user)| !service.is_empty() && !user.is_empty())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Configuration,
                format!("`{}` names no entry of a keyring", place.escape_debug()),
            )
            .with_hint("write keyring = \"SERVICE/USER\"")
        })?;
    look_up(service, user)
}

#[cfg(all(feature = "keyring", target_os = "linux"))]
fn look_up(service: &str, user: &str) -> Result<Secret> {
    use keyring_core::{Error as KeyringError, api::CredentialStoreApi as _};

    let found = linux_keyutils_keyring_store::Store::new()
        .and_then(|store| store.build(service, user, None))
        .and_then(|entry| entry.get_password());
    // The keyring's error is not kept as the cause: it may hold the secret's bytes.
    found.map(Secret::new).map_err(|error| match error {
        KeyringError::NoEntry => {
            Error::new(ErrorKind::Configuration, format!("the keyring has no entry `{service}/{user}`"))
                .with_hint(format!(
                    "add it: keyctl padd user 'keyring:{user}@{service}' @u, and type the secret"
                ))
        }
        KeyringError::BadEncoding(_) | KeyringError::BadDataFormat(..) => Error::new(
            ErrorKind::Configuration,
            format!("the keyring's entry `{service}/{user}` is no UTF-8 text"),
        ),
        KeyringError::NoStorageAccess(_) | KeyringError::PlatformFailure(_) => {
            Error::new(ErrorKind::Denied, format!("the keyring cannot be read for `{service}/{user}`"))
                .with_hint("a session without a keyring of its own may lack the right to read the user's")
        }
        _ => Error::new(
            ErrorKind::Configuration,
            format!("the keyring has no usable entry `{service}/{user}`"),
        ),
    })
}

#[cfg(not(all(feature = "keyring", target_os = "linux")))]
fn look_up(service: &str, user: &str) -> Result<Secret> {
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("this build cannot read keyrings, and so not `{service}/{user}`"),
    )
    .with_hint("use env, file or command instead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_needs_a_service_and_a_user() {
        for place in ["", "larder", "/user", "larder/"] {
            let error = secret(place).unwrap_err();
            assert!(error.message().contains("names no entry of a keyring"), "{place}: {}", error.message());
        }
    }

    #[test]
    fn a_missing_entry_says_so() {
        let error = secret("larder-test/nobody-at-all").unwrap_err();
        // Where the system has no keyring at all, that is said instead.
        assert!(error.message().contains("larder-test/nobody-at-all"), "{}", error.message());
        assert!(error.hint().is_some());
    }
}
