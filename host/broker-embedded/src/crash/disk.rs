use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use crate::lock;

/// Sectors are written whole or not at all.
const SECTOR: usize = 512;

/// A disk with a cache that a power failure empties. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What a sync has made safe.
    safe: Vec<u8>,
    /// What a reader sees.
    seen: Vec<u8>,
    /// Contents that each sector was given since the last sync, in order.
    cached: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Lengths since the last sync.
    lengths: Vec<usize>,
    /// Writes and syncs that still succeed.
    left: Option<u64>,
}

impl Disk {
    /// Lets so many writes and syncs succeed, then nothing any more.
    pub(super) fn fail_after(&self, operations: u64) {
        let left = &mut lock(&self.0).left;
        *left = Some(left.map_or(operations, |left| left.min(operations)));
    }

    /// Keeps any of the contents that each sector has had since the last sync, and any of the lengths; works again.
    pub(super) fn lose_power(&self, random: &mut Random) {
        let mut state = lock(&self.0);
        let mut image = std::mem::take(&mut state.safe);
        let mut lengths = std::mem::take(&mut state.lengths);
        lengths.push(image.len());
        let length = lengths[random.below(lengths.len() as u64) as usize];
        image.resize(length, 0);
        // Now and then all or nothing of it arrives, as with a controller that writes in bursts.
        let mood = random.below(4);
        for (sector, contents) in std::mem::take(&mut state.cached) {
            let keep = match mood {
                0 => 0,
                1 => contents.len() as u64,
                _ => random.below(contents.len() as u64 + 1),
            };
            let Some(content) = keep.checked_sub(1).map(|at| &contents[at as usize]) else { continue };
            let from = sector * SECTOR;
            if let Some(place) = image.get_mut(from..) {
                let bytes = place.len().min(content.len());
                place[..bytes].copy_from_slice(&content[..bytes]);
            }
        }
        state.seen.clone_from(&image);
        state.safe = image;
        state.left = None;
    }
}

impl State {
    fn spend(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => Err(io::Error::other("the power has failed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.0).seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = lock(&self.0);
        let from = offset as usize;
        let bytes = state.seen.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.spend()?;
        state.seen.resize(len as usize, 0);
        state.lengths.push(len as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.spend()?;
        let State { safe, seen, cached, lengths, .. } = &mut *state;
        safe.resize(seen.len(), 0);
        for sector in std::mem::take(cached).into_keys() {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(seen.len());
            if let Some(content) = seen.get(range.clone()) {
                safe[range].copy_from_slice(content);
            }
        }
        lengths.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = lock(&self.0);
        state.spend()?;
        let State { seen, cached, .. } = &mut *state;
        let from = offset as usize;
        seen.get_mut(from..from + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        for sector in from / SECTOR..(from + data.len()).div_ceil(SECTOR) {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(seen.len());
            cached.entry(sector).or_default().push(seen[range].to_vec());
        }
        Ok(())
    }
}

/// Chance with a seed (splitmix64).
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }
}
