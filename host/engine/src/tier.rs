use std::fmt;
use std::str::FromStr;

/// Which compiler made a component's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tier {
    /// The baseline compiler: five to fourteen times faster than the other, its code about half as fast. For the first
    /// start of a component on a node.
    Winch,
    /// The optimising compiler. Its code replaces the baseline's as soon as it is there.
    Cranelift,
}

impl Tier {
    /// Both, the worse one first.
    pub const ALL: [Self; 2] = [Self::Winch, Self::Cranelift];
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Winch => "winch",
            Self::Cranelift => "cranelift",
        })
    }
}

/// Which processors code is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cpu {
    /// The one it is made on, with all it can do.
    #[default]
    Host,
    /// Any x86-64 with SSE4.2 and POPCNT: every server since 2009.
    X86_64V2,
    /// Any x86-64 with AVX2, BMI and FMA: most servers since 2015.
    X86_64V3,
}

impl Cpu {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Host, Self::X86_64V2, Self::X86_64V3];
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Host => "host",
            Self::X86_64V2 => "x86-64-v2",
            Self::X86_64V3 => "x86-64-v3",
        })
    }
}

/// Not one of the names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not known; write one of {known}")]
pub struct NameError {
    found: String,
    known: String,
}

impl NameError {
    fn of(found: &str, all: &[impl fmt::Display]) -> Self {
        let known: Vec<String> = all.iter().map(|one| format!("`{one}`")).collect();
        Self { found: found.to_owned(), known: known.join(", ") }
    }
}

impl FromStr for Tier {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|tier| tier.to_string() == text).ok_or_else(|| NameError::of(text, &Self::ALL))
    }
}

impl FromStr for Cpu {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::ALL.into_iter().find(|cpu| cpu.to_string() == text).ok_or_else(|| NameError::of(text, &Self::ALL))
    }
}
