//! Which messages are being called at this moment, noted so that the next process knows it if this one dies: that
//! counts as an attempt, so a message that kills the process ends in the dead letter topic.

use std::io;
use std::path::Path;

use pulselet_broker::{MessageId, Position};
use pulselet_engine::flight::{FlightRecorder, NOTE_WORDS};

use crate::settlement::Work;
use crate::settlement::attempts::MessageKey;

/// Stands for messages of several topics in one call.
const ANY_TOPIC: u64 = 0;

/// Messages that were being called when a process died: all from `first` to `last`, of one topic or of any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suspect {
    topic: u64,
    first: MessageId,
    last: MessageId,
}

impl Suspect {
    pub(crate) fn contains(&self, key: &MessageKey) -> bool {
        (self.topic == ANY_TOPIC || self.topic == key.topic) && (self.first..=self.last).contains(&key.id)
    }

    /// The one message of the call, if it had just one.
    pub(crate) fn only(&self) -> Option<MessageKey> {
        (self.first == self.last && self.topic != ANY_TOPIC).then_some(MessageKey { topic: self.topic, id: self.first })
    }

    fn of(call: &[Work]) -> Option<Self> {
        let mut keys = call.iter().filter_map(|work| MessageKey::of(&work.entry, work.at));
        let key = keys.next()?;
        let start = Self { topic: key.topic, first: key.id, last: key.id };
        Some(keys.fold(start, |all, key| Self {
            topic: if all.topic == key.topic { all.topic } else { ANY_TOPIC },
            first: all.first.min(key.id),
            last: all.last.max(key.id),
        }))
    }

    fn to_note(self) -> [u64; NOTE_WORDS] {
        let [first, last] = [self.first, self.last];
        [
            self.topic,
            first.position.ledger,
            first.position.entry,
            pack(first),
            last.position.ledger,
            last.position.entry,
            pack(last),
        ]
    }

    fn from_note([topic, ledger, entry, packed, last_ledger, last_entry, last_packed]: [u64; NOTE_WORDS]) -> Self {
        Self { topic, first: unpack(ledger, entry, packed), last: unpack(last_ledger, last_entry, last_packed) }
    }
}

fn pack(id: MessageId) -> u64 {
    (u64::from(id.partition as u32) << 32) | u64::from(id.batch_index as u32)
}

fn unpack(ledger: u64, entry: u64, packed: u64) -> MessageId {
    let position = Position { ledger, entry };
    MessageId { position, partition: (packed >> 32) as u32 as i32, batch_index: packed as u32 as i32 }
}

/// See the module. Without a file nothing is noted.
#[derive(Debug, Default)]
pub(crate) struct Flight(Option<FlightRecorder>);

impl Flight {
    /// Opens the file of a replica; also returns what an earlier process was doing when it died.
    pub(crate) fn open(path: &Path, calls: usize) -> io::Result<(Self, Vec<Suspect>)> {
        let (recorder, notes) = FlightRecorder::open(path, calls)?;
        let suspects = notes.into_iter().map(Suspect::from_note).collect();
        recorder.clear_all();
        Ok((Self(Some(recorder)), suspects))
    }

    pub(crate) fn takes_off(&self, worker: usize, call: &[Work]) {
        if let Some(recorder) = &self.0
            && let Some(suspect) = Suspect::of(call)
        {
            recorder.note(worker, suspect.to_note());
        }
    }

    pub(crate) fn landed(&self, worker: usize) {
        if let Some(recorder) = &self.0 {
            recorder.clear(worker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back_as_it_was_written() {
        let id = |entry, partition, batch_index| MessageId {
            position: Position { ledger: 9, entry },
            partition,
            batch_index,
        };
        let suspect = Suspect { topic: 5, first: id(1, -1, -1), last: id(2, 3, 499) };
        assert_eq!(Suspect::from_note(suspect.to_note()), suspect);
    }
}
