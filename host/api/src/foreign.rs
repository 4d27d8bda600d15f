//! Fields and values of Function Mesh and of Pulsar's `FunctionConfig` that users bring along: why each is refused and
//! what to write instead.

/// Why something is refused, and the way out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) why: &'static str,
    pub(crate) instead: &'static str,
}

/// What is known about the field at `path`, which is none of ours.
pub(crate) fn field(path: &str) -> Option<Refusal> {
    let known = FIELDS.iter().find(|(known, ..)| *known == path);
    known.map(|(_, why, instead)| Refusal { why, instead })
}

/// What is known about `value` in the field at `path`, where it is not allowed.
pub(crate) fn value(path: &str, value: &str) -> Option<Refusal> {
    let known = VALUES.iter().find(|(field, known, ..)| *field == path && known.eq_ignore_ascii_case(value));
    known.map(|(_, _, why, instead)| Refusal { why, instead })
}

const RENAMED: &str = "Pulselet has it under another name";
const COMPONENT: &str = "what runs is a WebAssembly component";
const NO_TYPES: &str = "a function is given bytes, and its SDK decodes them";
const LATER: &str = "it is not supported yet";
const NO_PODS: &str = "a function has no pod of its own: runners host many functions";
const NO_IMAGE: &str = "a function is a component, not an image";
const CONNECTION: &str = "the broker is set where functions are run, not in the function";

type Field = (&'static str, &'static str, &'static str);

#[rustfmt::skip]
const FIELDS: &[Field] = &[
    // Identity.
    ("spec.name", RENAMED, "write `metadata.name`"),
    ("spec.fqfn", RENAMED, "write `spec.tenant`, `spec.namespace` and `metadata.name`"),
    ("spec.className", COMPONENT, "remove it: a component has one entry point"),
    ("spec.functionType", COMPONENT, "write `spec.wasm.location`"),
    ("spec.clusterName", CONNECTION, "remove it"),
    ("metadata.namespace", "a function belongs to a Pulsar namespace", "write `spec.tenant` and `spec.namespace`"),
    ("status", "a status is observed, not declared", "remove it"),
    // What runs.
    ("spec.java", COMPONENT, "compile the function to a component and write `spec.wasm.location`"),
    ("spec.python", COMPONENT, "compile the function to a component and write `spec.wasm.location`"),
    ("spec.golang", COMPONENT, "compile the function to a component and write `spec.wasm.location`"),
    ("spec.genericRuntime", COMPONENT, "write `spec.wasm.location`"),
    ("spec.runtime", COMPONENT, "write `spec.wasm.location`"),
    ("spec.jar", COMPONENT, "compile the function to a component and write `spec.wasm.location`"),
    ("spec.py", COMPONENT, "compile the function to a component and write `spec.wasm.location`"),
    ("spec.go", COMPONENT, "compile the function to a component and write `spec.wasm.location`"),
    ("spec.runtimeFlags", COMPONENT, "remove it; what a call may use is in `spec.limits`"),
    ("spec.customRuntimeOptions", COMPONENT, "remove it; what a call may use is in `spec.limits`"),
    ("spec.image", NO_IMAGE, "write `spec.wasm.location`"),
    ("spec.imagePullPolicy", NO_IMAGE, "remove it"),
    ("spec.downloaderImage", NO_IMAGE, "remove it"),
    ("spec.cleanupImage", NO_IMAGE, "remove it"),
    ("spec.filebeatImage", NO_IMAGE, "remove it"),
    ("spec.imageHasPulsarctl", NO_IMAGE, "remove it"),
    ("spec.imageHasWget", NO_IMAGE, "remove it"),
    ("spec.imageHasGet", NO_IMAGE, "remove it"),
    // Scale.
    ("spec.parallelism", RENAMED, "write `spec.replicas`"),
    ("spec.minReplicas", "replicas do not scale by themselves yet", "remove it and write `spec.replicas`"),
    ("spec.maxReplicas", "replicas do not scale by themselves yet", "remove it and write `spec.replicas`"),
    ("spec.showPreciseParallelism", "a function is always told how many replicas are declared", "remove it"),
    ("spec.resources", "a function has no pod of its own to reserve resources for", "write `spec.limits.memory`"),
    ("spec.pod", NO_PODS, "remove it; what a call may use is in `spec.limits`"),
    ("spec.volumeMounts", "a component has no file system", "remove it; give it data by `spec.funcConfig` or a topic"),
    ("spec.volumeClaimTemplates", "a component has no file system", "remove it; give it data by `spec.funcConfig` or a topic"),
    ("spec.persistentVolumeClaimRetentionPolicy", "a component has no file system", "remove it"),
    // Input.
    ("spec.inputs", RENAMED, "write `spec.input.topics`"),
    ("spec.topicsPattern", RENAMED, "write `spec.input.topicPattern`"),
    ("spec.inputSpecs", LATER, "write the topics under `spec.input.topics`"),
    ("spec.customSerdeInputs", NO_TYPES, "write the topics under `spec.input.topics`"),
    ("spec.customSchemaInputs", NO_TYPES, "write the topics under `spec.input.topics`"),
    ("spec.inputTypeClassName", NO_TYPES, "remove it"),
    ("spec.input.typeClassName", NO_TYPES, "remove it"),
    ("spec.input.customSerdeSources", NO_TYPES, "write the topics under `spec.input.topics`"),
    ("spec.input.customSchemaSources", NO_TYPES, "write the topics under `spec.input.topics`"),
    ("spec.input.sourceSpecs", "topics cannot be set up one by one yet", "write them under `spec.input.topics`, or one with `isRegexPattern` as `spec.input.topicPattern`"),
    ("spec.sourceConfig", LATER, "read a topic by `spec.input.topics`"),
    ("spec.subName", RENAMED, "write `spec.subscriptionName`"),
    // Output.
    ("spec.sinkConfig", LATER, "write to a topic by `spec.output.topic`"),
    ("spec.outputTypeClassName", NO_TYPES, "remove it"),
    ("spec.outputSchemaType", NO_TYPES, "remove it"),
    ("spec.outputSerdeClassName", NO_TYPES, "remove it"),
    ("spec.customSchemaOutputs", NO_TYPES, "remove it"),
    ("spec.output.typeClassName", NO_TYPES, "remove it"),
    ("spec.output.sinkSerdeClassName", NO_TYPES, "remove it"),
    ("spec.output.sinkSchemaType", NO_TYPES, "remove it"),
    ("spec.output.customSchemaSinks", NO_TYPES, "remove it"),
    ("spec.output.producerConf", "producers cannot be set up one by one yet", "remove it: outputs are batched, and limited by `spec.limits`"),
    ("spec.producerConfig", "producers cannot be set up one by one yet", "remove it: outputs are batched, and limited by `spec.limits`"),
    ("spec.batchBuilder", "producers cannot be set up one by one yet", "remove it"),
    // Processing.
    ("spec.processingGuarantees", RENAMED, "write `spec.processingGuarantee`"),
    ("spec.autoAck", "who acknowledges is part of the guarantee", "remove it; for `autoAck: false` write `spec.processingGuarantee: manual`"),
    ("spec.timeoutMs", RENAMED, "write `spec.timeout`"),
    ("spec.maxMessageRetries", RENAMED, "write `spec.maxMessageRetry`"),
    ("spec.negativeAckRedeliveryDelayMs", RENAMED, "write `spec.retry.backoffMs`"),
    ("spec.maxPendingAsyncRequests", "a component answers one call at a time", "write `spec.concurrency`: calls under way at the same time, each in an instance of its own"),
    ("spec.windowConfig", "windows are not supported yet", "remove it and gather messages in the function, or wait for window functions"),
    ("spec.statefulConfig", "state is not supported yet", "remove it"),
    ("spec.logTopicAgent", "log lines always go to the topic directly", "remove it"),
    ("spec.userConfig", RENAMED, "write `spec.funcConfig`"),
    ("spec.secrets", RENAMED, "write `spec.secretsMap`"),
    ("spec.exposePulsarAdminClientEnabled", "a function has no access to the broker's administration", "remove it"),
    // Connection.
    ("spec.pulsar", CONNECTION, "remove it"),
    ("spec.pulsarPackageService", CONNECTION, "remove it"),
];

type Named = (&'static str, &'static str, &'static str, &'static str);

const GROUP: &str = "this is an object of Function Mesh";
const OURS: &str = "write `pulselet.dev/v1alpha1`, and name the component by `spec.wasm.location`";
const EXACTLY: &str = "it is not supported yet";
const ONCE: &str = "write `atleast_once` and make the outputs idempotent, for instance by a key";

const VALUES: &[Named] = &[
    ("apiVersion", "compute.functionmesh.io/v1alpha1", GROUP, OURS),
    ("kind", "Source", LATER, "declare functions only"),
    ("kind", "Sink", LATER, "declare functions only"),
    ("kind", "FunctionMesh", LATER, "declare its functions one by one, separated by `---`"),
    ("spec.processingGuarantee", "effectively_once", EXACTLY, ONCE),
    ("spec.processingGuarantee", "exactly_once", EXACTLY, ONCE),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_refused_is_known_once_and_is_none_of_ours() {
        let schema = crate::schema();
        let mut seen = BTreeSet::new();
        for (path, why, instead) in FIELDS {
            assert!(seen.insert(path), "{path} is listed twice");
            assert!(!why.is_empty() && !instead.is_empty(), "{path}");
            let ours = path.split('.').try_fold(&schema, |schema, name| schema["properties"].get(name));
            assert!(ours.is_none(), "{path} is a field of ours");
        }
    }
}
