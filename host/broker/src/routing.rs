//! Which partition, and which Key_Shared slot, a key belongs to.
//!
//! Both must be the same for every client of a topic, whatever it is written in, so these are the hashes of Pulsar's own
//! clients, with their known values as tests.

use crate::batch::Metadata;

/// Slots that the keys of a Key_Shared subscription fall into: 0..=65535. Slot 0 is never used, see [`slot`].
pub const SLOTS: u32 = 65_536;

/// What the broker hashes in place of the key of a message that has none.
const NO_KEY: &[u8] = b"NONE_KEY";

/// How a producer turns a key into a number. Producers that write to one topic must agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyHash {
    /// Murmur3, 32 bits, seed 0: what Pulsar Functions use, and Go's default with a key.
    #[default]
    Murmur3,
    /// `java.lang.String.hashCode`: the Java client's default.
    JavaString,
    /// `boost::hash<std::string>` of Boost up to 1.80 on 64 bits: the default of the C++ client and of those built on
    /// it (Python, Node.js). Boost 1.81 changed the values; such clients must be set to Murmur3.
    Boost,
}

impl KeyHash {
    /// The hash, which is never negative: 0..=2^31-1. `key` is the key as it travels: of a binary key that is its
    /// base64 text, as with the Java client.
    pub fn hash(self, key: &[u8]) -> u32 {
        let hash = match self {
            Self::Murmur3 => murmur3(key),
            Self::JavaString => java_string(key),
            Self::Boost => boost(key),
        };
        hash & 0x7fff_ffff
    }

    /// The partition, of `partitions`, that a key belongs to; 0 if there are none.
    pub fn partition(self, key: &[u8], partitions: u32) -> u32 {
        self.hash(key).checked_rem(partitions).unwrap_or(0)
    }
}

/// The Key_Shared slot of a message: by its ordering key, else by its key (decoded if it was binary), else by a fixed
/// text, so that all messages without a key share a slot.
pub fn slot_of(metadata: &Metadata) -> u16 {
    if let Some(key) = metadata.ordering_key() {
        return slot(key);
    }
    metadata.key_bytes().map_or_else(|| slot(NO_KEY), |key| slot(&key))
}

/// The Key_Shared slot of a key. A hash of 0 counts as 1, because 0 means "not set" to Pulsar's dispatchers.
pub fn slot(key: &[u8]) -> u16 {
    let slot = (KeyHash::Murmur3.hash(key) % SLOTS) as u16;
    slot.max(1)
}

fn murmur3(bytes: &[u8]) -> u32 {
    let (chunks, tail) = bytes.as_chunks::<4>();
    let mut hash = chunks.iter().fold(0u32, |hash, chunk| {
        let mixed = hash ^ murmur3_mix(u32::from_le_bytes(*chunk));
        mixed.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    let last = tail.iter().rev().fold(0u32, |last, byte| last << 8 | u32::from(*byte));
    hash ^= murmur3_mix(last) ^ bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

fn murmur3_mix(chunk: u32) -> u32 {
    chunk.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
}

/// Over UTF-16 units, as Java counts characters.
fn java_string(key: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(key);
    text.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

fn boost(key: &[u8]) -> u32 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let hash = key.iter().fold(0u64, |hash, byte| {
        // `char` is signed where these clients run.
        let byte = i64::from(*byte as i8) as u64;
        let mut mixed = byte.wrapping_mul(M);
        mixed ^= mixed >> 47;
        (hash ^ mixed.wrapping_mul(M)).wrapping_mul(M).wrapping_add(0xe654_6b64)
    });
    hash as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{Batch, Key, Outgoing};

    #[test]
    fn murmur3_gives_the_values_of_the_java_and_cpp_clients() {
        for (key, hash) in [
            ("k1", 2_110_152_746),
            ("k2", 1_479_966_664),
            ("key1", 462_881_061),
            ("key2", 1_936_800_180),
            ("key01", 39_696_932),
            ("key02", 751_761_803),
        ] {
            assert_eq!(KeyHash::Murmur3.hash(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn java_string_hash_gives_the_values_of_the_java_client() {
        assert_eq!(KeyHash::JavaString.hash(b"keykeykeykeykey1"), 434_058_482);
        assert_eq!(KeyHash::JavaString.hash(b"keykeykey2"), 42_978_643);
        // One character outside the basic plane is two units: 31 * 0xd83d + 0xde00.
        assert_eq!(KeyHash::JavaString.hash("\u{1f600}".as_bytes()), 31 * 0xd83d + 0xde00);
    }

    #[test]
    fn boost_hash_gives_the_values_of_boost_1_74() {
        for (key, hash) in [
            (b"".as_slice(), 0),
            (b"a", 1_424_956_863),
            (b"key1", 1_210_502_480),
            (b"key2", 996_220_086),
            (b"keykeykeykeykey1", 1_308_143_368),
            (b"\xff\x80", 1_017_980_441),
            (b"0123456789012345678901234567890", 975_734_558),
        ] {
            assert_eq!(KeyHash::Boost.hash(key), hash, "{key:?}");
        }
    }

    #[test]
    fn a_partition_is_the_hash_modulo_their_number_and_0_without_partitions() {
        assert_eq!(KeyHash::Murmur3.partition(b"key1", 7), 462_881_061 % 7);
        assert_eq!(KeyHash::Murmur3.partition(b"key1", 0), 0);
    }

    #[test]
    fn the_slot_goes_by_ordering_key_then_decoded_key_then_the_text_for_none() {
        let slot_of_message = |message: Outgoing<'_>| {
            slot_of(&Batch::single(&message, None).messages().next().unwrap().unwrap().metadata)
        };
        let text = Outgoing { key: Some(Key::Text("key1")), ..Outgoing::default() };
        assert_eq!(slot_of_message(text), (462_881_061 % SLOTS) as u16);
        let binary = Outgoing { key: Some(Key::Binary(b"key1")), ..Outgoing::default() };
        assert_eq!(slot_of_message(binary), slot_of_message(text));
        assert_eq!(slot_of_message(Outgoing { ordering_key: Some(b"key2"), ..text }), slot(b"key2"));
        assert_eq!(slot_of_message(Outgoing::default()), slot(b"NONE_KEY"));
    }

    #[test]
    fn slot_0_counts_as_1() {
        let zero = (0u32..)
            .map(|i| format!("k{i}"))
            .find(|k| KeyHash::Murmur3.hash(k.as_bytes()).is_multiple_of(SLOTS))
            .unwrap();
        assert_eq!(slot(zero.as_bytes()), 1);
    }
}
