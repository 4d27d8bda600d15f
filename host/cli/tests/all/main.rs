//! The commands but `run`, with the real binary.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod command_line;
mod components;
mod data;
mod declarations;
mod error_codes;
mod harness;
mod monitoring;
#[allow(dead_code, reason = "shared with the tests of `run`")]
#[path = "../run/pulselet.rs"]
mod pulselet;

use std::process::Output;

use pulselet::{Bench, text};

impl Bench {
    /// Runs a command to its end.
    fn pulselet(&self, args: &[&str]) -> Ended {
        Ended(self.command().args(args).output().unwrap())
    }

    /// Runs a command that must go well; gives what it prints.
    fn prints(&self, args: &[&str]) -> String {
        let ended = self.pulselet(args);
        assert_eq!(ended.status(), 0, "{args:?}\n{}", ended.errors());
        ended.printed()
    }

    /// As [`Bench::prints`], read as JSON.
    fn prints_json(&self, args: &[&str]) -> serde_json::Value {
        let printed = self.prints(&[args, &["--output", "json"]].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }
}

/// A command that has ended.
struct Ended(Output);

impl Ended {
    fn status(&self) -> i32 {
        self.0.status.code().unwrap_or(-1)
    }

    fn printed(&self) -> String {
        text(&self.0.stdout)
    }

    fn errors(&self) -> String {
        text(&self.0.stderr)
    }

    /// It must have failed like this.
    fn failed(&self, status: i32, message: &str) {
        assert!(
            self.status() == status && self.errors().contains(message),
            "status {}, wanted {status}; stderr, wanted {message:?}:\n{}",
            self.status(),
            self.errors()
        );
    }
}
