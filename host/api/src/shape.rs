//! Compares a tree with the schema, collects everything that is wrong, and leaves a tree that fits.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::document::{Key, Node, Value};
use crate::foreign;
use crate::problem::{Place, Problem};
use crate::rule::Rule;
use crate::suggestion::closest;

/// What came of comparing a tree with the schema.
#[derive(Default)]
pub(crate) struct Shape {
    /// What was wrong.
    pub(crate) problems: Vec<Problem>,
    /// Where every field stands.
    pub(crate) places: BTreeMap<String, Place>,
}

impl Shape {
    /// Makes `node` fit `schema`: what does not fit is reported and taken out, or replaced by something empty where
    /// something must be.
    pub(crate) fn fit(&mut self, schema: &Json, path: &str, node: &mut Node) {
        self.note(path, node.place);
        if let Some(found) = type_mismatch(schema, node) {
            self.report(Problem::new(Rule::WrongType, path, found.found).because(found.wanted).remedy(found.remedy));
            *node = blank(schema, node.place);
            return;
        }
        match &mut node.value {
            Value::Map(entries) => self.fit_map(schema, path, entries, node.place),
            Value::List(items) => {
                let Some(of) = schema.get("items") else { return };
                for (index, item) in items.iter_mut().enumerate() {
                    self.fit(of, &format!("{path}[{index}]"), item);
                }
            }
            Value::Number(number) => {
                if let Some(range) = out_of_range(schema, number) {
                    let problem = Problem::new(Rule::OutOfRange, path, number.to_string()).because(range);
                    // Who wants none of it wants it to stand still.
                    let is_none = path == "spec.replicas" && number.as_u64() == Some(0);
                    let remedy = if is_none { "to stop the function, write `spec.paused: true`" } else { "" };
                    self.report(problem.remedy(remedy));
                    *node = blank(schema, node.place);
                }
            }
            Value::Text(text) => {
                if let Some(problem) = not_allowed(schema, path, text) {
                    self.report(problem);
                    *node = blank(schema, node.place);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The place of a field, or of what it should be in.
    pub(crate) fn place(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return Some(*place);
            }
            if path.is_empty() {
                return None;
            }
            path = path.rfind(['.', '[']).and_then(|end| path.get(..end)).unwrap_or_default();
        }
    }

    fn fit_map(&mut self, schema: &Json, path: &str, entries: &mut Vec<(Key, Node)>, place: Option<Place>) {
        let fields = schema.get("properties").and_then(Json::as_object);
        let Some(fields) = fields else {
            let Some(of) = schema.get("additionalProperties").filter(|of| of.is_object()) else { return };
            for (key, node) in entries {
                self.fit(of, &entry_path(path, &key.name), node);
            }
            return;
        };
        entries.retain_mut(|(key, node)| {
            let path = join(path, &key.name);
            match fields.get(&key.name) {
                Some(schema) => {
                    let before = self.problems.len();
                    self.fit(schema, &path, node);
                    // What is wrong itself, not in one of its parts, must not be there as if it had been written.
                    !self.problems.iter().skip(before).any(|problem| problem.path == path)
                }
                None => {
                    self.note(&path, key.place);
                    self.report(stranger(&path, &key.name, fields.keys().map(String::as_str)));
                    false
                }
            }
        });
        for name in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if entries.iter().any(|(key, _)| key.name == name) {
                continue;
            }
            let path = join(path, name);
            if !self.problems.iter().any(|problem| problem.path == path) {
                self.report(
                    Problem::new(Rule::MissingField, &path, "missing").at(place).remedy(hint(fields.get(name))),
                );
            }
            let blank = blank(fields.get(name).unwrap_or(&Json::Null), None);
            entries.push((Key { name: name.to_owned(), place: None }, blank));
        }
    }

    fn note(&mut self, path: &str, place: Option<Place>) {
        if let Some(place) = place {
            self.places.entry(path.to_owned()).or_insert(place);
        }
    }

    fn report(&mut self, problem: Problem) {
        let place = problem.place.or_else(|| self.place(&problem.path));
        self.problems.push(problem.at(place));
    }
}

/// Path of field `name` of what is at `path`.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Path of an entry of a map with free names.
pub(crate) fn entry_path(path: &str, name: &str) -> String {
    format!("{path}[{name:?}]")
}

fn stranger<'a>(path: &str, name: &str, fields: impl Iterator<Item = &'a str>) -> Problem {
    if let Some(known) = foreign::field(path) {
        return Problem::new(Rule::UnsupportedField, path, "not supported").because(known.why).remedy(known.instead);
    }
    let fields: Vec<&str> = fields.collect();
    let remedy = match closest(name, fields.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the fields here are {}", fields.join(", ")),
    };
    Problem::new(Rule::UnknownField, path, format!("unknown field {name:?}")).remedy(remedy)
}

struct Mismatch {
    found: String,
    wanted: String,
    remedy: &'static str,
}

fn type_mismatch(schema: &Json, node: &Node) -> Option<Mismatch> {
    let types = types(schema);
    let (fits, found): (&[&str], String) = match &node.value {
        Value::Null => (&["null"], "no value".to_owned()),
        Value::Bool(value) => (&["boolean"], value.to_string()),
        Value::Number(value) if value.is_f64() => (&["number"], value.to_string()),
        Value::Number(value) => (&["integer", "number"], value.to_string()),
        Value::Text(value) => (&["string"], shorten(value)),
        Value::List(_) => (&["array"], "a list".to_owned()),
        Value::Map(_) => (&["object"], "a group of fields".to_owned()),
    };
    if types.is_empty() || types.iter().any(|name| fits.contains(name)) {
        return None;
    }
    let names: Vec<&str> = types.iter().map(|name| type_in_words(name)).collect();
    let remedy = match (&node.value, types.as_slice()) {
        (Value::Null, _) => "give it one, or remove the field",
        (Value::Bool(_) | Value::Number(_), ["string"]) => "put it in quotes",
        (Value::Text(text), ["boolean"]) if is_old_boolean(text) => "write `true` or `false`",
        (Value::Text(text), ["integer"]) if text.parse::<i64>().is_ok() => "remove the quotes",
        (Value::Text(_), ["array"]) => "write it as a list, `- item` on a line of its own or `[item]`",
        _ => "correct it",
    };
    Some(Mismatch { found, wanted: format!("it must be {}", names.join(" or ")), remedy })
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        // Variants of an enum: all of them are texts.
        _ if schema.get("oneOf").is_some() => vec!["string"],
        _ => Vec::new(),
    }
}

fn type_in_words(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a group of fields",
        other => other,
    }
}

fn is_old_boolean(text: &str) -> bool {
    ["yes", "no", "on", "off", "true", "false"].contains(&text.to_ascii_lowercase().as_str())
}

fn out_of_range(schema: &Json, number: &serde_json::Number) -> Option<String> {
    let value = number.as_i128()?;
    let bound = |name: &str| schema.get(name).and_then(Json::as_i64).map(i128::from);
    let (min, max) = (bound("minimum"), bound("maximum"));
    if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
        return Some(match (min, max) {
            (Some(min), Some(max)) => format!("it must be from {min} to {max}"),
            (Some(min), None) => format!("it must be at least {min}"),
            (_, Some(max)) => format!("it must be at most {max}"),
            (None, None) => return None,
        });
    }
    None
}

fn not_allowed(schema: &Json, path: &str, text: &str) -> Option<Problem> {
    let variants = schema.get("oneOf").and_then(Json::as_array);
    let mut spellings: Vec<&str> = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for variant in variants.into_iter().flatten().chain([schema]) {
        let of_variant: Vec<&str> = match (variant.get("enum"), variant.get("const")) {
            (Some(Json::Array(list)), _) => list.iter().filter_map(Json::as_str).collect(),
            (_, Some(Json::String(single))) => vec![single],
            _ => continue,
        };
        names.extend(of_variant.first());
        spellings.extend(of_variant);
    }
    if spellings.is_empty() || spellings.contains(&text) {
        return None;
    }
    if let Some(known) = foreign::value(path, text) {
        return Some(
            Problem::new(Rule::UnsupportedValue, path, shorten(text)).because(known.why).remedy(known.instead),
        );
    }
    let problem = Problem::new(Rule::NotAllowed, path, shorten(text));
    let problem = problem.because(format!("it must be {}", one_of(&names)));
    Some(match closest(text, names.iter().copied()) {
        Some(meant) if names.len() > 1 => problem.remedy(format!("did you mean `{meant}`?")),
        _ => problem,
    })
}

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => quoted.join(""),
    }
}

/// Something empty that fits, for the place of something that does not.
fn blank(schema: &Json, place: Option<Place>) -> Node {
    let value = match types(schema).first().copied() {
        Some("object") => {
            let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
            let fields = required.filter_map(Json::as_str).map(|name| {
                let schema = schema.get("properties").and_then(|fields| fields.get(name)).unwrap_or(&Json::Null);
                (Key { name: name.to_owned(), place: None }, blank(schema, None))
            });
            Value::Map(fields.collect())
        }
        Some("array") => Value::List(Vec::new()),
        Some("boolean") => Value::Bool(false),
        Some("integer" | "number") => {
            Value::Number(schema.get("minimum").and_then(Json::as_u64).unwrap_or_default().into())
        }
        Some("string") => Value::Text(first_spelling(schema).unwrap_or_default().to_owned()),
        _ => Value::Null,
    };
    Node { value, place }
}

fn first_spelling(schema: &Json) -> Option<&str> {
    let variant = schema.get("oneOf").and_then(|variants| variants.get(0)).unwrap_or(schema);
    variant.get("enum").and_then(|list| list.get(0)).or(variant.get("const")).and_then(Json::as_str)
}

fn hint(schema: Option<&Json>) -> String {
    let description = schema.and_then(|schema| schema.get("description")).and_then(Json::as_str);
    match description.and_then(|text| text.split_once(['.', ':', ';']).map(|(first, _)| first)) {
        Some(first) => format!("add it: {}", first.replace('\n', " ")),
        None => "add it".to_owned(),
    }
}

/// A value as it stands in a message: in quotes, and not longer than a line.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?} and more", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
