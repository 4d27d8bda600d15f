use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pulselet_api::{ComponentRef, Digest, World};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::Tier;
use crate::code::Code;
use crate::compiled::seal::Verdict;
use crate::compiled::uses::Use;

/// One component, whoever uses it: functions of the same digest share its files and its mapping.
pub(crate) struct Slot<H: 'static> {
    pub(crate) digest: Digest,
    pub(crate) world: World,
    /// Where its bytes can be had again.
    pub(crate) source: Source,
    /// Held while it is verified or compiled, so that this happens once for all who wait. Never taken on a message's way.
    pub(crate) preparing: Mutex<()>,
    state: Mutex<State<H>>,
    /// Number of the code that instances are made of now; those of earlier code are done when their call is.
    current: Arc<AtomicU32>,
    superseded: Notify,
    /// Times it was mapped.
    pub(crate) loads: AtomicU64,
    /// Keeps its files from being collected.
    _uses: Vec<Use>,
}

/// A declared place, and where relative paths start.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) component: ComponentRef,
    pub(crate) base_dir: PathBuf,
}

pub(crate) struct State<H: 'static> {
    /// The best compiler whose code is on disk.
    pub(crate) best: Option<Tier>,
    verdicts: [Option<Verdict>; Tier::ALL.len()],
    code: Weak<Code<H>>,
    /// While it is kept loaded though nobody may be using it.
    kept: Option<Arc<Code<H>>>,
    /// Its place among the kept ones.
    pub(crate) stamp: u64,
}

impl<H> Default for State<H> {
    fn default() -> Self {
        Self { best: None, verdicts: [None; 2], code: Weak::new(), kept: None, stamp: 0 }
    }
}

impl<H> State<H> {
    pub(crate) fn verdict(&mut self, tier: Tier) -> &mut Option<Verdict> {
        let [winch, cranelift] = &mut self.verdicts;
        match tier {
            Tier::Winch => winch,
            Tier::Cranelift => cranelift,
        }
    }

    /// The code in memory, whoever holds it.
    pub(crate) fn loaded(&self) -> Option<Arc<Code<H>>> {
        self.code.upgrade()
    }

    pub(crate) fn set_loaded(&mut self, code: &Arc<Code<H>>) {
        self.code = Arc::downgrade(code);
    }

    pub(crate) fn keep(&mut self, code: Arc<Code<H>>) -> Option<Arc<Code<H>>> {
        self.kept.replace(code)
    }

    /// What was kept, to be dropped by the caller without the lock.
    pub(crate) fn release(&mut self) -> Option<Arc<Code<H>>> {
        self.kept.take()
    }

    /// True if it would be unloaded by being released.
    pub(crate) fn is_idle(&self) -> bool {
        self.kept.as_ref().is_some_and(|code| Arc::strong_count(code) == 1)
    }
}

impl<H> Slot<H> {
    pub(crate) fn new(digest: Digest, world: World, source: Source, uses: Vec<Use>) -> Self {
        Self {
            digest,
            world,
            source,
            preparing: Mutex::default(),
            state: Mutex::default(),
            current: Arc::default(),
            superseded: Notify::new(),
            loads: AtomicU64::new(0),
            _uses: uses,
        }
    }

    /// Held for as long as it takes to map and link, at most.
    pub(crate) fn state(&self) -> MutexGuard<'_, State<H>> {
        held(&self.state)
    }

    pub(crate) fn current(&self) -> &Arc<AtomicU32> {
        &self.current
    }

    /// From now on instances are made of other code.
    pub(crate) fn supersede(&self) {
        self.current.fetch_add(1, Ordering::Relaxed);
        self.superseded.notify_waiters();
    }

    /// Told when that happens.
    pub(crate) fn superseded(&self) -> Notified<'_> {
        self.superseded.notified()
    }
}

/// The components that somebody has assigned.
pub(crate) struct Slots<H: 'static> {
    by_digest: Mutex<HashMap<Digest, Weak<Slot<H>>>>,
}

impl<H> Slots<H> {
    pub(crate) fn of(&self, component: Digest, make: impl FnOnce() -> Slot<H>) -> Arc<Slot<H>> {
        let mut slots = held(&self.by_digest);
        if let Some(slot) = slots.get(&component).and_then(Weak::upgrade) {
            return slot;
        }
        // Only when it would grow anyway, so that forgetting costs nothing on average.
        if slots.len() == slots.capacity() {
            slots.retain(|_, slot| slot.strong_count() > 0);
        }
        let slot = Arc::new(make());
        slots.insert(component, Arc::downgrade(&slot));
        slot
    }

    pub(crate) fn find(&self, component: Digest) -> Option<Arc<Slot<H>>> {
        held(&self.by_digest).get(&component).and_then(Weak::upgrade)
    }
}

impl<H> Default for Slots<H> {
    fn default() -> Self {
        Self { by_digest: Mutex::default() }
    }
}

/// What these locks guard is whole at any moment, also after a panic.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
