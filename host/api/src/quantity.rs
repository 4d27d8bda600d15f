use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A number of bytes as it is written: digits, then nothing, `k`, `M`, `G`, `T` (powers of 1,000) or `Ki`, `Mi`, `Gi`,
/// `Ti` (powers of 1,024).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(String);

const UNITS: [(&str, u64); 9] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("", 1),
];

impl Quantity {
    /// A quantity in its written form; it is read by [`Quantity::bytes`].
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// How many bytes it is; `None` when it is not written as it must be, or is 2^64 or more.
    pub fn bytes(&self) -> Option<u64> {
        let digits = self.0.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = self.0.get(digits.len()..)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse::<u64>().ok()?.checked_mul(*factor)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<u64> for Quantity {
    fn from(bytes: u64) -> Self {
        Self(bytes.to_string())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Self::from(bytes),
            Written::Text(text) => Self(text),
        })
    }
}

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "minimum": 0, "pattern": "^[0-9]+([kMGT]|[KMGT]i)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_powers_of_1000_or_1024() {
        for (text, bytes) in
            [("0", 0), ("17", 17), ("64Mi", 64 << 20), ("1Gi", 1 << 30), ("2k", 2_000), ("3M", 3_000_000)]
        {
            assert_eq!(Quantity::new(text).bytes(), Some(bytes), "{text}");
        }
        for text in
            ["", "Mi", "-1", "1.5Gi", "64MB", "64 Mi", "1KI", "99999999999999999999", "18446744073709551615k", "é"]
        {
            assert_eq!(Quantity::new(text).bytes(), None, "{text}");
        }
    }
}
