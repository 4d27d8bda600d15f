use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What this process takes of the system now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Footprint {
    /// Memory that is backed by no file, in bytes.
    pub anonymous: u64,
    /// Pages that only this process has and that were written, in bytes.
    pub private_dirty: u64,
    /// Page tables, in bytes.
    pub page_tables: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// Mappings, which `vm.max_map_count` bounds.
    pub maps: u64,
    /// Threads.
    pub threads: u64,
}

impl Footprint {
    /// Reads it from `/proc/self`.
    ///
    /// # Errors
    /// When a file cannot be read, or lacks a line.
    pub fn read() -> Result<Self> {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
        let status = fs::read_to_string("/proc/self/status")?;
        Ok(Self {
            anonymous: field(&rollup, "Anonymous:")? << 10,
            private_dirty: field(&rollup, "Private_Dirty:")? << 10,
            page_tables: field(&status, "VmPTE:")? << 10,
            descriptors: fs::read_dir("/proc/self/fd")?.count() as u64,
            maps: fs::read_to_string("/proc/self/maps")?.lines().count() as u64,
            threads: field(&status, "Threads:")?,
        })
    }
}

/// The first number of the line that begins with this name.
fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no line {name}"))?;
    let number = line.split_whitespace().next().with_context(|| format!("nothing behind {name}"))?;
    number.parse().with_context(|| format!("{name} {number}"))
}

#[cfg(test)]
mod tests {
    use super::{Footprint, field};

    #[test]
    fn the_number_is_that_of_the_line_with_the_name() {
        let text = "Private_Dirty:   12 kB\nAnonymous:    4096 kB\n";
        assert_eq!(field(text, "Anonymous:").unwrap(), 4096);
        assert!(field(text, "VmPTE:").is_err());
    }

    #[test]
    fn a_process_takes_something_of_everything() {
        let taken = Footprint::read().unwrap();
        assert!(taken.anonymous > 0 && taken.page_tables > 0 && taken.maps > 0 && taken.threads > 0, "{taken:?}");
    }
}
