//! The command `larder`: arguments, one file per command, and everything that is printed.

mod format;
mod output;
mod progress;
mod target;
