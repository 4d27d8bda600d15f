//! Attempts that outlive the process, in one small file per replica.
//!
//! Every change is appended as one checksummed record, without fsync: the file guards against the death of the process,
//! after which the page cache still holds it, and after a power loss a lost count only means more attempts. Damaged or
//! torn records end the reading; what came before them counts.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use pulselet_broker::{MessageId, Position};

use crate::settlement::attempts::MessageKey;

/// Bytes of a record: topic, ledger, entry, partition, batch index, attempts, checksum.
const RECORD_BYTES: usize = 8 + 8 + 8 + 4 + 4 + 4 + 4;

/// The file is written anew when it holds this many records more than there are counts.
const SLACK_RECORDS: usize = 10_000;

/// Attempts made on a message; 0 when it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: MessageKey,
    pub(crate) attempts: u32,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    records: usize,
    /// The first write that failed ends the journal: counts are kept in memory only, and that is logged once.
    is_broken: bool,
}

impl Journal {
    /// Opens the journal of a replica and reads what an earlier process left.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, HashMap<MessageKey, u32>)> {
        let mut bytes = Vec::new();
        match File::open(path) {
            Ok(mut file) => drop(file.read_to_end(&mut bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut counts = HashMap::new();
        for record in bytes.chunks_exact(RECORD_BYTES).map_while(decode) {
            match record.attempts {
                0 => drop(counts.remove(&record.key)),
                attempts => drop(counts.insert(record.key, attempts)),
            }
        }
        let file = write_anew(path, &counts)?;
        Ok((Self { path: path.to_owned(), file, records: counts.len(), is_broken: false }, counts))
    }

    /// Appends a change; `counts` is what the file should say after it.
    pub(crate) fn append(&mut self, record: Record, counts: &HashMap<MessageKey, u32>) {
        if self.is_broken {
            return;
        }
        let result = if self.records > counts.len() + SLACK_RECORDS {
            write_anew(&self.path, counts).map(|file| {
                self.file = file;
                self.records = counts.len();
            })
        } else {
            self.records += 1;
            self.file.write_all(&encode(record))
        };
        if let Err(error) = result {
            self.is_broken = true;
            tracing::warn!(path = %self.path.display(), %error, "attempts are counted in memory only from here on");
        }
    }
}

/// Replaces the file by one that holds only what counts: temporary file, then rename, so that there is always a whole
/// one.
fn write_anew(path: &Path, counts: &HashMap<MessageKey, u32>) -> io::Result<File> {
    let temporary = path.with_extension("new");
    let mut bytes = Vec::with_capacity(counts.len() * RECORD_BYTES);
    for (&key, &attempts) in counts {
        bytes.extend_from_slice(&encode(Record { key, attempts }));
    }
    let mut file = File::create(&temporary)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)?;
    OpenOptions::new().append(true).open(path)
}

fn encode(record: Record) -> Vec<u8> {
    let MessageKey { topic, id } = record.key;
    let mut bytes = Vec::with_capacity(RECORD_BYTES);
    for number in [topic, id.position.ledger, id.position.entry] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&id.partition.to_le_bytes());
    bytes.extend_from_slice(&id.batch_index.to_le_bytes());
    bytes.extend_from_slice(&record.attempts.to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Record> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let (topic, rest) = body.split_first_chunk()?;
    let (ledger, rest) = rest.split_first_chunk()?;
    let (entry, rest) = rest.split_first_chunk()?;
    let (partition, rest) = rest.split_first_chunk()?;
    let (batch_index, rest) = rest.split_first_chunk()?;
    let (attempts, _) = rest.split_first_chunk()?;
    let position = Position { ledger: u64::from_le_bytes(*ledger), entry: u64::from_le_bytes(*entry) };
    let id = MessageId {
        position,
        partition: i32::from_le_bytes(*partition),
        batch_index: i32::from_le_bytes(*batch_index),
    };
    let key = MessageKey { topic: u64::from_le_bytes(*topic), id };
    Some(Record { key, attempts: u32::from_le_bytes(*attempts) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(entry: u64) -> MessageKey {
        let position = Position { ledger: 3, entry };
        MessageKey { topic: 7, id: MessageId { position, partition: -1, batch_index: 2 } }
    }

    #[test]
    fn counts_are_read_back_and_settled_messages_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attempts");
        let (mut journal, counts) = Journal::open(&path).unwrap();
        assert!(counts.is_empty());
        for (entry, attempts) in [(1, 1), (2, 1), (1, 2), (2, 0)] {
            journal.append(Record { key: key(entry), attempts }, &HashMap::new());
        }
        let (_, counts) = Journal::open(&path).unwrap();
        assert_eq!(counts, HashMap::from([(key(1), 2)]));
    }

    #[test]
    fn a_torn_record_ends_the_reading_and_loses_nothing_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attempts");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(Record { key: key(1), attempts: 1 }, &HashMap::new());
        journal.append(Record { key: key(2), attempts: 5 }, &HashMap::new());
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 3;
        bytes.truncate(end);
        std::fs::write(&path, bytes).unwrap();
        let (_, counts) = Journal::open(&path).unwrap();
        assert_eq!(counts, HashMap::from([(key(1), 1)]));
    }

    #[test]
    fn the_file_stays_small_however_many_messages_fail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("attempts");
        let (mut journal, _) = Journal::open(&path).unwrap();
        for entry in 0..(3 * SLACK_RECORDS as u64) {
            journal.append(Record { key: key(entry), attempts: 0 }, &HashMap::new());
        }
        let size = std::fs::metadata(&path).unwrap().len() as usize;
        assert!(size <= (SLACK_RECORDS + 2) * RECORD_BYTES, "{size}");
    }
}
