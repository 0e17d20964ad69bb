//! Every complaint about a config, as a user reads it.

use std::path::Path;

use larder_sdk::{Schema, SecretRef, Takes};

use super::*;
use crate::{
    error::{EngineError, EngineErrorKind},
    pack::Compression,
    retention::Keep,
};

/// A repository and a set that are right.
const RIGHT: &str = r#"[repository.main]
url = "s3://backups/contoso"
password = { file = "main.pass" }
options = { aws_region = "eu-central-1" }

[set.contoso]
repository = "main"
source = "office365"
schedule = "0 2 * * *"
keep = { last = 7, daily = 30 }

[set.contoso.options]
tenant = "contoso.onmicrosoft.com"

[[set.contoso.options.accounts]]
user = "backup1@contoso.onmicrosoft.com"
password = { env = "BACKUP1" }

[set.contoso.options.sharepoint]
sites = ["*"]
versions = "all"
"#;

fn parse(content: &str) -> crate::error::Result<Config> {
    Config::parse("larder.toml", content.to_owned(), Path::new("/etc/larder"))
}

/// Message and hint, as shown.
fn complaint(error: &EngineError) -> String {
    assert_eq!(error.kind(), EngineErrorKind::Config, "{error:?}");
    match error.hint() {
        Some(hint) => format!("{}\nhint: {hint}", error.message()),
        None => error.message().to_owned(),
    }
}

#[track_caller]
fn refused(content: &str, expected: &str) {
    assert_eq!(complaint(&parse(content).unwrap_err()), expected.trim_start_matches('\n'));
}

/// A schema with everything in it.
fn schema() -> Schema {
    let account = Schema::new()
        .required("user", Takes::Text, "the account")
        .optional("password", Takes::Secret, "the app password")
        .optional("max_concurrency", Takes::Integer(1, 64), "requests at once");
    let sharepoint = Schema::new()
        .optional("sites", Takes::texts(), "globs")
        .optional(
            "versions",
            Takes::AnyOf(vec![Takes::word(&["all", "latest"]), Takes::Integer(1, 500)]),
            "how many",
        )
        .optional("permissions", Takes::Bool, "whether to read them");
    Schema::new()
        .required("tenant", Takes::Text, "the tenant")
        .required("accounts", Takes::List(Box::new(Takes::Table(account))), "the pool")
        .optional("sharepoint", Takes::Table(sharepoint), "what of SharePoint")
        .optional("headers", Takes::Map, "more headers")
}

/// What the plugin's schema has to say about a set's options, written below `[set.x.options]` on line 1.
#[track_caller]
fn option_refused(options: &str, expected: &str) {
    let content = format!(
        "[set.x.options]\n{options}\n[set.x]\nrepository = \"r\"\nsource = \"s\"\n[repository.r]\nurl = \"memory:///\"\npassword.env = \"P\"\n"
    );
    let config = parse(&content).unwrap();
    let error = config.set("x").unwrap().options.check(&schema()).unwrap_err();
    assert_eq!(complaint(&error), expected.trim_start_matches('\n'));
}

const ACCOUNTS: &str = "tenant = \"t\"\naccounts = [{ user = \"u\" }]";

#[test]
fn a_right_config_is_taken_over() {
    let config = parse(RIGHT).unwrap();
    let repository = config.repository_or_only(None).unwrap();
    assert_eq!(repository.url, "s3://backups/contoso");
    assert_eq!(repository.password, SecretRef::File("main.pass".to_owned()));
    assert_eq!(repository.plugin, DESTINATION_DEFAULT);
    assert_eq!(repository.options.json(), r#"{"aws_region":"eu-central-1"}"#);
    let set = config.set("contoso").unwrap();
    assert_eq!(set.keep, Some(Keep { last: 7, daily: 30, ..Keep::default() }));
    assert_eq!(set.max_loss, MaxLoss::Percent(20));
    assert_eq!(set.keep_gone_days, 90);
    assert_eq!(set.isolation, Isolation::None);
    assert_eq!(set.schedule.as_ref().map(Schedule::as_str), Some("0 2 * * *"));
    set.options.check(&schema()).unwrap();
    let json = set.options.to_json();
    assert_eq!(json["accounts"][0]["password"]["env"], "BACKUP1");
    // The plugin reads it as a reference.
    let reference: SecretRef = serde_json::from_value(json["accounts"][0]["password"].clone()).unwrap();
    assert_eq!(reference, SecretRef::Env("BACKUP1".to_owned()));
}

#[test]
fn a_repository_says_how_hard_it_is_compressed() {
    let with = |line: &str| RIGHT.replacen("url =", &format!("{line}url ="), 1);
    assert_eq!(parse(RIGHT).unwrap().repositories[0].compression, Compression::Default);
    let max = parse(&with("compression = \"max\"\n")).unwrap();
    assert_eq!(max.repositories[0].compression, Compression::Max);
    let error = complaint(&parse(&with("compression = \"fats\"\n")).unwrap_err());
    assert!(error.contains("`fats`") && error.contains("`fast`"), "{error}");
}

#[test]
fn the_loss_limit_follows_the_source_unless_told() {
    let with = |source: &str, more: &str| {
        let content = format!(
            "[repository.r]\nurl=\"memory:///\"\npassword.env=\"P\"\n[set.x]\nrepository=\"r\"\nsource=\"{source}\"\n{more}"
        );
        parse(&content).unwrap().set("x").unwrap().max_loss
    };
    assert_eq!(with("files", ""), MaxLoss::Off);
    assert_eq!(with("other", ""), MaxLoss::Percent(20));
    assert_eq!(with("files", "max_loss = 5"), MaxLoss::Percent(5));
    assert_eq!(with("other", "max_loss = \"off\""), MaxLoss::Off);
}

#[test]
fn plugins_and_their_path_start_from_the_configs_folder() {
    let digest = "AB".repeat(32);
    let config = parse(&format!(
        "plugin_path = [\"plugins\", \"/opt\"]\n[plugin.mine]\nlibrary = \"m.so\"\nblake3 = \"{digest}\"\n"
    ))
    .unwrap();
    assert_eq!(config.plugin_path, [Path::new("/etc/larder/plugins"), Path::new("/opt")]);
    assert_eq!(config.plugins[0].library, Path::new("/etc/larder/m.so"));
    assert_eq!(config.plugins[0].blake3.as_deref(), Some("ab".repeat(32).as_str()));
}

#[test]
fn an_unknown_key_names_the_nearest() {
    refused(
        &RIGHT.replace("schedule =", "shedule ="),
        r"
larder.toml:9:1: unknown key `shedule` in [set.contoso]; did you mean `schedule`?
  |
9 | shedule = ***
  | ^^^^^^^",
    );
    refused(
        &RIGHT.replace("daily =", "dayly ="),
        r"
larder.toml:10:20: unknown key `dayly` in [set.contoso.keep]; did you mean `daily`?
   |
10 | keep = { last = 7, dayly = *** }
   |                    ^^^^^",
    );
    refused(
        "[sets.a]\n",
        r"
larder.toml:1:2: unknown key `sets` in the top of the file; did you mean `set`?
  |
1 | [sets.a]
  |  ^^^^",
    );
}

#[test]
fn an_unknown_option_names_the_nearest_or_the_right_table_or_all() {
    option_refused(
        &format!("{ACCOUNTS}\n[set.x.options.sharepoint]\n  sits = [\"*\"]"),
        r"
larder.toml:5:3: unknown key `sits` in [set.x.options.sharepoint]; did you mean `sites`?
  |
5 |   sits = ***
  |   ^^^^",
    );
    option_refused(
        &format!("{ACCOUNTS}\nsites = [\"*\"]"),
        r"
larder.toml:4:1: unknown key `sites` in [set.x.options]; it belongs in [set.x.options.sharepoint]
  |
4 | sites = ***
  | ^^^^^",
    );
    option_refused(
        "tenant = \"t\"\naccounts = [{ user = \"u\", colour = 1 }]",
        r#"
larder.toml:3:27: unknown key `colour` in [[set.x.options.accounts]]
  |
3 | accounts = [{ user = "u", colour = *** }]
  |                           ^^^^^^
hint: known here: `user`, `password`, `max_concurrency`"#,
    );
}

#[test]
fn a_value_of_the_wrong_kind_says_what_is_taken() {
    option_refused(
        "tenant = 5\naccounts = [{ user = \"u\" }]",
        r#"
larder.toml:2:10: `tenant` in [set.x.options] takes a text, not a whole number
  |
2 | tenant = 5
  |          ^
hint: put it in quotes: "…""#,
    );
    option_refused(
        &format!("{ACCOUNTS}\nsharepoint = {{ sites = \"*\" }}"),
        r#"
larder.toml:4:24: `sites` in [set.x.options.sharepoint] takes an array of texts, not a text
  |
4 | sharepoint = { sites = "*" }
  |                        ^^^
hint: put it in brackets: [ … ]"#,
    );
    option_refused(
        &format!("{ACCOUNTS}\nsharepoint = {{ versions = \"al\" }}"),
        r#"
larder.toml:4:27: `versions` in [set.x.options.sharepoint] takes `all` or `latest` or a whole number from 1 to 500, not `al`
  |
4 | sharepoint = { versions = "al" }
  |                           ^^^^"#,
    );
    option_refused(
        "tenant = \"t\"\naccounts = [{ user = \"u\", max_concurrency = 100 }]",
        r#"
larder.toml:3:45: `max_concurrency` in [[set.x.options.accounts]] takes a whole number from 1 to 64, not 100
  |
3 | accounts = [{ user = "u", max_concurrency = 100 }]
  |                                             ^^^"#,
    );
    refused(
        &RIGHT.replace("keep = {", "isolation = \"proces\"\nkeep = {"),
        r#"
larder.toml:10:13: `isolation` in [set.contoso] takes `none` or `process`, not `proces`; did you mean `process`?
   |
10 | isolation = "proces"
   |             ^^^^^^^^"#,
    );
}

#[test]
fn a_missing_key_says_how_to_write_it() {
    option_refused(
        "accounts = [{ user = \"u\" }]",
        r#"
larder.toml:1:1: [set.x.options] needs the key `tenant`
  |
1 | [set.x.options]
  | ^^^^^^^^^^^^^^^
hint: tenant: the tenant; write tenant = "…""#,
    );
    refused(
        "[repository.main]\nurl = \"memory:///\"\n",
        r#"
larder.toml:1:1: [repository.main] needs the key `password`
  |
1 | [repository.main]
  | ^^^^^^^^^^^^^^^^^
hint: password: where its password is found; write password = { env = "NAME" }"#,
    );
}

#[test]
fn a_secret_in_plain_text_is_refused_and_never_repeated() {
    refused(
        "[repository.main]\nurl = \"memory:///\"\npassword = \"geheim\"\n",
        r#"
larder.toml:3:12: `password` in [repository.main] is a secret and must not stand in the config file
  |
3 | password = ***
  |            ^^^
hint: write password = { env = "NAME" }, { file = "PATH" }, { command = "PROGRAM ARGUMENT" } or { keyring = "SERVICE/USER" }"#,
    );
    for content in [
        "[repository.r]\nurl = \"memory:///\"\npasswort = \"geheim\"\n",
        "[repository.r]\nurl = \"memory:///\"\npassword = { value = \"geheim\" }\n",
        "[repository.r]\nurl = \"memory:///\"\npassword = { env = \"A\", text = \"geheim\" }\n",
        "[repository.r]\nurl = \"memory:///\"\npassword = [\"geheim\"]\n",
        "[repository.r]\nurl = \"https://user:geheim@host/\"\npassword.env = \"A\"\n",
        "[repository.r]\nurl = \"https//user:geheim@host/\"\npassword.env = \"A\"\n",
        "repository = { password = \"geheim\" }\n",
        "[repository]\npassword = \"geheim\"\n",
        "[set.x]\nrepository = \"r\"\nsource = \"s\"\noptions = \"geheim\"\n",
        "[set.x]\nrepository = \"geheim\", password = geheim\n",
    ] {
        let error = parse(content).unwrap_err();
        let shown = format!("{} {error:?} {:?}", complaint(&error), error.hint());
        assert!(!shown.contains("geheim"), "{shown}");
    }
}

#[test]
fn a_secret_in_free_options_is_refused_too() {
    let expected = r#"
larder.toml:4:29: `session_token` in [set.x.options.headers] is a secret and must not stand in the config file
  |
4 | headers = { session_token = *** }
  |                             ^^^
hint: write session_token = { env = "NAME" }, { file = "PATH" }, { command = "PROGRAM ARGUMENT" } or { keyring = "SERVICE/USER" }"#;
    option_refused(&format!("{ACCOUNTS}\nheaders = {{ session_token = \"geheim\" }}"), expected);
}

#[test]
fn a_mistyped_place_of_a_secret_names_the_nearest() {
    refused(
        "[repository.main]\nurl = \"memory:///\"\npassword = { evn = \"X\" }\n",
        r#"
larder.toml:3:14: unknown key `evn` in the secret `password` in [repository.main]; did you mean `env`?
  |
3 | password = { evn = *** }
  |              ^^^
hint: write password = { env = "NAME" }, { file = "PATH" }, { command = "PROGRAM ARGUMENT" } or { keyring = "SERVICE/USER" }"#,
    );
}

#[test]
fn references_names_and_schedules_are_checked() {
    refused(
        &RIGHT.replace("repository = \"main\"", "repository = \"mian\""),
        r#"
larder.toml:7:14: there is no [repository.mian]; did you mean `main`?
  |
7 | repository = "mian"
  |              ^^^^^^
hint: every set needs a repository to write to: [repository.NAME] with `url` and `password`"#,
    );
    refused(
        &RIGHT.replace("0 2 * * *", "0 25 * * *"),
        r#"
larder.toml:9:12: the hour of a schedule takes `*`, numbers from 0 to 23, ranges `a-b` and steps `*/n`, joined by `,`; not `25`
  |
9 | schedule = "0 25 * * *"
  |            ^^^^^^^^^^^^"#,
    );
    refused(
        "[set]\nsource = \"files\"\n",
        r"
larder.toml:2:1: `source` stands in [set], which holds only named tables
  |
2 | source = ***
  | ^^^^^^
hint: give it a name: [set.NAME]",
    );
    refused(
        "[set.\"a b\"]\n",
        r#"
larder.toml:1:6: a set's name has 1 to 64 letters, digits, `-`, `_` or `.`; `a b` has not
  |
1 | [set."a b"]
  |      ^^^^^"#,
    );
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let error = parse(&RIGHT.replace("schedule =", "shedule =").replace("url =", "uri =")).unwrap_err();
    let places: Vec<&str> = error
        .message()
        .lines()
        .filter(|line| line.starts_with("larder.toml:"))
        .map(|line| &line[..14])
        .collect();
    assert_eq!(places, ["larder.toml:2:", "larder.toml:9:"]);
}

#[test]
fn what_the_command_line_names_must_be_there() {
    let config = parse(RIGHT).unwrap();
    let error = config.set("contosso").unwrap_err();
    assert_eq!(error.kind(), EngineErrorKind::Usage);
    assert_eq!(error.message(), "there is no set `contosso` in larder.toml; did you mean `contoso`?");
    assert_eq!(error.hint(), Some("known: contoso"));
    let two = format!("{RIGHT}[repository.other]\nurl = \"memory:///\"\npassword.env = \"X\"\n");
    let error = parse(&two).unwrap().repository_or_only(None).unwrap_err();
    assert_eq!(error.message(), "larder.toml names several repositories: say which");
    assert_eq!(error.hint(), Some("one of: main, other"));
}

#[test]
fn keep_takes_an_age_and_tags() {
    let config = parse(&RIGHT.replace("daily = 30", "within = \"1y2w\", tags = [\"keep\"]")).unwrap();
    let keep = config.sets[0].keep.clone().unwrap();
    assert_eq!((keep.within, keep.tags), (Some("1y14d".parse().unwrap()), vec!["keep".to_owned()]));
    assert!(
        complaint(&parse(&RIGHT.replace("daily = 30", "within = \"6m\"")).unwrap_err())
            .contains("`mo` for months")
    );
}
