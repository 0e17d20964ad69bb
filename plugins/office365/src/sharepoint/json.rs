//! The service's JSON: what is in it, by name, and as values of the model.

use larder_sdk::{Time, Value, limits::VALUE_DEPTH_MAX};
use serde_json::{Map, Value as Json};

/// A text property; empty if it is missing or none.
pub(super) fn text<'a>(object: &'a Json, name: &str) -> &'a str {
    object.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// A true or false property; false if it is missing.
pub(super) fn flag(object: &Json, name: &str) -> bool {
    object.get(name).and_then(Json::as_bool).unwrap_or(false)
}

/// A whole number, which 64-bit properties write as text.
pub(super) fn number(object: &Json, name: &str) -> Option<i64> {
    match object.get(name)? {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A moment in ISO 8601; one that names no zone is in UTC.
pub(super) fn time(object: &Json, name: &str) -> Option<Time> {
    let text = object.get(name)?.as_str()?;
    let at: jiff::Timestamp = text.parse().or_else(|_| format!("{text}Z").parse()).ok()?;
    Some(Time::from(std::time::SystemTime::from(at)))
}

/// The rows of a collection in any of the shapes, and the address of the next page.
pub(super) fn rows(answer: Json) -> Option<(Vec<Json>, Option<String>)> {
    let Json::Object(mut whole) = answer else { return None };
    if let Some(Json::Object(verbose)) = whole.remove("d") {
        whole = verbose;
    }
    let next = ["odata.nextLink", "@odata.nextLink", "__next"]
        .iter()
        .find_map(|name| whole.get(*name)?.as_str())
        .map(str::to_owned);
    match whole.remove("value").or_else(|| whole.remove("results")) {
        Some(Json::Array(rows)) => Some((rows, next)),
        _ => None,
    }
}

/// Members of a property that is a collection, whichever shape it has.
pub(super) fn members<'a>(object: &'a Json, name: &str) -> &'a [Json] {
    match object.get(name) {
        Some(Json::Array(rows)) => rows,
        Some(nested) => nested.get("results").and_then(Json::as_array).map_or(&[], Vec::as_slice),
        None => &[],
    }
}

/// The properties that are data: without the protocol's own annotations.
pub(super) fn plain(object: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    object
        .iter()
        .filter(|(name, _)| !name.starts_with("odata.") && !name.contains("@odata.") && *name != "__metadata")
}

/// A value less the protocol's own annotations, at every depth that the model allows.
pub(super) fn bare(json: &Json) -> Json {
    bare_at(json, 0)
}

fn bare_at(json: &Json, depth: usize) -> Json {
    match json {
        nested if depth >= VALUE_DEPTH_MAX => nested.clone(),
        Json::Array(values) => values.iter().map(|value| bare_at(value, depth + 1)).collect(),
        Json::Object(values) => {
            let kept = plain(values).filter(|(_, value)| value.get("__deferred").is_none());
            kept.map(|(name, value)| (name.clone(), bare_at(value, depth + 1))).collect()
        }
        other => other.clone(),
    }
}

/// A JSON value as a value of the model; what is nested too deeply becomes text.
pub(super) fn value(json: &Json) -> Value {
    value_at(json, 0)
}

fn value_at(json: &Json, depth: usize) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(text.clone()),
        nested if depth + 2 >= VALUE_DEPTH_MAX => Value::Text(nested.to_string()),
        Json::Array(values) => Value::List(values.iter().map(|value| value_at(value, depth + 1)).collect()),
        Json::Object(values) => Value::Map(
            values.iter().map(|(name, value)| (name.clone(), value_at(value, depth + 1))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn collections_in_all_shapes() {
        let (found, next) = rows(json!({"value": [1, 2], "odata.nextLink": "u"})).unwrap();
        assert_eq!((found.len(), next.as_deref()), (2, Some("u")));
        let (found, next) = rows(json!({"d": {"results": [1], "__next": "v"}})).unwrap();
        assert_eq!((found.len(), next.as_deref()), (1, Some("v")));
        assert!(rows(json!([1])).is_none() && rows(json!({"d": {}})).is_none());
        assert_eq!(members(&json!({"a": {"results": [1]}}), "a").len(), 1);
    }

    #[test]
    fn values_become_the_models() {
        assert_eq!(value(&json!(7)), Value::Int(7));
        assert_eq!(
            value(&json!({"a": [1.5]})),
            Value::Map(vec![("a".into(), Value::List(vec![Value::Float(1.5)]))])
        );
        let mut deep = json!("x");
        for _ in 0..100 {
            deep = json!([deep]);
        }
        assert!(format!("{:?}", value(&deep)).contains("Text"), "depth is bounded");
        assert_eq!(number(&json!({"Length": "12"}), "Length"), Some(12));
        assert_eq!(time(&json!({"t": "1970-01-01T00:01:00Z"}), "t"), Some(Time::from_seconds(60)));
    }
}
