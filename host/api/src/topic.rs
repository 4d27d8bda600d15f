//! Topic names as Pulsar writes them: `persistent://tenant/namespace/name`, with `-partition-N` for a partition.

use std::fmt;
use std::str::FromStr;

use regex::Regex;

/// Separates a topic's name from the number of one of its partitions (Pulsar's `TopicName.PARTITIONED_TOPIC_SUFFIX`).
const PARTITION_SUFFIX: &str = "-partition-";

/// Longest name accepted, in bytes of the full form.
const MAX_BYTES: usize = 512;

/// A full topic name, or one of its partitions. Short forms (`name`, `tenant/namespace/name`) are completed when parsed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicName {
    full: String,
    /// Byte offsets in `full`: end of the domain, of the tenant, of the namespace.
    domain_end: u16,
    tenant_end: u16,
    namespace_end: u16,
    partition: Option<u32>,
}

/// Why a text is not a topic name or pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a topic {what}: {rule}")]
pub struct TopicNameError {
    /// What was given.
    pub text: String,
    /// `name` or `pattern`.
    pub what: &'static str,
    /// The rule it breaks and the form to use.
    pub rule: String,
}

impl TopicName {
    /// Completes a short name with `tenant` and `namespace`, and checks it.
    ///
    /// # Errors
    /// Names of the form `a/b`, unknown domains, empty parts, control characters or white space, more than 512 bytes.
    pub fn parse_in(text: &str, tenant: &str, namespace: &str) -> Result<Self, TopicNameError> {
        let fail = |rule: String| TopicNameError { text: text.to_owned(), what: "name", rule };
        let (domain, rest) = match text.split_once("://") {
            Some((domain @ ("persistent" | "non-persistent"), rest)) => (domain, rest),
            Some((domain, _)) => {
                return Err(fail(format!("domain {domain:?} is neither `persistent` nor `non-persistent`")));
            }
            None => ("persistent", text),
        };
        let parts: Vec<&str> = rest.splitn(3, '/').collect();
        let (tenant, namespace, name) = match parts.as_slice() {
            [name] if !text.contains("://") => (tenant, namespace, *name),
            [tenant, namespace, name] => (*tenant, *namespace, *name),
            _ => return Err(fail("write `name` or `[persistent://]tenant/namespace/name`".to_owned())),
        };
        for (what, part) in [("tenant", tenant), ("namespace", namespace), ("name", name)] {
            if part.is_empty() {
                return Err(fail(format!("the {what} is empty")));
            }
            if let Some(bad) = part.chars().find(|c| c.is_control() || c.is_whitespace()) {
                return Err(fail(format!("the {what} holds the character {bad:?}")));
            }
        }
        if name.contains('/') {
            return Err(fail("the name holds a `/`".to_owned()));
        }
        let full = format!("{domain}://{tenant}/{namespace}/{name}");
        if full.len() > MAX_BYTES {
            return Err(fail(format!("{} bytes are more than the {MAX_BYTES} allowed", full.len())));
        }
        let domain_end = domain.len() + 3;
        let tenant_end = domain_end + tenant.len();
        let namespace_end = tenant_end + 1 + namespace.len();
        let partition = name
            .rsplit_once(PARTITION_SUFFIX)
            .and_then(|(base, number)| (!base.is_empty()).then(|| number.parse().ok()).flatten());
        Ok(Self {
            full,
            domain_end: domain_end as u16,
            tenant_end: tenant_end as u16,
            namespace_end: namespace_end as u16,
            partition,
        })
    }

    /// The full name, with the partition suffix if it names a partition.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// False for `non-persistent://` topics.
    pub fn is_persistent(&self) -> bool {
        self.full.starts_with("persistent:")
    }

    /// Tenant.
    pub fn tenant(&self) -> &str {
        self.slice(self.domain_end, self.tenant_end)
    }

    /// Namespace, without the tenant.
    pub fn namespace(&self) -> &str {
        self.slice(self.tenant_end + 1, self.namespace_end)
    }

    /// Last part of the name, with the partition suffix if it names a partition.
    pub fn local_name(&self) -> &str {
        self.slice(self.namespace_end + 1, self.full.len() as u16)
    }

    /// Which partition it names.
    pub fn partition(&self) -> Option<u32> {
        self.partition
    }

    /// The name of partition `number` of this topic.
    pub fn with_partition(&self, number: u32) -> Self {
        let base = self.without_partition();
        Self { full: format!("{}{PARTITION_SUFFIX}{number}", base.full), partition: Some(number), ..base }
    }

    /// The topic that this partition belongs to; itself if it names none.
    pub fn without_partition(&self) -> Self {
        let mut base = self.clone();
        if base.partition.take().is_some()
            && let Some(end) = base.full.rfind(PARTITION_SUFFIX)
        {
            base.full.truncate(end);
        }
        base
    }

    /// A topic of the same tenant and namespace whose local name is this one's with `suffix` (`-DLQ`, `-RETRY`).
    pub fn with_suffix(&self, suffix: &str) -> Self {
        let base = self.without_partition();
        Self { full: format!("{}{suffix}", base.full), ..base }
    }

    fn slice(&self, from: u16, to: u16) -> &str {
        self.full.get(usize::from(from)..usize::from(to)).unwrap_or_default()
    }
}

impl FromStr for TopicName {
    type Err = TopicNameError;

    /// Short names mean tenant `public`, namespace `default`, as with Pulsar's clients.
    fn from_str(text: &str) -> Result<Self, TopicNameError> {
        Self::parse_in(text, "public", "default")
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// Topics by regular expression: `persistent://tenant/namespace/regex`, matched against whole local names.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    prefix: String,
    regex: Regex,
}

impl Pattern {
    /// Parses a pattern; a short one is completed with `tenant` and `namespace`.
    ///
    /// # Errors
    /// As [`TopicName::parse_in`], and when the last part is not a regular expression.
    pub fn parse_in(text: &str, tenant: &str, namespace: &str) -> Result<Self, TopicNameError> {
        let fail = |rule: String| TopicNameError { text: text.to_owned(), what: "pattern", rule };
        let (domain, rest) = text.split_once("://").unwrap_or(("persistent", text));
        let (prefix, regex) = match rest.splitn(3, '/').collect::<Vec<_>>().as_slice() {
            [regex] => (format!("{domain}://{tenant}/{namespace}/"), *regex),
            [tenant, namespace, regex] => (format!("{domain}://{tenant}/{namespace}/"), *regex),
            _ => return Err(fail("write `regex` or `[persistent://]tenant/namespace/regex`".to_owned())),
        };
        TopicName::from_str(&format!("{prefix}x")).map_err(|e| fail(e.rule))?;
        let regex = Regex::new(&format!("^(?:{regex})$")).map_err(|e| fail(e.to_string()))?;
        Ok(Self { text: text.to_owned(), prefix, regex })
    }

    /// True when the topic (a partition counts as its topic) is meant.
    pub fn matches(&self, topic: &TopicName) -> bool {
        let base = topic.without_partition();
        base.as_str().strip_prefix(&self.prefix).is_some_and(|local| self.regex.is_match(local))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed_and_parts_are_read_back() {
        let topic = TopicName::parse_in("in", "t", "n").unwrap();
        assert_eq!(topic.as_str(), "persistent://t/n/in");
        assert_eq!((topic.tenant(), topic.namespace(), topic.local_name()), ("t", "n", "in"));
        assert_eq!(TopicName::from_str("a/b/c").unwrap().as_str(), "persistent://a/b/c");
    }

    #[test]
    fn a_partition_knows_its_topic_and_back() {
        let topic = TopicName::from_str("in").unwrap();
        let third = topic.with_partition(3);
        assert_eq!(third.as_str(), "persistent://public/default/in-partition-3");
        assert_eq!(third.partition(), Some(3));
        assert_eq!(third.without_partition(), topic);
        assert_eq!(TopicName::from_str(third.as_str()).unwrap(), third);
        assert_eq!(third.with_partition(1), topic.with_partition(1));
        assert_eq!(third.with_suffix("-DLQ").as_str(), "persistent://public/default/in-DLQ");
    }

    #[test]
    fn bad_names_say_which_rule_they_break() {
        for (text, rule) in [
            ("", "empty"),
            ("a/b", "tenant/namespace/name"),
            ("kafka://a/b/c", "domain"),
            ("a/b/c/d", "`/`"),
            ("has space", "character"),
            ("persistent://only", "tenant/namespace/name"),
        ] {
            let error = TopicName::from_str(text).unwrap_err().to_string();
            assert!(error.contains(rule), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_pattern_matches_whole_names_of_its_namespace_only() {
        let pattern = Pattern::parse_in("public/default/in-.*", "t", "n").unwrap();
        let matches = |t: &str| pattern.matches(&TopicName::from_str(t).unwrap());
        assert!(matches("in-1") && matches("in-1-partition-0"));
        assert!(!matches("xin-1") && !matches("other/default/in-1"));
        assert!(Pattern::parse_in("in-(", "t", "n").is_err());
    }
}
