//! Values clients send for columns: as typed JSON, or as the strings of forms.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::error::ApiError;
use super::super::model::{Field, FieldKind, List, World};
use crate::clock::{UnixMillis, iso_seconds, parse_iso};

/// Typed values of an entity's body, checked against the list's columns.
pub(super) fn from_entity(list: &List, body: &Value) -> Result<BTreeMap<String, Value>, ApiError> {
    let fields = body.as_object().ok_or_else(|| ApiError::bad_query("The body is no item."))?;
    let mut values = BTreeMap::new();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "__metadata") {
        let field = list.fields.iter().find(|field| field.is_user_column() && field.rest_name() == *name);
        let field = field.ok_or_else(|| {
            ApiError::bad_query(format!(
                "The property '{name}' does not exist on type '{}'. Make sure to only use property names that are \
                 defined by the type.",
                list.item_type()
            ))
        })?;
        let accepted = field.accept(value).ok_or_else(|| {
            ApiError::bad_query(format!("Cannot convert a value to the type of the property '{name}'."))
        })?;
        values.insert(name.clone(), accepted);
    }
    Ok(values)
}

/// What form values change.
#[derive(Debug, Default)]
pub(super) struct FormChange {
    pub(super) values: BTreeMap<String, Value>,
    pub(super) author: Option<u32>,
    pub(super) editor: Option<u32>,
    pub(super) created: Option<UnixMillis>,
    pub(super) modified: Option<UnixMillis>,
    pub(super) leaf: Option<String>,
}

/// One form value's outcome.
#[derive(Debug)]
pub(super) struct FormResult {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) error: Option<String>,
}

impl FormResult {
    pub(super) fn json(&self, item: u32) -> Value {
        json!({
            "ErrorCode": if self.error.is_some() { -2_146_232_832i64 } else { 0 },
            "ErrorMessage": self.error,
            "FieldName": self.name,
            "FieldValue": self.value,
            "HasException": self.error.is_some(),
            "ItemId": item,
        })
    }
}

/// Reads the `formValues` of a body.
pub(super) fn from_form(
    world: &World,
    list: &List,
    body: &Value,
) -> Result<(FormChange, Vec<FormResult>), ApiError> {
    let rows = match body.get("formValues") {
        Some(Value::Array(rows)) => rows,
        Some(Value::Object(inner)) => inner
            .get("results")
            .and_then(Value::as_array)
            .ok_or_else(|| ApiError::bad_query("formValues is no collection."))?,
        _ => return Err(ApiError::bad_query("The parameter formValues is missing.")),
    };
    let utc = body.get("datesInUTC").and_then(Value::as_bool).unwrap_or(false);
    let mut change = FormChange::default();
    let mut results = Vec::new();
    for row in rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_string);
        let name = text("FieldName").ok_or_else(|| ApiError::bad_query("A form value has no FieldName."))?;
        let value = text("FieldValue").unwrap_or_default();
        let error = take(world, list, &mut change, &name, &value, utc).err();
        results.push(FormResult { name, value, error });
    }
    Ok((change, results))
}

fn take(
    world: &World,
    list: &List,
    change: &mut FormChange,
    name: &str,
    value: &str,
    utc: bool,
) -> Result<(), String> {
    match name {
        "Author" => change.author = Some(person(world, value)?),
        "Editor" => change.editor = Some(person(world, value)?),
        "Created" => change.created = Some(date(value, utc)?),
        "Modified" => change.modified = Some(date(value, utc)?),
        "FileLeafRef" => change.leaf = Some(value.to_string()),
        "ContentTypeId" | "ContentType" => {}
        _ => {
            let field = list.field(name).filter(|field| field.is_user_column());
            let field = field.ok_or_else(|| format!("Column '{name}' does not exist."))?;
            change.values.insert(field.rest_name(), typed(world, field, value, utc)?);
        }
    }
    Ok(())
}

fn typed(world: &World, field: &Field, value: &str, utc: bool) -> Result<Value, String> {
    if value.is_empty() {
        return Ok(Value::Null);
    }
    let wrong = || format!("The value '{value}' does not fit the column '{}'.", field.title);
    match &field.kind {
        FieldKind::Boolean => match value {
            "1" | "true" | "True" => Ok(json!(true)),
            "0" | "false" | "False" => Ok(json!(false)),
            _ => Err(wrong()),
        },
        FieldKind::Number => {
            value.replace(',', "").parse::<f64>().map(|number| json!(number)).map_err(|_| wrong())
        }
        FieldKind::DateTime => Ok(json!(iso_seconds(date(value, utc)?))),
        FieldKind::User => person(world, value).map(|id| json!(id)),
        FieldKind::Lookup(target) => {
            let id = value.split(";#").next().and_then(|id| id.parse::<u32>().ok()).ok_or_else(wrong)?;
            let there = world.lists.get(target).is_some_and(|list| list.items.contains_key(&id));
            if there { Ok(json!(id)) } else { Err(wrong()) }
        }
        FieldKind::Url => {
            let (url, text) = value.split_once(", ").unwrap_or((value, value));
            Ok(json!({"Description": text, "Url": url}))
        }
        _ => field.accept(&json!(value)).ok_or_else(wrong),
    }
}

/// `[{"Key":"i:0#.f|membership|ann@contoso.example"}]`, with either kind of quotes.
fn person(world: &World, value: &str) -> Result<u32, String> {
    let rows: Value =
        serde_json::from_str(&value.replace('\'', "\"")).map_err(|_| "The user is not valid.".to_string())?;
    let login = rows.get(0).and_then(|row| row.get("Key")).and_then(Value::as_str).unwrap_or_default();
    let user = login.rsplit('|').next().unwrap_or_default();
    let person = world.person_of(user).filter(|person| person.login().eq_ignore_ascii_case(login));
    person
        .map(|person| person.id)
        .ok_or_else(|| format!("The user '{login}' does not exist or is not unique."))
}

/// ISO with `utc`; without, only the web's own form: month/day/year and a time, taken as UTC.
fn date(value: &str, utc: bool) -> Result<UnixMillis, String> {
    let wrong =
        || format!("You must specify a valid date within the range of 1/1/1900 and 12/31/8900: '{value}'.");
    if utc && let Some(at) = parse_iso(value) {
        return Ok(at);
    }
    let local = ["%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M", "%m/%d/%Y"];
    let read = |form: &&str| {
        let civil = jiff::civil::DateTime::strptime(form, value)
            .or_else(|_| jiff::civil::Date::strptime(form, value).map(|date| date.at(0, 0, 0, 0)))
            .ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
    };
    local.iter().find_map(read).ok_or_else(wrong)
}
