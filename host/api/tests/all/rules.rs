use pulselet_api::Rule;

use crate::{one, problems, with};

/// Each rule with a declaration that breaks it alone: more fields of `spec`, and the message.
const BROKEN: &[(&str, &str)] = &[
    (
        "colour: red",
        r#"f.yaml:10:3: spec.colour: unknown field "colour": there is no such field; the fields here are "#,
    ),
    (
        "tiemout: 5",
        r#"f.yaml:10:3: spec.tiemout: unknown field "tiemout": there is no such field; did you mean `timeout`? [E1003]"#,
    ),
    (
        "windowConfig: {windowLengthCount: 5}",
        "f.yaml:10:3: spec.windowConfig: not supported: windows are not supported yet; remove it and ",
    ),
    ("autoAck: false", "for `autoAck: false` write `spec.processingGuarantee: manual` [E1004]"),
    (
        "processingGuarantee: atmost_once\nmaxMessageRetry: 2",
        "with `processingGuarantee: atmost_once` nothing is tried again",
    ),
    ("retryTopic: again\nretainOrdering: true", "a retry topic and a kept order exclude each other"),
    ("retryTopic: in", "what a function writes must not be what it reads"),
    ("timeout: soon", r#"f.yaml:10:12: spec.timeout: "soon": it must be a whole number; correct it [E1005]"#),
    ("timeout: '5'", r#"spec.timeout: "5": it must be a whole number; remove the quotes [E1005]"#),
    ("timeout: 1.5", "spec.timeout: 1.5: it must be a whole number; correct it [E1005]"),
    ("tenant: 7", "spec.tenant: 7: it must be text; put it in quotes [E1005]"),
    ("paused: yes", r#"spec.paused: "yes": it must be true or false; write `true` or `false` [E1005]"#),
    ("output:", "spec.output: no value: it must be a group of fields; give it one, or remove the field [E1005]"),
    (
        "publish: out",
        r#"spec.publish: "out": it must be a list; write it as a list, `- item` on a line of its own or `[item]` [E1005]"#,
    ),
    ("output: {}", "f.yaml:10:11: spec.output.topic: missing: the field is required; add it: The topic [E1006]"),
    (
        "replicas: 0",
        "spec.replicas: 0: it must be from 1 to 1000; to stop the function, write `spec.paused: true` [E1007]",
    ),
    ("replicas: 99999999999", "spec.replicas: 99999999999: it must be from 1 to 1000 [E1007]"),
    ("limits: {memory: 1Ki}", r#"spec.limits.memory: "1Ki": it must be from 64Ki to 4Gi [E1007]"#),
    (
        "subscriptionPosition: earlist",
        r#"spec.subscriptionPosition: "earlist": it must be `latest` or `earliest`; did you mean `earliest`? [E1008]"#,
    ),
    (
        "processingGuarantee: effectively_once",
        r#"spec.processingGuarantee: "effectively_once": it is not supported yet; write `atleast_once` and make the outputs idempotent, for instance by a key [E1009]"#,
    ),
    ("processingGuarantee: EFFECTIVELY_ONCE", "[E1009]"),
    (
        "namespace: a/b",
        r#"f.yaml:10:14: spec.namespace: "a/b": a tenant or namespace has letters, digits and `-=:._` only; write `tenant: a` and `namespace: b` [E1102]"#,
    ),
    (
        "output: {topic: a/b}",
        r#"spec.output.topic: "a/b": write `name` or `[persistent://]tenant/namespace/name`; write a topic name as "#,
    ),
    ("publish: ['(']", "f.yaml:10:13: spec.publish[0]: \"(\": "),
    (
        "output: {topic: in}",
        r#"spec.output.topic: "persistent://public/default/in": `spec.input.topics` has it too, and what a function writes must not be what it reads; write another topic [E1203]"#,
    ),
    ("output: {topic: in-partition-3}", "[E1203]"),
    (
        "deadLetterTopic: in\nmaxMessageRetry: 1",
        "f.yaml:10:20: spec.deadLetterTopic: \"persistent://public/default/in\": `spec.input.topics` has it",
    ),
    ("logTopic: public/default/in", "spec.logTopic: \"persistent://public/default/in\": `spec.input.topics` has it"),
    (
        "subscriptionName: 'a b'",
        r#"spec.subscriptionName: "a b": a subscription's name is text without white space and control characters, of at most 255 bytes; leave it out to have `public/default/exclaim` [E1301]"#,
    ),
    ("retainOrdering: true\nretainKeyOrdering: true", "f.yaml:11:22: spec.retainKeyOrdering: both are set: "),
    (
        "deadLetterTopic: dead",
        r#"spec.deadLetterTopic: "dead": a dead letter topic needs `maxMessageRetry`; set it, for instance `maxMessageRetry: 5` [E1303]"#,
    ),
    ("skipToLatest: true\nsubscriptionPosition: earliest", "[E1304]"),
    (
        "retry: {backoffMs: 5, maxBackoffMs: 4}",
        "spec.retry.backoffMs: 5: the first wait, 5 ms, is longer than the longest, 4 ms; lower `backoffMs` or raise `maxBackoffMs` [E1305]",
    ),
    (
        "retry: {maxBackoffMs: 4}",
        "spec.retry.maxBackoffMs: 4: the first wait, 1000 ms, is longer than the longest, 4 ms",
    ),
    (
        "limits: {memory: 64MB}",
        r#"spec.limits.memory: "64MB": a size is digits and one of nothing, `k`, `M`, `G`, `T`, `Ki`, `Mi`, `Gi`, `Ti`; write for instance `64Mi` [E1501]"#,
    ),
    ("secretsMap: {pw: {path: '', key: k}}", r#"f.yaml:10:27: spec.secretsMap["pw"].path: empty: "#),
    ("funcConfig: {'': x}", "[E1602]"),
    ("rollback: {}", "spec.rollback.onErrors: missing"),
    ("rollback: {onErrors: 0}", "spec.rollback.onErrors: 0: it must be from 1 to 1000 [E1007]"),
];

#[test]
fn each_broken_rule_is_told_alone_with_place_value_rule_and_remedy() {
    for (fields, message) in BROKEN {
        let found = problems(&with(fields));
        assert!(found.len() == 1 && found[0].contains(message), "{fields}\n wanted {message}\n  found {found:#?}");
    }
}

/// What the smallest declaration has already, changed.
const CHANGED: &[(&str, &str, &str)] = &[
    (
        "name: exclaim",
        "name: Exclaim_1",
        "f.yaml:4:9: metadata.name: \"Exclaim_1\": a function's name has at most 63 lower-case letters, digits and `-`, and begins and ends with a letter or digit; for instance `exclaim-1` [E1101]",
    ),
    (
        "name: exclaim",
        "name: exclaim\n  namespace: x",
        "metadata.namespace: not supported: a function belongs to a Pulsar namespace; write `spec.tenant` and `spec.namespace` [E1004]",
    ),
    (
        "  name: exclaim",
        "  labels: {}",
        "f.yaml:4:3: metadata.name: missing: the field is required; add it: Name of the function, unique within its tenant and namespace [E1006]",
    ),
    (
        "kind: Function",
        "kind: Source",
        "f.yaml:2:7: kind: \"Source\": it is not supported yet; declare functions only [E1009]",
    ),
    ("kind: Function", "kind: ConfigMap", "f.yaml:2:7: kind: \"ConfigMap\": it must be `Function` [E1008]"),
    (
        "pulselet.dev/v1alpha1",
        "compute.functionmesh.io/v1alpha1",
        "apiVersion: \"compute.functionmesh.io/v1alpha1\": this is an object of Function Mesh; write `pulselet.dev/v1alpha1`, and name the component by `spec.wasm.location` [E1009]",
    ),
    (
        "topics: [in]",
        "topics: []",
        "spec.input: neither is given: a function reads `topics` or a `topicPattern`, and not both; write `topics: [NAME]` [E1201]",
    ),
    (
        "topics: [in]",
        "topic: in",
        "spec.input.topic: unknown field \"topic\": there is no such field; did you mean `topics`? [E1003]",
    ),
    (
        "topics: [in]",
        "topics: [in]\n    topicPattern: in",
        "spec.input.topicPattern: \"in\": a function reads `topics` or a `topicPattern`, and not both; remove it or `spec.input.topics` [E1201]",
    ),
    (
        "topics: [in]",
        "topics: [in, other, public/default/in]",
        "f.yaml:9:25: spec.input.topics[2]: \"public/default/in\": a topic is read once; remove it [E1204]",
    ),
    ("topics: [in]", "topics: [in, in-partition-0]", "[E1204]"),
    ("topics: [in]", "topics: [1]", "spec.input.topics[0]: 1: it must be text; put it in quotes [E1005]"),
    (
        "topics: [in]",
        "topics: ['kafka://a/b/c']",
        "spec.input.topics[0]: \"kafka://a/b/c\": domain \"kafka\" is neither",
    ),
    (
        "topics: [in]",
        "topics: ['non-persistent://a/b/c']",
        "spec.input: a `non-persistent://` topic is read: topics that are not persistent need `processingGuarantee: atmost_once`; read a ",
    ),
    (
        "topics: [in]",
        "topicPattern: 'o.*'\n  output: {topic: out}",
        "`spec.input.topicPattern` has it too, and what a function writes must not be what it reads; write another topic, or narrow the pattern [E1203]",
    ),
    ("topics: [in]", "topicPattern: 'o('", "spec.input.topicPattern: \"o(\": regex parse error"),
    (
        "topics: [in]",
        "sourceSpecs: {in: {}}",
        "spec.input.sourceSpecs: not supported: topics cannot be set up one by one yet",
    ),
    (
        "location: exclaim.wasm",
        "location: ''",
        "f.yaml:7:15: spec.wasm.location: \"\": the path is empty; write the path of a file, or an `https://` address and a digest [E1401]",
    ),
    ("location: exclaim.wasm", "location: 'oci://a/b'", "\"oci://a/b\": `oci://` is not supported yet; "),
    ("location: exclaim.wasm", "location: 'ftp://a/b'", "`ftp://` is not known; "),
    (
        "location: exclaim.wasm",
        "location: 'https://host/a.wasm'",
        "spec.wasm.location: \"https://host/a.wasm\": a component at an address needs a digest; add `spec.wasm.digest: sha256:...` [E1403]",
    ),
    (
        "location: exclaim.wasm",
        "location: exclaim.wasm\n    warmInstances: 2",
        "spec.wasm.warmInstances: 2, and `spec.concurrency` is 1: `warmInstances` is at most `concurrency`; lower it, or raise `spec.concurrency` [E1405]",
    ),
    (
        "location: exclaim.wasm",
        "location: exclaim.wasm\n    reuse: Fresh\n    warmInstances: 1",
        "spec.wasm.warmInstances: `reuse` is `Fresh`: with `reuse: Fresh` no instance stays; ",
    ),
    (
        "location: exclaim.wasm",
        "location: exclaim.wasm\n    reuse: Fresh\n    idleTimeout: 5",
        "spec.wasm.idleTimeout: `reuse` is `Fresh`: with `reuse: Fresh` no instance stays; ",
    ),
    (
        "location: exclaim.wasm",
        "location: a\n    digest: abc",
        "spec.wasm.digest: \"abc\": a digest is `sha256:` and 64 hexadecimal digits; copy it from `pulselet inspect` [E1402]",
    ),
    (
        "location: exclaim.wasm",
        "location: a\n    world: function\n  batch: {}",
        "spec.batch: the world is `function`: `batch` is for components of the world `batch-function`; remove `batch`, or ",
    ),
];

#[test]
fn each_broken_rule_of_what_must_be_there_is_told_alone() {
    for (from, to, message) in CHANGED {
        let text = with("").replace(from, to);
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].contains(message), "{to}\n wanted {message}\n  found {found:#?}");
    }
}

#[test]
fn no_rule_is_without_a_test() {
    let elsewhere = ["E1001", "E1002", "E1010", "E1103", "W1901"];
    let told: Vec<String> = BROKEN
        .iter()
        .map(|(fields, _)| with(fields))
        .chain(CHANGED.iter().map(|(from, to, _)| with("").replace(from, to)))
        .flat_map(|text| problems(&text))
        .collect();
    for rule in Rule::ALL {
        let code = rule.code();
        let is_told = told.iter().any(|line| line.ends_with(&format!("[{code}]")));
        assert!(is_told || elsewhere.contains(&code), "no test breaks {code}, {}", rule.text());
    }
}

#[test]
fn all_that_is_wrong_comes_at_once_in_the_order_of_the_text() {
    let text = with("colour: red\nreplicas: 0\noutput: {topic: in}\ntimeout: soon\nlimits: {memory: much}\nimage: x");
    let codes: Vec<String> =
        problems(&text).iter().map(|line| line[line.len() - 6..line.len() - 1].to_owned()).collect();
    assert_eq!(codes, ["E1003", "E1007", "E1203", "E1005", "E1501", "E1004"]);
}

#[test]
fn a_field_that_is_wrong_is_not_missed_by_the_rules_of_others() {
    let found = problems(&with("deadLetterTopic: dead\nmaxMessageRetry: many"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("spec.maxMessageRetry"), "{found:#?}");
}

#[test]
fn what_is_at_the_edge_of_a_rule_is_accepted() {
    for fields in [
        "deadLetterTopic: dead\nmaxMessageRetry: 0",
        "output: {topic: in2}",
        "retainOrdering: true\nretainKeyOrdering: false",
        "processingGuarantee: ATLEAST_ONCE",
        "retry: {backoffMs: 4, maxBackoffMs: 4}",
        "limits: {memory: 65536, outputBytes: 1Gi}",
        "batch: {maxMessages: 1}",
        "replicas: 1000",
    ] {
        one(&with(fields)).unwrap();
    }
    let volatile = with("processingGuarantee: atmost_once").replace("[in]", "['non-persistent://a/b/c']");
    one(&volatile).unwrap();
}

#[test]
fn long_values_are_cut_in_messages() {
    let found = problems(&with(&format!("output: {{topic: '{}'}}", "x".repeat(5_000))));
    assert!(found[0].len() < 500, "{}", found[0]);
}
