use std::fmt::Write as _;

use serde::{Serialize, Serializer};

/// How bad it is to break a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The declaration is refused.
    Error,
    /// The declaration is accepted, and probably not meant so.
    Warning,
}

macro_rules! rules {
    ($($name:ident = $code:literal, $text:literal, $more:literal;)*) => {
        /// What a declaration must keep to. Each rule has a code that is never given to another one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = concat!($code, ": ", $text, ". ", $more)] $name,)*
        }

        impl Rule {
            /// All rules, by rising code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its code: `E` for errors, `W` for warnings, and four digits.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The rule.
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Why it is so, and what to do.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => $more,)* }
            }
        }
    };
}

rules! {
    Syntax = "E1001", "the text must be YAML or JSON",
        "The message gives the first place where it is not; often the cause is a wrong indentation a line above. A \
         field may not be given twice.";
    TooLarge = "E1002", "a text must keep within bounds",
        "Size, nesting and what aliases repeat are bounded, so that no text can exhaust the host. Split the text into \
         several files, or write repeated parts out.";
    UnknownField = "E1003", "there is no such field",
        "Nothing is ignored: a field that has no meaning is refused. Correct its name; `pulselet schema` prints all \
         fields.";
    UnsupportedField = "E1004", "the field is not supported",
        "The field exists in Pulsar Functions or Function Mesh, and Pulselet does not have it, not yet, or under \
         another name. The message says which, and what to write instead.";
    WrongType = "E1005", "the value must be of the right type",
        "Text that looks like a number or like `true` needs quotes; a field that is given needs a value.";
    MissingField = "E1006", "the field is required",
        "Add it.";
    OutOfRange = "E1007", "the value must be within its range",
        "The message gives the range.";
    NotAllowed = "E1008", "the value must be one of a few",
        "The message lists them.";
    UnsupportedValue = "E1009", "the value is not supported",
        "The value exists in Pulsar Functions or Function Mesh, and Pulselet does not have it, or not yet. The message \
         says what to write instead.";
    NoFunction = "E1010", "there must be something to declare",
        "The text is empty, or holds comments only.";
    Name = "E1101", "a function's name has at most 63 lower-case letters, digits and `-`, and begins and ends with a letter or digit",
        "It names Kubernetes objects too, so it follows their rule.";
    TenantOrNamespace = "E1102", "a tenant or namespace has letters, digits and `-=:._` only",
        "This is Pulsar's rule. The namespace is written without the tenant.";
    DuplicateFunction = "E1103", "a function is declared once",
        "Functions are told apart by tenant, namespace and name. Rename one of them, or remove it.";
    InputMissing = "E1201", "a function reads `topics` or a `topicPattern`, and not both",
        "Give one of them under `spec.input`.";
    TopicName = "E1202", "topics are written `name` or `[persistent://]tenant/namespace/name`",
        "Short names are completed with the function's own tenant and namespace. In a pattern the last part is a \
         regular expression that matches whole names.";
    Loop = "E1203", "what a function writes to must not be what it reads",
        "It would be given its own output for ever. Write to another topic, or narrow the pattern.";
    RepeatedInput = "E1204", "a topic is read once",
        "Remove the repetition.";
    NonPersistent = "E1205", "topics that are not persistent need `processingGuarantee: atmost_once`",
        "The broker keeps nothing of a `non-persistent://` topic, so there is nothing to acknowledge and nothing to \
         deliver again. Read a `persistent://` topic, or accept that messages are lost.";
    SubscriptionName = "E1301", "a subscription's name is text without white space and control characters, of at most 255 bytes",
        "Leave it out to have the function's own name.";
    OneOrder = "E1302", "`retainOrdering` and `retainKeyOrdering` exclude each other",
        "The first keeps the order of whole partitions and has one replica read them; the second keeps the order of \
         each key and lets replicas share. Keep one of them.";
    DeadLetterNeedsRetries = "E1303", "a dead letter topic needs `maxMessageRetry`",
        "Without a number of attempts a failing message is tried until it succeeds, and never reaches the dead letter \
         topic. Set `maxMessageRetry`; 0 allows no second attempt.";
    SkipsAnyway = "E1304", "`skipToLatest` makes `subscriptionPosition: earliest` void",
        "The function would go to the end of its topics at every start, the first one included. Remove one of the two.";
    Backoff = "E1305", "`backoffMs` is at most `maxBackoffMs`",
        "The wait before a retry starts at the first and grows to the second.";
    NoSecondAttempt = "E1306", "with `processingGuarantee: atmost_once` nothing is tried again",
        "A message is acknowledged before it is processed, so there are no retries and no dead letters. Remove the field, \
         or choose `atleast_once`.";
    RetryTopicBreaksOrder = "E1307", "a retry topic and a kept order exclude each other",
        "Messages that wait in another topic are overtaken by those behind them. With `retainOrdering` or \
         `retainKeyOrdering` they wait in place.";
    Location = "E1401", "a component is a file, or at an `http://` or `https://` address",
        "Paths are relative to the folder of the declaration. Other sources are not supported yet: fetch the file \
         first.";
    Digest = "E1402", "a digest is `sha256:` and 64 hexadecimal digits",
        "`pulselet build` and `pulselet inspect` print it.";
    AddressNeedsDigest = "E1403", "a component at an address needs a digest",
        "What an address gives may change at any time; the digest says which bytes are meant.";
    BatchWorld = "E1404", "`batch` is for components of the world `batch-function`",
        "A component of the world `function` is given one message a call. Remove `batch`, or write the component \
         against the other world.";
    WarmInstances = "E1405", "`warmInstances` is at most `concurrency`",
        "Each call under way has an instance of its own, and there is never work for more. Lower the one or raise the \
         other.";
    FreshStaysNot = "E1406", "with `reuse: Fresh` no instance stays",
        "Each call gets a new instance, which ends with it, so there is none to keep warm or to wait for idleness. Remove \
         the field, or reuse instances.";
    Quantity = "E1501", "a size is digits and one of nothing, `k`, `M`, `G`, `T`, `Ki`, `Mi`, `Gi`, `Ti`",
        "`64Mi` is 64 * 1,024 * 1,024 bytes, `64M` is 64,000,000 bytes.";
    Secret = "E1601", "a secret has a name in the function, a `path` and a `key`, none of them empty",
        "`path` is the name of the secret, `key` the entry in it.";
    ConfigName = "E1602", "an entry of the user configuration has a name",
        "Give it one.";
    UnnamedDeadLetters = "W1901", "dead letters go to a topic named `<input>-<subscription>-DLQ`",
        "`maxMessageRetry` is set and `deadLetterTopic` is not, so the name is made up as Pulsar's clients do it; a `/` \
         in the subscription becomes a `-`. Name the topic, so that others know where to look.";
}

impl Rule {
    /// Whether breaking it refuses the declaration.
    pub fn severity(self) -> Severity {
        if self.code().starts_with('W') { Severity::Warning } else { Severity::Error }
    }

    /// The page that lists all rules, in Markdown.
    pub fn page() -> String {
        let mut page = String::from(
            "# Errors in declarations\n\n\
             Generated from the rules that `pulselet validate` checks. Codes are never changed and never given to \
             another rule.\n\n\
             | code | rule | why, and what to do |\n|---|---|---|\n",
        );
        for rule in Self::ALL {
            // Writing to a string does not fail.
            let _ = writeln!(page, "| `{}` | {} | {} |", rule.code(), rule.text(), rule.explanation());
        }
        page
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
