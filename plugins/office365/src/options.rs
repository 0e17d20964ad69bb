//! The set's options as a user writes them, and the hosts that follow from them.

mod hosts;
mod schema;

use larder_sdk::{Error, ErrorKind, Result, Secret, SecretRef};
use serde::Deserialize;

pub(crate) use hosts::{Hosts, is_private};
pub(crate) use schema::schema;

/// Requests an account has on the way at once, per service, unless the config says otherwise.
const CONCURRENCY_DEFAULT: u32 = 4;
/// Most requests at once that a config may ask of one account.
const CONCURRENCY_MAX: u32 = 64;
/// Longest time that a new credential may be given to take effect, in seconds.
const GRACE_SECONDS_MAX: u32 = 7 * 24 * 3600;
/// Letters in an app password as the portal shows it.
const APP_PASSWORD_LETTERS: usize = 16;

/// The options of a set whose source is `office365`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// `contoso.onmicrosoft.com`.
    pub(crate) tenant: String,
    #[serde(default)]
    pub(crate) cloud: Cloud,
    #[serde(default)]
    pub(crate) admin_url: Option<String>,
    pub(crate) accounts: Vec<AccountOptions>,
    /// Left out together with `exchange`: both are read. Left out alone: not read.
    #[serde(default)]
    pub(crate) sharepoint: Option<SharePointOptions>,
    /// See `sharepoint`.
    #[serde(default)]
    pub(crate) exchange: Option<ExchangeOptions>,
    #[serde(default)]
    pub(crate) endpoints: EndpointOptions,
}

/// One of Microsoft's clouds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cloud {
    #[default]
    Worldwide,
    GccHigh,
    Dod,
    China,
}

/// How an account signs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Authentication {
    /// Managed sign-in for SharePoint, Basic for Exchange: where an app password goes.
    #[default]
    Office365,
    /// Basic for both.
    Basic,
    /// As `office365`; a password that the cloud does not take goes to the domain's federation service.
    Adfs,
    Ntlm,
    /// An application's own tokens for both.
    Oauth,
}

impl Authentication {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Office365 => "office365",
            Self::Basic => "basic",
            Self::Adfs => "adfs",
            Self::Ntlm => "ntlm",
            Self::Oauth => "oauth",
        }
    }
}

/// A service with limits and sessions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    SharePoint,
    Exchange,
}

impl Service {
    pub(crate) const ALL: [Service; 2] = [Self::SharePoint, Self::Exchange];

    /// The word in configs, paths and messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SharePoint => "sharepoint",
            Self::Exchange => "exchange",
        }
    }
}

/// One account of the pool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountOptions {
    /// Empty for an application until the options are checked: then its id.
    #[serde(default)]
    pub(crate) user: String,
    #[serde(default)]
    pub(crate) password: Option<SecretRef>,
    #[serde(default)]
    pub(crate) authentication: Authentication,
    #[serde(default = "both_services")]
    pub(crate) services: Vec<Service>,
    /// What the app password is called in the portal; shown in messages.
    #[serde(default)]
    pub(crate) label: Option<String>,
    #[serde(default = "concurrency_default")]
    pub(crate) max_concurrency: u32,
    /// For how long a credential that was never accepted counts as new rather than wrong.
    #[serde(default)]
    pub(crate) grace_seconds: u32,
    /// The three below belong to `oauth`.
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) client_secret: Option<SecretRef>,
    /// PEM with certificate and key.
    #[serde(default)]
    pub(crate) certificate: Option<SecretRef>,
}

fn both_services() -> Vec<Service> {
    Service::ALL.to_vec()
}

fn concurrency_default() -> u32 {
    CONCURRENCY_DEFAULT
}

/// What of SharePoint is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SharePointOptions {
    /// Globs on the server-relative URL.
    #[serde(default = "everything")]
    pub(crate) sites: Vec<String>,
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    #[serde(default)]
    pub(crate) versions: Versions,
    #[serde(default = "yes")]
    pub(crate) permissions: bool,
    /// Whether to list what the recycle bin holds.
    #[serde(default)]
    pub(crate) recycle_bin: bool,
}

impl Default for SharePointOptions {
    fn default() -> Self {
        Self {
            sites: everything(),
            exclude: Vec::new(),
            versions: Versions::default(),
            permissions: true,
            recycle_bin: false,
        }
    }
}

/// How many versions of a file are kept, the current one among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Versions {
    #[default]
    All,
    Latest,
    Count(u32),
}

impl<'de> Deserialize<'de> for Versions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Word(String),
            Count(u32),
        }
        match Written::deserialize(deserializer)? {
            Written::Word(word) if word == "all" => Ok(Self::All),
            Written::Word(word) if word == "latest" => Ok(Self::Latest),
            Written::Count(count) if count > 0 => Ok(Self::Count(count)),
            _ => Err(serde::de::Error::custom("versions is \"all\", \"latest\" or a number from 1")),
        }
    }
}

/// What of Exchange is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "as many keys of the config are true or false")]
pub(crate) struct ExchangeOptions {
    /// Addresses or globs.
    #[serde(default)]
    pub(crate) mailboxes: Vec<String>,
    /// A file of addresses, one a line.
    #[serde(default)]
    pub(crate) mailbox_list: Option<String>,
    #[serde(default)]
    pub(crate) access: Access,
    #[serde(default = "yes")]
    pub(crate) archive: bool,
    #[serde(default = "yes")]
    pub(crate) public_folders: bool,
    /// The mailbox as which public folders are read; the first of the set if left out.
    #[serde(default)]
    pub(crate) public_folders_as: Option<String>,
    #[serde(default = "yes")]
    pub(crate) recoverable_items: bool,
    /// Rules, automatic reply, categories, delegates, permissions.
    #[serde(default = "yes")]
    pub(crate) settings: bool,
    #[serde(default)]
    pub(crate) fidelity: Fidelity,
}

impl Default for ExchangeOptions {
    fn default() -> Self {
        Self {
            mailboxes: Vec::new(),
            mailbox_list: None,
            access: Access::default(),
            archive: true,
            public_folders: true,
            public_folders_as: None,
            recoverable_items: true,
            settings: true,
            fidelity: Fidelity::default(),
        }
    }
}

/// In which form items are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fidelity {
    /// MIME, with properties beside it.
    #[default]
    Mime,
    /// The server's own stream alone.
    Export,
    /// MIME, and the server's own stream beside it.
    Both,
}

/// By what right another person's mailbox is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Access {
    #[default]
    Impersonation,
    Delegate,
    /// Only each account's own mailbox.
    Own,
}

/// Hosts that differ from Microsoft's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndpointOptions {
    #[serde(default)]
    pub(crate) login: Option<String>,
    #[serde(default)]
    pub(crate) sharepoint: Option<String>,
    #[serde(default)]
    pub(crate) my: Option<String>,
    #[serde(default)]
    pub(crate) admin: Option<String>,
    #[serde(default)]
    pub(crate) exchange: Option<String>,
    #[serde(default)]
    pub(crate) graph: Option<String>,
}

fn everything() -> Vec<String> {
    vec!["*".to_owned()]
}

fn yes() -> bool {
    true
}

impl Options {
    /// Reads and checks the options. Every error is of kind `Configuration` or `Unsupported` and names the key.
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let mut options: Self = serde_json::from_str(json)
            .map_err(|error| configuration(format!("the options of office365 cannot be used: {error}")))?;
        if options.sharepoint.is_none() && options.exchange.is_none() {
            options.sharepoint = Some(SharePointOptions::default());
            options.exchange = Some(ExchangeOptions::default());
        }
        for account in &mut options.accounts {
            if let (Authentication::Oauth, true, Some(id)) =
                (account.authentication, account.user.trim().is_empty(), &account.client_id)
            {
                account.user.clone_from(id);
            }
        }
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        if self.accounts.is_empty() {
            return Err(configuration("accounts is empty: at least one account must sign in"));
        }
        for account in &self.accounts {
            account.check()?;
        }
        // One user may have a credential for each service.
        let twice = self.accounts.iter().enumerate().find(|(at, account)| {
            self.accounts[..*at].iter().any(|other| {
                other.user.eq_ignore_ascii_case(&account.user)
                    && other.services.iter().any(|service| account.services.contains(service))
            })
        });
        if let Some((_, account)) = twice {
            return Err(configuration(format!("accounts names {} twice for one service", account.user)));
        }
        let impersonates =
            self.exchange.as_ref().is_none_or(|exchange| exchange.access == Access::Impersonation);
        let application = |account: &&AccountOptions| {
            account.authentication == Authentication::Oauth && account.services.contains(&Service::Exchange)
        };
        if let Some(account) = self.accounts.iter().find(application).filter(|_| !impersonates) {
            return Err(configuration(format!(
                "account {}: an application opens mailboxes by impersonation alone, and exchange.access says otherwise",
                account.user
            )));
        }
        for service in Service::ALL.into_iter().filter(|service| self.reads(*service)) {
            if !self.accounts.iter().any(|account| account.services.contains(&service)) {
                return Err(configuration(format!("no account has {:?} in its services", service.as_str())));
            }
        }
        Ok(())
    }

    /// Whether the set reads a service at all.
    pub(crate) fn reads(&self, service: Service) -> bool {
        match service {
            Service::SharePoint => self.sharepoint.is_some(),
            Service::Exchange => self.exchange.is_some(),
        }
    }
}

impl AccountOptions {
    fn check(&self) -> Result<()> {
        let user = &self.user;
        let word = self.authentication.as_str();
        if self.authentication == Authentication::Ntlm {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("account {user}: authentication {word:?} is not built yet"),
            )
            .with_code("authentication-unsupported"));
        }
        if self.authentication == Authentication::Oauth {
            self.check_application()?;
        } else {
            if user.trim().is_empty() {
                return Err(configuration("an account has no user"));
            }
            if self.password.is_none() {
                return Err(configuration(format!("account {user}: password is missing")));
            }
            if self.client_id.is_some() || self.client_secret.is_some() || self.certificate.is_some() {
                return Err(configuration(format!(
                    "account {user}: client_id, client_secret and certificate belong to authentication \"oauth\", and it is {word:?}"
                )));
            }
        }
        if self.services.is_empty() {
            return Err(configuration(format!("account {user}: services is empty")));
        }
        if self.grace_seconds > GRACE_SECONDS_MAX {
            return Err(configuration(format!(
                "account {user}: grace_seconds is {}, at most {GRACE_SECONDS_MAX} (a week)",
                self.grace_seconds
            )));
        }
        if !(1..=CONCURRENCY_MAX).contains(&self.max_concurrency) {
            return Err(configuration(format!(
                "account {user}: max_concurrency is {}, must be 1 to {CONCURRENCY_MAX}",
                self.max_concurrency
            )));
        }
        Ok(())
    }

    fn check_application(&self) -> Result<()> {
        let Some(id) = self.client_id.as_deref().filter(|id| !id.trim().is_empty()) else {
            return Err(configuration("an account with authentication \"oauth\" has no client_id"));
        };
        if self.password.is_some() {
            return Err(configuration(format!(
                "application {id}: password does not belong to authentication \"oauth\""
            )));
        }
        match (&self.certificate, &self.client_secret) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (None, None) => Err(configuration(format!(
                "application {id}: neither certificate nor client_secret is given"
            ))),
            (Some(_), Some(_)) => Err(configuration(format!(
                "application {id}: certificate and client_secret exclude each other"
            ))),
        }
    }
}

/// A password as it was meant: without white space around it, and without the blanks that some portals show inside
/// an app password. Blanks inside any other password stay.
pub(crate) fn clean_password(secret: &Secret) -> Secret {
    let text = secret.expose().trim();
    let grouped =
        text.split_whitespace().all(|group| group.len() == 4 || group.len() == APP_PASSWORD_LETTERS);
    // Wiped after use like the secret itself.
    let letters = Secret::new(text.chars().filter(|c| !c.is_whitespace()).collect::<String>());
    if grouped && is_app_password(letters.expose()) { letters } else { Secret::new(text) }
}

/// True if a password looks like one that the cloud makes: sixteen lower-case letters.
pub(crate) fn is_app_password(text: &str) -> bool {
    text.len() == APP_PASSWORD_LETTERS && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

fn configuration(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(extra: &str) -> Result<Options> {
        Options::parse(&format!(
            r#"{{"tenant":"contoso.onmicrosoft.com","accounts":[{{"user":"a@b.c","password":{{"env":"P"}}{extra}}}]}}"#
        ))
    }

    #[test]
    fn both_services_are_read_unless_one_is_named() {
        let options = parse("").unwrap();
        assert!(options.reads(Service::SharePoint) && options.reads(Service::Exchange));
        let options = Options::parse(
            r#"{"tenant":"t","accounts":[{"user":"a","password":{"file":"/p"}}],"sharepoint":{"versions":3}}"#,
        )
        .unwrap();
        assert!(options.reads(Service::SharePoint) && !options.reads(Service::Exchange));
        assert_eq!(options.sharepoint.unwrap().versions, Versions::Count(3));
    }

    #[test]
    fn what_does_not_fit_is_refused_in_plain_words() {
        assert_eq!(parse(r#","max_concurrency":0"#).unwrap_err().kind(), ErrorKind::Configuration);
        assert_eq!(parse(r#","pasword":"x""#).unwrap_err().kind(), ErrorKind::Configuration);
        let error = parse(r#","client_id":"x""#).unwrap_err();
        assert!(error.message().contains("a@b.c") && error.message().contains("oauth"), "{error}");
        assert!(parse(r#","grace_seconds":604801"#).unwrap_err().message().contains("a week"));
    }

    fn application(keys: &str, rest: &str) -> Result<Options> {
        Options::parse(&format!(r#"{{"tenant":"t","accounts":[{{"authentication":"oauth"{keys}}}]{rest}}}"#))
    }

    #[test]
    fn an_application_needs_an_id_and_one_proof() {
        let with = |keys: &str| application(keys, "");
        let options = with(r#","client_id":"0a","certificate":{"file":"a.pem"}"#).unwrap();
        assert_eq!(options.accounts[0].user, "0a", "it is called by its id");
        assert!(with(r#","client_id":"0a","client_secret":{"env":"S"}"#).is_ok());
        for (keys, told) in [
            (r#","certificate":{"file":"a.pem"}"#, "client_id"),
            (r#","client_id":"0a""#, "neither"),
            (r#","client_id":"0a","certificate":{"file":"a"},"client_secret":{"env":"S"}"#, "exclude"),
            (r#","client_id":"0a","certificate":{"file":"a"},"password":{"env":"S"}"#, "password"),
        ] {
            let error = with(keys).unwrap_err();
            assert!(error.message().contains(told), "{keys}: {error}");
        }
        let own = application(
            r#","client_id":"0a","client_secret":{"env":"S"}"#,
            r#","exchange":{"access":"own"}"#,
        );
        assert!(own.unwrap_err().message().contains("impersonation"));
    }

    #[test]
    fn s0_3_the_kind_of_authentication_is_chosen_by_one_word() {
        for (word, kind) in [
            ("office365", Authentication::Office365),
            ("adfs", Authentication::Adfs),
            ("basic", Authentication::Basic),
        ] {
            let options = parse(&format!(r#","authentication":"{word}""#)).unwrap();
            assert_eq!(options.accounts[0].authentication, kind);
        }
        assert_eq!(
            parse("").unwrap().accounts[0].authentication,
            Authentication::Office365,
            "no word is needed"
        );
        assert!(parse(r#","authentication":"magic""#).is_err());
    }

    #[test]
    fn s2_5_one_user_may_have_a_credential_for_each_service() {
        let two = |first: &str, second: &str| {
            let account = |services: &str| {
                format!(r#"{{"user":"a@b.c","password":{{"env":"P"}},"services":[{services}]}}"#)
            };
            Options::parse(&format!(
                r#"{{"tenant":"t","accounts":[{},{}]}}"#,
                account(first),
                account(second)
            ))
        };
        assert!(two(r#""exchange""#, r#""sharepoint""#).is_ok());
        assert!(
            two(r#""exchange","sharepoint""#, r#""sharepoint""#).unwrap_err().message().contains("twice")
        );
    }

    #[test]
    fn s1_1_blanks_go_from_app_passwords_only() {
        let clean = |text: &str| clean_password(&Secret::new(text)).expose().to_owned();
        assert_eq!(clean(" abcd efgh ijkl mnop \n"), "abcdefghijklmnop");
        assert_eq!(clean("abcdefghijklmnop"), "abcdefghijklmnop");
        assert_eq!(clean("correct horse bat"), "correct horse bat");
        assert_eq!(clean(" two words "), "two words");
    }
}
