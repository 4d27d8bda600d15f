use std::time::Duration;

use super::Rules;
use crate::problem::Problem;
use crate::resolved::{FunctionName, Guarantee, Inputs, RetryPolicy, Subscription, SubscriptionKind};
use crate::rule::Rule;
use crate::shape::shorten;
use crate::spec::{ProcessingGuarantee, Retry, SubscriptionPosition, default};

/// Longest name of a subscription, in bytes.
const MAX_SUBSCRIPTION_BYTES: usize = 255;

impl Rules<'_> {
    pub(super) fn guarantee(&mut self, inputs: &Inputs) -> Guarantee {
        let guarantee = match self.spec.processing_guarantee {
            None | Some(ProcessingGuarantee::AtLeastOnce) => Guarantee::AtLeastOnce,
            Some(ProcessingGuarantee::AtMostOnce) => Guarantee::AtMostOnce,
            Some(ProcessingGuarantee::Manual) => Guarantee::Manual,
        };
        let is_volatile = match inputs {
            Inputs::Topics(topics) => topics.iter().any(|topic| !topic.is_persistent()),
            Inputs::Pattern(pattern) => pattern.as_str().starts_with("non-persistent://"),
        };
        if is_volatile && guarantee != Guarantee::AtMostOnce {
            let found = "a `non-persistent://` topic is read";
            self.report(
                Problem::new(Rule::NonPersistent, "spec.input", found)
                    .remedy("read a `persistent://` topic, or set `processingGuarantee: atmost_once`")
                    .also("spec.processingGuarantee"),
            );
        }
        guarantee
    }

    pub(super) fn subscription(&mut self, function: &FunctionName) -> Subscription {
        let spec = self.spec;
        if let Some(name) = &spec.subscription_name
            && (name.is_empty()
                || name.len() > MAX_SUBSCRIPTION_BYTES
                || name.chars().any(|c| c.is_control() || c.is_whitespace()))
        {
            let problem = Problem::new(Rule::SubscriptionName, "spec.subscriptionName", shorten(name));
            self.report(problem.remedy(format!("leave it out to have `{function}`")));
        }
        let earliest = spec.subscription_position == Some(SubscriptionPosition::Earliest);
        let skip_to_latest = spec.skip_to_latest.unwrap_or(false);
        if earliest && skip_to_latest {
            let problem = Problem::new(Rule::SkipsAnyway, "spec.skipToLatest", "true");
            self.report(problem.remedy("remove one of the two").also("spec.subscriptionPosition"));
        }
        Subscription {
            name: spec.subscription_name.clone().unwrap_or_else(|| function.to_string()),
            kind: self.subscription_kind(),
            earliest,
            skip_to_latest,
            cleanup: spec.cleanup_subscription.unwrap_or(false),
        }
    }

    fn subscription_kind(&mut self) -> SubscriptionKind {
        match (self.spec.retain_ordering.unwrap_or(false), self.spec.retain_key_ordering.unwrap_or(false)) {
            (true, true) => {
                let problem = Problem::new(Rule::OneOrder, "spec.retainKeyOrdering", "both are set");
                self.report(problem.remedy("remove one of them").also("spec.retainOrdering"));
                SubscriptionKind::Failover
            }
            (true, false) => SubscriptionKind::Failover,
            (false, true) => SubscriptionKind::KeyShared,
            (false, false) => SubscriptionKind::Shared,
        }
    }

    pub(super) fn retry(&mut self, inputs: &Inputs) -> RetryPolicy {
        let spec = self.spec;
        let none = Retry::default();
        let retry = spec.retry.as_ref().unwrap_or(&none);
        let topic = spec.dead_letter_topic.as_deref();
        let dead_letter_topic = self.topic_not_read("spec.deadLetterTopic", topic, inputs);
        let retry_topic = self.topic_not_read("spec.retryTopic", spec.retry_topic.as_deref(), inputs);
        let is_ordered = spec.retain_ordering == Some(true) || spec.retain_key_ordering == Some(true);
        if let Some(topic) = spec.retry_topic.as_deref().filter(|_| is_ordered) {
            let problem = Problem::new(Rule::RetryTopicBreaksOrder, "spec.retryTopic", shorten(topic));
            self.report(problem.remedy("remove one of the two").also("spec.retainOrdering"));
        }
        if spec.processing_guarantee == Some(ProcessingGuarantee::AtMostOnce) {
            self.refuse_second_attempts();
            return RetryPolicy {
                max_retries: None,
                dead_letter_topic: None,
                retry_topic: None,
                backoff_initial: Duration::from_millis(default::BACKOFF_MS.into()),
                backoff_max: Duration::from_millis(default::MAX_BACKOFF_MS.into()),
                held_messages: default::HELD_MESSAGES,
                held_bytes: u64::MAX,
            };
        }
        match (spec.dead_letter_topic.as_deref(), spec.max_message_retry) {
            (Some(topic), None) => {
                let problem = Problem::new(Rule::DeadLetterNeedsRetries, "spec.deadLetterTopic", shorten(topic));
                self.report(problem.remedy("set it, for instance `maxMessageRetry: 5`").also("spec.maxMessageRetry"));
            }
            (None, Some(retries)) => {
                let problem = Problem::new(Rule::UnnamedDeadLetters, "spec.maxMessageRetry", retries.to_string());
                self.report(problem.remedy("set `deadLetterTopic` to name it").also("spec.deadLetterTopic"));
            }
            _ => {}
        }
        let longest = retry.max_backoff_ms.unwrap_or(default::MAX_BACKOFF_MS);
        let first = retry.backoff_ms.unwrap_or(default::BACKOFF_MS);
        if first > longest {
            let (path, value) = match retry.backoff_ms {
                Some(given) => ("spec.retry.backoffMs", given),
                None => ("spec.retry.maxBackoffMs", longest),
            };
            let because = format!("the first wait, {first} ms, is longer than the longest, {longest} ms");
            let problem = Problem::new(Rule::Backoff, path, value.to_string()).because(because);
            self.report(problem.remedy("lower `backoffMs` or raise `maxBackoffMs`").also("spec.retry"));
        }
        RetryPolicy {
            max_retries: spec.max_message_retry,
            dead_letter_topic,
            retry_topic,
            backoff_initial: Duration::from_millis(first.into()),
            backoff_max: Duration::from_millis(longest.into()),
            held_messages: retry.held_messages.unwrap_or(default::HELD_MESSAGES),
            held_bytes: self.bytes(
                "spec.retry.heldBytes",
                retry.held_bytes.as_ref(),
                default::HELD_BYTES,
                "1Ki",
                "64Gi",
            ),
        }
    }

    /// At most once there is one attempt: what would say otherwise must not be accepted and ignored.
    fn refuse_second_attempts(&mut self) {
        let spec = self.spec;
        let retries = spec.max_message_retry.map(|retries| retries.to_string());
        let given = [
            ("spec.maxMessageRetry", retries),
            ("spec.deadLetterTopic", spec.dead_letter_topic.as_deref().map(shorten)),
            ("spec.retryTopic", spec.retry_topic.as_deref().map(shorten)),
            ("spec.retry", spec.retry.as_ref().map(|_| "given".to_owned())),
        ];
        for (path, value) in given {
            if let Some(value) = value {
                self.report(
                    Problem::new(Rule::NoSecondAttempt, path, value)
                        .remedy("remove it")
                        .also("spec.processingGuarantee"),
                );
            }
        }
    }
}
