//! From what was declared to what runs: the rules that concern values and how they go together.

mod component;
mod delivery;
mod topics;

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::function::Function;
use crate::problem::{Errors, Problem};
use crate::quantity::Quantity;
use crate::resolved::{FunctionName, Resolved, SecretRef};
use crate::rule::Rule;
use crate::shape::{entry_path, shorten};
use crate::spec::{FunctionSpec, default};

impl Function {
    /// Checks the declaration and fills in what it leaves out.
    ///
    /// # Errors
    /// Everything that is wrong with it. Warnings are left out; [`parse`](crate::parse) gives them too, and the places.
    pub fn resolve(&self) -> Result<Resolved, Errors> {
        let (resolved, mut problems) = check(self);
        problems.retain(Problem::is_error);
        Errors::check(problems)?;
        Ok(resolved)
    }
}

/// What the declaration comes to, and all that is wrong with it. The first is of use only if there are no errors.
pub(crate) fn check(function: &Function) -> (Resolved, Vec<Problem>) {
    let spec = &function.spec;
    let mut rules = Rules {
        spec,
        tenant: spec.tenant.as_deref().unwrap_or(default::TENANT),
        namespace: spec.namespace.as_deref().unwrap_or(default::NAMESPACE),
        problems: Vec::new(),
    };
    let name = rules.name(&function.metadata.name);
    let component = rules.component();
    let inputs = rules.inputs();
    let output = rules.output(&inputs);
    let publish = rules.publish();
    let log_topic = rules.topic_not_read("spec.logTopic", spec.log_topic.as_deref(), &inputs);
    let config = rules.config();
    let secrets = rules.secrets();
    let guarantee = rules.guarantee(&inputs);
    let retry = rules.retry(&inputs);
    let subscription = rules.subscription(&name);
    let batch_messages = rules.batch_messages();
    let limits = rules.limits();
    let instances = rules.instances();
    let resolved = Resolved {
        name,
        component,
        inputs,
        output,
        publish,
        subscription,
        guarantee,
        retry,
        replicas: at_least_one(spec.replicas.unwrap_or(1)),
        concurrency: at_least_one(spec.concurrency.unwrap_or(1)),
        batch_messages,
        limits,
        instances,
        rollback_on_errors: spec.rollback.as_ref().map(|rollback| at_least_one(rollback.on_errors)),
        log_topic,
        forward_properties: spec.forward_source_message_property.unwrap_or(true),
        config,
        secrets,
        paused: spec.paused.unwrap_or(false),
    };
    (resolved, rules.problems)
}

/// The rules, and what breaks them.
struct Rules<'a> {
    spec: &'a FunctionSpec,
    tenant: &'a str,
    namespace: &'a str,
    problems: Vec<Problem>,
}

impl Rules<'_> {
    fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn name(&mut self, name: &str) -> FunctionName {
        if !is_label(name) {
            let problem = Problem::new(Rule::Name, "metadata.name", shorten(name));
            let proposal = label_like(name);
            let remedy = if is_label(&proposal) { format!("for instance `{proposal}`") } else { String::new() };
            self.report(problem.remedy(remedy));
        }
        for (path, value) in [("spec.tenant", self.tenant), ("spec.namespace", self.namespace)] {
            let is_named = |c: char| c.is_ascii_alphanumeric() || "-=:._".contains(c);
            if value.is_empty() || !value.chars().all(is_named) {
                let problem = Problem::new(Rule::TenantOrNamespace, path, shorten(value));
                self.report(match value.split_once('/') {
                    Some((tenant, namespace)) if path == "spec.namespace" => {
                        problem.remedy(format!("write `tenant: {tenant}` and `namespace: {namespace}`"))
                    }
                    _ => problem.remedy("correct it, or leave it out"),
                });
            }
        }
        FunctionName { tenant: self.tenant.to_owned(), namespace: self.namespace.to_owned(), name: name.to_owned() }
    }

    fn config(&mut self) -> BTreeMap<String, String> {
        let path = "spec.funcConfig";
        if self.spec.func_config.contains_key("") {
            self.report(
                Problem::new(Rule::ConfigName, path, "an entry without a name").remedy("name it, or remove it"),
            );
        }
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        self.spec.func_config.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    fn secrets(&mut self) -> BTreeMap<String, SecretRef> {
        for (name, secret) in &self.spec.secrets_map {
            let path = entry_path("spec.secretsMap", name);
            let parts = [("", name), (".path", &secret.path), (".key", &secret.key)];
            for (field, _) in parts.iter().filter(|(_, value)| value.is_empty()) {
                self.problems.push(Problem::new(Rule::Secret, format!("{path}{field}"), "empty").remedy("fill it in"));
            }
        }
        let secrets = self.spec.secrets_map.iter();
        secrets
            .map(|(name, secret)| (name.clone(), SecretRef { path: secret.path.clone(), key: secret.key.clone() }))
            .collect()
    }

    /// A number of bytes from `min` to `max`; `otherwise` when it is left out.
    fn bytes(&mut self, path: &str, given: Option<&Quantity>, otherwise: &str, min: &str, max: &str) -> u64 {
        let bytes = |text: &str| Quantity::new(text).bytes().unwrap_or_default();
        let Some(quantity) = given else { return bytes(otherwise) };
        match quantity.bytes() {
            None => {
                let problem = Problem::new(Rule::Quantity, path, shorten(quantity.as_str()));
                self.report(problem.remedy(format!("write for instance `{otherwise}`")));
            }
            Some(value) if value < bytes(min) || value > bytes(max) => self.report(
                Problem::new(Rule::OutOfRange, path, shorten(quantity.as_str()))
                    .because(format!("it must be from {min} to {max}")),
            ),
            Some(value) => return value,
        }
        bytes(otherwise)
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

fn is_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// The nearest name that keeps to the rule, if there is one.
fn label_like(name: &str) -> String {
    let lower = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let cut: String = lower.take(63).collect();
    cut.trim_matches('-').to_owned()
}
