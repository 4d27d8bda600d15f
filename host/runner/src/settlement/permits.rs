//! How much the broker may send. Permits cannot be taken back, so the first grant is small, and later ones follow the
//! size of the messages seen: what is unsettled stays within a number of messages for each consumer and a number of
//! bytes for all of them.

use std::collections::HashMap;

use super::Source;

/// What a new consumer is granted before anything is known of its messages.
const FIRST_GRANT: u32 = 64;

#[derive(Debug)]
struct Window {
    /// Granted and not yet delivered. Negative when a batch overshot the grant.
    granted: i64,
    /// Delivered and not yet settled.
    unsettled: i64,
    /// Mean payload bytes of a message, slowly following; 0 before the first one.
    mean_bytes: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Permits {
    window_messages: u32,
    window_bytes: u64,
    unsettled_bytes: u64,
    sources: HashMap<Source, Window>,
}

impl Permits {
    pub(super) fn new(window_messages: u32, window_bytes: u64) -> Self {
        Self { window_messages, window_bytes, unsettled_bytes: 0, sources: HashMap::new() }
    }

    /// A consumer is open: nothing is granted on it yet.
    pub(super) fn opened(&mut self, source: Source) {
        self.sources.insert(source, Window { granted: 0, unsettled: 0, mean_bytes: 0 });
    }

    /// Messages of an earlier connection are still in hand.
    pub(super) fn counted(&mut self, source: Source, messages: usize) {
        if let Some(window) = self.sources.get_mut(&source) {
            window.unsettled = messages as i64;
        }
    }

    pub(super) fn closed(&mut self, source: Source) {
        self.sources.remove(&source);
    }

    pub(super) fn delivered(&mut self, source: Source, messages: usize, bytes: u64) {
        if let Some(window) = self.sources.get_mut(&source) {
            let mean = bytes / (messages as u64).max(1);
            window.mean_bytes = if window.mean_bytes == 0 { mean.max(1) } else { (window.mean_bytes * 7 + mean) / 8 };
            window.granted -= messages as i64;
        }
    }

    /// Messages were taken into memory.
    pub(super) fn taken(&mut self, source: Source, messages: usize, bytes: u64) {
        self.unsettled_bytes += bytes;
        if let Some(window) = self.sources.get_mut(&source) {
            window.unsettled += messages as i64;
        }
    }

    pub(super) fn settled(&mut self, source: Source, bytes: u64) {
        self.unsettled_bytes = self.unsettled_bytes.saturating_sub(bytes);
        if let Some(window) = self.sources.get_mut(&source) {
            window.unsettled -= 1;
        }
    }

    /// How much to grant now. Small top-ups are left until they are worth a command.
    pub(super) fn missing(&self, source: Source) -> u32 {
        let sources = self.sources.len().max(1) as u64;
        let bytes_left = self.window_bytes.saturating_sub(self.unsettled_bytes);
        let Some(window) = self.sources.get(&source) else { return 0 };
        let limit = match window.mean_bytes {
            0 => self.window_messages.min(FIRST_GRANT),
            mean => {
                let by_bytes = bytes_left / sources / mean + window.unsettled.max(0) as u64;
                self.window_messages.min(u32::try_from(by_bytes).unwrap_or(u32::MAX))
            }
        };
        let in_use = window.granted + window.unsettled;
        // One message may always come, however large: otherwise nothing would ever go on.
        let limit = if in_use <= 0 { limit.max(1) } else { limit };
        let missing = i64::from(limit) - in_use;
        if missing <= 0 || (missing < i64::from(limit) / 2 && window.granted > 0) {
            return 0;
        }
        u32::try_from(missing).unwrap_or(u32::MAX)
    }

    pub(super) fn granted(&mut self, source: Source, messages: u32) {
        if let Some(window) = self.sources.get_mut(&source) {
            window.granted += i64::from(messages);
        }
    }
}
