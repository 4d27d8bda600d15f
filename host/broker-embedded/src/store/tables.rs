use std::sync::Arc;

use bytes::Bytes;
use pulselet_broker::Error;
use redb::TableDefinition;

use crate::topic::entry::StoredEntry;

/// Version of the layout below. A data folder of a higher one is refused, one of a lower one is converted when opened
/// (there is none yet).
pub(crate) const FORMAT: u64 = 1;

/// Numbers by name: `format`, `next-id`.
pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Partitions by topic.
pub(crate) const PARTITIONED: TableDefinition<'_, &str, u32> = TableDefinition::new("partitioned");
/// [`TopicRow`] by topic id.
pub(crate) const TOPICS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("topics");
/// Entries by topic id and number.
pub(crate) const ENTRIES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("entries");
/// [`CursorRow`] by topic id and subscription.
pub(crate) const CURSORS: TableDefinition<'_, (u64, &str), &[u8]> = TableDefinition::new("cursors");
/// What is acknowledged above the cursor: [`AckRow`] by subscription id and entry.
pub(crate) const ACKS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("acks");
/// Highest sequence id and time of last use, by topic id and producer.
pub(crate) const PRODUCERS: TableDefinition<'_, (u64, &str), (u64, u64)> = TableDefinition::new("producers");

/// Where a topic's entries begin, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicRow {
    pub(crate) name: String,
    pub(crate) first: Place,
}

/// A point between two entries: how many entries, messages and bytes came before it since the topic was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) entry: u64,
    pub(crate) message: u64,
    pub(crate) byte: u64,
}

/// Where a subscription stands: everything before this is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CursorRow {
    pub(crate) id: u64,
    pub(crate) entry: u64,
    pub(crate) message: u64,
}

/// What is acknowledged of one entry: its size in messages, and a bit for each acknowledged member; no bits when it is
/// the whole entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AckRow {
    pub(crate) count: u32,
    pub(crate) members: Option<Vec<u64>>,
}

/// Reads numbers off the front of a value.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, bytes: usize) -> Option<&'a str> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        std::str::from_utf8(head).ok()
    }
}

impl TopicRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Place { entry, message, byte } = self.first;
        let mut out = [entry, message, byte].map(u64::to_le_bytes).concat();
        out.extend_from_slice(self.name.as_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let first = Place { entry: from.u64()?, message: from.u64()?, byte: from.u64()? };
        let name = from.text(from.0.len())?.to_owned();
        Some(Self { name, first })
    }
}

impl CursorRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        [self.id, self.entry, self.message].map(u64::to_le_bytes).concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        Some(Self { id: from.u64()?, entry: from.u64()?, message: from.u64()? })
    }
}

impl AckRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.count.to_le_bytes().to_vec();
        for word in self.members.iter().flatten() {
            out.extend_from_slice(&word.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        let count = from.u32()?;
        if from.0.is_empty() {
            return Some(Self { count, members: None });
        }
        let mut words = Vec::with_capacity(from.0.len() / 8);
        while !from.0.is_empty() {
            words.push(from.u64()?);
        }
        (words.len() == (count as usize).div_ceil(64)).then_some(Self { count, members: Some(words) })
    }
}

const IS_BATCH: u8 = 1;
const HAS_DELIVER_AT: u8 = 2;

/// Size of an entry's value before its producer's name.
const ENTRY_HEAD_BYTES: usize = 4 + 1 + 4 + 8 + 8 + 8 + 8 + 2 + 2;

/// Size of an entry's value.
pub(crate) fn entry_len(entry: &StoredEntry) -> usize {
    ENTRY_HEAD_BYTES + entry.producer.len() + entry.payload.len()
}

/// Writes an entry into `out`, which is [`entry_len`] long: checksum of all that follows, flags, count, publish time,
/// delivery time, messages and bytes before it, slot, length and text of the producer's name, payload.
pub(crate) fn put_entry(entry: &StoredEntry, out: &mut [u8]) {
    let mut head = Vec::with_capacity(ENTRY_HEAD_BYTES + entry.producer.len());
    let flags = if entry.is_batch { IS_BATCH } else { 0 } | if entry.deliver_at.is_some() { HAS_DELIVER_AT } else { 0 };
    head.extend_from_slice(&[0; 4]);
    head.push(flags);
    head.extend_from_slice(&entry.count.to_le_bytes());
    for number in [entry.publish_time, entry.deliver_at.unwrap_or(0), entry.messages_before, entry.bytes_before] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head.extend_from_slice(&entry.slot.to_le_bytes());
    head.extend_from_slice(&(entry.producer.len() as u16).to_le_bytes());
    head.extend_from_slice(entry.producer.as_bytes());
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(head.get(4..).unwrap_or_default());
    checksum.update(&entry.payload);
    if let Some(place) = head.first_chunk_mut::<4>() {
        *place = checksum.finalize().to_le_bytes();
    }
    if let Some((front, back)) = out.split_at_mut_checked(head.len())
        && back.len() == entry.payload.len()
    {
        front.copy_from_slice(&head);
        back.copy_from_slice(&entry.payload);
    }
}

/// What stands before the payload; enough for counting and trimming.
pub(crate) struct EntryHead {
    pub(crate) publish_time: u64,
    pub(crate) before: Place,
}

/// Reads the front of an entry's value, without its checksum.
pub(crate) fn entry_head(number: u64, bytes: &[u8]) -> Option<EntryHead> {
    let mut from = Reader(bytes);
    let (_checksum, _flags, _count) = (from.u32()?, from.u8()?, from.u32()?);
    let (publish_time, _deliver_at) = (from.u64()?, from.u64()?);
    let before = Place { entry: number, message: from.u64()?, byte: from.u64()? };
    Some(EntryHead { publish_time, before })
}

/// Reads an entry and checks its checksum.
pub(crate) fn get_entry(topic: &str, number: u64, bytes: &[u8]) -> Result<StoredEntry, Error> {
    let damaged =
        |detail: &str| Error::Corrupt { what: format!("entry {number} of {topic}"), detail: detail.to_owned() };
    let decode = || {
        let mut from = Reader(bytes);
        let checksum = from.u32()?;
        if crc32fast::hash(from.0) != checksum {
            return None;
        }
        let (flags, count, publish_time, deliver_at) = (from.u8()?, from.u32()?, from.u64()?, from.u64()?);
        let (messages_before, bytes_before, slot, name) = (from.u64()?, from.u64()?, from.u16()?, from.u16()?);
        let producer = Arc::from(from.text(usize::from(name))?);
        Some(StoredEntry {
            number,
            count,
            is_batch: flags & IS_BATCH != 0,
            publish_time,
            deliver_at: (flags & HAS_DELIVER_AT != 0).then_some(deliver_at),
            messages_before,
            bytes_before,
            slot,
            producer,
            payload: Bytes::copy_from_slice(from.0),
        })
    };
    decode().ok_or_else(|| damaged("its checksum or its length is wrong"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> StoredEntry {
        StoredEntry {
            number: 7,
            count: 3,
            is_batch: true,
            publish_time: 11,
            deliver_at: Some(12),
            messages_before: 100,
            bytes_before: 2000,
            slot: 5,
            producer: Arc::from("p"),
            payload: Bytes::from_static(b"payload"),
        }
    }

    #[test]
    fn entries_are_read_back_and_every_flipped_bit_is_noticed() {
        let mut bytes = vec![0; entry_len(&entry())];
        put_entry(&entry(), &mut bytes);
        assert_eq!(get_entry("t", 7, &bytes).unwrap(), entry());
        let head = entry_head(7, &bytes).unwrap();
        assert_eq!(head.publish_time, 11);
        assert_eq!(head.before, Place { entry: 7, message: 100, byte: 2000 });
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(get_entry("t", 7, &damaged).is_err(), "bit {bit}");
        }
        assert!(get_entry("t", 7, &bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn rows_are_read_back_and_short_ones_are_refused() {
        let topic = TopicRow { name: "persistent://a/b/c".into(), first: Place { entry: 1, message: 2, byte: 3 } };
        assert_eq!(TopicRow::decode(&topic.encode()), Some(topic));
        assert_eq!(TopicRow::decode(&[0; 23]), None);
        let cursor = CursorRow { id: 1, entry: 2, message: 3 };
        assert_eq!(CursorRow::decode(&cursor.encode()), Some(cursor));
        for ack in [AckRow { count: 3, members: None }, AckRow { count: 65, members: Some(vec![1, 0]) }] {
            assert_eq!(AckRow::decode(&ack.encode()), Some(ack));
        }
        assert_eq!(AckRow::decode(&[65, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
