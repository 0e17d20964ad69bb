//! `larder key`: what opens a repository.

use clap::{Args, Subcommand};
use larder_sdk::{Secret, SecretRef};
use serde_json::{Value, json};

use super::{
    context::{Context, Running},
    format,
    output::Form,
    progress::Told,
    prompt,
};
use crate::{
    config::SecretResolver,
    error::{EngineError, ExitCode, Result},
    hash::ObjectName,
    repository::Slot,
};

/// What to do where the terminal cannot be asked.
const INSTEAD: &str =
    "say where it is: --new-password-file FILE, -env NAME, -command COMMAND or -keyring SERVICE/USER";

/// List, add, remove and change what opens a repository: passwords and recovery keys. Each has a key slot of its own; any of them opens
/// everything. A password that was taken away no longer opens the repository, but whoever copied the store before may still use it on that copy.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// List the key slots: which password each is for, who made it, and which one is in use.
    List(List),
    /// Add a password, or a recovery key to print and put away. The new one is asked for on the terminal if no option says where it is.
    Add(Add),
    /// Take a password or recovery key away. Not the one that is in use.
    Remove(Remove),
    /// Change a password: a slot for the new one is made and tried, then the old one is removed.
    Passwd(Passwd),
}

#[derive(Args, Debug)]
pub(super) struct List {
    /// The repository's name in the config; may be left out if there is only one.
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Add {
    /// The repository's name in the config; may be left out if there is only one.
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
    /// Make a recovery key and show it, once: it opens the repository like a password.
    #[arg(long, conflicts_with = "where_it_is")]
    recovery: bool,
    /// What it is called in `larder key list`, for example whose it is.
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    #[command(flatten)]
    new: NewPassword,
}

#[derive(Args, Debug)]
pub(super) struct Remove {
    /// The beginning of the key slot's id.
    #[arg(value_name = "SLOT")]
    slot: String,
    /// The repository's name in the config; may be left out if there is only one.
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Passwd {
    /// The repository's name in the config; may be left out if there is only one.
    #[arg(value_name = "REPOSITORY")]
    repository: Option<String>,
    /// The beginning of the id of the slot whose password changes; else it is the one in use.
    #[arg(long, value_name = "SLOT")]
    slot: Option<String>,
    /// What it is called from now on in `larder key list`; else as before.
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    #[command(flatten)]
    new: NewPassword,
}

/// Where the new password is found; never on the command line, which everyone on the machine can read.
#[derive(Args, Debug)]
#[group(id = "where_it_is", multiple = false)]
struct NewPassword {
    /// The new password is in this file.
    #[arg(long = "new-password-file", value_name = "FILE")]
    file: Option<String>,
    /// The new password is in this environment variable.
    #[arg(long = "new-password-env", value_name = "NAME")]
    env: Option<String>,
    /// The new password is what this command prints.
    #[arg(long = "new-password-command", value_name = "COMMAND")]
    command: Option<String>,
    /// The new password is this entry of the keyring.
    #[arg(long = "new-password-keyring", value_name = "SERVICE/USER")]
    keyring: Option<String>,
}

impl NewPassword {
    fn find(&self, context: &Context, running: &Running) -> Result<Secret> {
        let (current, interrupt) = context.surroundings();
        let reference = [
            self.file.clone().map(SecretRef::File),
            self.env.clone().map(SecretRef::Env),
            self.command.clone().map(SecretRef::Command),
            self.keyring.clone().map(SecretRef::Keyring),
        ];
        match reference.into_iter().flatten().next() {
            Some(reference) => SecretResolver::new(current, running.events())
                .resolve(&reference)
                .map_err(|error| EngineError::from(error).context("the new password")),
            None => prompt::new_password(INSTEAD, interrupt),
        }
    }
}

impl Key {
    /// Goes to the one that is asked for.
    pub(super) fn execute(&self, context: &Context) -> Result<ExitCode> {
        let repository = match self {
            Self::List(command) => &command.repository,
            Self::Add(command) => &command.repository,
            Self::Remove(command) => &command.repository,
            Self::Passwd(command) => &command.repository,
        };
        let name = context.config.repository_or_only(repository.as_deref())?.name.clone();
        let running = context.engine(Told::Troubles)?;
        match self {
            Self::List(_) => list(context, &running, &name)?,
            Self::Add(command) => command.execute(context, &running, &name)?,
            Self::Remove(command) => command.execute(context, &running, &name)?,
            Self::Passwd(command) => command.execute(context, &running, &name)?,
        }
        Ok(ExitCode::Done)
    }
}

fn list(context: &Context, running: &Running, name: &str) -> Result<()> {
    let keys = running.engine.key_ring(Some(name))?;
    let (slots, in_use) = (keys.list()?, keys.in_use());
    running.finish();
    let head = ["SLOT", "KIND", "MADE", "HOST", "LABEL", "STATE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(slots.iter().map(|slot| row(slot, in_use)));
    let mut lines = format::table(&rows, &[]).into_iter();
    if let Some(head) = lines.next().filter(|_| context.output.form() == Form::Text) {
        context.output.result(|| Value::Null, || head)?;
    }
    for (slot, line) in slots.iter().zip(lines) {
        context.output.result(|| record(slot, in_use), || line)?;
    }
    if slots.iter().any(|slot| !slot.is_whole()) {
        context.output.note(
            "each slot is stored twice, and a copy is damaged or missing: `larder check` says which and why",
        );
    }
    Ok(())
}

fn kind(slot: &Slot) -> &'static str {
    match &slot.note {
        Some(note) if note.recovery => "recovery",
        Some(_) => "password",
        None => "?",
    }
}

fn row(slot: &Slot, in_use: ObjectName) -> Vec<String> {
    let note = slot.note.as_ref();
    let mut state = Vec::new();
    if slot.id == in_use {
        state.push("in use");
    }
    match (slot.is_whole(), note) {
        (true, _) => {}
        (false, Some(_)) => state.push("one copy damaged"),
        (false, None) => state.push("damaged"),
    }
    vec![
        slot.id.to_string().chars().take(8).collect(),
        kind(slot).to_owned(),
        note.map_or_else(String::new, |note| format::local_time(note.made)),
        note.map_or_else(String::new, |note| format::name(&note.host)),
        note.map_or_else(String::new, |note| format::name(&note.label)),
        state.join(", "),
    ]
}

fn record(slot: &Slot, in_use: ObjectName) -> Value {
    let note = slot.note.as_ref();
    json!({
        "type": "key",
        "id": slot.id.to_string(),
        "kind": note.map(|_| kind(slot)),
        "made": note.map(|note| format::utc_time(note.made)),
        "host": note.map(|note| &note.host),
        "label": note.map(|note| &note.label),
        "in_use": slot.id == in_use,
        "copies": slot.copies.iter().map(|(key, wrong)| json!({
            "object": key.as_str(),
            "problem": wrong.as_ref().map(EngineError::full_message),
        })).collect::<Vec<_>>(),
    })
}

impl Add {
    fn execute(&self, context: &Context, running: &Running, name: &str) -> Result<()> {
        let keys = running.engine.key_ring(Some(name))?;
        let (id, recovery) = if self.recovery {
            let (id, key) = keys.add_recovery(&self.label)?;
            (id, Some(key))
        } else {
            (keys.add(&self.new.find(context, running)?, &self.label)?, None)
        };
        running.finish();
        let recovery = recovery.as_ref().map(Secret::expose);
        let summary = || {
            json!({
                "type": "summary",
                "command": "key-add",
                "repository": name,
                "id": id.to_string(),
                "recovery_key": recovery,
            })
        };
        context.output.result(summary, || match recovery {
            Some(key) => recovery_text(name, id, key),
            None => format!("repository `{name}` opens with the new password too: key slot {id}"),
        })
    }
}

fn recovery_text(name: &str, id: ObjectName, key: &str) -> String {
    format!(
        "recovery key of repository `{name}`, key slot {id}:\n\n    {key}\n\n\
         This is the only time it is shown. Print it or write it down, and keep it where this machine's loss does not reach it.\n\
         It opens the repository like a password: to use it, let the config name it, for example with\n\
         password = {{ file = \"recovery.key\" }}. Capitals, dashes and blanks do not matter; a typing error is noticed.\n\
         Then `larder key add` gives the repository a new password."
    )
}

impl Remove {
    fn execute(&self, context: &Context, running: &Running, name: &str) -> Result<()> {
        let id = running.engine.key_ring(Some(name))?.remove(&self.slot)?;
        running.finish();
        let summary = || json!({ "type": "summary", "command": "key-remove", "repository": name, "id": id.to_string() });
        context.output.result(summary, || {
            format!("removed key slot {id}: its password no longer opens repository `{name}`")
        })
    }
}

impl Passwd {
    fn execute(&self, context: &Context, running: &Running, name: &str) -> Result<()> {
        let keys = running.engine.key_ring(Some(name))?;
        let in_use = keys.in_use();
        let password = self.new.find(context, running)?;
        let change = keys.change(self.slot.as_deref(), &password, &self.label)?;
        running.finish();
        let summary = || {
            json!({
                "type": "summary",
                "command": "key-passwd",
                "repository": name,
                "id": change.made.to_string(),
                "removed": change.removed.to_string(),
            })
        };
        let was_in_use = change.removed == in_use;
        let place = place(&context.config.repository(name)?.password);
        context.output.result(summary, || {
            let next = if was_in_use {
                format!("\nnow put it where the config looks for it, {place}: until then larder cannot open the repository")
            } else {
                String::new()
            };
            format!(
                "repository `{name}` opens with the new password (key slot {}) and no longer with the old one{next}",
                change.made
            )
        })
    }
}

/// Where a secret is found, for people. A command's arguments may say more than they should.
fn place(reference: &SecretRef) -> String {
    match reference {
        SecretRef::Env(name) => format!("the environment variable `{}`", format::name(name)),
        SecretRef::File(path) => format!("the file `{}`", format::name(path)),
        SecretRef::Command(line) => {
            format!("what `{}` prints", format::name(line.split_whitespace().next().unwrap_or_default()))
        }
        SecretRef::Keyring(entry) => format!("the keyring's entry `{}`", format::name(entry)),
    }
}
