//! What the engine reports when something fails: what failed, on what, why, and what to do about it.

use std::{error::Error as StdError, fmt};

use larder_sdk::ErrorKind;

use crate::plugin::PluginError;

/// A result with [`EngineError`].
pub type Result<T> = std::result::Result<T, EngineError>;

/// What failed, by what a caller or a script can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EngineErrorKind {
    /// The command line asks for something that cannot be.
    Usage,
    /// The config file is wrong, or there is none.
    Config,
    /// There is no repository at this place.
    NoRepository,
    /// The repository's password is another one.
    WrongPassword,
    /// Someone else holds what is needed.
    Busy,
    /// The store refused or could not be reached.
    Store,
    /// A plugin failed, misbehaved or could not be loaded.
    Plugin,
    /// Stored data is damaged or missing.
    Damaged,
    /// What was being read was forgotten meanwhile.
    Gone,
    /// Stopped because the user asked for it.
    Interrupted,
    /// Anything else.
    Failed,
}

impl EngineErrorKind {
    /// Every one.
    pub const ALL: [Self; 11] = [
        Self::Usage,
        Self::Config,
        Self::NoRepository,
        Self::WrongPassword,
        Self::Busy,
        Self::Store,
        Self::Plugin,
        Self::Damaged,
        Self::Gone,
        Self::Interrupted,
        Self::Failed,
    ];

    /// The word that `--json` prints.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Config => "config",
            Self::NoRepository => "no-repository",
            Self::WrongPassword => "wrong-password",
            Self::Busy => "busy",
            Self::Store => "store",
            Self::Plugin => "plugin",
            Self::Damaged => "damaged",
            Self::Gone => "gone",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// What the process ends with.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Usage | Self::Config => ExitCode::Usage,
            Self::NoRepository => ExitCode::NoRepository,
            Self::WrongPassword => ExitCode::WrongPassword,
            Self::Busy => ExitCode::Busy,
            Self::Interrupted => ExitCode::Interrupted,
            Self::Store | Self::Plugin | Self::Damaged | Self::Gone | Self::Failed => ExitCode::Failed,
        }
    }
}

/// What the process ends with. The numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything was done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line or the config file is wrong; nothing was tried.
    Usage = 2,
    /// Done, but something could not be read.
    Incomplete = 3,
    /// There is no repository.
    NoRepository = 10,
    /// Someone else holds what is needed.
    Busy = 11,
    /// The password is wrong.
    WrongPassword = 12,
    /// The user stopped it.
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What to end with after two pieces of work: the first failure, else [`ExitCode::Incomplete`] if either was.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Incomplete, Self::Done) => self,
            (Self::Done | Self::Incomplete, other) => other,
            (failure, _) => failure,
        }
    }
}

/// What failed, on what, why, and what to do. Holds no secret.
pub struct EngineError {
    kind: EngineErrorKind,
    /// The message begins with a place in a file.
    located: bool,
    message: String,
    hint: Option<String>,
    code: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl EngineError {
    /// An error of a kind. The message says what failed, on what, and why.
    pub fn new(kind: EngineErrorKind, message: impl Into<String>) -> Self {
        Self { kind, located: false, message: message.into(), hint: None, code: None, source: None }
    }
    /// The command line asks for something that cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(EngineErrorKind::Usage, message)
    }
    /// The config file is wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(EngineErrorKind::Config, message)
    }
    /// A place in the config file is wrong; the message begins with it: `larder.toml:12:3: …`.
    pub fn config_at(message: impl Into<String>) -> Self {
        Self { located: true, ..Self::config(message) }
    }
    /// Stored data is damaged or missing.
    pub fn damaged(message: impl Into<String>) -> Self {
        Self::new(EngineErrorKind::Damaged, message)
    }
    /// Anything that no other kind fits.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(EngineErrorKind::Failed, message)
    }
    /// The user stopped it.
    pub fn interrupted() -> Self {
        Self::new(EngineErrorKind::Interrupted, "stopped on request")
    }
    /// A destination's error: like [`From`], but what is not about the user's doing counts as the store's.
    pub fn store(error: larder_sdk::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Configuration => EngineErrorKind::Config,
            ErrorKind::Cancelled => EngineErrorKind::Interrupted,
            ErrorKind::CorruptItem => EngineErrorKind::Damaged,
            _ => EngineErrorKind::Store,
        };
        Self::from(error).with_kind(kind)
    }

    /// Changes the kind, where the caller knows better.
    #[must_use]
    pub fn with_kind(mut self, kind: EngineErrorKind) -> Self {
        self.kind = kind;
        self
    }
    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Adds a stable code for `larder explain`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }
    /// Keeps what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
    /// Puts words before the message: `opening repository "main": …`. A place in a file stays in front and says enough.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        if !self.located {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> EngineErrorKind {
        self.kind
    }
    /// What failed, on what, and why, without causes.
    pub fn message(&self) -> &str {
        &self.message
    }
    /// What to do. Where nobody said, what helps against errors of this kind.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref().or_else(|| match self.kind {
            EngineErrorKind::Store => Some(match self.plugin_error().map(larder_sdk::Error::kind) {
                Some(ErrorKind::Authentication | ErrorKind::Denied) => {
                    "see whether these credentials may read, write, list and delete there"
                }
                Some(ErrorKind::Full) => "make room in the store, then start again; `larder prune` needs some room too",
                _ => "see whether the store is well and can be reached, then start again: what was stored is unharmed",
            }),
            EngineErrorKind::Damaged => Some("run `larder check` to see what is damaged"),
            _ => None,
        })
    }
    /// The stable code.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
    /// What the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        self.kind.exit_code()
    }
    /// The plugin's error behind this one, if there is one.
    pub fn plugin_error(&self) -> Option<&larder_sdk::Error> {
        self.source.as_deref()?.downcast_ref()
    }

    /// The message and its causes, each said once: a cause whose words stand in the text before it adds nothing.
    pub fn full_message(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = StdError::source(self);
        for _ in 0..CAUSES_MAX {
            let Some(error) = cause else { break };
            let words = error.to_string();
            if !text.contains(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }
}

/// Longest chain of causes that is shown.
const CAUSES_MAX: usize = 8;

impl fmt::Debug for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.full_message())?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for EngineError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<larder_sdk::Error> for EngineError {
    /// Takes over words, hint and code; the plugin's error stays behind it as the source. One that only carries an error of ours has that one's kind.
    fn from(error: larder_sdk::Error) -> Self {
        let ours = StdError::source(&error).and_then(|source| source.downcast_ref::<Self>());
        let kind = match (ours, error.kind()) {
            (Some(ours), _) => ours.kind,
            (None, ErrorKind::Configuration) => EngineErrorKind::Config,
            (None, ErrorKind::Cancelled) => EngineErrorKind::Interrupted,
            (None, ErrorKind::CorruptItem) => EngineErrorKind::Damaged,
            (None, ErrorKind::Bug) => EngineErrorKind::Plugin,
            (None, _) => EngineErrorKind::Failed,
        };
        Self {
            kind,
            located: false,
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            code: error.code().map(str::to_owned),
            source: Some(Box::new(error)),
        }
    }
}

impl From<PluginError> for EngineError {
    fn from(error: PluginError) -> Self {
        let kind = match &error {
            PluginError::Unknown { .. } => EngineErrorKind::Config,
            _ => EngineErrorKind::Plugin,
        };
        let hint = match &error {
            PluginError::Unknown { .. } => "`larder plugins list` shows the plugins there are",
            PluginError::Untrusted { .. } => {
                "a plugin and its folder must belong to root or to you, and nobody else may write to them: see chown and chmod"
            }
            PluginError::Pin { .. } => {
                "if the plugin was updated on purpose, write its new digest into the config"
            }
            PluginError::Unreadable { .. } => "check the path of the plugin's `library` in the config",
            _ => "use a build of the plugin for this version of larder, and the file as it was built",
        };
        Self::new(kind, error.to_string()).with_hint(hint).with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_the_promised_ones() {
        let codes = [
            (EngineErrorKind::Usage, 2),
            (EngineErrorKind::Config, 2),
            (EngineErrorKind::NoRepository, 10),
            (EngineErrorKind::WrongPassword, 12),
            (EngineErrorKind::Busy, 11),
            (EngineErrorKind::Store, 1),
            (EngineErrorKind::Plugin, 1),
            (EngineErrorKind::Damaged, 1),
            (EngineErrorKind::Gone, 1),
            (EngineErrorKind::Interrupted, 130),
            (EngineErrorKind::Failed, 1),
        ];
        for (kind, number) in codes {
            assert_eq!(kind.exit_code().number(), number, "{kind:?}");
        }
        assert_eq!(ExitCode::Done.number(), 0);
        assert_eq!(ExitCode::Incomplete.number(), 3);
    }

    #[test]
    fn of_two_exit_codes_the_graver_counts() {
        use ExitCode::{Done, Failed, Incomplete, WrongPassword};
        assert_eq!(Done.or(Incomplete), Incomplete);
        assert_eq!(Incomplete.or(Done), Incomplete);
        assert_eq!(Incomplete.or(Failed), Failed);
        assert_eq!(Failed.or(WrongPassword), Failed);
    }

    #[test]
    fn a_cause_is_said_once() {
        let inner = std::io::Error::other("connection refused");
        let plugin = larder_sdk::Error::new(ErrorKind::Unavailable, "reading `config`: connection refused")
            .with_source(inner);
        let error = EngineError::store(plugin).context("opening repository `main`");
        assert_eq!(error.full_message(), "opening repository `main`: reading `config`: connection refused");
        assert_eq!(error.kind(), EngineErrorKind::Store);

        let error = EngineError::failed("writing a file").with_source(std::io::Error::other("disk full"));
        assert_eq!(error.full_message(), "writing a file: disk full");
    }

    #[test]
    fn a_place_in_a_file_stays_in_front() {
        let error = EngineError::config_at("larder.toml:1:2: wrong").context("set `home`");
        assert_eq!(error.message(), "larder.toml:1:2: wrong");
    }

    #[test]
    fn a_plugins_words_hint_and_code_are_kept() {
        let plugin = larder_sdk::Error::new(ErrorKind::Authentication, "wrong password")
            .with_hint("use an app password")
            .with_code("app-password-needed");
        let error = EngineError::from(plugin);
        assert_eq!(error.hint(), Some("use an app password"));
        assert_eq!(error.code(), Some("app-password-needed"));
        assert_eq!(error.plugin_error().map(larder_sdk::Error::kind), Some(ErrorKind::Authentication));
    }
}
