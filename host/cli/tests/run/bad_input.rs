//! Bad input: a clear error, nothing changed, no panic, and neighbours unharmed.

mod components;
mod folders;
mod guests;

use std::process::Output;
use std::time::Duration;

use crate::pulselet::{Bench, text};

const PATIENCE: Duration = Duration::from_secs(60);

impl Bench {
    /// Runs a command on the data folder, to its end.
    fn on_data(&self, args: &[&str]) -> Output {
        self.command().args(args).args(["--data", "data"]).output().unwrap()
    }

    /// What is in a topic, or what was said instead.
    fn messages(&self, topic: &str) -> String {
        let output = self.on_data(&["consume", topic]);
        text(&output.stdout) + &text(&output.stderr)
    }

    fn send(&self, topic: &str, message: &str) {
        let output = self.on_data(&["produce", topic, message]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

/// It ended with this status and these words, and neither it nor a guest of it fell over.
fn refused(output: &Output, status: i32, words: &[&str]) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{errors}");
    assert!(words.iter().all(|words| errors.contains(words)), "wanted {words:?}\n{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}
