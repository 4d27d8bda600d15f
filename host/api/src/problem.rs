use std::fmt;

use serde::Serialize;

use crate::rule::{Rule, Severity};

/// Something wrong with a declaration: which field, what it holds, which rule that breaks, what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The rule that is broken; its [code](Rule::code) never changes.
    #[serde(rename = "code")]
    pub rule: Rule,
    /// What was read: a file name, or empty for a declaration that was not read from text.
    pub source: String,
    /// Where in it, if that is known.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// The field, as in `spec.input.topics[0]`; empty where the whole text is meant.
    pub path: String,
    /// What the field holds.
    pub found: String,
    /// Which rule that breaks, in the words of this case.
    pub because: String,
    /// What to do.
    pub remedy: String,
    /// Further fields that the rule looks at.
    #[serde(skip)]
    also: Vec<&'static str>,
}

/// A place in a text, both numbers from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Character in the line.
    pub column: u64,
}

impl Place {
    pub(crate) fn of(location: serde_saphyr::Location) -> Option<Self> {
        (location.line() > 0).then(|| Self { line: location.line(), column: location.column() })
    }
}

impl Problem {
    pub(crate) fn new(rule: Rule, path: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            rule,
            source: String::new(),
            place: None,
            path: path.into(),
            found: found.into(),
            because: rule.text().to_owned(),
            remedy: String::new(),
            also: Vec::new(),
        }
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }

    /// Says the rule in the words of this case, where its general text is not enough.
    pub(crate) fn because(mut self, because: impl Into<String>) -> Self {
        self.because = because.into();
        self
    }

    /// Names a further field that the rule looks at.
    pub(crate) fn also(mut self, path: &'static str) -> Self {
        self.also.push(path);
        self
    }

    /// All fields that the rule looks at.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.path.as_str()).chain(self.also.iter().copied())
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// False for a warning.
    pub fn is_error(&self) -> bool {
        self.rule.severity() == Severity::Error
    }
}

/// One line: `function.yaml:12:5: spec.output.topic: "in": an input cannot be the output; write another topic [E1203]`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, source, place, path, found, because, remedy, .. } = self;
        let mut parts = Vec::new();
        match place {
            Some(Place { line, column }) => parts.push(format!("{source}:{line}:{column}")),
            None => parts.push(source.clone()),
        }
        parts.extend([path, found, because].map(Clone::clone));
        parts.retain(|part| !part.is_empty());
        f.write_str(&parts.join(": "))?;
        if !remedy.is_empty() {
            write!(f, "; {remedy}")?;
        }
        write!(f, " [{}]", rule.code())
    }
}

/// Everything that is wrong, in the order of the text; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Errors(Vec<Problem>);

impl Errors {
    /// `Err` with the problems if there are any.
    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// The problems.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Problem> {
        self.0.iter()
    }

    /// The problems.
    pub fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

impl From<Problem> for Errors {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

/// One line for each problem.
impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            let line_break = if number == 0 { "" } else { "\n" };
            write!(f, "{line_break}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
