//! The source of docs/plugin-guide.md, built apart from Larder as a third party would.
#![forbid(unsafe_code)]

use larder_sdk::{
    Body, Container, Cursor, Discovery, Error, ErrorKind, Event, Finding, FindingLevel, Host, Item, Kind,
    Offer, Plugin, PluginInfo, Reader, ReaderHost, ReadyBody, Result, Schema, ScopeId, Source, StreamInfo,
    Tag, Takes, async_trait,
};
use serde::Deserialize;

/// The plugin: a unit struct, exported.
pub struct Clock;
larder_sdk::export_plugin!(Clock);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    hours: u32,
}

impl Plugin for Clock {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("clock", env!("CARGO_PKG_VERSION"), "The hours of the day.")
            .with_source(Schema::new().required("hours", Takes::Integer(0, 24), "how many hours the day has"))
    }

    fn source(&self, options: &str, _host: Host) -> Result<Box<dyn Source>> {
        let options: Options = serde_json::from_str(options).map_err(|error| {
            Error::new(ErrorKind::Configuration, "the options do not fit").with_source(error)
        })?;
        Ok(Box::new(Hours { hours: options.hours }))
    }
}

struct Hours {
    hours: u32,
}

#[async_trait]
impl Source for Hours {
    async fn validate(&self) -> Result<Vec<Finding>> {
        Ok(vec![Finding {
            level: FindingLevel::Good,
            subject: "clock".to_owned(),
            code: "ticking".to_owned(),
            message: format!("The day has {} hours.", self.hours),
            hint: None,
        }])
    }

    async fn discover(&self) -> Result<Discovery> {
        let day = Container {
            id: "day".into(),
            path: vec!["clock".into(), "day".into()],
            kind: Kind::new("clock"),
            title: "The day".to_owned(),
            path_ids: false,
            meta: Vec::new(),
        };
        Ok(Discovery { containers: vec![day], findings: Vec::new() })
    }

    async fn read(&self, container: &Container, host: ReaderHost) -> Result<Box<dyn Reader>> {
        if container.id != "day".into() {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no container {:?}", container.id)));
        }
        let scope = ScopeId::from("hours");
        let mut events = Vec::new();
        // First what is owed: items that an earlier run could not read.
        for owed in host.owed(None, 24).await? {
            events.push(match (0..self.hours).find(|hour| owed.id == id(*hour).into()) {
                Some(hour) => Event::Offer(offer(&scope, hour)),
                None => Event::Deleted(owed.id),
            });
        }
        // Then what changed since the cursor; without one, everything, between `Begin` and `End`.
        let now = Cursor::new(self.hours.to_string());
        if host.cursor(&scope).await? != Some(now.clone()) {
            events.push(Event::Begin(scope.clone()));
            events.extend((0..self.hours).map(|hour| Event::Offer(offer(&scope, hour))));
            events.push(Event::End(scope.clone()));
        }
        events.push(Event::Settled(scope, now));
        Ok(Box::new(HoursReader { events: events.into() }))
    }
}

fn id(hour: u32) -> String {
    format!("hour-{hour:02}")
}

fn offer(scope: &ScopeId, hour: u32) -> Offer {
    let item = Item {
        id: id(hour).into(),
        parent: "".into(),
        name: format!("{hour:02}.txt").into(),
        kind: Kind::FILE,
        folder: false,
        tag: Tag::from("1"),
        modified: None,
        posix: None,
        meta: Vec::new(),
        streams: vec![StreamInfo::content("text/plain", None)],
    };
    // `carry` comes back with `open`; it never leaves the plugin.
    Offer { scope: scope.clone(), item, carry: Some(std::sync::Arc::new(hour)) }
}

struct HoursReader {
    events: std::sync::Mutex<Vec<Event>>,
}

#[async_trait]
impl Reader for HoursReader {
    async fn next(&self) -> Result<Vec<Event>> {
        let mut events = self.events.lock().map_err(|_| Error::bug("a thread panicked with the events"))?;
        Ok(std::mem::take(&mut *events))
    }

    async fn open(&self, offer: &Offer, stream: usize) -> Result<Box<dyn Body>> {
        let hour = offer.carry.as_ref().and_then(|carry| carry.downcast_ref::<u32>());
        match (hour, stream) {
            (Some(hour), 0) => Ok(Box::new(ReadyBody::new(format!("It is {hour} o'clock.\n")))),
            _ => Err(Error::new(ErrorKind::NotFound, "there is no such stream")),
        }
    }
}
