//! A report as one page of HTML that needs nothing beside it: no script, no font, no picture.

use std::fmt::Write as _;

use super::{
    format,
    report::{TOTALS, cells, figure, more_owed, owed_why, sums, took, troubles},
    run::outcome,
};
use crate::browse::RunReport;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2329;--paper:#fff;--line:#d5dbe1;--soft:#5d6b78;--good:#1a7f4b;--bad:#b3372a;--warn:#93690a}
@media(prefers-color-scheme:dark){:root{--ink:#e4e9ee;--paper:#14181c;--line:#313a43;--soft:#93a1ae;--good:#5fc08c;--bad:#ef8a7e;--warn:#dcb14e}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;padding:0 1rem;max-width:78rem}
h1{font-size:1.35rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}p{margin:.3rem 0;color:var(--soft)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .7rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child,.words td,.words th{text-align:left}.words td:last-child{white-space:normal}
.current,.complete{color:var(--good)}.owing,.incomplete{color:var(--warn)}.stale,.gone{color:var(--bad)}";

/// The page.
pub(super) fn page(report: &RunReport) -> String {
    let record = &report.record;
    let mut page = String::new();
    let title = format!("{}, run {}", record.set, record.run);
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title}: <span class=\"{word}\">{word}</span></h1>\n\
         <p>Snapshot {id}, taken {taken} on {host} by {program}.</p>\n",
        title = text(&title),
        word = outcome(record.outcome),
        id = &report.id.to_string()[..8],
        taken = text(&format::local_time(record.finished)),
        host = text(&record.host),
        program = text(&record.program),
    );
    totals(&mut page, report);
    words(
        &mut page,
        "Not as the source has it",
        ["Container", "Why"],
        troubles(report).map(|(one, why)| [one.path.clone(), why]),
    );
    containers(&mut page, report);
    let skipped = sums(report, |one| &one.record.work.skipped);
    words(
        &mut page,
        "Left out on purpose",
        ["Items", "Cause"],
        skipped.iter().map(|(cause, count)| [format::count(*count), (*cause).to_owned()]),
    );
    let owed = report.containers.iter().flat_map(|one| {
        one.owed.iter().map(move |item| [format!("{}: {}", one.path, item.name), owed_why(item)])
    });
    let more = more_owed(report);
    let more = (more > 0).then(|| [format!("and {} more", format::count(more)), String::new()]);
    words(&mut page, "Owed: reported by the source and not read yet", ["Item", "Why"], owed.chain(more));
    let waited = sums(report, |one| &one.record.work.waited_millis);
    words(
        &mut page,
        "Waited for",
        ["Whom", "How long"],
        waited.iter().map(|(who, millis)| [(*who).to_owned(), took(*millis)]),
    );
    words(
        &mut page,
        "Found before the run",
        ["What", "Finding"],
        record.findings.iter().map(|finding| [finding.subject.clone(), finding.message.clone()]),
    );
    words(
        &mut page,
        "Could not be read from the repository",
        ["", "Why"],
        report.broken.iter().map(|why| [String::new(), why.clone()]),
    );
    page.push_str("</body></html>");
    page
}

fn totals(page: &mut String, report: &RunReport) {
    let before = report.before.as_ref().map(|(_, record)| record);
    let named = before.map_or_else(|| "before".to_owned(), |record| format!("run {}", record.run));
    let _ =
        write!(page, "<h2>Totals</h2><table><tr><th></th><th>this run</th><th>{}</th></tr>", text(&named));
    for (label, get, is_bytes) in TOTALS {
        let then = before.map_or_else(|| "–".to_owned(), |record| figure(get(&record.totals), is_bytes));
        let now = figure(get(&report.record.totals), is_bytes);
        let _ = write!(page, "<tr><td>{label}</td><td>{now}</td><td>{then}</td></tr>");
    }
    page.push_str("</table>\n");
}

fn containers(page: &mut String, report: &RunReport) {
    const HEAD: [&str; 11] = [
        "container",
        "state",
        "items",
        "change",
        "read",
        "bytes",
        "removed",
        "skipped",
        "owed",
        "took",
        "waited",
    ];
    page.push_str("<h2>Containers</h2><div class=\"wide\"><table><tr>");
    for label in HEAD {
        let _ = write!(page, "<th>{label}</th>");
    }
    page.push_str("</tr>");
    for one in &report.containers {
        page.push_str("<tr>");
        for (at, cell) in cells(report, one).iter().enumerate() {
            let class = if at == 1 { format!(" class=\"{}\"", one.state.as_str()) } else { String::new() };
            let _ = write!(page, "<td{class}>{}</td>", text(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

/// A table of two columns under a heading; nothing at all if it has no rows.
fn words(page: &mut String, title: &str, head: [&str; 2], rows: impl Iterator<Item = [String; 2]>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return;
    }
    let _ = write!(
        page,
        "<h2>{title}</h2><div class=\"wide\"><table class=\"words\"><tr><th>{}</th><th>{}</th></tr>",
        head[0], head[1]
    );
    for [one, other] in rows {
        let _ = write!(page, "<tr><td>{}</td><td>{}</td></tr>", text(&one), text(&other));
    }
    page.push_str("</table></div>\n");
}

/// A text in which nothing is taken for markup: names come from other people.
fn text(plain: &str) -> String {
    let mut safe = String::with_capacity(plain.len());
    for character in format::name(plain).chars() {
        match character {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
