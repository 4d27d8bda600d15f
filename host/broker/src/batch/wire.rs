//! The parts of the protobuf encoding that the batch format uses.

/// Numbers of the fields of Pulsar's `SingleMessageMetadata`.
pub(super) mod field {
    pub(in crate::batch) const PROPERTIES: u64 = 1;
    pub(in crate::batch) const PARTITION_KEY: u64 = 2;
    pub(in crate::batch) const PAYLOAD_SIZE: u64 = 3;
    pub(in crate::batch) const COMPACTED_OUT: u64 = 4;
    pub(in crate::batch) const EVENT_TIME: u64 = 5;
    pub(in crate::batch) const PARTITION_KEY_B64_ENCODED: u64 = 6;
    pub(in crate::batch) const ORDERING_KEY: u64 = 7;
    pub(in crate::batch) const SEQUENCE_ID: u64 = 8;
    pub(in crate::batch) const NULL_VALUE: u64 = 9;
    pub(in crate::batch) const NULL_PARTITION_KEY: u64 = 10;
}

/// Numbers of the fields of Pulsar's `KeyValue`.
pub(super) mod pair {
    pub(in crate::batch) const KEY: u64 = 1;
    pub(in crate::batch) const VALUE: u64 = 2;
}

/// What stands in one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    /// From and to, in the slice that is being read.
    Bytes(usize, usize),
    /// A fixed-width field, which this format does not use, but which a later version of it might.
    Other,
}

/// One field and the place where its tag starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) start: usize,
    pub(super) value: Value,
}

/// Walks the fields of a protobuf message. Ends at the first thing that is not one.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the next field starts.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next field, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Field>, Malformed> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.skip(8)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                let from = self.at;
                self.skip(length)?;
                Value::Bytes(from, self.at)
            }
            5 => self.skip(4)?,
            _ => return Err(Malformed),
        };
        Ok(Some(Field { number: tag >> 3, start, value }))
    }

    fn skip(&mut self, bytes: usize) -> Result<Value, Malformed> {
        let end = self.at.checked_add(bytes).filter(|end| *end <= self.bytes.len()).ok_or(Malformed)?;
        self.at = end;
        Ok(Value::Other)
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let first = *self.bytes.get(self.at).ok_or(Malformed)?;
        self.at += 1;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Malformed)?;
            self.at += 1;
            // The tenth byte has room for one bit; what is above it is cut off, as protobuf's own decoders do.
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

#[inline]
pub(super) fn varint_len(value: u64) -> usize {
    // 7 bits a byte, and at least one byte.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(super) fn put_varint_field(out: &mut Vec<u8>, number: u64, value: u64) {
    put_varint(out, number << 3);
    put_varint(out, value);
}

#[inline]
pub(super) fn put_bytes_field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_length(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Tag and length of a field whose bytes follow.
#[inline]
pub(super) fn put_length(out: &mut Vec<u8>, number: u64, length: usize) {
    put_varint(out, number << 3 | 2);
    put_varint(out, length as u64);
}

/// Size of a field of `length` bytes with its tag; all tags here are one byte.
#[inline]
pub(super) fn bytes_field_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

#[inline]
pub(super) fn varint_field_len(value: u64) -> usize {
    1 + varint_len(value)
}
