use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::topic::{Pattern, TopicName};

/// A declaration that has been checked: every default filled in, every name complete, and only combinations that can
/// run.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Who it is.
    pub name: FunctionName,
    /// What runs.
    pub component: ComponentRef,
    /// What it reads.
    pub inputs: Inputs,
    /// Where answers go.
    pub output: Option<Output>,
    /// Which further topics it may publish to.
    pub publish: Vec<Pattern>,
    /// How it reads.
    pub subscription: Subscription,
    /// What an ack stands for.
    pub guarantee: Guarantee,
    /// What happens to messages that fail.
    pub retry: RetryPolicy,
    /// How many replicas.
    pub replicas: NonZeroU32,
    /// Calls under way at the same time in one replica, each in its own instance.
    pub concurrency: NonZeroU32,
    /// Most messages given to a `batch-function` in one call.
    pub batch_messages: NonZeroU32,
    /// What a call may use.
    pub limits: Limits,
    /// How long instances stay.
    pub instances: Instances,
    /// After how many failed calls a new component is taken back; `None` is never.
    pub rollback_on_errors: Option<NonZeroU32>,
    /// Where log lines go besides the log.
    pub log_topic: Option<TopicName>,
    /// Whether answers carry the properties of what they answer.
    pub forward_properties: bool,
    /// User configuration: strings as they are, everything else as JSON.
    pub config: BTreeMap<String, String>,
    /// Secrets granted, by the name the function uses.
    pub secrets: BTreeMap<String, SecretRef>,
    /// Declared, but not to be run now.
    pub paused: bool,
}

/// `tenant/namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionName {
    /// Pulsar tenant.
    pub tenant: String,
    /// Pulsar namespace, without the tenant.
    pub namespace: String,
    /// Name of the function.
    pub name: String,
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.namespace, self.name)
    }
}

/// Which component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentRef {
    /// Where its bytes are.
    pub location: Location,
    /// What they must hash to.
    pub digest: Option<Digest>,
    /// What it must export; inferred when absent.
    pub world: Option<World>,
    /// Whether an instance serves more than one call.
    pub reuse: Reuse,
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file; relative paths start at the declaration's folder.
    File(PathBuf),
    /// An http or https address; needs a digest.
    Http(String),
}

impl Location {
    /// The location as seen by a process: the path of a relative file starts at `folder`, which is the declaration's.
    pub fn in_folder(&self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            Self::Http(_) => self.clone(),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Http(url) => f.write_str(url),
        }
    }
}

/// A SHA-256 digest, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

/// Not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is `sha256:` and 64 hexadecimal digits")]
pub struct DigestError;

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.strip_prefix("sha256:").ok_or(DigestError)?;
        let mut nibbles = digits.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            match (nibbles.next().flatten(), nibbles.next().flatten()) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(DigestError),
            }
        }
        if nibbles.next().is_some() { Err(DigestError) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a component exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// One message a call.
    Function,
    /// Many messages a call.
    BatchFunction,
}

/// Whether an instance serves more than one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reuse {
    /// It serves calls until one fails.
    #[default]
    Instance,
    /// Each call gets a new one, and nothing is carried over.
    Fresh,
}

/// How long instances stay that have nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instances {
    /// So long.
    pub idle_timeout: Duration,
    /// So many of each replica stay for ever, and are made before there is a message.
    pub warm: u32,
}

/// What a function reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// These topics; never empty.
    Topics(Vec<TopicName>),
    /// All topics that match, also later ones.
    Pattern(Pattern),
}

/// Where answers go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The topic.
    pub topic: TopicName,
}

/// How a function reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its name; `tenant/namespace/name` of the function unless declared.
    pub name: String,
    /// How replicas share it.
    pub kind: SubscriptionKind,
    /// Where it starts when it is new: with the oldest message (`true`) or the next one.
    pub earliest: bool,
    /// Skip what is unread at every start.
    pub skip_to_latest: bool,
    /// Remove it when the function is deleted.
    pub cleanup: bool,
}

/// How replicas share a subscription, by what the declaration asks to be kept in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionKind {
    /// No order.
    Shared,
    /// Order of each partition (`retainOrdering`).
    Failover,
    /// Order of each key (`retainKeyOrdering`).
    KeyShared,
}

/// What an ack stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Acked before the call.
    AtMostOnce,
    /// Acked when all outputs are confirmed.
    AtLeastOnce,
    /// Acked by the guest.
    Manual,
}

/// What happens to a message that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first; `None` goes on for ever.
    pub max_retries: Option<u32>,
    /// Where messages go that are rejected or out of attempts; without one they are acked and counted.
    pub dead_letter_topic: Option<TopicName>,
    /// Where messages wait for their next attempt, instead of in place. Only without order.
    pub retry_topic: Option<TopicName>,
    /// Wait before the first retry; doubles up to `backoff_max`.
    pub backoff_initial: Duration,
    /// Longest wait between two attempts.
    pub backoff_max: Duration,
    /// Most messages of a replica held back behind messages that wait for a retry.
    pub held_messages: u32,
    /// Most bytes of them.
    pub held_bytes: u64,
}

/// What a call may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest call.
    pub timeout: Duration,
    /// Linear memory of an instance, in bytes.
    pub memory_bytes: u64,
    /// Elements of each table of an instance.
    pub table_elements: u32,
    /// Messages put out by one call.
    pub output_messages: u32,
    /// Bytes put out by one call, payloads, keys and properties together.
    pub output_bytes: u64,
    /// Log lines a second; what is over is dropped and counted.
    pub log_lines_per_second: u32,
}

/// Where a secret is kept: entry `key` of the secret `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretRef {
    /// Name of the secret.
    pub path: String,
    /// Entry in it.
    pub key: String,
}
