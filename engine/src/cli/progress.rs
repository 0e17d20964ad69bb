//! Shows the engine's events: bars on a terminal, a line now and then elsewhere, records with `--json`.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use larder_sdk::LogLevel;
use serde_json::{Value, json};

use super::{
    format,
    output::{Form, Output, Verbosity},
};
use crate::{
    clock::Clock,
    events::{ContainerState, Counts, Event, Events, ItemOutcome, Phase},
    process::Interrupt,
};

/// Time between two lines about the progress, where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);
/// Time between two records about the progress.
const RECORD_INTERVAL: Duration = Duration::from_secs(1);
/// How often a bar turns while nothing happens.
const TICK: Duration = Duration::from_millis(120);
/// Most items and containers whose troubles are told one by one; the report has them all. `-v` tells every one.
const TROUBLES_MAX: u64 = 50;

/// What is told while the engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// How far it is, and what goes wrong.
    Progress,
    /// Only what goes wrong: for commands whose results are what is printed meanwhile.
    Troubles,
}

/// Shows events.
pub(super) struct Progress {
    output: Arc<Output>,
    clock: Arc<dyn Clock>,
    told: Told,
    interrupt: Interrupt,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phase: Option<(Phase, String)>,
    counts: Counts,
    shown: Option<Duration>,
    bar: Option<ProgressBar>,
    troubles: u64,
    /// The user was told that the request to stop has arrived.
    stopping: bool,
}

impl Progress {
    /// Shows events on `output`, and that `interrupt` was noticed.
    pub(super) fn new(output: Arc<Output>, clock: Arc<dyn Clock>, told: Told, interrupt: Interrupt) -> Self {
        Self { output, clock, told, interrupt, state: Mutex::default() }
    }

    /// Tells once that the work is coming to its end on request.
    fn notice_interrupt(&self) {
        if !self.interrupt.is_requested() || std::mem::replace(&mut self.lock().stopping, true) {
            return;
        }
        if self.output.form() == Form::Text && self.output.verbosity() > Verbosity::Quiet {
            self.output.note("stopping at the next checkpoint; Ctrl-C again stops at once");
        }
    }

    /// Ends the showing: the last counts as a record, the bar taken away.
    pub(super) fn finish(&self) {
        let mut state = self.lock();
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
        if state.phase.is_some() && self.shows_records() {
            self.emit(&progress_record(&state));
        }
        state.phase = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shows_records(&self) -> bool {
        self.told == Told::Progress && self.output.form() == Form::Json
    }

    /// A record that cannot be written is dropped: the command's own results meet the same trouble and report it.
    fn emit(&self, record: &Value) {
        drop(self.output.record(|| record.clone()));
    }

    fn phase(&self, phase: Phase, subject: String) {
        let mut state = self.lock();
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
        let title = title(phase, &subject);
        state.phase = Some((phase, subject));
        state.counts = Counts::default();
        state.shown = Some(self.clock.elapsed());
        if self.told == Told::Troubles {
            return;
        }
        if self.output.form() == Form::Json {
            self.emit(&progress_record(&state));
        } else if let Some(bars) = self.output.bars() {
            state.bar = Some(new_bar(bars, &title));
        } else if self.output.verbosity() > Verbosity::Quiet {
            self.output.note(&title);
        }
    }

    fn counts(&self, counts: Counts) {
        let mut state = self.lock();
        state.counts = counts;
        if self.told == Told::Troubles {
            return;
        }
        if let Some(bar) = &state.bar {
            update_bar(bar, &counts);
            return;
        }
        let interval = if self.output.form() == Form::Json { RECORD_INTERVAL } else { LINE_INTERVAL };
        let now = self.clock.elapsed();
        if state.shown.is_some_and(|shown| now.saturating_sub(shown) < interval) {
            return;
        }
        state.shown = Some(now);
        if self.output.form() == Form::Json {
            self.emit(&progress_record(&state));
        } else if self.output.verbosity() > Verbosity::Quiet
            && let Some((phase, subject)) = &state.phase
        {
            self.output.note(&format!("{}: {}", title(*phase, subject), summary(&counts)));
        }
    }

    /// Something that the user should know: a record, or a line if `least` is told.
    fn tell(&self, least: Verbosity, record: &Value, line: &str) {
        if self.shows_records() {
            self.emit(record);
        } else if self.output.verbosity() >= least {
            self.output.note(line);
        }
    }

    /// Like [`Self::tell`], for what may come in any number.
    fn trouble(&self, record: &Value, line: &str) {
        let number = {
            let mut state = self.lock();
            state.troubles += 1;
            state.troubles
        };
        let least = if number > TROUBLES_MAX { Verbosity::Verbose } else { Verbosity::Normal };
        self.tell(least, record, line);
        if number == TROUBLES_MAX && !self.shows_records() && self.output.verbosity() == Verbosity::Normal {
            self.output.note("more such lines are left out; -v shows them");
        }
    }

    fn container(&self, name: &str, state: &ContainerState) {
        let shown = format::name(name);
        let (word, detail) = match state {
            ContainerState::Began => ("began", None),
            ContainerState::Doing(what) => ("doing", Some(what)),
            ContainerState::Done => ("done", None),
            ContainerState::Failed(why) => ("failed", Some(why)),
            ContainerState::Gone => ("gone", None),
        };
        let record = json!({ "type": "container", "container": name, "state": word, "detail": detail });
        match state {
            ContainerState::Began => {
                self.set_message(&shown);
                self.tell(Verbosity::Verbose, &record, &format!("{shown}: reading"));
            }
            ContainerState::Doing(what) => {
                self.set_message(&format!("{shown}: {}", format::name(what)));
                self.tell(Verbosity::Verbose, &record, &format!("{shown}: {what}"));
            }
            ContainerState::Done => self.tell(Verbosity::Verbose, &record, &format!("{shown}: done")),
            ContainerState::Failed(why) => self.trouble(&record, &format!("{shown}: failed: {why}")),
            ContainerState::Gone => {
                self.trouble(&record, &format!("{shown}: no longer at the source; its last state is kept"));
            }
        }
    }

    fn item(&self, container: &str, item: &str, outcome: &ItemOutcome) {
        let (word, reason) = outcome.parts();
        let record = json!({ "type": "trouble", "container": container, "item": item, "outcome": word, "reason": reason });
        // What is restored or exported is named by its whole path.
        let within =
            if container.is_empty() { String::new() } else { format!("{}: ", format::name(container)) };
        let line = format!("{within}{}: {word}: {reason}", format::name(item));
        match outcome {
            ItemOutcome::Skipped(_) => self.tell(Verbosity::Verbose, &record, &line),
            _ => self.trouble(&record, &line),
        }
    }

    fn log(&self, level: LogLevel, origin: &str, text: &str) {
        let (word, least) = match level {
            LogLevel::Error => ("error", Verbosity::Normal),
            LogLevel::Warning => ("warning", Verbosity::Normal),
            LogLevel::Info => ("info", Verbosity::Verbose),
            LogLevel::Debug => ("debug", Verbosity::Verbose),
        };
        if level == LogLevel::Debug && self.output.verbosity() < Verbosity::Verbose {
            return;
        }
        let record = json!({ "type": "log", "level": word, "origin": origin, "text": text });
        self.tell(least, &record, &format!("{word}: {origin}: {text}"));
    }

    fn set_message(&self, text: &str) {
        if let Some(bar) = &self.lock().bar {
            bar.set_prefix(text.to_owned());
        }
    }
}

impl Events for Progress {
    fn event(&self, event: Event) {
        self.notice_interrupt();
        match event {
            Event::Phase { phase, subject } => self.phase(phase, subject),
            Event::Progress(counts) => self.counts(counts),
            Event::Container { name, state } => self.container(&name, &state),
            Event::Item { container, item, outcome } => self.item(&container, &item, &outcome),
            Event::Checkpoint { number } => {
                let record = json!({ "type": "checkpoint", "number": number });
                self.tell(Verbosity::Verbose, &record, &format!("checkpoint {number}"));
            }
            Event::Wait { account, wait } => {
                let record = json!({ "type": "wait", "account": account, "seconds": wait.as_secs_f64() });
                let line = format!("{} waits {}", format::name(&account), format::duration(wait));
                self.set_message(&line);
                self.tell(Verbosity::Verbose, &record, &line);
            }
            Event::Log { level, origin, text } => self.log(level, &origin, &text),
        }
    }
}

fn title(phase: Phase, subject: &str) -> String {
    if subject.is_empty() {
        phase.as_str().to_owned()
    } else {
        format!("{} {}", phase.as_str(), format::name(subject))
    }
}

/// The counts that are not nothing, in words.
fn summary(counts: &Counts) -> String {
    let of =
        |total: Option<u64>| total.map_or_else(String::new, |total| format!(" of {}", format::count(total)));
    let mut parts = Vec::new();
    if counts.containers > 0 || counts.containers_total.is_some() {
        parts.push(format!("{}{} containers", format::count(counts.containers), of(counts.containers_total)));
    }
    parts.push(format!("{}{} items", format::count(counts.items), of(counts.items_total)));
    parts.push(match counts.bytes_total {
        Some(total) => format!("{} of {}", format::bytes(counts.bytes), format::bytes(total)),
        None => format::bytes(counts.bytes),
    });
    if counts.stored > 0 {
        parts.push(format!("{} stored", format::bytes(counts.stored)));
    }
    if counts.failed > 0 {
        parts.push(format!("{} not read", format::count(counts.failed)));
    }
    parts.join(", ")
}

fn progress_record(state: &State) -> Value {
    let (phase, subject) = match &state.phase {
        Some((phase, subject)) => (phase.word(), subject.as_str()),
        None => ("", ""),
    };
    let counts = &state.counts;
    json!({
        "type": "progress",
        "phase": phase,
        "subject": subject,
        "containers": counts.containers,
        "containers_total": counts.containers_total,
        "items": counts.items,
        "items_total": counts.items_total,
        "bytes": counts.bytes,
        "bytes_total": counts.bytes_total,
        "stored": counts.stored,
        "failed": counts.failed,
    })
}

/// A bar without an end; it gets one once a total is known.
fn new_bar(bars: &indicatif::MultiProgress, title: &str) -> ProgressBar {
    let bar = bars.add(
        ProgressBar::no_length()
            .with_style(style(&format!("{{spinner}} {} {{msg}} {{prefix:.dim}}", template_text(title)))),
    );
    bar.enable_steady_tick(TICK);
    bar
}

fn update_bar(bar: &ProgressBar, counts: &Counts) {
    let share = match (counts.bytes_total, counts.items_total, counts.containers_total) {
        (Some(total), _, _) => Some((counts.bytes, total)),
        (None, Some(total), _) => Some((counts.items, total)),
        (None, None, Some(total)) => Some((counts.containers, total)),
        (None, None, None) => None,
    };
    let percent = share
        .filter(|(_, total)| *total > 0)
        .map(|(done, total)| format!("{:>3.0} %  ", 100.0 * done.min(total) as f64 / total as f64));
    bar.set_message(format!("{}{}", percent.unwrap_or_default(), summary(counts)));
}

/// A template's style; one that cannot be parsed falls back to the plain one.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Text as a template holds it.
fn template_text(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

#[cfg(test)]
mod tests {
    use larder_sdk::Time;

    use super::{super::output::tests::kept, *};
    use crate::clock::FixedClock;

    fn told(form: Form, verbosity: Verbosity, told: Told) -> (String, String) {
        let (output, results, notes) = kept(form, verbosity);
        let clock = Arc::new(FixedClock::new(Time::from_seconds(0)));
        let progress = Progress::new(output, Arc::<FixedClock>::clone(&clock), told, Interrupt::new());
        progress.event(Event::Phase { phase: Phase::BackingUp, subject: "home".to_owned() });
        for second in 1..=25_u64 {
            clock.advance(Duration::from_secs(1));
            progress.event(Event::Progress(Counts {
                items: second * 1000,
                bytes: second << 20,
                ..Counts::default()
            }));
        }
        progress.event(Event::Item {
            container: "/home".to_owned(),
            item: "a\nb".to_owned(),
            outcome: ItemOutcome::Owed("permission denied".to_owned()),
        });
        progress.event(Event::warning("files", "slow"));
        progress.event(Event::Checkpoint { number: 1 });
        progress.finish();
        (results.text(), notes.text())
    }

    fn quiet_clock(output: Arc<Output>, interrupt: Interrupt) -> Progress {
        Progress::new(output, Arc::new(FixedClock::new(Time::from_seconds(0))), Told::Progress, interrupt)
    }

    #[test]
    fn a_request_to_stop_is_confirmed_once() {
        let (output, _, notes) = kept(Form::Text, Verbosity::Normal);
        let interrupt = Interrupt::new();
        let progress = quiet_clock(output, interrupt.clone());
        progress.event(Event::Progress(Counts::default()));
        interrupt.request();
        progress.event(Event::Progress(Counts::default()));
        progress.event(Event::Progress(Counts::default()));
        assert!(notes.text().ends_with("stopping at the next checkpoint; Ctrl-C again stops at once\n"));
        assert_eq!(notes.text().matches("stopping").count(), 1);
    }

    #[test]
    fn plain_lines_come_every_ten_seconds() {
        let (results, notes) = told(Form::Text, Verbosity::Normal, Told::Progress);
        assert_eq!(results, "");
        assert_eq!(
            notes,
            "Backing up home\n\
             Backing up home: 10,000 items, 10.5 MB\n\
             Backing up home: 20,000 items, 21.0 MB\n\
             /home: a\\nb: owed: permission denied\n\
             warning: files: slow\n"
        );
    }

    #[test]
    fn quiet_is_quiet_and_listings_tell_troubles_only() {
        assert_eq!(told(Form::Text, Verbosity::Quiet, Told::Progress), (String::new(), String::new()));
        let (results, notes) = told(Form::Json, Verbosity::Normal, Told::Troubles);
        assert_eq!(results, "");
        assert_eq!(notes, "/home: a\\nb: owed: permission denied\nwarning: files: slow\n");
    }

    #[test]
    fn with_json_every_line_is_a_record_and_standard_error_is_empty() {
        let (results, notes) = told(Form::Json, Verbosity::Normal, Told::Progress);
        assert_eq!(notes, "");
        let types: Vec<String> = results
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(types.iter().filter(|word| *word == "progress").count(), 27);
        assert_eq!(types[26..], ["trouble", "log", "checkpoint", "progress"]);
    }

    #[test]
    fn troubles_without_end_are_cut() {
        let (output, _, notes) = kept(Form::Text, Verbosity::Normal);
        let progress = quiet_clock(output, Interrupt::new());
        for number in 0..10_000 {
            let outcome = ItemOutcome::Damaged("gone".to_owned());
            progress.event(Event::Item { container: "c".to_owned(), item: number.to_string(), outcome });
        }
        assert_eq!(notes.text().lines().count(), 51);
    }
}
