use std::fmt;
use std::time::SystemTime;

/// Something about a function that somebody should know, in the form that Kubernetes gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// What it is about.
    pub kind: ConditionKind,
    /// One word for programs.
    pub reason: &'static str,
    /// For people: what, where, and what to do.
    pub message: String,
    /// Since when.
    pub since: SystemTime,
}

/// What a condition is about. One that is not there is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionKind {
    /// An update is under way, or new code on trial.
    Progressing,
    /// It works, but not as it was declared.
    Degraded,
}

impl fmt::Display for ConditionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
        })
    }
}

/// At most one of each kind.
#[derive(Debug, Default)]
pub(super) struct Conditions(Vec<Condition>);

impl Conditions {
    pub(super) fn set(&mut self, kind: ConditionKind, reason: &'static str, message: String) {
        self.clear(kind);
        self.0.push(Condition { kind, reason, message, since: SystemTime::now() });
    }

    pub(super) fn clear(&mut self, kind: ConditionKind) {
        self.0.retain(|condition| condition.kind != kind);
    }

    pub(super) fn list(&self) -> Vec<Condition> {
        self.0.clone()
    }
}
