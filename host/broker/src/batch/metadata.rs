use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::outgoing::Key;
use super::properties::{Properties, RawProperties};
use super::wire::{Fields, Malformed, Value, field};

/// What came with a message besides its payload: the encoded bytes, and where in them things are.
#[derive(Clone)]
pub struct Metadata {
    raw: Bytes,
    key: Span,
    ordering_key: Span,
    properties: Span,
    event_time: u64,
    sequence_id: u64,
    flags: u16,
}

/// From and to in [`Metadata::raw`]; entries are far below 4 GiB.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    from: u32,
    to: u32,
}

const KEY: u16 = 1;
const KEY_BASE64: u16 = 1 << 1;
const KEY_NULL: u16 = 1 << 2;
const ORDERING_KEY: u16 = 1 << 3;
const EVENT_TIME: u16 = 1 << 4;
const SEQUENCE_ID: u16 = 1 << 5;
const NULL_VALUE: u16 = 1 << 6;
const COMPACTED_OUT: u16 = 1 << 7;
const PROPERTIES: u16 = 1 << 8;
const PROPERTIES_APART: u16 = 1 << 9;

impl Metadata {
    /// Finds the fields of an encoded `SingleMessageMetadata`; also tells the payload's size, which it must hold.
    pub(super) fn parse(raw: Bytes) -> Result<(Self, usize), Malformed> {
        if u32::try_from(raw.len()).is_err() {
            return Err(Malformed);
        }
        let none = Span::default();
        let mut it = Self {
            raw: Bytes::new(),
            key: none,
            ordering_key: none,
            properties: none,
            event_time: 0,
            sequence_id: 0,
            flags: 0,
        };
        let mut payload_size = None;
        let mut fields = Fields::new(&raw);
        while let Some(next) = fields.next()? {
            match (next.number, next.value) {
                (field::PROPERTIES, Value::Bytes(..)) => it.add_property(next.start, fields.position()),
                (field::PARTITION_KEY, Value::Bytes(from, to)) => it.key = it.set_span(KEY, from, to),
                (field::PAYLOAD_SIZE, Value::Varint(size)) => payload_size = Some(size),
                (field::COMPACTED_OUT, Value::Varint(on)) => it.set(COMPACTED_OUT, on != 0),
                (field::EVENT_TIME, Value::Varint(time)) => {
                    it.event_time = time;
                    it.set(EVENT_TIME, true);
                }
                (field::PARTITION_KEY_B64_ENCODED, Value::Varint(on)) => it.set(KEY_BASE64, on != 0),
                (field::ORDERING_KEY, Value::Bytes(from, to)) => it.ordering_key = it.set_span(ORDERING_KEY, from, to),
                (field::SEQUENCE_ID, Value::Varint(id)) => {
                    it.sequence_id = id;
                    it.set(SEQUENCE_ID, true);
                }
                (field::NULL_VALUE, Value::Varint(on)) => it.set(NULL_VALUE, on != 0),
                (field::NULL_PARTITION_KEY, Value::Varint(on)) => it.set(KEY_NULL, on != 0),
                _ => {}
            }
        }
        let size = payload_size.and_then(|size| i32::try_from(size).ok()).ok_or(Malformed)?;
        it.raw = raw;
        Ok((it, size as usize))
    }

    /// The key as it travels: text, or base64 where the sender's key was binary.
    pub fn key(&self) -> Option<&[u8]> {
        (self.has(KEY) && !self.has(KEY_NULL)).then(|| self.slice(self.key))
    }

    /// The key as the sender had it: a binary key is decoded. Text that claims to be base64 and is not comes as it is.
    pub fn key_bytes(&self) -> Option<Cow<'_, [u8]>> {
        let key = self.key()?;
        if self.has(KEY_BASE64)
            && let Ok(decoded) = BASE64.decode(key)
        {
            return Some(Cow::Owned(decoded));
        }
        Some(Cow::Borrowed(key))
    }

    /// The key in the form that hands it on unchanged.
    pub fn raw_key(&self) -> Option<Key<'_>> {
        Some(Key::Raw { text: self.key()?, base64: self.has(KEY_BASE64) })
    }

    /// The ordering key, where the sender set one besides the key.
    pub fn ordering_key(&self) -> Option<&[u8]> {
        self.has(ORDERING_KEY).then(|| self.slice(self.ordering_key))
    }

    /// Milliseconds since the epoch at which the sender says that it happened. Pulsar's clients write 0 for none.
    pub fn event_time(&self) -> Option<u64> {
        (self.has(EVENT_TIME) && self.event_time != 0).then_some(self.event_time)
    }

    /// The number the sender gave to this message.
    pub fn sequence_id(&self) -> Option<u64> {
        self.has(SEQUENCE_ID).then_some(self.sequence_id)
    }

    /// True when the message has no value at all, which is not the same as an empty one.
    pub fn is_null(&self) -> bool {
        self.has(NULL_VALUE)
    }

    /// True when compaction has removed the message: it is to be skipped.
    pub fn is_compacted_out(&self) -> bool {
        self.has(COMPACTED_OUT)
    }

    /// One property; the first one where the sender repeated a name.
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All properties, in the sender's order.
    pub fn properties(&self) -> Properties<'_> {
        self.raw_properties().iter()
    }

    /// All properties in the form that hands them on unchanged and unread.
    pub fn raw_properties(&self) -> RawProperties<'_> {
        RawProperties { span: self.slice(self.properties), contiguous: !self.has(PROPERTIES_APART) }
    }

    fn add_property(&mut self, start: usize, end: usize) {
        let (start, end) = (start as u32, end as u32);
        if !self.has(PROPERTIES) {
            self.set(PROPERTIES, true);
            self.properties = Span { from: start, to: end };
            return;
        }
        if self.properties.to != start {
            self.set(PROPERTIES_APART, true);
        }
        self.properties.to = end;
    }

    fn set_span(&mut self, flag: u16, from: usize, to: usize) -> Span {
        self.set(flag, true);
        Span { from: from as u32, to: to as u32 }
    }

    fn set(&mut self, flag: u16, on: bool) {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    fn slice(&self, span: Span) -> &[u8] {
        self.raw.get(span.from as usize..span.to as usize).unwrap_or_default()
    }
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metadata")
            .field("key", &self.key_bytes().map(|key| String::from_utf8_lossy(&key).into_owned()))
            .field("sequence_id", &self.sequence_id())
            .field("event_time", &self.event_time())
            .field("properties", &self.properties().collect::<Vec<_>>())
            .field("is_null", &self.is_null())
            .finish_non_exhaustive()
    }
}
