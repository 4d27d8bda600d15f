use super::wire::{Fields, Value, field, pair};

/// The encoded properties of a message, to be handed on as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawProperties<'a> {
    /// From the first property's tag to the end of the last one.
    pub(super) span: &'a [u8],
    /// Whether nothing else stands between them, which is how every known client writes them.
    pub(super) contiguous: bool,
}

impl<'a> RawProperties<'a> {
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.span.is_empty()
    }

    /// Name and value of each.
    pub fn iter(&self) -> Properties<'a> {
        Properties { span: self.span, fields: Fields::new(self.span) }
    }

    pub(super) fn encoded_len(&self) -> usize {
        if self.contiguous { self.span.len() } else { self.spans().map(<[u8]>::len).sum() }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        if self.contiguous {
            out.extend_from_slice(self.span);
        } else {
            self.spans().for_each(|span| out.extend_from_slice(span));
        }
    }

    /// Each property with its tag, without what stands between them.
    fn spans(&self) -> impl Iterator<Item = &'a [u8]> {
        let span = self.span;
        let mut fields = Fields::new(span);
        std::iter::from_fn(move || {
            loop {
                let next = fields.next().ok().flatten()?;
                if next.number == field::PROPERTIES && matches!(next.value, Value::Bytes(..)) {
                    return span.get(next.start..fields.position());
                }
            }
        })
    }
}

/// Name and value of each property, in the sender's order. A pair that is not UTF-8 is passed over; it is still handed
/// on by [`RawProperties`].
pub struct Properties<'a> {
    span: &'a [u8],
    fields: Fields<'a>,
}

impl<'a> Iterator for Properties<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = self.fields.next().ok().flatten()?;
            if let (field::PROPERTIES, Value::Bytes(from, to)) = (next.number, next.value)
                && let Some(pair) = self.span.get(from..to).and_then(key_value)
            {
                return Some(pair);
            }
        }
    }
}

fn key_value(bytes: &[u8]) -> Option<(&str, &str)> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields::new(bytes);
    while let Some(next) = fields.next().ok()? {
        if let Value::Bytes(from, to) = next.value {
            match next.number {
                pair::KEY => key = bytes.get(from..to)?,
                pair::VALUE => value = bytes.get(from..to)?,
                _ => {}
            }
        }
    }
    Some((std::str::from_utf8(key).ok()?, std::str::from_utf8(value).ok()?))
}
