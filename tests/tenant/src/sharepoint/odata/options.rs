//! Query options: `$select`, `$expand`, `$filter`, `$orderby`, `$top`, `$skip`, `$skiptoken` and aliases.

use super::path::decode;
use crate::sharepoint::error::ApiError;

/// Most names in `$select` or `$expand`.
const NAMES_MAX: usize = 200;

/// The options of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueryOptions {
    /// Paths, each cut at its slashes.
    pub(crate) select: Vec<Vec<String>>,
    pub(crate) expand: Vec<Vec<String>>,
    pub(crate) filter: Option<String>,
    /// Column and whether it goes down.
    pub(crate) order: Option<(String, bool)>,
    pub(crate) top: Option<usize>,
    pub(crate) skip: usize,
    pub(crate) skip_token: Option<String>,
    /// All pairs, decoded, in order.
    pub(crate) pairs: Vec<(String, String)>,
}

impl QueryOptions {
    /// Reads the part of a URL behind `?`.
    pub(crate) fn parse(raw: &str) -> Result<Self, ApiError> {
        let mut options = Self::default();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let clean = |text: &str| decode(&text.replace('+', " "));
            let (Some(name), Some(value)) = (clean(name), clean(value)) else {
                return Err(ApiError::bad_query("The query is not well encoded."));
            };
            options.take(&name, &value)?;
            options.pairs.push((name, value));
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        let number = || {
            let wrong = || ApiError::bad_query(format!("Invalid value '{value}' for query option '{name}'."));
            value.parse::<usize>().map_err(|_| wrong())
        };
        match name.to_lowercase().as_str() {
            "$select" => self.select = names(value)?,
            "$expand" => self.expand = names(value)?,
            "$filter" => self.filter = Some(value.to_string()).filter(|text| !text.trim().is_empty()),
            "$orderby" => self.order = order(value),
            "$top" => self.top = Some(number()?),
            "$skip" => self.skip = number()?,
            "$skiptoken" => self.skip_token = Some(value.to_string()),
            other if other.starts_with('$') && other != "$format" && other != "$inlinecount" => {
                return Err(ApiError::bad_query(format!("The query option '{name}' is not supported.")));
            }
            _ => {}
        }
        Ok(())
    }

    /// The value of a plain or alias parameter, by lower-case name.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(mine, _)| mine.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The query of the next page: this one with another `$skiptoken`.
    pub(crate) fn next_query(&self, skip_token: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("$skiptoken", skip_token);
        for (name, value) in self.pairs.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("$skiptoken")) {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

fn names(value: &str) -> Result<Vec<Vec<String>>, ApiError> {
    let path = |name: &str| name.trim().split('/').map(str::to_string).collect();
    let names: Vec<Vec<String>> = value.split(',').filter(|name| !name.trim().is_empty()).map(path).collect();
    if names.len() > NAMES_MAX {
        return Err(ApiError::bad_query("The query names too many properties."));
    }
    Ok(names)
}

fn order(value: &str) -> Option<(String, bool)> {
    let first = value.split(',').next()?.trim();
    let (name, direction) = first.split_once(' ').unwrap_or((first, "asc"));
    (!name.is_empty()).then(|| (name.to_string(), direction.trim().eq_ignore_ascii_case("desc")))
}
