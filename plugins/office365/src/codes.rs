//! Every code that this plugin tells, in one table: what it means in one plain sentence, what to do, and where `docs/office365.md` has more.
//!
//! `validate` takes its words from here, the page's table is held equal to it by a test, and [`ALL`] can be printed whole. Codes are
//! stable: one that was told once keeps its meaning.

use larder_sdk::Explained;

/// One code.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Code {
    /// Lower case, words joined by `-`.
    pub code: &'static str,
    /// One plain sentence, without a full stop; may be followed by what the service said.
    pub sentence: &'static str,
    /// What to do; empty if nothing need be done.
    pub remedy: &'static str,
}

impl Code {
    /// Where the page says more: a path in this project, with its anchor.
    pub fn page(&self) -> String {
        format!("docs/office365.md#{}", self.code)
    }
}

/// The entry of a code, if it is one of this plugin's.
pub fn of(code: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|entry| entry.code == code)
}

/// All of them, as pages of `larder explain`: a sentence, and a step of the remedy a line.
pub(crate) fn explained() -> Vec<Explained> {
    let page = |entry: &&Code| Explained {
        code: entry.code.to_owned(),
        meaning: sentence(entry.sentence) + ".",
        remedy: entry.remedy.split("; ").map(sentence).collect::<Vec<_>>().join("\n"),
        more: Some(entry.page()),
    };
    ALL.iter().map(page).collect()
}

/// With a capital at its beginning.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

macro_rules! codes {
    ($($name:ident = $code:literal, $sentence:literal, $remedy:literal;)*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $sentence, ".")]
            pub const $name: &Code = &Code { code: $code, sentence: $sentence, remedy: $remedy };
        )*
        /// All of them, as the page lists them.
        pub const ALL: &[&Code] = &[$($name),*];
    };
}

codes! {
    // What is as it should be.
    SHAREPOINT_OK = "sharepoint-ok", "signs in to SharePoint and reads a site of the set", "";
    SHAREPOINT_SIGNED_IN = "sharepoint-signed-in", "signs in to SharePoint; the root site is closed to it, which does no harm", "";
    SIGNED_IN = "signed-in", "signs in to Exchange; there was no mailbox to try", "";
    MAILBOX_OPENED = "mailbox-opened", "signs in to Exchange and opens a mailbox of the set", "";
    ADMIN_CENTRE_CLOSED = "admin-centre-closed", "the SharePoint admin centre is closed to it: sites are found by search and by name",
        "nothing: app passwords and accounts without an admin role are never let in there; name the sites that search does not show in `sites`";

    // Passwords.
    WRONG_PASSWORD = "wrong-password", "the user or password is wrong",
        "check user and password; if the account has MFA, use an app password made for this very account; if the same password passes in a \
         browser, set a new one and write that; a new one may take time to take effect";
    APP_PASSWORD_REFUSED = "app-password-refused", "the app password was not taken: it is another account's, deleted, too new, or an admin's",
        "see that it was made for this very account, was not deleted, and is not minutes old (it may take time to take effect); app passwords of \
         accounts with an admin role are refused: use a dedicated account without one";
    MFA_OR_PASSWORD = "mfa-or-password", "the request failed with 401 Unauthorized: either the account has multi-factor authentication and this is \
        no app password, or the password is wrong",
        "if MFA is on, use an app password, or switch MFA off for the account; if it is off, check user and password; if the same password \
         passes in a browser, set a new one and write that";
    MFA_NOT_APP_PASSWORD = "mfa-not-app-password", "the account has multi-factor authentication, and this is its normal password",
        "make an app password (My sign-ins, Security info, Add method; a name of at least 8 characters) and use it; if it is not offered: \
         (1) allow users to create app passwords to sign in to non-browser apps, in the MFA service settings; (2) if MFA per user is disabled \
         for the account, enable it; (3) if it is enabled and still not usable, enforce it; (4) wait: changes take up to several days; (5) sign \
         the account out everywhere and in again. Or switch MFA off for it; if a Conditional Access policy asks for MFA, exclude the account \
         or this machine's address from the policy, or use OAuth";
    MFA_ENROL = "mfa-enrol", "multi-factor authentication is enabled for the account and not registered yet",
        "sign in once in a browser and register; until MFA is enforced the normal password is expected, from then on an app password";
    THIRD_PARTY_MFA = "third-party-mfa", "a third party's multi-factor authentication demands a live answer, which no app password passes",
        "grant the account a bypass or exception there, or use OAuth; otherwise this account cannot be used";
    POLICY_BLOCK = "policy-block", "the organisation's access policies (Conditional Access, security defaults) block this sign-in",
        "switch the policy that blocks legacy authentication off, or exclude the account or this machine's address from it (the sign-in log of \
         Entra names policy and address), or use OAuth";
    NOT_YET_IN_EFFECT = "not-yet-in-effect", "the credential is not taken yet; new passwords and settings take minutes, sometimes days, to take effect",
        "wait: it is tried again within `grace_seconds`; if it lasts, check user, password and the account's MFA state";
    LOCKED = "locked", "the account is locked after too many wrong sign-ins, or this machine's address is judged malicious",
        "wait some minutes, and look for other programs that use an old password";
    EXPIRED = "expired", "the password has expired, or a new one is demanded", "set a new password in a browser and write that";
    PASSWORD_EXPIRED = "password-expired", "Exchange says that the account's password has expired", "renew the account's password";
    DISABLED = "disabled", "the account is disabled", "enable it, or take it out of the pool";
    NO_USER = "no-user", "there is no such user in the tenant", "check `user` (the user principal name) and `cloud`; guests cannot be used";
    NO_TENANT = "no-tenant", "there is no such tenant or domain in this cloud", "check `tenant`, the domain of `user`, and `cloud`";
    TOKEN_WITHHELD = "token-withheld", "the password was accepted, and no security token was given",
        "legacy authentication may be restricted for the account: use OAuth";
    REFUSED = "refused", "sign-in was refused for a reason we do not know", "the service's words say why; its sign-in log says more";

    // Legacy authentication.
    LEGACY_AUTH_OFF = "legacy-auth-off", "signed in, and SharePoint gives no session: legacy authentication is switched off in this tenant",
        "use OAuth with a certificate; while the cloud still allows it, an administrator may switch legacy authentication on (up to 24 hours to apply)";
    LEGACY_AUTH_RETIRED = "legacy-auth-retired", "SharePoint Online takes app passwords no more: Microsoft switched them off for all worldwide \
        tenants on 1 May 2026", "use OAuth with a certificate: authentication = \"oauth\"";
    BASIC_OFF = "basic-off", "the server does not take Basic authentication", "switch Basic on for the EWS virtual directory, or use \"oauth\" where the server takes it";
    BASIC_RETIRED = "basic-retired", "Exchange Online takes passwords no more: Microsoft removed Basic authentication from October 2022",
        "use OAuth: authentication = \"oauth\"";
    SESSION_REFUSED = "session-refused", "signed in, and the site answers as if not",
        "check the site's access policies for this account (unmanaged devices, network location)";

    // Federated domains.
    FEDERATED = "federated", "the account's domain signs in at a provider of its own; app passwords are checked by the cloud all the same",
        "with an app password nothing; with the normal password write authentication = \"adfs\"";
    ADFS_REFUSED = "adfs-refused", "the federation service did not take user and password either",
        "check the password and that the account is not locked there (extranet lockout); clocks that differ by over 5 minutes look the same";
    ADFS_DENIED = "adfs-denied", "the federation service knows the account, and its rules deny it a token for the cloud",
        "let the rules of the relying party Microsoft 365 permit the account";
    ADFS_FAULT = "adfs-fault", "the federation service has a fault of its own", "see the federation server's event log";
    ADFS_ENDPOINT_OFF = "adfs-endpoint-off", "the federation service does not serve the sign-in that programs use",
        "enable the endpoint usernamemixed (WS-Trust 1.3 or 2005) and publish it through the proxy, or use an app password or OAuth";
    ADFS_NO_ENDPOINT = "adfs-no-endpoint", "the domain's identity provider has no sign-in for programs (WS-Trust)", "use an app password or OAuth";
    ASSERTION_ALTERED = "assertion-altered", "the cloud found the federation service's signature broken", "see that no proxy alters answers of the federation service; if none does, report this";

    // Applications.
    OAUTH_SECRET_WRONG = "oauth-secret-wrong", "the application's secret is wrong", "write the secret's value, which is shown once, and not its id";
    OAUTH_SECRET_EXPIRED = "oauth-secret-expired", "the application's secret has expired", "make a new secret in the app registration";
    OAUTH_CERTIFICATE_UNKNOWN = "oauth-certificate-unknown", "the certificate is not one of the application's, or its key does not fit",
        "upload the certificate (without its key) to the app registration, under Certificates & secrets; it may take minutes to take effect";
    OAUTH_CERTIFICATE_EXPIRED = "oauth-certificate-expired", "the application's certificate has run out", "make a new certificate and upload it to the app registration";
    OAUTH_CERTIFICATE_ENDS = "oauth-certificate-ends", "the application's certificate runs out soon",
        "make a new certificate, upload it beside the old one, and change `certificate`";
    OAUTH_CERTIFICATE_UNUSABLE = "oauth-certificate-unusable", "the certificate or its key cannot be used",
        "`certificate` wants PEM with the certificate and its RSA key (2048 bits or more), the key not encrypted";
    OAUTH_APP_UNKNOWN = "oauth-app-unknown", "the application is not known in this tenant", "check `client_id`, `tenant` and `cloud`; an administrator must consent to the application";
    OAUTH_APP_DISABLED = "oauth-app-disabled", "the application is disabled in this tenant", "enable it under Enterprise applications";
    OAUTH_SCOPE = "oauth-scope", "the tenant has no service at the address that a token was asked for", "check `tenant` and `endpoints`; the service may not be part of the subscription";
    OAUTH_SECRET_REFUSED = "oauth-secret-refused", "SharePoint takes no token that was made with a secret", "use a certificate: `certificate` in place of `client_secret`";
    OAUTH_TOKEN_REFUSED = "oauth-token-refused", "the service did not take the application's token", "the service's words say why; check `endpoints`, and this machine's clock";
    OAUTH_NOT_PERMITTED = "oauth-not-permitted", "the application lacks the permission",
        "grant the application permissions SharePoint Sites.FullControl.All (or Sites.Read.All) and Exchange full_access_as_app, with an administrator's consent";
    OAUTH_NEEDS_ADDRESS = "oauth-needs-address", "an application has no address book of its own to look mailboxes up in",
        "name one mailbox by its address in `mailboxes`, beside the globs";
    CLOCK_WRONG = "clock-wrong", "the login host finds this machine's clock wrong", "set the clock (time synchronisation)";

    // Networks.
    HOST_UNKNOWN = "host-unknown", "the host's name is not known", "check `tenant`, `cloud`, `endpoints`, and this machine's name resolution";
    UNREACHABLE = "unreachable", "the host cannot be reached", "check network, firewall and proxy (HTTPS_PROXY)";
    TLS_UNTRUSTED = "tls-untrusted", "the host's certificate is not trusted",
        "if a proxy opens TLS, or the server's certificate is from an authority of your own, add that authority to the system's trusted ones; else check the name in `endpoints`";
    PROXY_REFUSED = "proxy-refused", "a proxy stands between and refuses", "check HTTPS_PROXY, with user and password if it wants them, or NO_PROXY";
    NO_ANSWER = "no-answer", "there was no answer in time", "try again; check network and proxy";
    TRANSIENT = "transient", "the sign-in service is not available", "it passes by itself; try again";
    THROTTLED = "throttled", "the account was asked to wait", "it passes by itself; more accounts, or fewer programs that use this one, make it rarer";
    LOGIN_THROTTLED = "login-throttled", "too many sign-ins in a short time", "let fewer programs sign in with this account";

    // Sites.
    DENIED = "denied", "no account of the pool may read it", "give an account of the pool read permission there";
    SITE_DENIED = "site-denied", "no account of the pool may read the site", "give an account of the pool read permission there";
    SITE_GONE = "site-gone", "there is no such site", "check the address, or leave the site out";
    SITE_UNREADABLE = "site-unreadable", "the site cannot be read", "the service's words say why";
    SEARCH_FAILED = "search-failed", "search does not answer the account", "name the sites in `sites`, or try again";
    SUB_SITES_UNKNOWN = "sub-sites-unknown", "a site's sub-sites cannot be listed", "give the account read permission on the site";
    SHAREPOINT_UNREACHABLE = "sharepoint-unreachable", "SharePoint does not answer as it should", "the service's words say why";

    // Mailboxes.
    EWS_IMPERSONATE_USER_DENIED = "ews-impersonate-user-denied", "the account may not impersonate the mailbox",
        "give it the role ApplicationImpersonation (an application: full_access_as_app), or set access = \"delegate\" and full access to the mailbox";
    EWS_SWITCHED_OFF = "ews-switched-off", "Exchange Web Services are switched off for the organisation, the mailbox or this program",
        "see EwsEnabled and EwsAllowedAppIDs (Set-OrganizationConfig, Set-CASMailbox) and application access policies; Exchange Online has them off since \
         1 October 2026 unless the tenant kept them, and for all from 1 April 2027";
    EWS_RETIRED = "ews-retired", "Exchange Online serves Exchange Web Services no more: Microsoft switched them off for all on 1 April 2027",
        "nothing brings them back";
    EWS_NOT_HERE = "ews-not-here", "what answers is not Exchange Web Services", "write the address in endpoints.exchange";
    EWS_WEB_PAGE = "ews-web-page", "a web page answers in place of Exchange Web Services", "a proxy or a sign-in page stands between: check endpoints.exchange";
    EWS_OUTAGE = "ews-outage", "Exchange is out of order for now", "try again later";
    EWS_NO_ROUTE = "ews-no-route", "Exchange finds no server for the mailbox", "check the mailbox's address";
    LIST_UNREADABLE = "list-unreadable", "a distribution list cannot be listed", "name the mailboxes in `mailbox_list`";
    DIRECTORY_INCOMPLETE = "directory-incomplete", "the address book is too large to be listed completely", "name the mailboxes in `mailbox_list`";
    EXCHANGE_REFUSED = "exchange-refused", "Exchange refuses the account", "the server's words say why";
    MAILBOX_REFUSED = "mailbox-refused", "the mailbox cannot be opened", "the server's words say why";

    // The set.
    NO_ACCOUNT_LEFT = "no-account-left", "no account of the pool is left, each for a reason of its own", "each account's reason says what to do";
    SERVICE_UNREADABLE = "service-unreadable", "nothing of the service can be read", "the service's words say why";
    AUTHENTICATION_UNSUPPORTED = "authentication-unsupported", "the kind of authentication is not built yet", "use \"basic\" for servers on premises";
    PUBLIC_FOLDERS_UNREADABLE = "public-folders-unreadable", "whether there are public folders could not be found out", "the server's words say why; write public_folders = false if there are none";
    EXPORT_UNSUPPORTED = "export-unsupported", "the server does not export items (ExportItems): they are read as MIME", "fidelity = \"mime\" silences this";
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Write as _};

    use super::*;

    #[test]
    fn codes_are_words_and_there_once() {
        let distinct: BTreeSet<&str> = ALL.iter().map(|code| code.code).collect();
        assert_eq!(distinct.len(), ALL.len());
        for code in ALL {
            assert!(code.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{code:?}");
            assert!(!code.sentence.ends_with('.') && !code.sentence.contains("  "), "{code:?}");
            assert!(!code.remedy.contains("  ") && of(code.code) == Some(code), "{code:?}");
        }
    }

    #[test]
    fn s2_4_the_five_steps_to_an_app_password_are_explained_in_their_order() {
        let pages = explained();
        let page = pages.iter().find(|page| page.code == "mfa-not-app-password").unwrap();
        let steps: Vec<&str> = page.remedy.lines().skip_while(|line| !line.contains("(1)")).take(5).collect();
        for (step, what) in
            (1..).zip(["allow users", "enable it", "enforce it", "several days", "sign the account out"])
        {
            let line = steps[step - 1].to_lowercase();
            assert!(line.contains(&format!("({step})")) && line.contains(what), "{step}: {steps:?}");
        }
    }

    /// The page has a row for each code, in this order and in these words.
    #[test]
    fn the_page_says_what_the_table_says() {
        let mut rows = String::from("| code | means | do |\n| --- | --- | --- |\n");
        for Code { code, sentence, remedy } in ALL {
            let _ = writeln!(rows, "| <a id=\"{code}\"></a>`{code}` | {sentence} | {remedy} |");
        }
        let page = include_str!("../../../docs/office365.md");
        assert!(page.contains(&rows), "docs/office365.md must hold:\n{rows}");
    }
}
