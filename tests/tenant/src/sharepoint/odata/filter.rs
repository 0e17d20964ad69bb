//! `$filter`: comparisons, `and`, `or`, `not`, `startswith`, `substringof`, brackets.

use std::cmp::Ordering;

use serde_json::Value;

use crate::sharepoint::error::ApiError;

/// Deepest nesting of brackets and `not`.
const DEPTH_MAX: usize = 32;

/// A column or a constant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand {
    Column(String),
    Constant(Value),
}

/// A condition on one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    Compare(Operand, Comparison, Operand),
    StartsWith(Operand, Operand),
    Contains(Operand, Operand),
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    /// Reads a condition.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut parser = Parser { tokens: tokens(text)?, at: 0, text };
        let filter = parser.either(0)?;
        if parser.at == parser.tokens.len() { Ok(filter) } else { Err(parser.broken()) }
    }

    /// Whether a row fits; `column` answers a column's value, or none if there is no such column.
    pub(crate) fn holds(&self, column: &dyn Fn(&str) -> Option<Value>) -> Result<bool, ApiError> {
        let value = |operand: &Operand| match operand {
            Operand::Constant(value) => Ok(value.clone()),
            Operand::Column(name) => column(name).ok_or_else(|| ApiError::no_field(name)),
        };
        Ok(match self {
            Self::Compare(left, how, right) => how.fits(&value(left)?, &value(right)?),
            Self::StartsWith(whole, start) => {
                text_of(&value(whole)?).to_lowercase().starts_with(&text_of(&value(start)?).to_lowercase())
            }
            Self::Contains(part, whole) => {
                text_of(&value(whole)?).to_lowercase().contains(&text_of(&value(part)?).to_lowercase())
            }
            Self::Not(inner) => !inner.holds(column)?,
            Self::And(one, other) => one.holds(column)? && other.holds(column)?,
            Self::Or(one, other) => one.holds(column)? || other.holds(column)?,
        })
    }

    /// The columns it looks at.
    pub(crate) fn columns<'a>(&'a self) -> Vec<&'a str> {
        match self {
            Self::Compare(one, _, other) | Self::StartsWith(one, other) | Self::Contains(one, other) => {
                let name = |operand: &'a Operand| match operand {
                    Operand::Column(name) => Some(name.as_str()),
                    Operand::Constant(_) => None,
                };
                [one, other].into_iter().filter_map(name).collect()
            }
            Self::Not(inner) => inner.columns(),
            Self::And(one, other) | Self::Or(one, other) => [one.columns(), other.columns()].concat(),
        }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Orders two values as SharePoint does: numbers as numbers, text without case, nothing first.
pub(crate) fn compare(one: &Value, other: &Value) -> Ordering {
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one.cmp(other),
        (Value::Bool(flag), Value::Number(number)) => {
            f64::from(*flag).total_cmp(&number.as_f64().unwrap_or(0.0))
        }
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::Number(_), _) | (_, Value::Number(_)) => {
            number(one).unwrap_or(f64::NAN).total_cmp(&number(other).unwrap_or(f64::NAN))
        }
        _ => text_of(one).to_lowercase().cmp(&text_of(other).to_lowercase()),
    }
}

impl Comparison {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn fits(self, left: &Value, right: &Value) -> bool {
        let order = compare(left, right);
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
}

fn tokens(text: &str) -> Result<Vec<Token>, ApiError> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '(' | ')' | ',' => {
                found.push(match first {
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Comma,
                });
                1
            }
            '\'' => {
                let (value, length) =
                    quoted(rest).ok_or_else(|| ApiError::bad_query("A quote is not closed."))?;
                // guid'…' and datetime'…' are their text.
                if matches!(found.last(), Some(Token::Word(word)) if word == "guid" || word == "datetime") {
                    found.pop();
                }
                found.push(Token::Text(value));
                length
            }
            _ => {
                let end = rest.find(['(', ')', ',', ' ', '\'']).unwrap_or(rest.len());
                found.push(Token::Word(rest[..end].to_string()));
                end
            }
        };
        rest = rest[taken..].trim_start();
    }
    Ok(found)
}

fn quoted(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut at = 1;
    loop {
        let quote = at + text.get(at..)?.find('\'')?;
        value.push_str(&text[at..quote]);
        if text[quote + 1..].starts_with('\'') {
            value.push('\'');
            at = quote + 2;
        } else {
            return Some((value, quote + 1));
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    text: &'a str,
}

impl Parser<'_> {
    fn broken(&self) -> ApiError {
        ApiError::bad_query(format!("The expression \"{}\" is not valid.", self.text))
    }

    fn eat(&mut self, token: &Token) -> bool {
        let there = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(there);
        there
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.eat(&Token::Word(word.to_string()))
    }

    fn either(&mut self, depth: usize) -> Result<Filter, ApiError> {
        let mut left = self.both(depth)?;
        while self.eat_word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.both(depth)?));
        }
        Ok(left)
    }

    fn both(&mut self, depth: usize) -> Result<Filter, ApiError> {
        let mut left = self.one(depth)?;
        while self.eat_word("and") {
            left = Filter::And(Box::new(left), Box::new(self.one(depth)?));
        }
        Ok(left)
    }

    fn one(&mut self, depth: usize) -> Result<Filter, ApiError> {
        if depth == DEPTH_MAX {
            return Err(self.broken());
        }
        if self.eat_word("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.eat(&Token::Open) {
            let inner = self.either(depth + 1)?;
            return if self.eat(&Token::Close) { Ok(inner) } else { Err(self.broken()) };
        }
        for (name, make) in
            [("startswith", Filter::StartsWith as fn(_, _) -> _), ("substringof", Filter::Contains)]
        {
            if self.eat_word(name) {
                return self.call(make);
            }
        }
        let left = self.operand()?;
        let how = match self.tokens.get(self.at) {
            Some(Token::Word(word)) => Comparison::from_word(word),
            _ => None,
        };
        self.at += 1;
        Ok(Filter::Compare(left, how.ok_or_else(|| self.broken())?, self.operand()?))
    }

    fn call(&mut self, make: fn(Operand, Operand) -> Filter) -> Result<Filter, ApiError> {
        let opened = self.eat(&Token::Open);
        let first = self.operand()?;
        let divided = self.eat(&Token::Comma);
        let second = self.operand()?;
        if !(opened && divided && self.eat(&Token::Close)) {
            return Err(self.broken());
        }
        // `startswith(…) eq true` says the same.
        if self.eat_word("eq") && !self.eat_word("true") {
            return Err(self.broken());
        }
        Ok(make(first, second))
    }

    fn operand(&mut self) -> Result<Operand, ApiError> {
        let token = self.tokens.get(self.at).cloned().ok_or_else(|| self.broken())?;
        self.at += 1;
        match token {
            Token::Text(text) => Ok(Operand::Constant(text.into())),
            Token::Word(word) => Ok(match word.as_str() {
                "true" => Operand::Constant(true.into()),
                "false" => Operand::Constant(false.into()),
                "null" => Operand::Constant(Value::Null),
                _ => match word.parse::<f64>() {
                    Ok(number) => Operand::Constant(number.into()),
                    Err(_) => Operand::Column(word),
                },
            }),
            _ => Err(self.broken()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(text: &str) -> bool {
        let column = |name: &str| match name {
            "Id" => Some(json!(5)),
            "Title" => Some(json!("It's")),
            "Hidden" => Some(json!(false)),
            "Modified" => Some(json!("2026-01-10T08:00:00Z")),
            _ => None,
        };
        Filter::parse(text).unwrap().holds(&column).unwrap()
    }

    #[test]
    fn conditions() {
        assert!(holds("Id eq 5 and Title eq 'it''s'"));
        assert!(holds("not (Id gt 5) and Hidden eq false"));
        assert!(holds("Id lt 3 or startswith(Title,'It')"));
        assert!(holds("substringof('t''', Title)"));
        assert!(holds("Modified ge datetime'2026-01-01T00:00:00Z'"));
        assert!(!holds("Id ne 5"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["Id", "Id eq", "Id eq 5 and", "(Id eq 5", "Id == 5", "Title eq 'x"] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        let deep = "(".repeat(5000);
        assert!(Filter::parse(&deep).is_err());
    }
}
