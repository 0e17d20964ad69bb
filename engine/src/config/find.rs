//! Where the config is, and what the environment has to say.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::resolved::Config;
use crate::error::{EngineError, Result};

/// Largest config file, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;
/// The config's name in every place.
const FILE_NAME: &str = "larder.toml";

/// The environment as the engine looks at it: a value, so that tests make up their own.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `$LARDER_CONFIG`.
    pub config: Option<PathBuf>,
    /// `$LARDER_PLUGIN_PATH`: folders with plugin libraries.
    pub plugin_path: Vec<PathBuf>,
    /// `$LARDER_CACHE`: the folder of what can be had again.
    pub cache_dir: Option<PathBuf>,
    /// `$LARDER_STATE`: the folder of what should be kept.
    pub state_dir: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub config_home: Option<PathBuf>,
    /// `$XDG_CACHE_HOME`.
    pub cache_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`.
    pub state_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// The folder the command was started in.
    pub current: PathBuf,
}

impl Environment {
    /// Reads it.
    pub fn read() -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let folder = |name: &str| set(name).map(PathBuf::from);
        let current = std::env::current_dir()
            .map_err(|error| EngineError::failed("the current folder cannot be named").with_source(error))?;
        Ok(Self {
            config: folder("LARDER_CONFIG"),
            plugin_path: split_paths(set("LARDER_PLUGIN_PATH")),
            cache_dir: folder("LARDER_CACHE"),
            state_dir: folder("LARDER_STATE"),
            config_home: folder("XDG_CONFIG_HOME"),
            cache_home: folder("XDG_CACHE_HOME"),
            state_home: folder("XDG_STATE_HOME"),
            home: folder("HOME"),
            current,
        })
    }

    /// The folder of what can be had again: `$LARDER_CACHE`, else `larder` in the user's cache folder, else the system's: a service may
    /// have no home.
    pub fn cache_folder(&self) -> PathBuf {
        let users = || self.user_folder(self.cache_home.as_ref(), ".cache");
        self.cache_dir.clone().or_else(users).unwrap_or_else(|| PathBuf::from("/var/cache/larder"))
    }

    /// The folder of what should be kept: `$LARDER_STATE`, else `larder` in the user's state folder, else the system's: a service
    /// may have no home.
    pub fn state_folder(&self) -> PathBuf {
        let users = || self.user_folder(self.state_home.as_ref(), ".local/state");
        self.state_dir.clone().or_else(users).unwrap_or_else(|| PathBuf::from("/var/lib/larder"))
    }

    fn user_folder(&self, xdg: Option<&PathBuf>, below_home: &str) -> Option<PathBuf> {
        // The XDG rules: a relative path there is as good as none.
        let base = xdg.filter(|path| path.is_absolute()).cloned();
        Some(base.or_else(|| Some(self.home.as_ref()?.join(below_home)))?.join("larder"))
    }

    /// Where a config is looked for when none is named, in this order.
    fn candidates(&self) -> Vec<PathBuf> {
        let mut places = vec![self.current.join(FILE_NAME)];
        places.extend(
            self.user_folder(self.config_home.as_ref(), ".config").map(|folder| folder.join(FILE_NAME)),
        );
        places.push(Path::new("/etc/larder").join(FILE_NAME));
        places
    }
}

fn split_paths(value: Option<OsString>) -> Vec<PathBuf> {
    value
        .map(|value| std::env::split_paths(&value).filter(|path| path.is_absolute()).collect())
        .unwrap_or_default()
}

/// Finds, reads and checks the config: the file `named` on the command line, else `$LARDER_CONFIG`, else the first that is there of
/// `./larder.toml`, the user's and the system's.
pub fn read_config(named: Option<&Path>, environment: &Environment) -> Result<Config> {
    find_config(named, environment)?.ok_or_else(|| {
        let places: Vec<String> =
            environment.candidates().iter().map(|path| format!("`{}`", path.display())).collect();
        EngineError::config(format!("there is no config file: looked for {}", places.join(", ")))
            .with_hint("write one, or name one with --config FILE or $LARDER_CONFIG")
    })
}

/// Like [`read_config`], but where none is named, none need be there.
pub fn find_config(named: Option<&Path>, environment: &Environment) -> Result<Option<Config>> {
    let chosen = named.map(Path::to_owned).or_else(|| environment.config.clone());
    if let Some(path) = chosen {
        let config = load(&path, environment)?.ok_or_else(|| {
            EngineError::config(format!("there is no config file `{}`", path.display()))
                .with_hint("see --config and $LARDER_CONFIG")
        })?;
        return Ok(Some(config));
    }
    for path in environment.candidates() {
        if let Some(config) = load(&path, environment)? {
            return Ok(Some(config));
        }
    }
    Ok(None)
}

/// Reads one file; `None` if it is not there.
fn load(path: &Path, environment: &Environment) -> Result<Option<Config>> {
    let full = environment.current.join(path);
    let failed = |error: io::Error| {
        EngineError::config(format!("the config file `{}` cannot be read", path.display())).with_source(error)
    };
    let file = match File::open(&full) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut content = String::new();
    file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut content).map_err(failed)?;
    if content.len() as u64 > CONFIG_BYTES_MAX {
        return Err(EngineError::config(format!(
            "the config file `{}` is larger than 1 MiB",
            path.display()
        )));
    }
    let shown = full.strip_prefix(&environment.current).unwrap_or(&full).display().to_string();
    let base = full.parent().unwrap_or(Path::new("/"));
    Config::parse(&shown, content, base).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, repository: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content =
            format!("[repository.{repository}]\nurl = \"memory:///\"\npassword = {{ env = \"X\" }}\n");
        std::fs::write(path, content).unwrap();
    }

    #[test]
    fn the_named_one_comes_first_and_the_others_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut environment =
            Environment { current: at("work"), home: Some(at("home")), ..Environment::default() };
        std::fs::create_dir_all(at("work")).unwrap();
        let found = |named: Option<&Path>, environment: &Environment| {
            read_config(named, environment).map(|config| config.repositories[0].name.clone())
        };

        let message = found(None, &environment).unwrap_err().to_string();
        assert!(
            message.contains("work/larder.toml") && message.contains("/etc/larder/larder.toml"),
            "{message}"
        );
        write(&at("home/.config/larder/larder.toml"), "user");
        assert_eq!(found(None, &environment).unwrap(), "user");
        write(&at("work/larder.toml"), "here");
        assert_eq!(found(None, &environment).unwrap(), "here");
        write(&at("env.toml"), "environment");
        environment.config = Some(at("env.toml"));
        assert_eq!(found(None, &environment).unwrap(), "environment");
        write(&at("work/named.toml"), "named");
        assert_eq!(found(Some(Path::new("named.toml")), &environment).unwrap(), "named");
        let error = found(Some(Path::new("nowhere.toml")), &environment).unwrap_err();
        assert_eq!(error.message(), "there is no config file `nowhere.toml`");
    }

    #[test]
    fn a_file_that_is_too_large_or_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment { current: folder.path().to_owned(), ..Environment::default() };
        let path = folder.path().join("larder.toml");
        std::fs::write(&path, vec![b'#'; 2 << 20]).unwrap();
        assert!(read_config(None, &environment).unwrap_err().message().contains("larger than 1 MiB"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read_config(None, &environment).unwrap_err().full_message().contains("UTF-8"));
    }

    #[test]
    fn folders_follow_the_xdg_rules() {
        let mut environment = Environment { home: Some("/home/a".into()), ..Environment::default() };
        assert_eq!(environment.cache_folder(), Path::new("/home/a/.cache/larder"));
        assert_eq!(Environment::default().state_folder(), Path::new("/var/lib/larder"));
        assert_eq!(Environment::default().cache_folder(), Path::new("/var/cache/larder"));
        environment.cache_home = Some("relative".into());
        assert_eq!(environment.cache_folder(), Path::new("/home/a/.cache/larder"));
        environment.state_home = Some("/state".into());
        assert_eq!(environment.state_folder(), Path::new("/state/larder"));
        environment.state_dir = Some("/srv/larder".into());
        assert_eq!(environment.state_folder(), Path::new("/srv/larder"));
    }
}
