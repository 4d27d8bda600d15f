use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pulselet_api::Digest;

use crate::code::Code;

/// One component, whoever uses it: functions of the same digest share its compiled file and its mapping.
pub(crate) struct Slot<H: 'static> {
    /// Held while it is compiled or loaded, so that this happens once for all who wait.
    code: Mutex<Weak<Code<H>>>,
}

/// The components that somebody has assigned.
pub(crate) struct Slots<H: 'static> {
    by_digest: Mutex<HashMap<Digest, Weak<Slot<H>>>>,
}

impl<H> Slots<H> {
    pub(crate) fn of(&self, component: Digest) -> Arc<Slot<H>> {
        let mut slots = held(&self.by_digest);
        if let Some(slot) = slots.get(&component).and_then(Weak::upgrade) {
            return slot;
        }
        // Only when it would grow anyway, so that forgetting costs nothing on average.
        if slots.len() == slots.capacity() {
            slots.retain(|_, slot| slot.strong_count() > 0);
        }
        let slot = Arc::new(Slot { code: Mutex::default() });
        slots.insert(component, Arc::downgrade(&slot));
        slot
    }
}

impl<H> Default for Slots<H> {
    fn default() -> Self {
        Self { by_digest: Mutex::default() }
    }
}

impl<H> Slot<H> {
    /// The code in memory, or what `load` puts there.
    pub(crate) fn loaded<E>(&self, load: impl FnOnce() -> Result<Code<H>, E>) -> Result<Arc<Code<H>>, E> {
        let mut code = held(&self.code);
        if let Some(code) = code.upgrade() {
            return Ok(code);
        }
        let fresh = Arc::new(load()?);
        *code = Arc::downgrade(&fresh);
        Ok(fresh)
    }
}

/// What these locks guard is whole at any moment, also after a panic.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
