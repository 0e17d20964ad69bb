//! Resource addresses: what follows `/_api/`, cut into named segments with arguments.

use crate::sharepoint::error::ApiError;
use crate::sharepoint::model::Guid;

/// Longest address looked at, in bytes; SharePoint Online takes about as much.
const ADDRESS_BYTES_MAX: usize = 8192;
/// Most segments of an address.
const SEGMENTS_MAX: usize = 40;

/// One argument's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Text(String),
    Guid(Guid),
    Number(i64),
    Bool(bool),
    Null,
}

impl Literal {
    /// A string, or a GUID in its text form.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Guid(id) => Some(id.to_string()),
            _ => None,
        }
    }

    /// A GUID, written as such or in a string.
    pub(crate) fn guid(&self) -> Option<Guid> {
        match self {
            Self::Guid(id) => Some(id.clone()),
            Self::Text(text) => Guid::parse(text),
            _ => None,
        }
    }

    /// A number, written as such or in a string.
    pub(crate) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

/// `name(key)` or `name(first=…,second=…)`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    /// In lower case; SharePoint does not mind.
    pub(crate) name: String,
    pub(crate) arguments: Vec<(String, Literal)>,
}

impl Segment {
    /// The first argument, whatever its name.
    pub(crate) fn first(&self) -> Option<&Literal> {
        self.arguments.first().map(|(_, value)| value)
    }

    /// The argument of this (lower-case) name, or the only unnamed one.
    pub(crate) fn argument(&self, name: &str) -> Option<&Literal> {
        let named = self.arguments.iter().find(|(mine, _)| mine == name);
        named.or_else(|| self.arguments.iter().find(|(mine, _)| mine.is_empty())).map(|(_, value)| value)
    }

    /// The first argument as a string, or the refusal SharePoint gives.
    pub(crate) fn text(&self) -> Result<String, ApiError> {
        self.first().and_then(Literal::text).ok_or_else(|| self.misused())
    }

    pub(crate) fn guid(&self) -> Result<Guid, ApiError> {
        self.first().and_then(Literal::guid).ok_or_else(|| self.misused())
    }

    pub(crate) fn number(&self) -> Result<u32, ApiError> {
        let number = self.first().and_then(Literal::number);
        number.and_then(|number| u32::try_from(number).ok()).ok_or_else(|| self.misused())
    }

    fn misused(&self) -> ApiError {
        ApiError::bad_query(format!("The parameters of '{}' are missing or of the wrong type.", self.name))
    }
}

/// A whole address.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ResourcePath {
    pub(crate) segments: Vec<Segment>,
}

/// Decodes `%XX` once; none if the result is no UTF-8 or a `%` stands alone.
pub(crate) fn decode(raw: &str) -> Option<String> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (bytes.next()?, bytes.next()?);
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            out.push(digit(high)? * 16 + digit(low)?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

impl ResourcePath {
    /// Reads an address as it stood in the request line; `alias` answers `@name`.
    pub(crate) fn parse(raw: &str, alias: &dyn Fn(&str) -> Option<String>) -> Result<Self, ApiError> {
        if raw.len() > ADDRESS_BYTES_MAX {
            return Err(ApiError::bad_query("The address is too long."));
        }
        let text = decode(raw).ok_or_else(|| ApiError::bad_query("The address is not well encoded."))?;
        let mut parser = Parser { rest: text.as_str(), alias };
        let mut segments = Vec::new();
        while !parser.rest.is_empty() {
            if segments.len() == SEGMENTS_MAX {
                return Err(ApiError::bad_query("The address has too many parts."));
            }
            segments.push(parser.segment()?);
            parser.rest = parser.rest.trim_start_matches('/');
        }
        Ok(Self { segments })
    }
}

struct Parser<'a> {
    rest: &'a str,
    alias: &'a dyn Fn(&str) -> Option<String>,
}

impl Parser<'_> {
    fn broken(&self) -> ApiError {
        ApiError::bad_query(format!("The expression at '{}' is not valid.", self.rest))
    }

    fn eat(&mut self, expected: char) -> bool {
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn segment(&mut self) -> Result<Segment, ApiError> {
        let end = self.rest.find(['/', '(']).unwrap_or(self.rest.len());
        let name = self.rest[..end].to_lowercase();
        self.rest = &self.rest[end..];
        let mut arguments = Vec::new();
        if self.eat('(') && !self.eat(')') {
            loop {
                arguments.push(self.argument()?);
                if self.eat(')') {
                    break;
                }
                if !self.eat(',') {
                    return Err(self.broken());
                }
                self.rest = self.rest.trim_start();
            }
        }
        if !(self.rest.is_empty() || self.rest.starts_with('/')) || name.is_empty() {
            return Err(self.broken());
        }
        Ok(Segment { name, arguments })
    }

    fn argument(&mut self) -> Result<(String, Literal), ApiError> {
        let word =
            self.rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(0);
        let mut name = String::new();
        if word > 0 && self.rest[word..].starts_with('=') {
            name = self.rest[..word].to_lowercase();
            self.rest = &self.rest[word + 1..];
        }
        Ok((name, self.literal()?))
    }

    fn literal(&mut self) -> Result<Literal, ApiError> {
        if self.rest.starts_with('\'') {
            return Ok(Literal::Text(self.quoted()?));
        }
        if self.rest.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("guid'")) {
            self.rest = &self.rest[4..];
            let text = self.quoted()?;
            return Guid::parse(&text).map(Literal::Guid).ok_or_else(|| self.broken());
        }
        let end = self.rest.find([',', ')']).ok_or_else(|| self.broken())?;
        let word = self.rest[..end].trim();
        let value = match word {
            "null" => Some(Literal::Null),
            "true" => Some(Literal::Bool(true)),
            "false" => Some(Literal::Bool(false)),
            _ => match word.strip_prefix('@') {
                Some(name) => return self.aliased(name, end),
                None => {
                    word.parse().ok().map(Literal::Number).or_else(|| Guid::parse(word).map(Literal::Guid))
                }
            },
        };
        let value = value.ok_or_else(|| self.broken())?;
        self.rest = &self.rest[end..];
        Ok(value)
    }

    fn aliased(&mut self, name: &str, end: usize) -> Result<Literal, ApiError> {
        let text = (self.alias)(name).ok_or_else(|| self.broken())?;
        // The alias stands for one literal; a bracket after it lets the same rules read it.
        let closed = format!("{text})");
        let value = Parser { rest: &closed, alias: &|_| None }.literal()?;
        self.rest = &self.rest[end..];
        Ok(value)
    }

    fn quoted(&mut self) -> Result<String, ApiError> {
        let mut text = String::new();
        let mut rest = self.rest.strip_prefix('\'').ok_or_else(|| self.broken())?;
        loop {
            let quote = rest.find('\'').ok_or_else(|| self.broken())?;
            text.push_str(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix('\'') {
                Some(after) => {
                    text.push('\'');
                    rest = after;
                }
                None => break,
            }
        }
        self.rest = rest;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<ResourcePath, ApiError> {
        ResourcePath::parse(raw, &|name| (name == "f").then(|| "'/a/it''s'".to_string()))
    }

    #[test]
    fn names_and_arguments() {
        let path = parse("web/lists(guid'0A7A1F00-0000-4000-8000-000000000001')/items(5)/$value").unwrap();
        let names: Vec<_> = path.segments.iter().map(|segment| segment.name.as_str()).collect();
        assert_eq!(names, ["web", "lists", "items", "$value"]);
        assert_eq!(path.segments[1].guid().unwrap().as_str(), "0a7a1f00-0000-4000-8000-000000000001");
        assert_eq!(path.segments[2].number().unwrap(), 5);
    }

    #[test]
    fn paths_are_decoded_once_and_quotes_are_doubled() {
        let raw =
            "web/GetFileByServerRelativePath(decodedUrl='/sites/a/it''s%20100%25%231%20(x).txt')/$value";
        let path = parse(raw).unwrap();
        assert_eq!(path.segments[1].text().unwrap(), "/sites/a/it's 100%#1 (x).txt");
        assert_eq!(path.segments.len(), 3);
        let slashes = parse("web/getfolderbyserverrelativepath(DecodedUrl='%2Fsites%2Fa')/Files").unwrap();
        assert_eq!(slashes.segments[1].argument("decodedurl"), Some(&Literal::Text("/sites/a".into())));
    }

    #[test]
    fn aliases_and_several_arguments() {
        let path = parse("web/GetFileByServerRelativePath(decodedUrl=@f)").unwrap();
        assert_eq!(path.segments[1].text().unwrap(), "/a/it's");
        let upload =
            parse("x/ContinueUpload(uploadId=guid'0a7a1f00-0000-4000-8000-000000000001',fileOffset=10)");
        assert_eq!(upload.unwrap().segments[1].argument("fileoffset"), Some(&Literal::Number(10)));
    }

    #[test]
    fn nonsense_is_refused() {
        for raw in ["web/lists('", "web/lists(5", "web/x('a'b)", "web/%zz", "web/%ff", "web/lists(@none)"] {
            assert!(parse(raw).is_err(), "{raw}");
        }
    }
}
