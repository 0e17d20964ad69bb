//! Search, as far as finding sites needs it: `contentclass:STS_Site` and `contentclass:STS_Web`.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::api::wanted_format;
use super::call::Call;
use super::error::ApiError;
use super::model::{Host, Web, World};
use super::odata::Format;
use super::{SharePoint, answer};

/// Rows per answer at most.
const ROWS_MAX: usize = 500;
/// Rows unless the query says otherwise.
const ROWS: usize = 10;

/// The two names of the service.
const NAMES: [&str; 2] = ["search", "microsoft.office.server.search.rest.searchservice"];

/// Whether an address is search's.
pub(super) fn is_search(call: &Call) -> bool {
    call.segments.first().is_some_and(|first| NAMES.contains(&first.name.as_str()))
}

/// What can be asked.
struct Query {
    text: String,
    start: usize,
    limit: usize,
    columns: Vec<String>,
}

impl SharePoint {
    /// `GET /_api/search/query?querytext='…'`.
    pub(super) fn get_query(&self, call: &Call) -> Result<Response, ApiError> {
        if call.last_name() != "query" {
            return Err(ApiError::no_resource(call.last_name()));
        }
        // Parameters stand in the query string or, for some clients, in the function's brackets.
        let arguments = call.segments.last().map(|last| last.arguments.as_slice()).unwrap_or_default();
        let given = |name: &str| arguments.iter().find(|(mine, _)| mine == name).map(|(_, value)| value);
        let unquoted = |name: &str| {
            if let Some(value) = given(name) {
                return value.text();
            }
            let value = call.options.value(name)?;
            Some(value.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'"))
        };
        let number = |name: &str| match given(name) {
            Some(value) => value.number().and_then(|number| usize::try_from(number).ok()),
            None => call.options.value(name).and_then(|value| value.parse().ok()),
        };
        let text = unquoted("querytext")
            .ok_or_else(|| ApiError::bad_query("The parameter querytext is missing."))?;
        self.search(
            call,
            &Query {
                text,
                start: number("startrow").unwrap_or(0),
                limit: number("rowlimit").unwrap_or(ROWS),
                columns: columns(unquoted("selectproperties").as_deref()),
            },
        )
    }

    /// `POST /_api/search/postquery`.
    pub(super) fn post_query(&self, call: &Call, body: &Value) -> Result<Response, ApiError> {
        let request =
            body.get("request").ok_or_else(|| ApiError::bad_query("The parameter request is missing."))?;
        let number = |name: &str| request.get(name).and_then(Value::as_u64).map(|number| number as usize);
        let selected = match request.get("SelectProperties") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
            Some(Value::Object(inner)) => {
                let names = inner.get("results").and_then(Value::as_array).into_iter().flatten();
                names.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            _ => String::new(),
        };
        let text = request.get("Querytext").and_then(Value::as_str).unwrap_or_default().to_string();
        let (start, limit) = (number("StartRow").unwrap_or(0), number("RowLimit").unwrap_or(ROWS));
        self.search(call, &Query { text, start, limit, columns: columns(Some(&selected)) })
    }

    fn search(&self, call: &Call, query: &Query) -> Result<Response, ApiError> {
        let format = wanted_format(call)?;
        let world = self.world();
        let wants = |class: &str| query.text.contains(&format!("contentclass:{class}"));
        let after = query.text.split("IndexDocId>").nth(1).and_then(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok()
        });
        let mut webs: Vec<&Web> = world.webs.values().filter(|web| web.host != Host::Admin).collect();
        webs.sort_by(|one, other| (one.host, &one.path).cmp(&(other.host, &other.path)));
        let found: Vec<(u64, &Web)> = (17u64..)
            .zip(webs)
            .filter(|(_, web)| !call.viewer.hidden.contains(&web.id))
            .filter(|(_, web)| if web.parent.is_none() { wants("STS_Site") } else { wants("STS_Web") })
            .filter(|(id, _)| after.is_none_or(|after| *id > after))
            .collect();
        let total = found.len();
        let rows: Vec<Value> = found
            .into_iter()
            .skip(query.start)
            .take(query.limit.min(ROWS_MAX))
            .map(|(id, web)| row(format, query, &self.cells(call, &world, id, web)))
            .collect();
        Ok(answer::json(format, StatusCode::OK, &result(format, rows, total)))
    }

    fn cells(&self, call: &Call, world: &World, id: u64, web: &Web) -> Vec<(&'static str, String)> {
        let below = if web.path == "/" { "" } else { web.path.as_str() };
        let path = format!("{}{below}", self.origin_for(call, web.host));
        let site = world.site_of(web);
        vec![
            ("Path", path.clone()),
            ("SPWebUrl", path),
            ("Title", web.title.clone()),
            ("SiteId", site.map_or_else(String::new, |site| site.id.to_string())),
            ("WebId", web.id.to_string()),
            ("contentclass", if web.parent.is_none() { "STS_Site" } else { "STS_Web" }.to_string()),
            ("DocId", id.to_string()),
            ("IndexDocId", id.to_string()),
        ]
    }

    /// Scheme and host of another of the tenant's hosts, seen from where the caller is.
    fn origin_for(&self, call: &Call, host: Host) -> String {
        if call.host == host {
            return call.viewer.origin.clone();
        }
        if !call.viewer.origin.contains("127.0.0.1") {
            // The caller uses real names: OneDrive's is the tenant's with `-my`.
            let bare = call.viewer.origin.replace("-my.", ".");
            return if host == Host::My { bare.replacen('.', "-my.", 1) } else { bare };
        }
        let origins = self.origins.get();
        origins
            .map_or_else(String::new, |all| if host == Host::My { all.my.clone() } else { all.main.clone() })
    }
}

fn columns(selected: Option<&str>) -> Vec<String> {
    let named: Vec<String> = selected
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_string())
        .filter(|name| !name.is_empty())
        .collect();
    if named.is_empty() { ["Title", "Path"].map(str::to_string).to_vec() } else { named }
}

fn row(format: Format, query: &Query, cells: &[(&'static str, String)]) -> Value {
    let named =
        |name: &str| query.columns.iter().any(|column| column.eq_ignore_ascii_case(name)) || name == "DocId";
    let cell = |(name, value): &(&str, String)| {
        let kind = if name.ends_with("DocId") { "Edm.Int64" } else { "Edm.String" };
        json!({"Key": name, "Value": value, "ValueType": kind})
    };
    let cells: Vec<Value> = cells.iter().filter(|(name, _)| named(name)).map(cell).collect();
    json!({"Cells": many(format, cells)})
}

fn many(format: Format, rows: Vec<Value>) -> Value {
    if format == Format::Verbose { json!({"results": rows}) } else { Value::Array(rows) }
}

fn result(format: Format, rows: Vec<Value>, total: usize) -> Value {
    let answer = json!({
        "ElapsedTime": 10,
        "PrimaryQueryResult": {"RelevantResults": {
            "RowCount": rows.len(),
            "Table": {"Rows": many(format, rows)},
            "TotalRows": total,
            "TotalRowsIncludingDuplicates": total,
        }},
    });
    if format == Format::Verbose { json!({"d": {"query": answer}}) } else { answer }
}
