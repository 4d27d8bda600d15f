use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// What a run was made on and of.
#[derive(Clone, Debug, Serialize)]
pub struct Conditions {
    /// Processor cores this process may use.
    pub cores: usize,
    /// Model of the processor.
    pub cpu: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Of the compiler and of what is measured.
    pub versions: BTreeMap<String, String>,
    /// Commit of this repository; ends in `-dirty` where the sources differ from it.
    pub commit: String,
    /// When the run started, in UTC.
    pub started: String,
}

impl Conditions {
    /// Reads them from the system; what cannot be read is `unknown`.
    pub fn read() -> Self {
        let mut versions = BTreeMap::new();
        versions.insert("pulselet".into(), env!("CARGO_PKG_VERSION").into());
        versions.insert("rustc".into(), output_of("rustc", &["--version"]));
        Self {
            cores: available_parallelism().map_or(1, usize::from),
            cpu: cpu_model(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |text| text.trim().into()),
            versions,
            commit: output_of("git", &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]),
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or_else(|_| unknown(), |now| utc(now.as_secs())),
        }
    }
}

fn unknown() -> String {
    "unknown".into()
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
    model.map_or_else(unknown, |(_, name)| name.trim().into())
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().into(),
        _ => unknown(),
    }
}

/// The first version of that name in the lock file.
pub(crate) fn locked_version(name: &str) -> String {
    let mut lines = include_str!("../../Cargo.lock").lines();
    lines
        .find(|line| line.strip_prefix("name = ").is_some_and(|found| found.trim_matches('"') == name))
        .and_then(|_| lines.next()?.strip_prefix("version = "))
        .map_or_else(unknown, |version| version.trim_matches('"').into())
}

/// RFC 3339 text of seconds since 1970. Years are counted from March, so that a leap day is the last of its year.
fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z", second % 60)
}

#[cfg(test)]
mod tests {
    use super::{locked_version, utc};

    #[test]
    fn versions_come_from_the_lock_file() {
        assert!(locked_version("wasmtime").starts_with("48."));
        assert_eq!(locked_version("no-such-crate"), "unknown");
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(utc(951_868_800), "2000-03-01T00:00:00Z");
        assert_eq!(utc(1_767_225_599), "2025-12-31T23:59:59Z");
    }
}
