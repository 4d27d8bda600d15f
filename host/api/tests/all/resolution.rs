use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use pulselet_api::topic::TopicName;
use pulselet_api::{Guarantee, Inputs, Limits, Location, Reuse, SubscriptionKind, World};

use crate::{one, with};

#[test]
fn a_minimal_declaration_has_the_documented_defaults() {
    let it = one(&with("")).unwrap().resolved;
    assert_eq!(it.name.to_string(), "public/default/exclaim");
    assert_eq!(it.component.location.in_folder(Path::new("dir")), Location::File("dir/exclaim.wasm".into()));
    assert_eq!((it.component.digest, it.component.world, it.component.reuse), (None, None, Reuse::Instance));
    let Inputs::Topics(topics) = it.inputs else { panic!("{:?}", it.inputs) };
    assert_eq!(topics, ["in".parse::<TopicName>().unwrap()]);
    assert_eq!((it.output, it.publish.len(), it.log_topic), (None, 0, None));
    assert_eq!(it.subscription.name, "public/default/exclaim");
    assert_eq!(it.subscription.kind, SubscriptionKind::Shared);
    assert!(!it.subscription.earliest && !it.subscription.skip_to_latest && !it.subscription.cleanup);
    assert_eq!(it.guarantee, Guarantee::AtLeastOnce);
    assert_eq!((it.retry.max_retries, it.retry.dead_letter_topic), (None, None));
    assert_eq!((it.retry.backoff_initial, it.retry.backoff_max), (Duration::from_secs(1), Duration::from_secs(60)));
    assert_eq!((it.retry.held_messages, it.retry.held_bytes), (1_000, 64 << 20));
    assert_eq!((it.replicas, it.concurrency), (NonZeroU32::MIN, NonZeroU32::MIN));
    assert_eq!(it.batch_messages.get(), 100);
    assert_eq!(it.limits.timeout, Duration::from_secs(30));
    assert_eq!((it.limits.memory_bytes, it.limits.table_elements), (64 << 20, 20_000));
    assert_eq!((it.limits.output_messages, it.limits.output_bytes), (10_000, 16 << 20));
    assert_eq!(it.limits.log_lines_per_second, 1_000);
    assert_eq!(it.limits, Limits::default());
    assert!(it.forward_properties && !it.paused && it.config.is_empty() && it.secrets.is_empty());
}

#[test]
fn every_field_reaches_what_runs() {
    let digest = "ab".repeat(32);
    let text = format!(
        "apiVersion: pulselet.dev/v1alpha1
kind: Function
metadata:
  name: f
  labels: {{team: a}}
  annotations: {{note: b}}
spec:
  tenant: t
  namespace: n
  wasm: {{location: 'https://host/f.wasm', digest: 'sha256:{digest}', world: batch-function, reuse: Fresh}}
  input: {{topicPattern: 'in-.*'}}
  output: {{topic: out}}
  publish: ['more-.*', 'persistent://o/p/q']
  logTopic: log
  funcConfig: {{text: abc, number: 1.5, flag: true, tree: {{a: [1, null]}}}}
  secretsMap: {{password: {{path: db, key: pw}}}}
  processingGuarantee: MANUAL
  retainKeyOrdering: true
  timeout: 250
  maxMessageRetry: 3
  deadLetterTopic: dead
  retry: {{backoffMs: 10, maxBackoffMs: 20, heldMessages: 5, heldBytes: 2Ki}}
  forwardSourceMessageProperty: false
  subscriptionName: sub
  subscriptionPosition: Earliest
  cleanupSubscription: true
  replicas: 2
  concurrency: 3
  batch: {{maxMessages: 7}}
  limits: {{memory: 1Gi, tableElements: 9, outputMessages: 8, outputBytes: 1048576, logLinesPerSecond: 0}}
  paused: true
"
    );
    let declared = one(&text).unwrap();
    assert!(declared.warnings.is_empty());
    let it = declared.resolved;
    assert_eq!(it.name.to_string(), "t/n/f");
    assert_eq!(it.component.location, Location::Http("https://host/f.wasm".to_owned()));
    assert_eq!(it.component.digest.unwrap().to_string(), format!("sha256:{digest}"));
    assert_eq!((it.component.world, it.component.reuse), (Some(World::BatchFunction), Reuse::Fresh));
    let Inputs::Pattern(pattern) = it.inputs else { panic!("{:?}", it.inputs) };
    assert!(pattern.matches(&"t/n/in-1".parse().unwrap()));
    assert_eq!(it.output.unwrap().topic.as_str(), "persistent://t/n/out");
    assert!(it.publish[0].matches(&"t/n/more-1".parse().unwrap()));
    assert!(it.publish[1].matches(&"o/p/q".parse().unwrap()));
    assert_eq!(it.log_topic.unwrap().as_str(), "persistent://t/n/log");
    let config: Vec<(&str, &str)> = it.config.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(config, [("flag", "true"), ("number", "1.5"), ("text", "abc"), ("tree", r#"{"a":[1,null]}"#)]);
    assert_eq!((it.secrets["password"].path.as_str(), it.secrets["password"].key.as_str()), ("db", "pw"));
    assert_eq!((it.guarantee, it.subscription.kind), (Guarantee::Manual, SubscriptionKind::KeyShared));
    assert_eq!(it.subscription.name, "sub");
    assert!(it.subscription.earliest && it.subscription.cleanup);
    assert_eq!(it.retry.max_retries, Some(3));
    assert_eq!(it.retry.dead_letter_topic.unwrap().as_str(), "persistent://t/n/dead");
    assert_eq!(
        (it.retry.backoff_initial, it.retry.backoff_max),
        (Duration::from_millis(10), Duration::from_millis(20))
    );
    assert_eq!((it.retry.held_messages, it.retry.held_bytes), (5, 2048));
    assert_eq!((it.replicas.get(), it.concurrency.get(), it.batch_messages.get()), (2, 3, 7));
    assert_eq!(it.limits.timeout, Duration::from_millis(250));
    assert_eq!((it.limits.memory_bytes, it.limits.table_elements), (1 << 30, 9));
    assert_eq!((it.limits.output_messages, it.limits.output_bytes), (8, 1 << 20));
    assert_eq!(it.limits.log_lines_per_second, 0);
    assert!(!it.forward_properties && it.paused);
}

#[test]
fn a_declaration_made_in_code_is_checked_too_and_survives_being_written_down() {
    let declared = one(&with("output: {topic: out}")).unwrap();
    assert_eq!(declared.function.resolve().unwrap(), declared.resolved);
    let json = serde_json::to_string(&declared.function).unwrap();
    assert_eq!(one(&json).unwrap().function, declared.function);

    let mut broken = declared.function;
    broken.spec.input.topics.clear();
    let errors = broken.resolve().unwrap_err();
    assert_eq!(errors.to_string().lines().count(), 1);
    assert!(errors.to_string().contains("E1201"), "{errors}");
}

#[test]
fn a_dead_letter_topic_without_a_name_is_warned_of() {
    let declared = one(&with("maxMessageRetry: 2")).unwrap();
    let [warning] = declared.warnings.as_slice() else { panic!("{:?}", declared.warnings) };
    assert_eq!((warning.rule.code(), warning.source.as_str()), ("W1901", "f.yaml"));
    assert_eq!(warning.place.unwrap().line, 10);
}
