//! Which JSON form a request asks for.

/// The three forms SharePoint speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Verbose,
    Minimal,
    Bare,
}

impl Format {
    /// From an `Accept` header; none if it does not ask for JSON at all.
    pub(crate) fn from_accept(accept: &str) -> Option<Self> {
        let accept = accept.to_ascii_lowercase();
        let json = accept.split(',').find(|part| part.trim().starts_with("application/json"))?;
        let level = json.split(';').find_map(|parameter| parameter.trim().strip_prefix("odata="));
        Some(match level.unwrap_or("minimalmetadata") {
            "verbose" => Self::Verbose,
            "nometadata" => Self::Bare,
            _ => Self::Minimal,
        })
    }

    /// The `Content-Type` of an answer in this form.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Verbose => "application/json;odata=verbose;charset=utf-8",
            Self::Minimal => "application/json;odata=minimalmetadata;streaming=true;charset=utf-8",
            Self::Bare => "application/json;odata=nometadata;streaming=true;charset=utf-8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers() {
        assert_eq!(Format::from_accept("application/json;odata=verbose"), Some(Format::Verbose));
        assert_eq!(Format::from_accept("application/json; odata=nometadata"), Some(Format::Bare));
        assert_eq!(Format::from_accept("application/json"), Some(Format::Minimal));
        assert_eq!(Format::from_accept("*/*"), None);
        assert_eq!(Format::from_accept("application/atom+xml"), None);
    }
}
