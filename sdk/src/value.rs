//! Free-form values of metadata: what a field of a list item or a property of a message may hold.

use std::cell::Cell;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use crate::{Time, limits::VALUE_DEPTH_MAX};

/// One free-form value. Nested at most [`VALUE_DEPTH_MAX`] deep; decoding refuses more.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Value {
    /// Present, without a value.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// Text.
    Text(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
    /// A moment.
    Time(Time),
    /// Several values in order.
    List(Vec<Value>),
    /// Named values in order.
    Map(Vec<(String, Value)>),
}

/// The shape on the wire: the same variants in the same order.
#[derive(Deserialize)]
enum Wire {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Time(Time),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Counts one level of nesting for as long as it lives, so that hostile input cannot exhaust the stack.
pub(crate) struct Level;

impl Level {
    pub(crate) fn enter() -> Option<Self> {
        DEPTH.with(|depth| {
            (depth.get() < VALUE_DEPTH_MAX).then(|| {
                depth.set(depth.get() + 1);
                Level
            })
        })
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Some(_level) = Level::enter() else {
            return Err(D::Error::custom("a value is nested too deeply"));
        };
        Ok(match Wire::deserialize(deserializer)? {
            Wire::Null => Value::Null,
            Wire::Bool(value) => Value::Bool(value),
            Wire::Int(value) => Value::Int(value),
            Wire::Float(value) => Value::Float(value),
            Wire::Text(value) => Value::Text(value),
            Wire::Bytes(value) => Value::Bytes(value),
            Wire::Time(value) => Value::Time(value),
            Wire::List(value) => Value::List(value),
            Wire::Map(value) => Value::Map(value),
        })
    }
}
