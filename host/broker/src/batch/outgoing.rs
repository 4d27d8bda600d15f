use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::properties::RawProperties;
use super::wire::{bytes_field_len, field, pair, put_bytes_field, put_length, put_varint_field, varint_field_len};

/// A message on its way out; everything is borrowed and encoded in one pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The value.
    pub payload: &'a [u8],
    /// Decides the partition, and the consumer under Key_Shared.
    pub key: Option<Key<'a>>,
    /// Decides the consumer under Key_Shared in place of the key.
    pub ordering_key: Option<&'a [u8]>,
    /// Properties of another message, handed on as they are, before [`Outgoing::properties`].
    pub forwarded: RawProperties<'a>,
    /// Properties.
    pub properties: Pairs<'a>,
    /// Milliseconds since the epoch; 0 counts as none.
    pub event_time: Option<u64>,
    /// The number of this message among those of its producer; must rise. Without one the producer counts for itself.
    pub sequence_id: Option<u64>,
    /// The message has no value at all (a tombstone to compaction); the payload must be empty.
    pub null_value: bool,
}

/// A routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// Text.
    Text(&'a str),
    /// Any bytes; they travel as base64.
    Binary(&'a [u8]),
    /// A key as it travels, from [`Metadata::raw_key`](super::Metadata::raw_key).
    Raw {
        /// Text, or base64.
        text: &'a [u8],
        /// Whether it is base64 of a binary key.
        base64: bool,
    },
}

impl Key<'_> {
    fn is_base64(&self) -> bool {
        match self {
            Self::Text(_) => false,
            Self::Binary(_) => true,
            Self::Raw { base64, .. } => *base64,
        }
    }

    fn encoded_len(&self) -> usize {
        let text = match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => base64_len(bytes.len()),
            Self::Raw { text, .. } => text.len(),
        };
        bytes_field_len(text) + if self.is_base64() { 2 } else { 0 }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => put_bytes_field(out, field::PARTITION_KEY, text.as_bytes()),
            Self::Raw { text, .. } => put_bytes_field(out, field::PARTITION_KEY, text),
            Self::Binary(bytes) => {
                let length = base64_len(bytes.len());
                put_length(out, field::PARTITION_KEY, length);
                let from = out.len();
                out.resize(from + length, b'=');
                if let Some(to) = out.get_mut(from..) {
                    // The place is exactly as long as the text, so this cannot fail.
                    BASE64.encode_slice(bytes, to).ok();
                }
            }
        }
    }
}

fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// Names and values of properties, in either form that callers have them in.
#[derive(Clone, Copy, Debug)]
pub enum Pairs<'a> {
    /// Borrowed texts.
    Borrowed(&'a [(&'a str, &'a str)]),
    /// Owned texts.
    Owned(&'a [(String, String)]),
}

impl Default for Pairs<'_> {
    fn default() -> Self {
        Self::Borrowed(&[])
    }
}

impl<'a> From<&'a [(&'a str, &'a str)]> for Pairs<'a> {
    fn from(pairs: &'a [(&'a str, &'a str)]) -> Self {
        Self::Borrowed(pairs)
    }
}

impl<'a> From<&'a [(String, String)]> for Pairs<'a> {
    fn from(pairs: &'a [(String, String)]) -> Self {
        Self::Owned(pairs)
    }
}

impl Pairs<'_> {
    fn for_each(&self, mut each: impl FnMut(&str, &str)) {
        match self {
            Self::Borrowed(pairs) => pairs.iter().for_each(|(name, value)| each(name, value)),
            Self::Owned(pairs) => pairs.iter().for_each(|(name, value)| each(name, value)),
        }
    }
}

impl Outgoing<'_> {
    /// How many bytes the message adds to a batch.
    pub fn encoded_len(&self) -> usize {
        4 + self.metadata_len() + self.payload.len()
    }

    fn metadata_len(&self) -> usize {
        let mut length = self.forwarded.encoded_len() + varint_field_len(self.payload.len() as u64);
        self.properties.for_each(|name, value| length += bytes_field_len(pair_len(name, value)));
        length += self.key.map_or(0, |key| key.encoded_len());
        length += self.ordering_key.map_or(0, |key| bytes_field_len(key.len()));
        length += self.event_time.map_or(0, varint_field_len);
        length += self.sequence_id.map_or(0, varint_field_len);
        length + if self.null_value { 2 } else { 0 }
    }

    /// Appends the message in the order in which Pulsar's own clients write the fields.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let size = self.metadata_len();
        out.reserve(4 + size + self.payload.len());
        out.extend_from_slice(&(size as u32).to_be_bytes());
        self.forwarded.put(out);
        self.properties.for_each(|name, value| {
            put_length(out, field::PROPERTIES, pair_len(name, value));
            put_bytes_field(out, pair::KEY, name.as_bytes());
            put_bytes_field(out, pair::VALUE, value.as_bytes());
        });
        if let Some(key) = &self.key {
            key.put(out);
        }
        put_varint_field(out, field::PAYLOAD_SIZE, self.payload.len() as u64);
        if let Some(time) = self.event_time {
            put_varint_field(out, field::EVENT_TIME, time);
        }
        if self.key.is_some_and(|key| key.is_base64()) {
            put_varint_field(out, field::PARTITION_KEY_B64_ENCODED, 1);
        }
        if let Some(key) = self.ordering_key {
            put_bytes_field(out, field::ORDERING_KEY, key);
        }
        if let Some(id) = self.sequence_id {
            put_varint_field(out, field::SEQUENCE_ID, id);
        }
        if self.null_value {
            put_varint_field(out, field::NULL_VALUE, 1);
        }
        out.extend_from_slice(self.payload);
    }
}

fn pair_len(name: &str, value: &str) -> usize {
    bytes_field_len(name.len()) + bytes_field_len(value.len())
}
