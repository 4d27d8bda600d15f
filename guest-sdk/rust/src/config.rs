//! User configuration by serde. Its entries are text: strings as they were declared, everything else as JSON.

use std::fmt;

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use crate::Error;

/// All entries as one value.
pub(crate) fn all<T: DeserializeOwned>(entries: Result<Vec<(String, String)>, String>) -> Result<T, Error> {
    let entries = entries.map_err(unread)?;
    let fields = entries.iter().map(|(name, text)| (name.as_str(), Entry { name, text }));
    T::deserialize(MapDeserializer::new(fields)).map_err(|Wrong(text)| Error::fatal(format!("funcConfig: {text}")))
}

/// One entry.
pub(crate) fn one<T: DeserializeOwned>(name: &str, entry: Result<Option<String>, String>) -> Result<Option<T>, Error> {
    let Some(text) = entry.map_err(unread)? else { return Ok(None) };
    let value = T::deserialize(Entry { name, text: &text });
    value.map(Some).map_err(|Wrong(text)| Error::fatal(format!("funcConfig: {text}")))
}

fn unread(text: String) -> Error {
    Error::retry(format!("funcConfig cannot be read: {text}"))
}

/// Text that becomes what it is asked to be: the type decides whether `3` is a number or a string.
#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a str,
    text: &'a str,
}

impl Entry<'_> {
    fn wrong(&self, error: impl fmt::Display) -> Wrong {
        Wrong(format!("{}: {error} in {:?}", self.name, self.text))
    }
}

impl<'de> IntoDeserializer<'de, Wrong> for Entry<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! from_json {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Wrong> {
            let mut json = serde_json::Deserializer::from_str(self.text);
            (&mut json).$method($($argument,)* visitor).and_then(|value| json.end().map(|()| value))
                .map_err(|error| self.wrong(error))
        })*
    };
}

macro_rules! from_text {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            visitor.visit_borrowed_str(self.text)
        })*
    };
}

impl<'de> Deserializer<'de> for Entry<'de> {
    type Error = Wrong;

    from_text! { deserialize_str deserialize_string deserialize_char deserialize_identifier }

    from_json! {
        deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_unit() deserialize_seq() deserialize_map()
        deserialize_tuple(len: usize)
        deserialize_unit_struct(name: &'static str)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }

    /// Where the type leaves it open, what reads as JSON is JSON and the rest is a string.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match serde_json::from_str::<serde_json::Value>(self.text) {
            Ok(value) => value.deserialize_any(visitor).map_err(|error| self.wrong(error)),
            Err(_) => visitor.visit_borrowed_str(self.text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.text == "null" { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    /// A variant without data is a string; one with data is an object.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        if self.text.starts_with('{') {
            let mut json = serde_json::Deserializer::from_str(self.text);
            return json.deserialize_enum(name, variants, visitor).map_err(|error| self.wrong(error));
        }
        let variant: StrDeserializer<'_, Wrong> = self.text.into_deserializer();
        variant.deserialize_enum(name, variants, visitor).map_err(|Wrong(error)| self.wrong(error))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_borrowed_bytes(self.text.as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_borrowed_bytes(self.text.as_bytes())
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_unit()
    }
}

/// What serde found wrong.
#[derive(Debug)]
struct Wrong(String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}
