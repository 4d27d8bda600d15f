use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::FunctionSpec;

/// One function, as it is declared.
///
/// [`parse`](crate::parse) makes these from text and finds everything that is wrong with them; one that was put
/// together in code is checked by [`Function::resolve`](crate::Function::resolve).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Function", description = "A function that Pulselet runs.")]
pub struct Function {
    /// Version of this format.
    pub api_version: ApiVersion,
    /// What is declared.
    pub kind: Kind,
    /// What it is called.
    pub metadata: Metadata,
    /// What it does.
    pub spec: FunctionSpec,
}

/// Versions of the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one so far.
    #[default]
    #[serde(rename = "pulselet.dev/v1alpha1")]
    V1Alpha1,
}

/// Kinds of things to declare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// Topics, a component, a topic.
    #[default]
    Function,
}

/// What a function is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Name of the function, unique within its tenant and namespace: at most 63 lower-case letters, digits and `-`,
    /// beginning and ending with a letter or digit.
    pub name: String,
    /// Names and values to find it by; Pulselet gives them no meaning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Notes of people and tools; Pulselet gives them no meaning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}
