//! Every way to a secret, and every way it can fail.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::*;

/// Keeps what is told.
#[derive(Default)]
struct Told(Mutex<Vec<Event>>);

impl Events for Told {
    fn event(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

fn resolver(base: &Path) -> (SecretResolver, Arc<Told>) {
    let told = Arc::new(Told::default());
    let resolver = SecretResolver::new(base, Arc::<Told>::clone(&told)).with_variables(|name| match name {
        "GOOD" => Some("geheim\n".into()),
        "EMPTY" => Some("".into()),
        _ => None,
    });
    (resolver, told)
}

fn command(resolver: &SecretResolver, line: &str) -> Result<Secret> {
    resolver.resolve(&SecretRef::Command(line.to_owned()))
}

#[test]
fn a_variable_is_taken_as_it_is() {
    let (resolver, _) = resolver(Path::new("/"));
    let value = |name: &str| resolver.resolve(&SecretRef::Env(name.to_owned()));
    assert_eq!(value("GOOD").unwrap().expose(), "geheim\n");
    assert_eq!(value("NONE").unwrap_err().message(), "the environment variable `NONE` is not set");
    assert_eq!(value("EMPTY").unwrap_err().message(), "the environment variable `EMPTY` is empty");
}

#[test]
fn a_file_loses_one_newline_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (resolver, told) = resolver(folder.path());
    let path = folder.path().join("secret");
    let value = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        resolver.resolve(&SecretRef::File("secret".to_owned()))
    };
    assert_eq!(value(b"geheim\n").unwrap().expose(), "geheim");
    assert_eq!(value(b"geheim\r\n").unwrap().expose(), "geheim");
    assert_eq!(value(b" two\nlines \n\n").unwrap().expose(), " two\nlines \n");
    assert!(value(b"\n").unwrap_err().message().ends_with("is empty"));
    assert!(value(b"\xff\xfe").unwrap_err().message().ends_with("is no UTF-8 text"));
    assert!(value(&vec![b'x'; 65_537]).unwrap_err().message().ends_with("larger than 64 KiB"));
    assert_eq!(value(&vec![b'x'; 65_536]).unwrap().expose().len(), 65_536);
    assert!(told.0.lock().unwrap().is_empty());
}

#[test]
fn a_missing_file_and_a_folder_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (resolver, _) = resolver(folder.path());
    let error = resolver.resolve(&SecretRef::File("nowhere".to_owned())).unwrap_err();
    assert!(error.message().contains("nowhere` cannot be read: No such file"), "{}", error.message());
    let error = resolver.resolve(&SecretRef::File(".".to_owned())).unwrap_err();
    assert!(error.message().ends_with("is a folder"), "{}", error.message());
}

#[test]
fn a_file_open_to_all_is_used_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let (resolver, told) = resolver(folder.path());
    let path = folder.path().join("secret");
    fs::write(&path, "geheim").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(resolver.resolve(&SecretRef::File("secret".to_owned())).is_ok());
    let told = format!("{:?}", told.0.lock().unwrap());
    assert!(told.contains("open to every user: chmod 600") && !told.contains("geheim"), "{told}");
}

#[test]
fn a_command_runs_without_a_shell_in_the_configs_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "geheim\n").unwrap();
    let (resolver, _) = resolver(folder.path());
    assert_eq!(command(&resolver, "cat secret").unwrap().expose(), "geheim");
    assert_eq!(command(&resolver, "echo $HOME;ls").unwrap().expose(), "$HOME;ls");
}

#[test]
fn a_command_that_fails_says_how_without_its_arguments() {
    let (resolver, _) = resolver(Path::new("/"));
    let message = |line: &str| command(&resolver, line).unwrap_err().message().to_owned();
    assert_eq!(message("false geheim"), "the command `false` for a secret failed: exit status: 1");
    assert_eq!(message("true"), "the command `true` for a secret is empty");
    assert_eq!(message("  "), "the command for a secret is empty");
    assert!(message("no-such-program-anywhere geheim").contains("cannot be started: No such file"));
    assert!(message("yes geheim").ends_with("its output cannot be read: it is larger than 64 KiB"));
}

#[test]
fn a_command_that_does_not_end_is_ended() {
    let (mut resolver, _) = resolver(Path::new("/"));
    resolver.command_time_max = Duration::from_millis(200);
    let started = Instant::now();
    let error = command(&resolver, "sleep 30").unwrap_err();
    assert!(error.message().contains("did not finish within"), "{}", error.message());
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn nothing_shows_a_value() {
    let (resolver, _) = resolver(Path::new("/"));
    let secret = resolver.resolve(&SecretRef::Env("GOOD".to_owned())).unwrap();
    assert!(!format!("{secret:?}").contains("geheim"));
}
