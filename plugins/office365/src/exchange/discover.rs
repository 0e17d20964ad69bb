//! Finds mailboxes: addresses as they stand in the options, and all of the address book that fits a glob.
//!
//! The address book gives at most 100 entries to a question and has no pages, so it is walked by longer and longer
//! beginnings of names. That finds everybody who is visible there; hidden mailboxes must be named.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::{StreamExt, future::join_all, stream};
use globset::{GlobBuilder, GlobMatcher};
use larder_sdk::{
    Container, ContainerId, Discovery, Error, ErrorKind, Finding, FindingLevel, Kind, Name, Result, Value,
};

use super::{
    CONTAINER, Exchange, SEEN_BY,
    client::{Asked, Client, Failure},
    names::prefix,
    public, requests,
    xml::Element,
};
use crate::{
    codes,
    error::finding_of,
    options::{Access, Service},
};

/// Entries the address book gives to one question.
const HITS_MAX: usize = 100;
/// Questions asked of the address book in one walk.
const QUESTIONS_MAX: usize = 5000;
/// Questions asked at once.
const AT_ONCE: usize = 4;
/// What names and addresses in the address book begin with, and go on with.
const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
/// Questions asked to find any one mailbox.
const LOOKS_MAX: usize = 12;
/// Longest beginning that is asked for.
const PREFIX_MAX: usize = 12;
/// Longest address, in bytes; RFC 5321 allows 254.
const ADDRESS_BYTES_MAX: usize = 512;
/// Longest part of a display name that is kept, in bytes.
const NAME_BYTES_MAX: usize = 1024;
/// Deepest nesting of distribution lists.
const LISTS_DEEP: usize = 8;
/// Largest file of addresses, in bytes.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// An entry of the address book.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// In lower case.
    address: String,
    name: String,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Mailbox,
    List,
    Other,
}

/// What has been found so far: names by address.
#[derive(Default)]
struct Found {
    mailboxes: BTreeMap<String, String>,
    findings: Vec<Finding>,
}

/// See [`Exchange::discover`].
pub(super) async fn discover(exchange: &Exchange) -> Result<Discovery> {
    let mut found = mailboxes(exchange).await?;
    if exchange.options.public_folders {
        add_public(exchange, &mut found).await;
    }
    Ok(found)
}

/// Public folders, if there are any. They are read as one mailbox of the set sees them, or in the account's own name where nobody may be
/// impersonated.
async fn add_public(exchange: &Exchange, found: &mut Discovery) {
    let options = &exchange.options;
    let first = found.containers.first().and_then(super::address_of).map(str::to_owned);
    let who = match options.access {
        Access::Impersonation => match options.public_folders_as.clone().or(first) {
            Some(who) => Some(who),
            None => return,
        },
        Access::Delegate | Access::Own => None,
    };
    let client = Client::public(&exchange.pool, &exchange.url, who.as_deref(), None);
    match public::are_there(&client).await {
        Ok(true) => found.containers.push(Container {
            id: ContainerId::from(format!("{CONTAINER}{}", public::ADDRESS)),
            path: vec![Name::from("exchange"), Name::from(public::ADDRESS)],
            kind: Kind::new("public_folders"),
            title: public::ADDRESS.to_owned(),
            path_ids: false,
            meta: who.map(|who| (SEEN_BY.into(), Value::Text(who))).into_iter().collect(),
        }),
        Ok(false) => {}
        Err(failure) => {
            let error = failure.error(public::ADDRESS);
            let code = codes::PUBLIC_FOLDERS_UNREADABLE.code;
            found.findings.push(finding_of(&error, FindingLevel::Warning, public::ADDRESS, code));
        }
    }
}

async fn mailboxes(exchange: &Exchange) -> Result<Discovery> {
    let mut found = Found::default();
    if exchange.options.access == Access::Own {
        for account in exchange.pool.accounts(Service::Exchange) {
            let user = exchange.pool.user(account);
            found.mailboxes.insert(user.to_lowercase(), user.to_owned());
        }
        return Ok(found.finish());
    }
    let (globs, addresses) = wanted(exchange)?;
    let client = directory(exchange, &addresses)?;
    let mut questions = Vec::with_capacity(addresses.len());
    for address in &addresses {
        questions.push(resolve(&client, address));
    }
    let mut resolved = stream::iter(questions).buffered(AT_ONCE);
    let mut lists = Vec::new();
    while let Some(entry) = resolved.next().await {
        match entry.sort {
            Sort::List => lists.push(entry.address),
            Sort::Mailbox | Sort::Other => found.add(entry),
        }
    }
    drop(resolved);
    expand(&client, lists, &mut found).await?;
    if !globs.is_empty() {
        walk(&client, &globs, &mut found).await?;
    }
    Ok(found.finish())
}

/// An address of the set to try things with, if it can be told without walking the address book.
pub(super) async fn first_named(exchange: &Exchange) -> Option<String> {
    let (globs, addresses) = wanted(exchange).ok()?;
    if let Some(address) = addresses.first() {
        return Some(address.clone());
    }
    let client = directory(exchange, &addresses).ok()?;
    for prefix in ALPHABET.chars().take(LOOKS_MAX) {
        let entries = ask(&client, &prefix.to_string()).await.ok()?;
        let fits = |entry: &&Entry| {
            entry.sort == Sort::Mailbox && globs.iter().any(|glob| glob.is_match(&entry.address))
        };
        if let Some(entry) = entries.iter().find(fits) {
            return Some(entry.address.clone());
        }
    }
    None
}

/// Whoever asks the address book. Applications ask as a mailbox that the options name.
fn directory(exchange: &Exchange, addresses: &BTreeSet<String>) -> Result<Client> {
    let as_if = if exchange.pool.has_application(Service::Exchange) {
        let told = || {
            let code = codes::OAUTH_NEEDS_ADDRESS;
            Error::new(ErrorKind::Configuration, code.sentence).with_code(code.code).with_hint(code.remedy)
        };
        Some(addresses.first().ok_or_else(told)?)
    } else {
        None
    };
    Ok(Client::directory(&exchange.pool, &exchange.url, as_if.map(String::as_str)))
}

/// The globs and the addresses of the options. Nothing named at all means every mailbox.
fn wanted(exchange: &Exchange) -> Result<(Vec<GlobMatcher>, BTreeSet<String>)> {
    let options = &exchange.options;
    let mut written = options.mailboxes.clone();
    if let Some(file) = &options.mailbox_list {
        written.extend(read_list(file)?);
    }
    if options.mailboxes.is_empty() && options.mailbox_list.is_none() {
        written.push("*".to_owned());
    }
    let (globs, addresses): (Vec<String>, Vec<String>) = written
        .into_iter()
        .map(|text| text.trim().to_lowercase())
        .partition(|text| text.contains(['*', '?', '[', '{']));
    let globs = globs.iter().map(|glob| matcher(glob)).collect::<Result<_>>()?;
    Ok((globs, addresses.into_iter().filter(|address| !address.is_empty()).collect()))
}

fn matcher(glob: &str) -> Result<GlobMatcher> {
    let built = GlobBuilder::new(glob).case_insensitive(true).literal_separator(false).build();
    built.map(|glob| glob.compile_matcher()).map_err(|error| {
        Error::new(ErrorKind::Configuration, format!("exchange.mailboxes: {glob:?} is no glob: {error}"))
    })
}

/// A file of addresses, one a line; empty lines and those with `#` are passed over.
fn read_list(file: &str) -> Result<Vec<String>> {
    let problem = |text: String| {
        Error::new(ErrorKind::Configuration, format!("exchange.mailbox_list {file:?}: {text}"))
    };
    let size = std::fs::metadata(file).map_err(|error| problem(error.to_string()))?.len();
    if size > LIST_BYTES_MAX {
        return Err(problem(format!("{size} bytes, more than {LIST_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| problem(error.to_string()))?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

/// What the address book knows of an address. One it does not know, or will not tell of, may be a hidden mailbox.
async fn resolve(client: &Client, address: &str) -> Entry {
    let unknown = || Entry { address: address.to_owned(), name: address.to_owned(), sort: Sort::Other };
    match ask(client, &format!("smtp:{address}")).await {
        Ok(entries) => {
            let exact = entries.iter().find(|entry| entry.address == address);
            // An alias gives its mailbox alone; several entries are neighbours.
            let only = if entries.len() == 1 { entries.first() } else { None };
            exact.or(only).cloned().unwrap_or_else(unknown)
        }
        Err(_) => unknown(),
    }
}

/// The members of distribution lists, and of the lists in them.
async fn expand(client: &Client, lists: Vec<String>, found: &mut Found) -> Result<()> {
    let mut seen: BTreeSet<String> = lists.iter().cloned().collect();
    let mut queue: VecDeque<(String, usize)> = lists.into_iter().map(|list| (list, 1)).collect();
    while let Some((list, depth)) = queue.pop_front() {
        let members = match client.call_one(&requests::expand_list(&list)).await {
            Ok(message) => entries(&message.element, "DLExpansion"),
            Err(Failure::Refused(problem)) => {
                let error = problem.error(&format!("the members of {list}"));
                found.findings.push(finding_of(&error, FindingLevel::Error, &list, "list-unreadable"));
                continue;
            }
            Err(Failure::Lost(error)) => return Err(error),
        };
        for member in members {
            match member.sort {
                Sort::List if depth < LISTS_DEEP && seen.insert(member.address.clone()) => {
                    queue.push_back((member.address, depth + 1));
                }
                Sort::Mailbox => found.add(member),
                Sort::List | Sort::Other => {}
            }
        }
    }
    Ok(())
}

/// Everybody in the address book who fits a glob.
async fn walk(client: &Client, globs: &[GlobMatcher], found: &mut Found) -> Result<()> {
    let mut queue: VecDeque<String> = ALPHABET.chars().map(String::from).collect();
    let mut questions = 0;
    let mut cut = false;
    while !queue.is_empty() {
        let batch: Vec<String> = queue.drain(..queue.len().min(AT_ONCE)).collect();
        questions += batch.len();
        let mut asked = Vec::with_capacity(batch.len());
        for prefix in &batch {
            asked.push(ask(client, prefix));
        }
        for (prefix, answer) in batch.iter().zip(join_all(asked).await) {
            let entries = match answer {
                Ok(entries) => entries,
                Err(failure) => return Err(failure.error("the address book")),
            };
            if entries.len() >= HITS_MAX {
                let deeper = prefix.len() < PREFIX_MAX && questions + queue.len() < QUESTIONS_MAX;
                cut |= !deeper;
                if deeper {
                    queue.extend(ALPHABET.chars().map(|char| format!("{prefix}{char}")));
                }
            }
            let fits = |entry: &Entry| globs.iter().any(|glob| glob.is_match(&entry.address));
            for entry in entries.into_iter().filter(|entry| entry.sort == Sort::Mailbox && fits(entry)) {
                found.add(entry);
            }
        }
    }
    if cut {
        found.findings.push(Finding {
            level: FindingLevel::Warning,
            subject: "exchange.mailboxes".to_owned(),
            code: "directory-incomplete".to_owned(),
            message: "the address book is too large to be listed completely".to_owned(),
            hint: Some("name the mailboxes in exchange.mailbox_list".to_owned()),
        });
    }
    Ok(())
}

/// The entries that one question gives.
async fn ask(client: &Client, text: &str) -> Asked<Vec<Entry>> {
    match client.call_one(&requests::resolve_names(text)).await {
        Ok(message) => Ok(entries(&message.element, "ResolutionSet")),
        Err(Failure::Refused(problem)) if problem.code == "ErrorNameResolutionNoResults" => Ok(Vec::new()),
        Err(failure) => Err(failure),
    }
}

/// The `Mailbox` elements below `set`, wherever they stand in it.
fn entries(message: &Element, set: &str) -> Vec<Entry> {
    let set = message.find(set).map(|set| set.children.as_slice()).unwrap_or_default();
    let mailboxes = set
        .iter()
        .filter_map(|child| if child.name == "Mailbox" { Some(child) } else { child.child("Mailbox") });
    mailboxes.filter_map(entry).collect()
}

fn entry(mailbox: &Element) -> Option<Entry> {
    let written = mailbox.text_of("EmailAddress").filter(|address| address.contains('@'))?;
    let address = Some(written).filter(|address| address.len() <= ADDRESS_BYTES_MAX)?.to_lowercase();
    let sort = match mailbox.text_of("MailboxType").unwrap_or("Mailbox") {
        "Mailbox" => Sort::Mailbox,
        "PublicDL" | "PrivateDL" => Sort::List,
        _ => Sort::Other,
    };
    let name = mailbox.text_of("Name").filter(|name| !name.is_empty()).unwrap_or(&address);
    let name = prefix(name, NAME_BYTES_MAX).to_owned();
    Some(Entry { address, name, sort })
}

/// The containers of the mailboxes in an answer of the address book.
#[cfg(feature = "testing")]
pub(super) fn containers_of(message: &Element) -> Vec<Container> {
    let mut found = Found::default();
    for entry in entries(message, "ResolutionSet") {
        found.add(entry);
    }
    found.finish().containers
}

impl Found {
    fn add(&mut self, entry: Entry) {
        self.mailboxes.insert(entry.address, entry.name);
    }

    fn finish(self) -> Discovery {
        let containers = self.mailboxes.into_iter().map(|(address, title)| Container {
            id: ContainerId::from(format!("{CONTAINER}{address}")),
            path: vec![Name::from("exchange"), Name::from(address.replace('/', "_"))],
            kind: Kind::new("mailbox"),
            title,
            path_ids: false,
            meta: Vec::new(),
        });
        Discovery { containers: containers.collect(), findings: self.findings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::xml::tree_of;

    #[test]
    fn entries_are_read_from_both_lists() {
        let resolved = tree_of(
            "<M><ResolutionSet><Resolution><Mailbox><Name>Ann</Name><EmailAddress>Ann@X.y</EmailAddress><RoutingType>SMTP</RoutingType>\
             <MailboxType>Mailbox</MailboxType></Mailbox></Resolution><Resolution><Mailbox><Name>x</Name><EmailAddress>/o=x</EmailAddress></Mailbox>\
             </Resolution></ResolutionSet></M>",
        );
        assert_eq!(
            entries(&resolved, "ResolutionSet"),
            [Entry { address: "ann@x.y".into(), name: "Ann".into(), sort: Sort::Mailbox }]
        );
        let expanded = tree_of(
            "<M><DLExpansion><Mailbox><EmailAddress>all@x.y</EmailAddress><MailboxType>PublicDL</MailboxType></Mailbox></DLExpansion></M>",
        );
        assert_eq!(entries(&expanded, "DLExpansion")[0].sort, Sort::List);
    }

    #[test]
    fn globs_ignore_case_and_span_dots() {
        assert!(matcher("*@contoso.example").unwrap().is_match("ann.lee@contoso.example"));
        assert!(!matcher("*@contoso.example").unwrap().is_match("ann@other.example"));
        assert!(matcher("[").is_err());
    }
}
