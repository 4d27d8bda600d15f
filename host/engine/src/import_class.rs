use std::fmt;

/// One thing a component imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its full name.
    pub name: String,
    /// What importing it means.
    pub class: ImportClass,
}

/// What importing something means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImportClass {
    /// Always there, and gives nothing away.
    Inert,
    /// Granted by `spec.publish`.
    Publish,
    /// Granted by `processingGuarantee: manual`.
    Settle,
    /// Granted by `spec.secretsMap`.
    Secrets,
    /// Of WASI 0.3, which is not supported.
    Wasi03,
    /// Not known here.
    Unknown,
}

impl ImportClass {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Inert, Self::Publish, Self::Settle, Self::Secrets, Self::Wasi03, Self::Unknown];

    /// The declaration that grants it, for classes that need one.
    pub const fn granted_by(self) -> Option<&'static str> {
        match self {
            Self::Publish => Some("spec.publish"),
            Self::Settle => Some("spec.processingGuarantee: manual"),
            Self::Secrets => Some("spec.secretsMap"),
            Self::Inert | Self::Wasi03 | Self::Unknown => None,
        }
    }

    pub(crate) fn of(import: &str) -> Self {
        let name = Name::parse(import);
        match (name.package, name.interface) {
            ("pulselet:function", interface) if name.is_ours(interface) => match interface {
                "context" | "metrics" | "types" | "outcome" => Self::Inert,
                "publish" | "publish-now" => Self::Publish,
                "settle" => Self::Settle,
                "secrets" => Self::Secrets,
                _ => Self::Unknown,
            },
            ("wasi:logging", "logging") if name.version == "0.1.0-draft" => Self::Inert,
            ("wasi:config", "store") if name.version == "0.2.0-rc.1" => Self::Inert,
            ("wasi:cli" | "wasi:io" | "wasi:clocks" | "wasi:random" | "wasi:filesystem" | "wasi:sockets", _)
                if name.is_release("0.2.") =>
            {
                Self::Inert
            }
            (package, _) if package.starts_with("wasi:") && name.version.starts_with("0.3.") => Self::Wasi03,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for ImportClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inert => "inert",
            Self::Publish | Self::Settle | Self::Secrets => "granted by declaration",
            Self::Wasi03 => "wasi 0.3",
            Self::Unknown => "unknown",
        })
    }
}

/// `namespace:package/interface@version`; parts that are not there are empty.
pub(crate) struct Name<'a> {
    package: &'a str,
    interface: &'a str,
    version: &'a str,
}

impl<'a> Name<'a> {
    pub(crate) fn parse(name: &'a str) -> Self {
        let (path, version) = name.split_once('@').unwrap_or((name, ""));
        let (package, interface) = path.split_once('/').unwrap_or((path, ""));
        Self { package, interface, version }
    }

    /// An interface of the contract, of any version that 0.1.0 can stand for.
    pub(crate) fn is_ours(&self, interface: &str) -> bool {
        self.package == "pulselet:function" && self.interface == interface && self.is_release("0.1.")
    }

    /// A version of this line with nothing but a number behind it: drafts are not compatible with each other.
    fn is_release(&self, line: &str) -> bool {
        self.version
            .strip_prefix(line)
            .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
    }
}
