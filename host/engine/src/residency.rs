//! Which components stay loaded though nobody is using them: the most recently used, within a budget of memory. From
//! loaded, an instance is there in a third of the time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::code::Code;
use crate::slots::{Slot, held};

/// See the module.
pub(crate) struct Residency<H: 'static> {
    kept: Mutex<Kept<H>>,
    budget_bytes: u64,
    pub(crate) evictions: AtomicU64,
}

struct Kept<H: 'static> {
    /// By when they were used, the longest unused first. A component that nobody assigns any more goes with its slot.
    by_use: BTreeMap<u64, (Weak<Slot<H>>, u64)>,
    bytes: u64,
    last_use: u64,
}

impl<H> Residency<H> {
    pub(crate) fn new(budget_bytes: u64) -> Self {
        let kept = Kept { by_use: BTreeMap::new(), bytes: 0, last_use: 0 };
        Self { kept: Mutex::new(kept), budget_bytes, evictions: AtomicU64::new(0) }
    }

    /// It is used now: keeps it, and lets go what is over the budget then.
    pub(crate) fn used(&self, slot: &Arc<Slot<H>>, code: &Arc<Code<H>>) {
        let mut over = Vec::new();
        {
            let mut kept = held(&self.kept);
            kept.last_use += 1;
            let stamp = kept.last_use;
            let (before, replaced) = {
                let mut state = slot.state();
                (std::mem::replace(&mut state.stamp, stamp), state.keep(Arc::clone(code)))
            };
            over.extend(replaced);
            kept.remove(before);
            kept.by_use.insert(stamp, (Arc::downgrade(slot), code.bytes));
            kept.bytes += code.bytes;
            while kept.bytes > self.budget_bytes
                && let Some((&oldest, _)) = kept.by_use.first_key_value()
            {
                over.extend(kept.release(oldest));
                self.evictions.fetch_add(1, Ordering::Relaxed);
            }
        }
        // Unmapping takes some microseconds, and nobody needs to wait for it.
        drop(over);
    }

    /// Unloads the longest unused component that nobody is using; false if there is none.
    pub(crate) fn make_room(&self) -> bool {
        let released = {
            let mut kept = held(&self.kept);
            let is_idle = |(slot, _): &(Weak<Slot<H>>, u64)| slot.upgrade().is_some_and(|slot| slot.state().is_idle());
            let Some(stamp) = kept.by_use.iter().find(|(_, entry)| is_idle(entry)).map(|(stamp, _)| *stamp) else {
                return false;
            };
            self.evictions.fetch_add(1, Ordering::Relaxed);
            kept.release(stamp)
        };
        released.is_some()
    }

    /// Bytes and number of what is kept.
    pub(crate) fn kept(&self) -> (u64, usize) {
        let kept = held(&self.kept);
        (kept.bytes, kept.by_use.len())
    }

    /// Nobody assigns it any more.
    pub(crate) fn forget(&self, stamp: u64) {
        held(&self.kept).remove(stamp);
    }
}

impl<H> Kept<H> {
    fn remove(&mut self, stamp: u64) -> Option<Weak<Slot<H>>> {
        let (slot, bytes) = self.by_use.remove(&stamp)?;
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(slot)
    }

    /// The code, to be dropped without the lock.
    fn release(&mut self, stamp: u64) -> Option<Arc<Code<H>>> {
        self.remove(stamp)?.upgrade()?.state().release()
    }
}
