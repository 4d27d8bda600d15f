//! A note of what a process is doing that survives the process: when it dies in a call, by whatever means, its
//! successor can read which call that was.
//!
//! The notes are words of a small file mapped into memory, so that writing one costs no system call. The page cache
//! keeps them when the process is killed; they are not meant to survive a power loss.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use memmap2::MmapRaw;

/// Words of a note.
pub const NOTE_WORDS: usize = 7;

/// Words of a slot: whether it holds a note, then the note.
const SLOT_WORDS: usize = NOTE_WORDS + 1;
const SLOT_BYTES: usize = SLOT_WORDS * size_of::<u64>();

/// One process's notes, one slot for each call it may make at the same time.
#[derive(Debug)]
pub struct FlightRecorder {
    map: MmapRaw,
    slots: usize,
}

impl FlightRecorder {
    /// Opens the file, and returns the notes that an earlier process left in it. They stay until
    /// [`FlightRecorder::clear`] or the next note of their slot.
    ///
    /// # Errors
    /// When the file cannot be made, sized or mapped.
    pub fn open(path: &Path, slots: usize) -> io::Result<(Self, Vec<[u64; NOTE_WORDS]>)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let left_bytes = file.metadata()?.len();
        let bytes = (slots * SLOT_BYTES).max(left_bytes as usize).next_multiple_of(SLOT_BYTES).max(SLOT_BYTES);
        file.set_len(bytes as u64)?;
        let recorder = Self { map: MmapRaw::map_raw(&file)?, slots: bytes / SLOT_BYTES };
        let left = (0..recorder.slots).filter_map(|slot| recorder.read(slot)).collect();
        Ok((recorder, left))
    }

    /// Notes what is about to be done. A slot has one writer.
    pub fn note(&self, slot: usize, note: [u64; NOTE_WORDS]) {
        let Some((flag, words)) = self.slot(slot) else { return };
        for (word, value) in words.iter().zip(note) {
            word.store(value, Ordering::Relaxed);
        }
        // The reader is another process, later: only the order in which this one stores matters.
        compiler_fence(Ordering::Release);
        flag.store(1, Ordering::Release);
    }

    /// It is done.
    pub fn clear(&self, slot: usize) {
        if let Some((flag, _)) = self.slot(slot) {
            flag.store(0, Ordering::Release);
        }
    }

    /// Forgets all notes, once what they say has been taken into account.
    pub fn clear_all(&self) {
        (0..self.slots).for_each(|slot| self.clear(slot));
    }

    fn read(&self, slot: usize) -> Option<[u64; NOTE_WORDS]> {
        let (flag, words) = self.slot(slot)?;
        if flag.load(Ordering::Acquire) != 1 {
            return None;
        }
        let mut note = [0; NOTE_WORDS];
        for (value, word) in note.iter_mut().zip(words) {
            *value = word.load(Ordering::Relaxed);
        }
        Some(note)
    }

    fn slot(&self, slot: usize) -> Option<(&AtomicU64, &[AtomicU64])> {
        if slot >= self.slots {
            return None;
        }
        let start = self.map.as_mut_ptr().wrapping_add(slot * SLOT_BYTES).cast::<AtomicU64>();
        #[expect(unsafe_code, reason = "a mapped file as words")]
        // SAFETY: the map is `slots * SLOT_BYTES` long and lives as long as `self`; maps start at a page, so every word
        // is aligned; AtomicU64 may be aliased and has no invalid values. The file is only ever grown.
        let words = unsafe { std::slice::from_raw_parts(start, SLOT_WORDS) };
        words.split_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_under_way_is_read_by_the_next_process_and_what_was_done_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flight");
        let (recorder, left) = FlightRecorder::open(&path, 3).unwrap();
        assert!(left.is_empty());
        recorder.note(0, [1; NOTE_WORDS]);
        recorder.note(2, [2; NOTE_WORDS]);
        recorder.note(1, [3; NOTE_WORDS]);
        recorder.clear(1);
        drop(recorder);
        let (recorder, left) = FlightRecorder::open(&path, 1).unwrap();
        assert_eq!(left, [[1; NOTE_WORDS], [2; NOTE_WORDS]], "also slots beyond those of the new process");
        recorder.clear_all();
        assert!(FlightRecorder::open(&path, 3).unwrap().1.is_empty());
    }
}
