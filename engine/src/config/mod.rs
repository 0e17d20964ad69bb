//! The config file: found, parsed, checked once, and passed down as [`Config`]. What is wrong with it is shown with file, line,
//! column and the nearest right word; secrets in it are only ever references, resolved where they are needed.

mod diagnostic;
mod find;
mod keyring;
mod raw;
mod resolve;
mod resolved;
mod schedule;
mod schema;
mod secret;
mod suggest;
#[cfg(test)]
mod tests;

pub use find::{Environment, find_config, read_config};
pub use resolved::{
    Config, DESTINATION_DEFAULT, Isolation, KEEP_GONE_DAYS_DEFAULT, MaxLoss, Options, PluginConfig,
    RepositoryConfig, SetConfig,
};
pub use schedule::Schedule;
pub use schema::describe as describe_option;
pub use secret::SecretResolver;
pub use suggest::{did_you_mean, nearest};
