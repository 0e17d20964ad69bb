//! Entities as JSON: verbose, with minimal metadata, or bare.

use serde_json::{Map, Value, json};

use super::{Entity, Format, Prop};

/// Writes entities for one request.
#[derive(Clone, Debug)]
pub(crate) struct Renderer {
    pub(crate) format: Format,
    /// Absolute address of the web's `_api/`, with the slash.
    pub(crate) base: String,
}

impl Renderer {
    /// One entity as the whole answer.
    pub(crate) fn entity(&self, entity: &Entity) -> Value {
        match self.format {
            Format::Verbose => json!({"d": self.body(entity)}),
            Format::Minimal => {
                let mut body = Map::new();
                let context = format!("{}$metadata#{}/@Element", self.base, set_name(&entity.kind));
                body.insert("odata.metadata".into(), context.into());
                if let Value::Object(rest) = self.body(entity) {
                    body.extend(rest);
                }
                Value::Object(body)
            }
            Format::Bare => self.body(entity),
        }
    }

    /// Several entities as the whole answer; `next` is the absolute address of the next page.
    pub(crate) fn collection(&self, kind: &str, entities: &[Entity], next: Option<&str>) -> Value {
        let rows: Vec<Value> = entities.iter().map(|entity| self.body(entity)).collect();
        if self.format == Format::Verbose {
            let mut inner = Map::from_iter([("results".to_string(), Value::Array(rows))]);
            if let Some(next) = next {
                inner.insert("__next".into(), next.into());
            }
            return json!({"d": inner});
        }
        let mut outer = Map::new();
        if self.format == Format::Minimal {
            outer
                .insert("odata.metadata".into(), format!("{}$metadata#{}", self.base, set_name(kind)).into());
        }
        outer.insert("value".into(), Value::Array(rows));
        if let Some(next) = next {
            outer.insert("odata.nextLink".into(), next.into());
        }
        Value::Object(outer)
    }

    /// A function's plain result.
    pub(crate) fn value(&self, function: &str, value: &Value) -> Value {
        match self.format {
            Format::Verbose => json!({"d": {function: value}}),
            Format::Minimal => {
                json!({"odata.metadata": format!("{}$metadata#Edm.String", self.base), "value": value})
            }
            Format::Bare => json!({"value": value}),
        }
    }

    /// An error's body.
    pub(crate) fn error(format: Format, code: &str, message: &str) -> Value {
        let inner = json!({"code": code, "message": {"lang": "en-US", "value": message}});
        if format == Format::Verbose { json!({"error": inner}) } else { json!({"odata.error": inner}) }
    }

    fn body(&self, entity: &Entity) -> Value {
        let mut body = Map::new();
        let address = format!("{}{}", self.base, entity.address);
        match self.format {
            Format::Verbose => {
                let mut metadata = json!({"id": address, "uri": address, "type": entity.kind});
                if let Some(etag) = &entity.etag {
                    metadata["etag"] = json!(etag);
                }
                body.insert("__metadata".into(), metadata);
            }
            Format::Minimal => {
                body.insert("odata.type".into(), json!(entity.kind));
                body.insert("odata.id".into(), json!(address));
                if let Some(etag) = &entity.etag {
                    body.insert("odata.etag".into(), json!(etag));
                }
                body.insert("odata.editLink".into(), json!(entity.address));
            }
            Format::Bare => {}
        }
        for (name, prop) in &entity.props {
            self.property(&mut body, &address, name, prop);
        }
        Value::Object(body)
    }

    fn property(&self, body: &mut Map<String, Value>, address: &str, name: &str, prop: &Prop) {
        let verbose = self.format == Format::Verbose;
        let value = match prop {
            Prop::Plain(value) | Prop::Extra(value) => self.plain(value),
            Prop::Complex(kind, parts) => {
                let mut inner = Map::new();
                if verbose {
                    inner.insert("__metadata".into(), json!({"type": kind}));
                }
                inner.extend(parts.iter().map(|(part, value)| ((*part).to_string(), value.clone())));
                Value::Object(inner)
            }
            Prop::Link if verbose => json!({"__deferred": {"uri": format!("{address}/{name}")}}),
            Prop::Link => return,
            Prop::One(entity) => self.body(entity),
            Prop::Many(entities) => {
                let rows: Vec<Value> = entities.iter().map(|entity| self.body(entity)).collect();
                if verbose { json!({"results": rows}) } else { Value::Array(rows) }
            }
        };
        if self.format == Format::Minimal && matches!(prop, Prop::One(_) | Prop::Many(_)) {
            body.insert(format!("{name}@odata.navigationLinkUrl"), json!(format!("{address}/{name}")));
        }
        body.insert(name.to_string(), value);
    }

    fn plain(&self, value: &Value) -> Value {
        match value {
            Value::Array(values) if self.format == Format::Verbose => {
                json!({"__metadata": {"type": "Collection(Edm.String)"}, "results": values})
            }
            other => other.clone(),
        }
    }
}

fn set_name(kind: &str) -> String {
    format!("SP.ApiData.{}s", kind.rsplit('.').next().unwrap_or(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity() -> Entity {
        let mut entity =
            Entity::new("SP.List", "Web/Lists(guid'x')").with("Title", "A").with_links(&["Fields"]);
        entity.etag = Some("\"1\"".into());
        entity.with_path("Path", "/a")
    }

    fn renderer(format: Format) -> Renderer {
        Renderer { format, base: "https://host/_api/".into() }
    }

    #[test]
    fn the_three_forms_of_an_entity() {
        let verbose = renderer(Format::Verbose).entity(&entity());
        assert_eq!(verbose["d"]["__metadata"]["type"], "SP.List");
        assert_eq!(
            verbose["d"]["Fields"]["__deferred"]["uri"],
            "https://host/_api/Web/Lists(guid'x')/Fields"
        );
        assert_eq!(verbose["d"]["Path"]["__metadata"]["type"], "SP.ResourcePath");
        let minimal = renderer(Format::Minimal).entity(&entity());
        assert_eq!(minimal["odata.etag"], "\"1\"");
        assert!(minimal.get("Fields").is_none());
        let bare = renderer(Format::Bare).entity(&entity());
        assert_eq!(bare, json!({"Title": "A", "Path": {"DecodedUrl": "/a"}}));
    }

    #[test]
    fn the_three_forms_of_a_page() {
        let next = Some("https://host/next");
        let rows = [entity()];
        assert_eq!(
            renderer(Format::Verbose).collection("SP.List", &rows, next)["d"]["__next"],
            "https://host/next"
        );
        let bare = renderer(Format::Bare).collection("SP.List", &rows, next);
        assert_eq!(bare["odata.nextLink"], "https://host/next");
        assert_eq!(bare["value"][0]["Title"], "A");
    }
}
