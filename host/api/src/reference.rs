use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::schema;

/// The page of the handbook that lists the fields of a declaration, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# The declaration of a function\n\n\
         Generated from the JSON Schema that `pulselet schema` prints. A field that is not listed here is refused. The \
         rules that concern more than one field are in [errors.md](../errors.md).\n\n\
         Of the names that a field may have in Pulsar Functions and Function Mesh, the one of Function Mesh is used. Two \
         things differ on purpose: `spec.concurrency` takes the place of `maxPendingAsyncRequests`, since a component \
         answers one call at a time and more calls need more instances; and `spec.cleanupSubscription` is `false` when \
         left out, since removing a subscription loses what is unread.\n\n\
         | field | type | default | meaning |\n|---|---|---|---|\n",
    );
    rows(&mut page, "", &schema(), true);
    page
}

fn rows(page: &mut String, path: &str, schema: &Json, is_required: bool) {
    if !path.is_empty() {
        let default = match (schema.get("default"), is_required) {
            (_, true) => "required".to_owned(),
            (Some(Json::String(text)), _) => format!("`{text}`"),
            (Some(value), _) => format!("`{value}`"),
            (None, _) => String::new(),
        };
        let meaning = schema.get("description").and_then(Json::as_str).unwrap_or_default();
        // Writing to a string does not fail.
        let _ =
            writeln!(page, "| `{path}` | {} | {default} | {} |", kind(schema), cell(&with_variants(meaning, schema)));
    }
    let required = |name: &str| {
        let names = schema.get("required").and_then(Json::as_array);
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    for (name, field) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        rows(page, &path, field, required(name));
    }
    if let Some(entry) = schema.get("additionalProperties").filter(|entry| entry.get("properties").is_some()) {
        let required = |name: &str| {
            let names = entry.get("required").and_then(Json::as_array);
            names.is_some_and(|names| names.iter().any(|required| required == name))
        };
        for (name, field) in entry.get("properties").and_then(Json::as_object).into_iter().flatten() {
            rows(page, &format!("{path}.NAME.{name}"), field, required(name));
        }
    }
}

fn kind(schema: &Json) -> String {
    let of = |name: &str| match name {
        "string" => "text",
        "integer" => "number",
        "boolean" => "true, false",
        "array" => "list",
        "object" => "fields",
        _ => "any",
    };
    let range = match (schema.get("minimum"), schema.get("maximum")) {
        (Some(min), Some(max)) => format!(" {min} to {max}"),
        _ => String::new(),
    };
    match schema.get("type") {
        Some(Json::String(name)) if name == "array" => {
            format!("list of {}", schema.get("items").map(kind).unwrap_or_default())
        }
        Some(Json::String(name)) if schema.get("additionalProperties").is_some_and(|more| *more != false) => {
            let _ = name;
            "names and values".to_owned()
        }
        Some(Json::String(name)) => format!("{}{range}", of(name)),
        Some(Json::Array(_)) => "size".to_owned(),
        _ => "one of".to_owned(),
    }
}

/// The description, followed by what each of the allowed values means.
fn with_variants(meaning: &str, schema: &Json) -> String {
    let mut text = meaning.to_owned();
    for variant in schema.get("oneOf").and_then(Json::as_array).into_iter().flatten() {
        let spellings: Vec<String> = match (variant.get("enum"), variant.get("const")) {
            (Some(Json::Array(all)), _) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            (_, Some(Json::String(one))) => vec![one.clone()],
            _ => continue,
        };
        let names: Vec<String> = spellings.iter().map(|name| format!("`{name}`")).collect();
        let meaning = variant.get("description").and_then(Json::as_str).unwrap_or_default();
        let _ = write!(text, "<br>{}: {meaning}", names.join(", "));
    }
    text
}

/// Text as the cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
